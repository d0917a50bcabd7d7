"""`RunSpec`: what the user wants, frozen, checked for types and ranges, and its JSON form.

Knows nothing of the image: whether the wishes fit it is `resolve`'s to say. The only module that
imports pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from seamlabel.errors import Problem, SpecError

Auto = Literal["auto"]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]

_FIXES = {
    "tile_shape": "Give voxels per space axis, 1 or more: 1024, (32, 512, 512) or 'auto'",
    "overlap": "Give voxels per space axis, 0 or more: 32, (4, 32, 32), {'y': 32, 'x': 32} or 'auto'",
    "executor": "Use 'auto', 'serial' or 'threads'",
    "merge": "Use 'iou', 'touching' or MergeSpec(rule='iou', iou=0.2)",
    "name": "Use letters, digits, '-', '_' and '.', not starting with '.' or '_'",
}


class _Frozen(BaseModel):
    """Frozen, refusing unknown keys, raising `SpecError` instead of pydantic's own error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_problems(error, type(self))) from None


_OTHER_TYPES = {"literal_error", "int_type", "tuple_type", "dict_type", "int_parsing", "float_parsing"}


def _problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return one problem per field; of a union's errors the one of the branch that came closest."""
    by_field: dict[str, Problem] = {}
    for item in sorted(error.errors(), key=lambda item: item["type"] in _OTHER_TYPES):
        place = [str(part) for part in item["loc"]]
        field = place[0] if place else "spec"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            fix = f"Known fields: {', '.join(model.model_fields)}"
            message = "unknown field"
        elif item["type"] == "string_pattern_mismatch":
            fix = _FIXES.get(field, "")
            message = f"{item['input']!r} is not allowed"
        else:
            fix = _FIXES.get(field, "")
            message = f"{message}, not {item['input']!r}"
        by_field.setdefault(field, Problem(field, message, fix))
    return list(by_field.values())


class MergeSpec(_Frozen):
    """How labels of neighbouring tiles are judged to be one object.

    Parameters
    ----------
    rule : {"iou", "touching"}
        ``"iou"``: the two tiles' versions of an object overlap enough in the seam.
        ``"touching"``: foreground that touches across a tile border is one object; right for
        connected-component backends only.
    iou : float
        Least intersection over union of two fragments, above 0, at most 1.
    connectivity : int or None
        For ``"touching"``: 1 for faces, 2 for edges too, 3 for corners too; None for all.
    """

    rule: Literal["iou", "touching"] = "iou"
    iou: Annotated[float, Field(gt=0, le=1)] = 0.2
    connectivity: Positive | None = None


def _merge(value: Any) -> Any:
    return {"rule": value} if isinstance(value, str) else value


def _sizes(value: Any) -> Any:
    """Turn numpy integers and arrays, as users have them, into plain ones."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(v.item() if hasattr(v, "item") else v for v in value)
    return value


class RunSpec(_Frozen):
    """What the user wants of a run: image, backend, tiles, merge, output. JSON round trip.

    Parameters
    ----------
    image : str or None
        Path of an OME-Zarr; None for an array handed over in Python.
    backend : str
        Name in the registry.
    params : dict
        The backend's parameters; missing ones have their defaults.
    level : int
        Resolution level to segment, 0 = full.
    channels : tuple of int or str, or None
        Which channels the backend gets, by index or name. None where there is just one.
    tile_shape : "auto", int or tuple of int
        Shape of the tiles' cores in voxels of that level, for the space axes.
    overlap : "auto", int, tuple of int or dict
        Voxels per space axis that a tile reads past its core, on every side. An int is capped at
        the image's extent on each axis.
    merge : MergeSpec or str
        How objects are joined across tiles.
    min_size : int
        Whole objects of fewer voxels are removed.
    output : str or None
        None: into the image's own ``labels``. A path: an OME-Zarr of its own.
    name : str
        Name of the label.
    overwrite : bool
        Replace a label of that name, once the new one is whole.
    sequential : bool
        Ids 1..N without gaps; else gaps may stay where objects were joined or removed.
    skip_empty : None, float or "otsu"
        Do not segment tiles in which no voxel exceeds this value (or Otsu's threshold of the
        whole image).
    executor : {"auto", "serial", "threads"}
        Where tiles are segmented.
    workers : int or None
        Tiles at once; None: as many as cores and memory allow.
    retries : int
        How often a failing tile is tried again.

    Raises
    ------
    SpecError
        If a value has the wrong type or range, or a field is unknown.
    """

    image: str | None = None
    backend: str = "threshold"
    params: dict[str, Any] = Field(default_factory=dict)
    level: Natural = 0
    channels: Annotated[tuple[int | str, ...] | None, BeforeValidator(_sizes)] = None
    tile_shape: Annotated[Auto | Positive | tuple[Positive, ...], BeforeValidator(_sizes)] = "auto"
    overlap: Annotated[Auto | Natural | tuple[Natural, ...] | dict[str, Natural], BeforeValidator(_sizes)] = (
        "auto"
    )
    merge: Annotated[MergeSpec, BeforeValidator(_merge)] = MergeSpec()
    min_size: Natural = 0
    output: str | None = None
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "labels"
    overwrite: bool = False
    sequential: bool = True
    skip_empty: float | Literal["otsu"] | None = None
    executor: Literal["auto", "serial", "threads"] = "auto"
    workers: Positive | None = None
    retries: Natural = 1

    def to_json(self) -> str:
        """Return the spec as JSON text, one field a line."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """Read a spec from JSON text.

        Raises
        ------
        SpecError
            If the text is not JSON, or not a spec.
        """
        import json

        try:
            values = json.loads(text)
        except ValueError as error:
            problem = Problem("spec", f"not JSON: {error}", "Save it again from the dock or --plan")
            raise SpecError([problem]) from None
        if not isinstance(values, dict):
            raise SpecError([Problem("spec", "not a JSON object", "Give a run file")])
        return cls(**values)

    def replace(self, **changes: Any) -> RunSpec:
        """Return a checked copy with some fields changed."""
        return type(self)(**{**self.model_dump(), **changes})
