"""The Python front: `segment` an image, make a `sample`. Thin over plan and engine."""

from __future__ import annotations

import os
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from seamlabel.axes import parse_axes
from seamlabel.engine.claim import planned
from seamlabel.engine.rules import merge_fields
from seamlabel.engine.skipping import skip_fields
from seamlabel.errors import Problem, SpecError
from seamlabel.functions import target_of
from seamlabel.io.ngff.images import write_image
from seamlabel.io.opened import Opened, as_source
from seamlabel.io.sources import image_info
from seamlabel.overlap_needs import with_overlap
from seamlabel.plan import resolve
from seamlabel.results import Result, carry_out, table_field
from seamlabel.signatures import checked_keywords
from seamlabel.spec import RunSpec
from seamlabel.testing.cells import Tissue

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.axes import ImageInfo
    from seamlabel.events import Event
    from seamlabel.protocols import SeamRule, Segmenter
    from seamlabel.spec import MergeSpec


def segment(  # noqa: PLR0913 - one call for everything, all but two by name
    image: Any,
    backend: str | Segmenter = "threshold",
    *,
    params: Any = None,
    axes: str | None = None,
    level: int = 0,
    channels: Any = None,
    tile_shape: Any = "auto",
    overlap: Any = "auto",
    region: Any = None,
    planes: bool = False,
    steps: Any = (),
    z_link: float | None = None,
    merge: str | MergeSpec | SeamRule = "iou",
    min_size: int | str = 0,
    max_size: int | str | None = None,
    drop_border: bool = False,
    fill_holes: bool = False,
    table: bool | str | os.PathLike[str] = False,
    output: str | os.PathLike[str] | None = None,
    name: str = "labels",
    overwrite: bool = False,
    sequential: bool = True,
    skip_empty: Any = None,
    skip_level: int | None = None,
    executor: str = "auto",
    scheduler: Any = None,
    workers: int | None = None,
    retries: int = 1,
    timeout: float | None = None,
    keep: bool = False,
    unfinished: Literal["resume", "restart", "refuse"] = "resume",
    progress: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Segment an image tile by tile; the labels equal those of the whole image, up to renaming.

    Parameters
    ----------
    image : str, path or array
        An OME-Zarr, or a numpy, zarr or dask array; TIFF, HDF5 and other files, folders with a pattern, HDF5
        datasets, torch tensors: see `seamlabel.io.opened.as_source`.
    backend : str or callable
        Name of a backend, see ``seamlabel.backends()``; or a function ``fn(tile) -> labels``.
    params : dict or dataclass, optional
        The backend's parameters; for a callable its keyword arguments.
    axes : str, optional
        Axes of an array of more than three dimensions, such as ``"tczyx"``.
    level : int
        Resolution level to segment, 0 = full; labels are written on all levels.
    channels : int, str or sequence of them, optional
        Channels that the backend gets, by index or name; needed where the image has several.
    tile_shape : "auto", int, tuple or callable
        Voxels per space axis that a tile owns; a callable is given (shape, dtype) of the level.
    overlap : "auto", "measure", int, tuple or dict
        Voxels per space axis that a tile reads more on every side. An int is capped at the tile's
        extent along each axis. "auto" is what the backend says of its reach or of the diameter of
        objects; "measure" finds it on the image first, in a minute at most.
    region : box or sequence of boxes, optional
        Segment only tiles that own voxels of these boxes; all else stays background. A box has a slice or
        a (start, stop) per axis of the labels (time, then space), in voxels of `level`: ``np.s_[:, 0:512]``.
    planes : bool
        Segment every plane across z by itself: the backend gets 2D planes.
    steps : str, sequence or mapping
        What is done to labels after the method, in this order: ``"split=30"`` in every tile; then, after
        filters, to whole objects ``"expand=3,smooth=1"`` or ``{"shrink": "0.5 um"}``. An object of which
        nothing is left leaves a gap in the ids.
    z_link : float, optional
        Least intersection over union of objects of neighbouring planes that are one. None: none are.
    merge : {"iou", "touching", "face"}, MergeSpec or callable
        How labels of neighbouring tiles are judged one object; a function ``rule(common, one, other)``
        is given numbers of voxels (in both tiles' versions, in each) and returns truths.
    min_size, max_size : int or str
        Whole objects that are smaller or larger are removed; in voxels, or as ``"50 um2"``.
    drop_border : bool
        Objects that touch the image's border (in planes: the plane's) are removed.
    fill_holes : bool
        Background that one object alone encloses becomes part of it, before sizes are judged.
    table : bool or path
        Measure all objects: ``result.table``; a path (``.csv``, ``.parquet``) is written too.
    output : str or path, optional
        OME-Zarr of its own for the labels. None: into the image's own ``labels``; for arrays into a
        temporary store.
    name : str
        Name of the label.
    overwrite : bool
        Replace a label of that name, once the new one is whole.
    sequential : bool
        Ids 1..N without gaps.
    skip_empty : float, "otsu", path or array, optional
        Tiles in which no voxel exceeds this are not segmented; or those outside a mask (an OME-Zarr
        or an array of the image's shape or a coarser one).
    skip_level : int, optional
        For `skip_empty` by value: judge by this coarser level, without reading tiles that hold
        nothing there. Objects smaller than its voxels may be missed.
    executor : {"auto", "serial", "threads", "processes", "dask"}
        Where tiles are segmented. "auto" is threads, or dask where a scheduler is given; processes are
        for methods that hold the interpreter or may crash; dask is for several machines.
    scheduler : str, distributed.Client or cluster, optional
        For "dask": where the workers are; by default processes of our own.
    workers : int, optional
        Tiles at once; by default as many as cores and memory allow.
    retries : int
        How often a failing tile is tried again.
    timeout : float, optional
        Seconds that a tile may take; one that takes longer fails.
    keep : bool
        Keep the run directory (`Result.run_dir`), so that `remerge` can merge its tiles again.
    unfinished : {"resume", "restart", "refuse"}
        What to do if a run of this name was cancelled, or was cut short, or some of its tiles failed: go
        on with it, if it was of the same request, image and method (else `OutputError` says what
        differs); remove it and start over; or raise `OutputError`.
    progress : bool
        Show a progress bar (on a terminal) or a line a minute (in a log), on stderr.
    on_event : callable, optional
        Called with every event.

    Returns
    -------
    Result
        With lazy labels.

    Raises
    ------
    SpecError
        If the request does not fit the image; `.problems` names the fields.
    ImageError, OutputError, BackendError
        If image, output or backend cannot be used.
    TileError
        If the first tiles all fail.
    IncompleteError
        If some tiles failed; nothing was written to the output.
    """
    return _carried_out(dict(locals()))


def _carried_out(given: dict[str, Any]) -> Result:
    """Run what was asked for; `given` are the arguments of `segment`."""
    output, table = given["output"], given["table"]
    image = as_source(given["image"], given["axes"])
    given["table"] = table_field(table)  # those that a RunSpec has go there under their own names
    target = None if output is None else os.fspath(output)
    held = None if isinstance(image, str | os.PathLike) else image
    # a run of a file can go on where its labels have a place
    again = held is None or (isinstance(held, Opened) and output is not None)
    named = again and isinstance(given["image"], str | os.PathLike)
    path = os.fspath(given["image"]) if named else None
    info = image_info(image, axes=given["axes"], output=target)
    wishes, handed = _wishes(given, info)
    spec = RunSpec(**{**wishes, "image": path, "output": target})
    plan = (planned if given["unfinished"] == "resume" else resolve)(spec, info)
    plan = with_overlap(plan, image, handed["segmenter"])
    handed |= {name: given[name] for name in ("keep", "unfinished", "progress", "on_event")}
    return carry_out(plan, image=held, measure=bool(table), retry=True, **handed)


def method_fields(backend: str | Segmenter, params: Any) -> tuple[dict[str, Any], Segmenter | None]:
    """Return the fields of a spec that say the method, and the function itself if it is one."""
    return _backend_fields(backend, params), _bound(backend, params) if callable(backend) else None


def _wishes(given: dict[str, Any], info: ImageInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of the spec, and what is handed to the run because no spec can hold it."""
    wishes = {field: given[field] for field in RunSpec.model_fields if field in given}
    fields, segmenter = method_fields(given["backend"], given["params"])
    wishes |= fields
    seen = info.by_planes() if given["planes"] else info
    wishes["tile_shape"] = _tile_shape(given["tile_shape"], seen, given["level"])
    wishes["merge"], rule = merge_fields(given["merge"], given["z_link"])
    wishes["skip_empty"], mask = skip_fields(given["skip_empty"])
    scheduler = given["scheduler"]
    if isinstance(scheduler, str):
        scheduler = None
    elif scheduler is not None:
        wishes |= {
            "scheduler": None,
            "executor": "dask" if given["executor"] == "auto" else given["executor"],
        }
    return wishes, {"segmenter": segmenter, "rule": rule, "mask": mask, "scheduler": scheduler}


def _backend_fields(backend: str | Segmenter, params: Any) -> dict[str, Any]:
    values = _params(params)
    if isinstance(backend, str) or not callable(backend):  # the spec says what it makes of the latter
        return {"backend": backend, "params": values}
    return {"backend": "function", "params": {"target": target_of(backend)}}


def _bound(backend: Segmenter, params: Any) -> Segmenter:
    values = checked_keywords(backend, _params(params))
    return partial(backend, **values) if values else backend


def _params(params: Any) -> dict[str, Any]:
    if params is None:
        return {}
    if is_dataclass(params) and not isinstance(params, type):
        return asdict(params)
    return dict(params)


def _tile_shape(tile_shape: Any, info: ImageInfo, level: int) -> Any:
    if not callable(tile_shape):
        return tile_shape
    shape = info.levels[min(level, len(info.levels) - 1)].shape
    space = tuple(n for n, axis in zip(shape, info.axes, strict=True) if axis.tiled)
    return tile_shape(space, info.dtype)


def sample(
    path: str | os.PathLike[str],
    shape: tuple[int, ...] | None = None,
    cells: str = "dense",
    *,
    seed: int = 0,
    overwrite: bool = False,
) -> str:
    """Make a sample OME-Zarr (0.5) of synthetic cells.

    Parameters
    ----------
    path : str or path
        Where to; must not exist unless `overwrite`.
    shape : tuple of int, optional
        ``(y, x)``, or ``(z, y, x)`` for ``"tissue3d"``.
    cells : {"dense", "sparse", "tissue3d"}
        Touching cells of a tissue, round nuclei apart, or touching cells in 3D.
    seed : int
        Another seed, other cells.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    str
        The path.

    Raises
    ------
    SpecError
        If shape and cells do not fit.
    OutputError
        If the path exists or cannot be written.
    """
    ndim = 3 if cells == "tissue3d" else 2
    shape = shape or ((64, 512, 512) if ndim == 3 else (4096, 4096))
    if cells not in ("dense", "sparse", "tissue3d"):
        raise SpecError([Problem("cells", f"{cells!r} is unknown", "Use dense, sparse or tissue3d")])
    if len(shape) != ndim or min(shape) < 1:
        fix = f"Give {ndim} positive numbers, such as {','.join(['512'] * ndim)}"
        raise SpecError([Problem("shape", f"{shape} does not fit '{cells}'", fix)])
    tissue = Tissue(shape, cast("Any", cells), seed=seed)
    axes = "zyx"[-ndim:]
    write_image(
        Path(path),
        shape,
        str(tissue.dtype),
        tissue.image,
        axes=axes,
        scale=tissue.scale,
        units=("micrometer",) * len(parse_axes(axes)),
        overwrite=overwrite,
    )
    return os.fspath(path)
