"""`RunSpec`: what the user wants, frozen, checked for types and ranges, and its JSON form.

Knows nothing of the image: whether the wishes fit it is `resolve`'s to say. The only module that
imports pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from seamlabel.errors import Problem, SpecError

Auto = Literal["auto"]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]

_FIXES = {
    "tile_shape": "Give voxels per space axis, 1 or more: 1024, (32, 512, 512) or 'auto'",
    "overlap": "Give voxels per space axis, 0 or more: 32, (4, 32, 32), {'y': 32, 'x': 32} or 'auto'",
    "executor": "Use 'auto', 'serial' or 'threads'",
    "merge": "Use 'iou', 'touching' or 'face'",
    "rule": "Use 'iou', 'touching' or 'face'",
    "iou": "Use a number above 0, at most 1; 0.2 suits most",
    "connectivity": "Use 1 for faces, 2 for edges too, 3 for corners too",
    "name": "Use up to 100 letters, digits, '-', '_' and '.', not starting with '.' or '_'",
    "level": "Use 0 for full resolution, 1 or more for coarser levels",
    "min_size": "Give voxels, 0 or more",
    "workers": "Give 1 or more, or leave it out",
    "retries": "Give 0 or more",
    "skip_empty": "Give a finite pixel value, or 'otsu'",
    "channels": "Give channel names or numbers, such as ['DAPI'] or [0, 2]",
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
_MESSAGES = {
    "greater_than_equal": "{input!r} is below {ge}",
    "greater_than": "{input!r} is not above {gt}",
    "less_than_equal": "{input!r} is above {le}",
    "literal_error": "{input!r} is not one of {expected}",
    "int_parsing": "{input!r} is not a whole number",
    "int_type": "{input!r} is not a whole number",
    "int_from_float": "{input!r} is not a whole number",
    "finite_number": "{input!r} is not a finite number",
    "string_pattern_mismatch": "{input!r} is not allowed",
    "string_too_long": "a name of more than {max_length} letters",
    "extra_forbidden": "unknown field",
}


def _problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return one problem per field; of a union's errors the one of the branch that came closest."""
    by_field: dict[str, Problem] = {}
    for item in sorted(error.errors(), key=lambda item: item["type"] in _OTHER_TYPES):
        field = str(item["loc"][0]) if item["loc"] else "spec"
        context = dict(item.get("ctx", {}))
        inner = context.get("error")
        if isinstance(inner, SpecError):  # of a part that is a spec itself
            for part in inner.problems:
                by_field[f"{field}.{part.field}"] = Problem(f"{field}.{part.field}", part.message, part.fix)
            continue
        template = _MESSAGES.get(item["type"], "{input!r}: {message}")
        message = template.format(
            **context, input=item["input"], message=item["msg"].removeprefix("Value error, ")
        )
        fix = _FIXES.get(field, "")
        if item["type"] == "extra_forbidden":
            fix = f"Known fields: {', '.join(model.model_fields)}"
        by_field.setdefault(field, Problem(field, message, fix))
    return list(by_field.values())


class MergeSpec(_Frozen):
    """How labels of neighbouring tiles are judged to be one object.

    Parameters
    ----------
    rule : {"iou", "touching", "face"}
        ``"iou"``: the two tiles' versions of an object overlap enough in the seam.
        ``"touching"``: foreground that touches across a tile border is one object; right for
        connected-component backends only. ``"face"``: the two layers of voxels along a tile border
        are alike enough; for tiles made without overlap.
    iou : float
        Least intersection over union of two fragments, above 0, at most 1.
    connectivity : int or None
        For ``"touching"``: 1 for faces, 2 for edges too, 3 for corners too; None for all.
    z_link : float or None
        For planes: least intersection over union of objects of neighbouring planes that are one.
    """

    rule: Literal["iou", "touching", "face"] = "iou"
    iou: Annotated[float, Field(gt=0, le=1)] = 0.2
    connectivity: Positive | None = None
    z_link: Annotated[float, Field(gt=0, le=1)] | None = None

    @property
    def overlapping(self) -> bool:
        """Whether the rule compares voxels that both tiles have segmented."""
        return self.rule not in ("touching", "face")


def _merge(value: Any) -> Any:
    return {"rule": value} if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Turn numpy numbers and arrays, as users have them, into Python's, in containers too."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def _channels(value: Any) -> Any:
    value = _plain(value)
    return (value,) if isinstance(value, int | str) and not isinstance(value, bool) else value


def _name(value: str) -> str:
    if value in {"zarr.json", "labels.json"}:
        msg = "taken by the store itself"
        raise ValueError(msg)
    return value


Channel = Annotated[int, Field(strict=True, ge=0)] | str
Params = Annotated[dict[str, Any], BeforeValidator(_plain)]
Sizes = Annotated[Auto | Positive | tuple[Positive, ...], BeforeValidator(_plain)]
Overlap = Annotated[Auto | Natural | tuple[Natural, ...] | dict[str, Natural], BeforeValidator(_plain)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100), AfterValidator(_name)]


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
        the tile's extent along each axis.
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
    params: Params = Field(default_factory=dict)
    level: Natural = 0
    channels: Annotated[tuple[Channel, ...] | None, BeforeValidator(_channels)] = None
    tile_shape: Sizes = "auto"
    overlap: Overlap = "auto"
    merge: Annotated[MergeSpec, BeforeValidator(_merge)] = MergeSpec()
    min_size: Natural = 0
    output: str | None = None
    name: Name = "labels"
    overwrite: bool = False
    sequential: bool = True
    skip_empty: Annotated[float, Field(allow_inf_nan=False)] | Literal["otsu"] | None = None
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
