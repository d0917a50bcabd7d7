"""The Python front: `segment` an image, make a `sample`. Thin over plan and engine."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seamlabel.axes import parse_axes
from seamlabel.engine.run import run
from seamlabel.errors import IncompleteError, Problem, SpecError
from seamlabel.events import RunFinished
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.plan import Plan, resolve
from seamlabel.progress import ProgressBar
from seamlabel.spec import MergeSpec, RunSpec
from seamlabel.testing.cells import Tissue

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.axes import ImageInfo
    from seamlabel.events import Event
    from seamlabel.protocols import Segmenter


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Parameters
    ----------
    labels : lazy array
        Labels at full resolution, axes ``(t)zyx`` or ``(t)yx``; ``np.asarray(result.labels)`` reads
        all of them, slices only what they need.
    n_objects : int
        Ids are 1..n_objects, unless `sequential` was turned off.
    path : str
        The label group, an NGFF image. Temporary (until the process ends) for arrays without output.
    failed : dict of int to str
        Tiles that failed, with reasons; empty, because a run that is not whole raises.
    plan : Plan
        What was carried out.
    seconds : float
        Wall time.
    """

    labels: Any
    n_objects: int
    path: str
    failed: dict[int, str]
    plan: Plan
    seconds: float


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
    merge: str | MergeSpec = "iou",
    min_size: int = 0,
    output: str | os.PathLike[str] | None = None,
    name: str = "labels",
    overwrite: bool = False,
    sequential: bool = True,
    skip_empty: Any = None,
    executor: str = "auto",
    workers: int | None = None,
    retries: int = 1,
    progress: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Segment an image tile by tile; the labels equal those of the whole image, up to renaming.

    Parameters
    ----------
    image : str, path or array
        An OME-Zarr, or a numpy, zarr or dask array.
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
    overlap : "auto", int, tuple or dict
        Voxels per space axis that a tile reads more on every side. An int is capped at the tile's
        extent along each axis.
    merge : {"iou", "touching"} or MergeSpec
        How labels of neighbouring tiles are judged one object.
    min_size : int
        Whole objects of fewer voxels are removed.
    output : str or path, optional
        OME-Zarr of its own for the labels. None: into the image's own ``labels``; for arrays into a
        temporary store.
    name : str
        Name of the label.
    overwrite : bool
        Replace a label of that name, once the new one is whole.
    sequential : bool
        Ids 1..N without gaps.
    skip_empty : float or "otsu", optional
        Tiles in which no voxel exceeds this are not segmented.
    executor : {"auto", "serial", "threads"}
        Where tiles are segmented.
    workers : int, optional
        Tiles at once; by default as many as cores and memory allow.
    retries : int
        How often a failing tile is tried again.
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
    given = dict(locals())  # those that a RunSpec has go there under their own names
    path = os.fspath(image) if isinstance(image, str | os.PathLike) else None
    target = None if output is None else os.fspath(output)
    info = image_info(image if path is None else path, axes=axes, output=target)
    wishes = {field: given[field] for field in RunSpec.model_fields if field in given}
    wishes |= {"image": path, "output": target, **_backend_fields(backend, params)}
    wishes["tile_shape"] = _tile_shape(tile_shape, info, level)
    plan = resolve(RunSpec(**wishes), info)
    segmenter = _bound(backend, params) if callable(backend) else None
    array = None if path else image
    return carry_out(plan, image=array, segmenter=segmenter, progress=progress, on_event=on_event)


def carry_out(
    plan: Plan,
    *,
    image: Any = None,
    segmenter: Segmenter | None = None,
    progress: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Run a plan to its end and return the result; see `segment` for parameters and errors."""
    bar = ProgressBar() if progress else None
    last: Event | None = None
    events = run(plan, image=image, segmenter=segmenter)
    try:
        for last in events:
            if bar:
                bar(last)
            if on_event:
                on_event(last)
    finally:
        events.close()
        if bar:
            bar.close()
    assert isinstance(last, RunFinished)
    if last.failed:
        raise IncompleteError(last.failed, last.run_dir)
    return Result(open_labels(last.path)[0], last.n_objects, last.path, {}, plan, last.seconds)


def _backend_fields(backend: str | Segmenter, params: Any) -> dict[str, Any]:
    values = _params(params)
    if isinstance(backend, str) or not callable(backend):  # the spec says what it makes of the latter
        return {"backend": backend, "params": values}
    inner = backend.func if isinstance(backend, partial) else backend
    name = getattr(inner, "__name__", type(inner).__name__).strip("<>")
    return {"backend": "function", "params": {"target": f"{inner.__module__}:{name}"}}


def _bound(backend: Segmenter, params: Any) -> Segmenter:
    values = _params(params)
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
