"""`RunSpec`: what the user wants, frozen, checked for types and ranges, and its JSON form.

Knows nothing of the image: whether the wishes fit it is `resolve`'s to say.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from seamlabel.errors import Problem, SpecError
from seamlabel.frozen import Frozen
from seamlabel.functions import is_target
from seamlabel.label_names import checked_name
from seamlabel.region import as_region
from seamlabel.sizes import parse_size
from seamlabel.steps import STEPS, as_steps

Auto = Literal["auto"]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]

_FIXES = {
    "tile_shape": "Give voxels per space axis, 1 or more: 1024, (32, 512, 512) or 'auto'",
    "overlap": "Give voxels per space axis, 0 or more: 32, (4, 32, 32), {'y': 32}, 'auto' or 'measure'",
    "executor": "Use 'auto', 'serial', 'threads', 'processes' or 'dask'",
    "merge": "Use 'iou', 'touching', 'face' or 'file.py:function'",
    "rule": "Use 'iou', 'touching', 'face' or 'file.py:function'",
    "iou": "Use a number above 0, at most 1; 0.2 suits most",
    "connectivity": "Use 1 for faces, 2 for edges too, 3 for corners too",
    "name": "Use up to 100 letters, digits, '-', '_' and '.', not starting with '.' or '_'",
    "level": "Use 0 for full resolution, 1 or more for coarser levels",
    "min_size": "Give voxels, 0 or more, or a size such as '50 um2' or '20 um3'",
    "max_size": "Give voxels, 1 or more, or a size such as '500 um2' or '900 um3'",
    "z_link": "Use a number above 0, at most 1; 0.3 suits most",
    "workers": "Give 1 or more, or leave it out",
    "retries": "Give 0 or more",
    "timeout": "Give seconds, above 0",
    "scheduler": "Give an address, such as 'tcp://host:8786'",
    "table": "Give a path that ends in .csv or .parquet",
    "skip_empty": "Give a finite pixel value, 'otsu', or the path of a mask",
    "skip_level": "Give a level coarser than the one that is segmented",
    "steps": f"Use {', '.join(STEPS)}, each with voxels or a length: 'expand=3', 'smooth=0.5 um'",
    "region": "Give (start, stop) or a slice per axis of the labels, such as ((0, 512), (256, 768))",
    "channels": "Give channel names or numbers, such as ['DAPI'] or [0, 2]",
}


class _Spec(Frozen):
    fixes: ClassVar[dict[str, str]] = _FIXES


RULES = ("iou", "touching", "face")


def _rule(value: str) -> str:
    if value not in RULES and not is_target(value):
        expected = "'iou', 'touching' or 'face', nor a function"
        raise PydanticCustomError("rule", "not a rule", {"expected": expected})
    return value


class MergeSpec(_Spec):
    """How labels of neighbouring tiles are judged to be one object.

    Parameters
    ----------
    rule : {"iou", "touching", "face"} or str
        ``"iou"``: the two tiles' versions of an object overlap enough in the seam. ``"touching"``:
        foreground that touches across a tile border is one object; right for connected-component
        backends only. ``"face"``: the two layers of voxels along a tile border are alike enough; for
        tiles made without overlap. ``"file.py:function"`` or ``"module:function"``: a `SeamRule`.
    iou : float
        For ``"iou"`` and ``"face"``: least intersection over union of two fragments, above 0, at
        most 1.
    connectivity : int or None
        How the method connects voxels: 1 over faces, 2 over edges too, 3 over corners too; None over
        all. For ``"touching"``, and for methods that say how far a cut reaches (their `radius`).
    z_link : float or None
        For planes: least intersection over union of two objects of neighbouring planes that are
        one, above 0, at most 1. None: objects stay in their plane.
    """

    rule: Annotated[str, AfterValidator(_rule)] = "iou"
    iou: Annotated[float, Field(gt=0, le=1)] = 0.2
    connectivity: Positive | None = None
    z_link: Annotated[float, Field(gt=0, le=1)] | None = None

    @property
    def overlapping(self) -> bool:
        """Whether the rule compares voxels that both tiles have segmented."""
        return self.rule not in ("touching", "face")

    @property
    def has_threshold(self) -> bool:
        """Whether `iou` counts for the rule."""
        return self.rule in ("iou", "face")

    @property
    def custom(self) -> bool:
        """Whether the rule is a function."""
        return self.rule not in RULES


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


def _number(value: Any) -> Any:
    """Take numbers also as text."""
    if not isinstance(value, str):
        return _plain(value)
    try:
        return int(value) if value.removeprefix("-").isdecimal() else float(value)
    except ValueError:
        return value


def _size(value: Any) -> Any:
    value = _number(value)
    if isinstance(value, str):
        parse_size(value)
    return value


Channel = Annotated[int, Field(strict=True, ge=0)] | str
Params = Annotated[dict[str, Any], BeforeValidator(_plain)]
Sizes = Annotated[Auto | Positive | tuple[Positive, ...], BeforeValidator(_plain)]
Overlap = Annotated[
    Literal["auto", "measure"] | Natural | tuple[Natural, ...] | dict[str, Natural], BeforeValidator(_plain)
]
MinSize = Annotated[Natural | str, BeforeValidator(_size)]
MaxSize = Annotated[Positive | str, BeforeValidator(_size)]
Limit = Annotated[float, Field(allow_inf_nan=False)]
Skip = Annotated[Limit | Annotated[str, Field(min_length=1)] | None, BeforeValidator(_number)]
Span = tuple[Natural, Positive | None]
Region = Annotated[
    Annotated[tuple[tuple[Span, ...], ...], Field(min_length=1)] | None, BeforeValidator(as_region)
]
Steps = Annotated[tuple[str, ...], BeforeValidator(as_steps)]
Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100), AfterValidator(checked_name)
]


class RunSpec(_Spec):
    """What the user wants of a run: image, backend, tiles, merge, output. JSON round trip.

    Parameters
    ----------
    image : str or None
        Path of an OME-Zarr, or of another file that has an `output`; None for an array handed over in Python.
    axes : str or None
        Letters of the axes of a file or array that does not say them, as they lie in it.
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
    overlap : "auto", "measure", int, tuple of int or dict
        Voxels per space axis that a tile reads past its core, on every side. An int is capped at
        the tile's extent along each axis. "measure": found on the image before a run; "auto" till then.
    region : tuple of boxes, or None
        Segment only tiles that own voxels of these boxes; None is the whole image. A box is a
        (start, stop) per axis of the labels (time, then space), in voxels of that level; a stop of None
        is the end of the image. One box, and slices, are understood too.
    planes : bool
        Segment every plane across z by itself: the backend gets 2D planes, and tiles do not overlap
        along z. `merge.z_link` says which objects of neighbouring planes are one.
    steps : sequence of str
        What is done to labels after the method, in this order: first ``"split=30"``, in every tile; then,
        to whole objects and after all filters, any of ``"expand=3"``, ``"shrink=1"``, ``"smooth=1"``.
        Lengths in voxels of the finest axis, or as ``"1.5 um"``; distances follow the ratios of the scale.
    merge : MergeSpec or str
        How objects are joined across tiles.
    min_size, max_size : int or str
        Whole objects that are smaller or larger are removed. In voxels of the level that is
        segmented, or as ``"50 um2"``, ``"0.2 mm3"``: an area for 2D images and planes, a volume for
        3D images and linked planes. `max_size` None is no limit.
    drop_border : bool
        Objects that touch the border of the image (in planes: of the plane) are removed.
    fill_holes : bool
        Background that one object alone encloses (in planes: in the plane) becomes part of it, before
        sizes are judged.
    output : str or None
        None: into the image's own ``labels``. A path: an OME-Zarr of its own.
    table : str or None
        Path of a table of all objects to write, ending in ``.csv`` or ``.parquet``.
    name : str
        Name of the label.
    overwrite : bool
        Replace a label of that name, once the new one is whole.
    sequential : bool
        Ask for ids 1..N without gaps. They cost nothing: ids have none without it either.
    skip_empty : None, float, "otsu" or str
        Do not segment tiles in which no voxel exceeds this value (or Otsu's threshold of the
        whole image); or that hold nothing of a mask, given as the path of an OME-Zarr.
        ``"mask"``: an array that is handed over in Python.
    skip_level : int or None
        For `skip_empty` by value: look at this coarser level first, and do not read tiles in which
        it exceeds nothing. Objects smaller than its voxels may be missed.
    executor : {"auto", "serial", "threads", "processes", "dask"}
        Where tiles are segmented.
    scheduler : str or None
        For dask: address of a scheduler, such as ``"tcp://host:8786"``. None: workers of our own.
    workers : int or None
        Tiles at once; None: as many as cores and memory allow.
    retries : int
        How often a failing tile is tried again.
    timeout : float or None
        Seconds that a tile may take.

    Raises
    ------
    SpecError
        If a value has the wrong type or range, or a field is unknown.
    """

    image: str | None = None
    axes: str | None = None
    backend: str = "threshold"
    params: Params = Field(default_factory=dict)
    level: Natural = 0
    channels: Annotated[tuple[Channel, ...] | None, BeforeValidator(_channels)] = None
    tile_shape: Sizes = "auto"
    overlap: Overlap = "auto"
    region: Region = None
    planes: bool = False
    steps: Steps = ()
    merge: Annotated[MergeSpec, BeforeValidator(_merge)] = MergeSpec()
    min_size: MinSize = 0
    max_size: MaxSize | None = None
    drop_border: bool = False
    fill_holes: bool = False
    output: str | None = None
    table: Annotated[str, Field(pattern=r"(?i)\.(csv|parquet)$")] | None = None
    name: Name = "labels"
    overwrite: bool = False
    sequential: bool = True
    skip_empty: Skip = None
    skip_level: Positive | None = None
    executor: Literal["auto", "serial", "threads", "processes", "dask"] = "auto"
    scheduler: Annotated[str, Field(min_length=1)] | None = None
    workers: Positive | None = None
    retries: Natural = 1
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

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
        except (ValueError, RecursionError) as error:
            problem = Problem("spec", f"not JSON: {error}", "Save it again from the dock or --plan")
            raise SpecError([problem]) from None
        if not isinstance(values, dict):
            raise SpecError([Problem("spec", "not a JSON object", "Give a run file")])
        return cls(**values)

    def replace(self, **changes: Any) -> RunSpec:
        """Return a checked copy with some fields changed."""
        return type(self)(**{**self.model_dump(), **changes})
