"""`resolve`: a wish and an image become a `Plan`, or a list of problems. Pure, no pixels.

The only place where a `RunSpec` is checked against an image. Every "auto" is a number afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from seamlabel import memory, registry
from seamlabel.auto import LEAST_OVERLAP, auto_overlap, auto_tile_shape, auto_workers
from seamlabel.errors import BackendError, Problem, SpecError
from seamlabel.geometry import TileGrid

if TYPE_CHECKING:
    from seamlabel.axes import Axis, ImageInfo
    from seamlabel.registry import Backend
    from seamlabel.spec import RunSpec

ENGINE_BYTES = 250_000_000
"""Interpreter, libraries, staging cache and the paint pass, whatever the tiles."""
STAGED_BYTES_PER_VOXEL = 0.1
"""Compressed labels on disk, upper end of what was measured on tissue (0.03 to 0.12)."""


@dataclass(frozen=True)
class Plan:
    """What a run will do, decided: valid by construction, made by `resolve`.

    Parameters
    ----------
    spec : RunSpec
        What was asked for.
    info : ImageInfo
        The image.
    backend : Backend
        Record of the backend; `params` is its checked parameter dataclass.
    grid : TileGrid
        Tiles over the label axes (time and space) at level ``spec.level``; time has tiles of 1 and
        no overlap.
    axes : tuple of Axis
        The label axes.
    channels : tuple of int
        Chosen channels; empty where the image has no channel axis.
    min_size : int
        Whole objects of fewer voxels are removed.
    executor : {"serial", "threads"}
        Where tiles are segmented.
    workers : int
        Tiles at once.
    peak_bytes, stage_bytes : int
        Estimated peak memory, and disk that staging takes until the run is done.
    overread : float
        Voxels read over voxels of the image; 1 is no waste.
    output : str or None
        OME-Zarr that gets ``labels/NAME``; None: a temporary one.
    run_dir : str or None
        Where tiles are staged; None: a temporary folder.
    warnings : tuple of str
        What the user should know, one sentence each.
    """

    spec: RunSpec
    info: ImageInfo
    backend: Backend
    params: Any
    grid: TileGrid
    axes: tuple[Axis, ...]
    channels: tuple[int, ...]
    min_size: int
    executor: Literal["serial", "threads"]
    workers: int
    peak_bytes: int
    stage_bytes: int
    overread: float
    output: str | None
    run_dir: str | None
    warnings: tuple[str, ...] = ()

    @property
    def joined(self) -> tuple[bool, ...]:
        """For every label axis, whether labels are joined along it (space yes, time no)."""
        return tuple(axis.tiled for axis in self.axes)

    @property
    def level_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of the labels on every level of the image."""
        return tuple(self.info.label_values(level.shape) for level in self.info.levels)

    @property
    def scale(self) -> tuple[float, ...]:
        """World units per voxel of the label axes at the level that is segmented."""
        return self.info.label_values(self.info.levels[self.spec.level].scale)

    @property
    def tile_bytes(self) -> int:
        """Peak memory of segmenting one tile."""
        return prod(self.grid.read_shape) * bytes_per_voxel(self.backend, self.info, self.channels)

    def summary(self) -> str:
        """Return the plan as a few lines for people."""
        names = " x ".join(axis.name for axis in self.axes)
        sizes = " x ".join(map(str, self.grid.shape))
        tiles = " x ".join(map(str, self.grid.counts))
        lines = [
            f"image    {self.spec.image or 'array'}, level {self.spec.level}: {names} = {sizes}",
            f"backend  {self.backend.name} {_describe(self.params)}",
            f"tiles    {tiles} = {len(self.grid):,}, shape {_by_axis(self, self.grid.tile_shape)}, "
            f"overlap {_by_axis(self, self.grid.overlap)} (reads {self.overread:.2f} x the image)",
            f"merge    {self.spec.merge.rule}, objects under {self.min_size} voxels removed"
            if self.min_size
            else f"merge    {self.spec.merge.rule}",
            f"workers  {self.workers} ({self.executor}), {human(self.tile_bytes)} per tile, "
            f"about {human(self.peak_bytes)} in all, {human(self.stage_bytes)} of disk for staging",
            f"output   {self.output or 'a temporary store'}, labels/{self.spec.name}",
        ]
        return "\n".join(lines + [f"note     {warning}" for warning in self.warnings])


