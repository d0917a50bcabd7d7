"""What can be wrong with a wish for a given image, found before any work; the parts of `resolve`.

Every function adds to a list of problems instead of raising, so that the user sees all at once.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

from seamlabel import registry
from seamlabel.auto import LEAST_OVERLAP, alignment, auto_overlap, auto_tile_shape, radius_of
from seamlabel.errors import BackendError, Problem
from seamlabel.geometry import TileGrid
from seamlabel.sizes import human, size_in_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.axes import ImageInfo
    from seamlabel.registry import Backend
    from seamlabel.spec import RunSpec
    from seamlabel.steps import Step


def find_backend(spec: RunSpec, problems: list[Problem]) -> tuple[Backend, Any] | None:
    """Return the record and its checked parameters, or None with the problems noted."""
    try:
        record = registry.backend(spec.backend)
    except BackendError as error:
        problems.append(Problem("backend", str(error), error.hint))
        return None
    if record.missing:
        needs = ", ".join(record.missing)
        problems.append(Problem("backend", f"'{record.name}' needs {needs}", f"Install: {record.install}"))
        return None
    if record.kind != "labels":
        problems.append(Problem("backend", f"'{record.name}' gives no labels", "Choose another"))
        return None
    params, wrong = record.parse(spec.params)
    problems += wrong
    return None if wrong else (record, params)


def check_image(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> None:
    """Note what keeps the image from being tiled."""
    if spec.level >= len(info.levels):
        last = len(info.levels) - 1
        problems.append(Problem("level", f"{spec.level} does not exist", f"The image has levels 0 to {last}"))
    if not any(axis.tiled for axis in info.axes):
        names = ", ".join(axis.name for axis in info.axes)
        problems.append(Problem("image", f"no space axis among {names}", "Give its axes the type 'space'"))
    if min(info.shape) < 1:
        problems.append(Problem("image", f"it is empty, shape {info.shape}", "Give another image"))
    known = ("space", "time", "channel")
    odd = [a.name for a, n in zip(info.axes, info.shape, strict=True) if a.kind not in known and n > 1]
    if odd:
        problems.append(
            Problem("image", f"axis {', '.join(odd)} is neither space, time nor channel", "Drop it")
        )


def check_planes(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> None:
    """Note planes that the image does not have, or that are not asked for."""
    spaces = [axis for axis in info.axes if axis.kind == "space"]
    if spec.planes and (len(spaces) < 2 or not any(axis.looped for axis in spaces)):
        names = ", ".join(axis.name for axis in info.axes)
        problems.append(Problem("planes", f"there is no axis z across planes among {names}", "Leave it out"))
    if spec.merge.z_link is not None and not spec.planes:
        fix = "Ask for planes, or leave it out"
        problems.append(Problem("merge.z_link", "only planes are linked", fix))


def check_skipping(spec: RunSpec, info: ImageInfo, params: Any, problems: list[Problem]) -> None:
    """Note a wish to skip dark tiles where dark objects are looked for, and a level that is none."""
    limit = spec.skip_empty
    by_value = limit == "otsu" or isinstance(limit, float)
    if by_value and getattr(params, "dark", False):
        problems.append(Problem("skip_empty", "dark objects lie in dark tiles", "Leave it out"))
    if spec.skip_level is None:
        return
    if not by_value:
        fix = "Give a value or 'otsu' to skip by, or leave the level out"
        problems.append(Problem("skip_level", "nothing is to be looked for on it", fix))
    elif not spec.level < spec.skip_level < len(info.levels):
        coarser = f"level {spec.level + 1} to {len(info.levels) - 1}"
        fix = f"Give {coarser}" if spec.level + 1 < len(info.levels) else "Leave it out: there is none"
        problems.append(Problem("skip_level", f"{spec.skip_level} is no coarser level of the image", fix))


def check_sizes(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> tuple[int, int]:
    """Return the least and the most voxels of an object at the level that is segmented, 0 for no limit."""
    least = _voxels("min_size", spec, info, problems)
    most = _voxels("max_size", spec, info, problems)
    if most is not None and most < max(1, least or 0):
        message = f"{spec.max_size} is {'below min_size' if most >= 1 else 'less than a voxel'}"
        problems.append(Problem("max_size", message, "Give a larger one, or leave it out"))
    return ceil(least or 0), int(most or 0)


def _voxels(field: str, spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> Fraction | None:
    """Return a size in voxels; whole objects extend along tiled axes, linked ones along z too."""
    value = getattr(spec, field)
    if not isinstance(value, str):
        return None if value is None else Fraction(value)
    level = info.levels[min(spec.level, len(info.levels) - 1)]
    linked = spec.merge.z_link is not None
    chosen = [i for i, axis in enumerate(info.axes) if axis.tiled or (axis.looped and linked)]
    names = [info.axes[i].name for i in chosen]
    try:
        return size_in_voxels(value, names, [level.scale[i] for i in chosen], [info.units[i] for i in chosen])
    except ValueError as error:
        unit = "um" + (str(len(names)) if len(names) > 1 else "")
        fix = f"Give voxels, or a size such as '50 {unit}' for an image that has units"
        problems.append(Problem(field, str(error), fix))
        return None


def check_executor(spec: RunSpec, problems: list[Problem]) -> None:
    """Note what an executor cannot do."""
    if spec.timeout is not None and spec.executor == "serial":
        fix = "Use threads or processes, or leave the time out"
        problems.append(Problem("timeout", "a tile in the only thread cannot be given up", fix))
    if spec.scheduler is not None and spec.executor not in ("auto", "dask"):
        problems.append(Problem("scheduler", f"'{spec.executor}' has none", "Choose the executor 'dask'"))


def check_output(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> None:
    """Note what keeps the labels from being written."""
    if spec.image is None and spec.output is None:
        return
    where = spec.output or info.path or spec.image
    if not info.writable:
        fix = "Choose another output" if spec.output else "Give an output of its own, such as labels.zarr"
        problems.append(Problem("output", f"labels cannot be written into {where}", fix))
    elif spec.name in info.labels and not spec.overwrite:
        problems.append(
            Problem(
                "name",
                f"{where} already has labels '{spec.name}'",
                "Give another name, or choose to overwrite them",
            )
        )


def find_channels(
    spec: RunSpec, info: ImageInfo, backend: Backend | None, problems: list[Problem]
) -> tuple[int, ...]:
    """Return the indices of the wanted channels; empty where the image has no channel axis."""
    axis = info.channel_axis
    if axis is None:
        if spec.channels:
            problems.append(Problem("channels", "the image has no channel axis", "Leave it out"))
        return ()
    count = info.shape[axis]
    names = info.channels or tuple(map(str, range(count)))
    listed = ", ".join(f"{i} '{n}'" if n != str(i) else n for i, n in enumerate(names))
    if spec.channels is None:
        if count > 1:
            problems.append(Problem("channels", f"the image has {count}", f"Say which: {listed}"))
        return (0,)
    chosen = []
    for wanted in spec.channels:
        by_name = [i for i, name in enumerate(names) if name == wanted]
        index = int(wanted) if not by_name and str(wanted).isdecimal() else wanted
        if by_name:
            chosen.append(by_name[0])
        elif isinstance(index, int) and 0 <= index < count:
            chosen.append(index)
        else:
            problems.append(Problem("channels", f"there is no channel {wanted!r}", f"There is: {listed}"))
    if not spec.channels or len(set(chosen)) < len(chosen):
        problems.append(Problem("channels", "none, or one twice", f"Choose among: {listed}"))
    if backend and backend.max_channels and len(chosen) > backend.max_channels:
        problems.append(
            Problem(
                "channels",
                f"'{backend.name}' takes {backend.max_channels}, not {len(chosen)}",
                f"Choose {backend.max_channels} of: {listed}",
            )
        )
    return tuple(chosen)


def make_grid(
    spec: RunSpec,
    info: ImageInfo,
    params: Any,
    steps: Sequence[Step],
    voxels: int,
    problems: list[Problem],
    warnings: list[str],
) -> TileGrid | None:
    """Return the grid over the label axes; `voxels` is what memory allows for one tile.

    Looped axes (time, planes) have tiles of 1 without overlap; nothing is said of them.
    """
    level = info.levels[spec.level]
    shape, chunks = info.label_values(level.shape), info.label_values(level.chunks)
    space = tuple(info.axes[i].tiled for i in info.label_axes)
    names = tuple(info.axes[i].name for i in info.label_axes if info.axes[i].tiled)
    size = tuple(n for n, s in zip(shape, space, strict=True) if s)
    chunk = tuple(n for n, s in zip(chunks, space, strict=True) if s)
    wanted = _per_axis("overlap", spec.overlap, names, problems)
    tile = _per_axis("tile_shape", spec.tile_shape, names, problems)
    if problems:
        return None
    overlap = wanted or auto_overlap(params, steps, size, warnings)
    tile = tile or auto_tile_shape(size, chunk, overlap, voxels)
    tile = tuple(min(t, n) for t, n in zip(tile, size, strict=True))
    if isinstance(spec.overlap, int):
        capped = tuple(min(h, t) for h, t in zip(overlap, tile, strict=True))
        cut = [n for n, h, c, e in zip(names, overlap, capped, size, strict=True) if c < h and c < e]
        if cut:
            warnings.append(f"the overlap along {', '.join(cut)} is capped at the tile's extent")
        overlap = capped
    overlap = _evidence(spec, overlap, tile, size, warnings)
    _warn(radius_of(params, steps), overlap, tile, size, warnings)
    full_tile, full_overlap, full_align = iter(tile), iter(overlap), iter(alignment(params, len(size)))
    return TileGrid(
        shape,
        tuple(next(full_tile) if s else 1 for s in space),
        tuple(next(full_overlap) if s else 0 for s in space),
        tuple(next(full_align) if s else 1 for s in space),
    )


def _warn(
    radius: int | None,
    overlap: tuple[int, ...],
    tile: tuple[int, ...],
    size: tuple[int, ...],
    warnings: list[str],
) -> None:
    """Tell of an overlap that wastes work, or that the method reaches beyond."""
    if any(t < n and h > t for h, t, n in zip(overlap, tile, size, strict=True)):
        warnings.append("the overlap is larger than the tile: larger tiles would waste less work")
    ends = [h for h, t, n in zip(overlap, tile, size, strict=True) if t < n and h < n]  # else all is seen
    if radius is not None and ends and min(ends) <= radius:
        warnings.append(
            f"with less than an overlap of {radius + 1} labels may differ at tile borders from those "
            "of the whole image"
        )


def _evidence(
    spec: RunSpec,
    overlap: tuple[int, ...],
    tile: tuple[int, ...],
    size: tuple[int, ...],
    warnings: list[str],
) -> tuple[int, ...]:
    """Return the overlap, at least 2 voxels where tiles meet if the rule compares overlaps."""
    if not spec.merge.overlapping:
        return overlap
    grown = tuple(max(h, LEAST_OVERLAP) if t < n else h for h, t, n in zip(overlap, tile, size, strict=True))
    if grown != overlap:
        warnings.append(f"tiles overlap by {LEAST_OVERLAP} voxels at least, to tell what is one object")
    return grown


def _per_axis(
    field: str,
    value: str | int | tuple[int, ...] | dict[str, int],
    names: tuple[str, ...],
    problems: list[Problem],
) -> tuple[int, ...] | None:
    """Return one number per space axis, or None for "auto"."""
    axes = ", ".join(names)
    if isinstance(value, str):
        return None
    if isinstance(value, int):
        return (value,) * len(names)
    if isinstance(value, dict):
        unknown = sorted(set(value) - set(names))
        if unknown:
            problems.append(Problem(field, f"no space axis {', '.join(unknown)}", f"The image has {axes}"))
        return tuple(value.get(name, 0) for name in names)
    if len(value) != len(names):
        problems.append(
            Problem(field, f"{len(value)} numbers for {len(names)} axes", f"Give one each for {axes}")
        )
    return value


def too_large(tile_bytes: int, budget: int, grid: TileGrid) -> Problem:
    """Return the problem of a tile that memory does not hold."""
    factor = (max(budget, 1) / tile_bytes) ** (1 / sum(n > 1 for n in grid.read_shape))
    fit = max(1, int(max(grid.tile_shape) * factor * 0.8))
    return Problem(
        "tile_shape",
        f"one tile needs {human(tile_bytes)} of memory, {human(budget)} are free",
        f"Use tiles of about {fit}, or 'auto'",
    )