def human(count: float) -> str:
    """Return a number of bytes for people, such as ``"5.6 MB"``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _by_axis(plan: Plan, values: tuple[int, ...]) -> str:
    return " ".join(f"{a.name}={v}" for a, v in zip(plan.axes, values, strict=True) if a.tiled)


def _describe(params: Any) -> str:
    return ", ".join(f"{k}={v}" for k, v in vars(params).items()) if params else ""


def bytes_per_voxel(backend: Backend, info: ImageInfo, channels: tuple[int, ...]) -> int:
    """Return peak bytes per voxel of a tile's read box for these channels."""
    import numpy as np

    return backend.bytes_per_voxel + max(0, len(channels) - 1) * np.dtype(info.dtype).itemsize


def resolve(
    spec: RunSpec, info: ImageInfo, *, memory_bytes: int | None = None, cores: int | None = None
) -> Plan:
    """Decide how to carry out `spec` on the image that `info` describes.

    Parameters
    ----------
    spec : RunSpec
        What is wanted.
    info : ImageInfo
        The image; its `labels` and `writable` are those of the store that gets the labels.
    memory_bytes : int, optional
        Memory that may be used; measured if not given.
    cores : int, optional
        Processors that may be used; measured if not given.

    Returns
    -------
    Plan
        Valid by construction.

    Raises
    ------
    SpecError
        Listing everything that is wrong, by field.
    """
    problems: list[Problem] = []
    found = _backend(spec, problems)
    _check_image(spec, info, problems)
    _check_output(spec, info, problems)
    channels = _channels(spec, info, found[0] if found else None, problems)
    if problems or found is None:
        raise SpecError(problems)
    backend, params = found
    budget = memory.available() if memory_bytes is None else memory_bytes
    cost = bytes_per_voxel(backend, info, channels)
    warnings: list[str] = []
    grid = _grid(spec, info, params, budget // cost, problems, warnings)
    if problems or grid is None:
        raise SpecError(problems)
    tile_bytes = prod(grid.read_shape) * cost
    workers = auto_workers(spec.workers, spec.executor, len(grid), tile_bytes, budget, cores)
    if workers < 1:
        raise SpecError([_too_large(tile_bytes, budget, grid)])
    min_size = max(spec.min_size, *(getattr(params, n) for n in backend.whole_object), 0)
    if backend.whole_object:
        params = replace(params, **dict.fromkeys(backend.whole_object, 0))
    read = len(grid) * prod(grid.read_shape)
    target = spec.output or spec.image
    return Plan(
        spec=spec,
        info=info,
        backend=backend,
        params=params,
        grid=grid,
        axes=tuple(info.axes[i] for i in info.label_axes),
        channels=channels,
        min_size=min_size,
        executor="serial" if spec.executor == "serial" else "threads",
        workers=workers,
        peak_bytes=ENGINE_BYTES + workers * tile_bytes,
        stage_bytes=int(read * STAGED_BYTES_PER_VOXEL),
        overread=read / prod(grid.shape),
        output=target,
        run_dir=f"{target.rstrip('/')}.seamlabel/{spec.name}" if target else None,
        warnings=tuple(warnings),
    )


def _backend(spec: RunSpec, problems: list[Problem]) -> tuple[Backend, Any] | None:
    try:
        record = registry.backend(spec.backend)
    except BackendError as error:
        problems.append(Problem("backend", str(error), error.hint))
        return None
    if record.missing:
        needs = ", ".join(record.missing)
        problems.append(
            Problem("backend", f"'{record.name}' needs {needs}", f"Install: {record.install}")
        )
        return None
    if record.kind != "labels":
        problems.append(Problem("backend", f"'{record.name}' gives no labels", "Choose another"))
        return None
    params, wrong = record.parse(spec.params)
    problems += wrong
    return None if wrong else (record, params)


def _check_image(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> None:
    if spec.level >= len(info.levels):
        last = len(info.levels) - 1
        problems.append(
            Problem("level", f"{spec.level} does not exist", f"The image has levels 0 to {last}")
        )
    if not any(axis.tiled for axis in info.axes):
        names = ", ".join(axis.name for axis in info.axes)
        problems.append(
            Problem("image", f"no space axis among {names}", "Give its axes the type 'space'")
        )
    if min(info.shape) < 1:
        problems.append(Problem("image", f"it is empty, shape {info.shape}", "Give another image"))
    odd = [a.name for a in info.axes if a.kind not in ("space", "time", "channel")]
    odd = [n for n in odd if info.shape[info.names.index(n)] > 1]
    if odd:
        problems.append(
            Problem("image", f"axis {', '.join(odd)} is neither space, time nor channel", "Drop it")
        )


def _check_output(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> None:
    if spec.image is None and spec.output is None:
        return
    where = spec.output or spec.image
    if not info.writable:
        fix = "Choose another output path" if spec.output else "Give output='somewhere.zarr'"
        problems.append(Problem("output", f"labels cannot be written into {where}", fix))
    elif spec.name in info.labels and not spec.overwrite:
        problems.append(
            Problem(
                "name",
                f"{where} already has labels '{spec.name}'",
                "Give another name, or overwrite=True (--overwrite) to replace them",
            )
        )


def _channels(
    spec: RunSpec, info: ImageInfo, backend: Backend | None, problems: list[Problem]
) -> tuple[int, ...]:
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
            problems.append(
                Problem("channels", f"the image has {count}", f"Say which: {listed}")
            )
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


def _grid(
    spec: RunSpec,
    info: ImageInfo,
    params: Any,
    voxels: int,
    problems: list[Problem],
    warnings: list[str],
) -> TileGrid | None:
    """Return the grid over the label axes; `voxels` is what memory allows for one tile."""
    level = info.levels[spec.level]
    shape, chunks = info.label_values(level.shape), info.label_values(level.chunks)
    space = tuple(info.axes[i].tiled for i in info.label_axes)
    names = "".join(info.axes[i].name for i in info.label_axes if info.axes[i].tiled)
    size = tuple(n for n, s in zip(shape, space, strict=True) if s)
    chunk = tuple(n for n, s in zip(chunks, space, strict=True) if s)
    wanted = _per_axis("overlap", spec.overlap, names, problems)
    tile = _per_axis("tile_shape", spec.tile_shape, names, problems)
    if problems:
        return None
    overlap = wanted or auto_overlap(params, size, warnings)
    tile = tile or auto_tile_shape(size, chunk, overlap, voxels)
    tile = tuple(min(t, n) for t, n in zip(tile, size, strict=True))
    if not wanted or isinstance(spec.overlap, int):
        capped = tuple(min(h, t) for h, t in zip(overlap, tile, strict=True))
        cut = [n for n, h, c, e in zip(names, overlap, capped, size, strict=True) if c < h and c < e]
        if cut:
            warnings.append(f"the overlap along {', '.join(cut)} is capped at the tile's extent")
        overlap = capped
    elif any(h > t < n for h, t, n in zip(overlap, tile, size, strict=True)):
        warnings.append("the overlap is larger than the tile: larger tiles would waste less work")
    overlap = _evidence(spec, overlap, tile, size, warnings)
    full_tile, full_overlap = iter(tile), iter(overlap)
    return TileGrid(
        shape,
        tuple(next(full_tile) if s else 1 for s in space),
        tuple(next(full_overlap) if s else 0 for s in space),
    )


def _evidence(
    spec: RunSpec,
    overlap: tuple[int, ...],
    tile: tuple[int, ...],
    size: tuple[int, ...],
    warnings: list[str],
) -> tuple[int, ...]:
    """Return the overlap, at least 2 voxels where tiles meet if the rule compares overlaps."""
    if spec.merge.rule != "iou":
        return overlap
    grown = tuple(
        max(h, LEAST_OVERLAP) if t < n else h for h, t, n in zip(overlap, tile, size, strict=True)
    )
    if grown != overlap:
        warnings.append(f"tiles overlap by {LEAST_OVERLAP} voxels at least, to tell what is one object")
    return grown


def _per_axis(
    field: str,
    value: str | int | tuple[int, ...] | dict[str, int],
    names: str,
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
            problems.append(
                Problem(field, f"no space axis {', '.join(unknown)}", f"The image has {axes}")
            )
        return tuple(value.get(name, 0) for name in names)
    if len(value) != len(names):
        problems.append(
            Problem(field, f"{len(value)} numbers for {len(names)} axes", f"Give one each for {axes}")
        )
    return value


def _too_large(tile_bytes: int, budget: int, grid: TileGrid) -> Problem:
    factor = (max(budget, 1) / tile_bytes) ** (1 / sum(n > 1 for n in grid.read_shape))
    fit = max(1, int(max(grid.tile_shape) * factor * 0.8))
    return Problem(
        "tile_shape",
        f"one tile needs {human(tile_bytes)} of memory, {human(budget)} are free",
        f"Use tiles of about {fit}, or 'auto'",
    )
