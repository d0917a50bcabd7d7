"""`resolve`: a wish and an image become a `Plan`, or a list of problems. Pure, no pixels.

The only place where a `RunSpec` is checked against an image. Every "auto" is a number afterwards.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from seamlabel import memory
from seamlabel.auto import ENGINE_BYTES, PROCESS_BYTES, auto_workers, radius_of
from seamlabel.checks import (
    check_executor,
    check_image,
    check_output,
    check_planes,
    check_sizes,
    check_skipping,
    find_backend,
    find_channels,
    make_grid,
    too_large,
)
from seamlabel.describing import summary
from seamlabel.errors import Problem, SpecError
from seamlabel.fitting import bytes_per_voxel, find_steps, misfit
from seamlabel.order import at_once, cache_limit, cache_wanted, chunk_cells, computed_again, tile_order
from seamlabel.region import Region, misplaced
from seamlabel.staged import ObjectFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from seamlabel.axes import Axis, ImageInfo
    from seamlabel.geometry import TileGrid
    from seamlabel.registry import Backend
    from seamlabel.spec import RunSpec
    from seamlabel.steps import Step

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
        The image; its axis z is looped if planes are segmented.
    backend : Backend
        Record of the backend; `params` is its checked parameter dataclass.
    grid : TileGrid
        Tiles over the label axes (time and space) at level ``spec.level``; looped axes (time,
        planes) have tiles of 1 and no overlap.
    axes : tuple of Axis
        The label axes.
    channels : tuple of int
        Chosen channels; empty where the image has no channel axis.
    min_size, max_size : int
        Whole objects of fewer or more voxels are removed; 0 is no limit.
    executor : {"serial", "threads", "processes", "dask"}
        Where tiles are segmented.
    workers : int
        Tiles at once.
    peak_bytes : int
        Estimated peak memory, of all processes on this machine together.
    cache_bytes : int
        Of it, for decoded chunks of the image: enough to decode each once in the order of `order`,
        if memory allows.
    output : str or None
        OME-Zarr that gets ``labels/NAME``; None: a temporary one.
    run_dir : str or None
        Where tiles are staged; None: a temporary folder.
    steps : tuple of Step
        What is done to the labels of every tile after its method.
    warnings : tuple of str
        What the user should know, one sentence each.
    asked : RunSpec or None
        What was asked for, where `spec` is more exact: of a run that goes on.
    """

    spec: RunSpec
    info: ImageInfo
    backend: Backend
    params: Any
    grid: TileGrid
    axes: tuple[Axis, ...]
    channels: tuple[int, ...]
    min_size: int
    max_size: int
    executor: Literal["serial", "threads", "processes", "dask"]
    workers: int
    peak_bytes: int
    cache_bytes: int
    output: str | None
    run_dir: str | None
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    asked: RunSpec | None = None

    @property
    def joined(self) -> tuple[bool, ...]:
        """For every label axis, whether labels are joined along it (space yes; time no, planes no)."""
        return tuple(axis.tiled for axis in self.axes)

    @property
    def linked(self) -> int | None:
        """Label axis of planes that are segmented one by one and linked; None if there is none."""
        if self.spec.merge.z_link is None:
            return None
        return next(i for i, axis in enumerate(self.axes) if axis.looped)

    @property
    def radius(self) -> int | None:
        """Voxels beyond which a cut changes no label of a tile; None if nobody knows."""
        return radius_of(self.params, self.steps)

    @property
    def keep(self) -> ObjectFilter:
        """Which whole objects are kept."""
        return ObjectFilter(self.min_size, self.max_size, self.spec.drop_border)

    @property
    def level_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of the labels on every level of the image."""
        return tuple(self.info.label_values(level.shape) for level in self.info.levels)

    @property
    def scale(self) -> tuple[float, ...]:
        """World units per voxel of the label axes at the level that is segmented."""
        return self.info.label_values(self.info.levels[self.spec.level].scale)

    @property
    def translation(self) -> tuple[float, ...]:
        """World position of voxel 0 along the label axes at the level that is segmented."""
        return self.info.label_values(self.info.levels[self.spec.level].translation)

    @cached_property
    def region(self) -> Region:
        """Which tiles are segmented."""
        return Region.of(self.grid, self.spec.region)

    @property
    def n_tiles(self) -> int:
        """Number of tiles that are segmented."""
        return self.region.n_tiles

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """Which tiles are segmented, by number; not to be written to."""
        return self.region.tiles

    @property
    def overread(self) -> float:
        """Voxels read over voxels that the tiles own; 1 is no waste."""
        return self.n_tiles * prod(self.grid.read_shape) / self.region.voxels

    @property
    def stage_bytes(self) -> int:
        """Estimated disk that staging takes until the run is done."""
        return int(self.n_tiles * prod(self.grid.read_shape) * STAGED_BYTES_PER_VOXEL)

    @property
    def tile_bytes(self) -> int:
        """Peak memory of segmenting one tile."""
        return prod(self.grid.read_shape) * bytes_per_voxel(self.backend, self.info, self.channels)

    def order(self) -> Iterator[int]:
        """Yield the numbers of all tiles to segment in the order in which they are best worked on."""
        chunks, size = chunk_cells(self.info, self.spec.level, self.channels)
        order = tile_order(self.grid, chunks, self.joined, self.cache_bytes // size, at_once(self.workers))
        return order if self.region.whole else filter(self.wanted.tobytes().__getitem__, order)

    def summary(self) -> str:
        """Return the plan as a few lines for people."""
        return summary(self)


def _whole_objects(
    backend: Backend, params: Any, sizes: tuple[int, int]
) -> tuple[Backend, Any, tuple[int, int]]:
    """Return the parameters without what the engine applies to whole objects, and their sizes with it."""
    min_size = max(sizes[0], *(getattr(params, name) for name in backend.whole_object), 0)
    if backend.whole_object:
        params = replace(params, **dict.fromkeys(backend.whole_object, 0))
    return backend, params, (min_size, sizes[1])


def _check_region(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> None:
    """Note a region that does not lie in the image."""
    if spec.region is not None and spec.level < len(info.levels):
        names = [info.axes[i].name for i in info.label_axes]
        shape = info.label_values(info.levels[spec.level].shape)
        problems += misplaced(spec.region, names, shape, spec.level)


def _checked(
    spec: RunSpec, info: ImageInfo
) -> tuple[Backend, Any, tuple[int, int], tuple[int, ...], tuple[Step, ...]]:
    """Return backend, its parameters, least and most voxels of an object, channels, and steps."""
    problems: list[Problem] = []
    found = find_backend(spec, problems)
    check_image(spec, info, problems)
    _check_region(spec, info, problems)
    check_planes(spec, info, problems)
    check_skipping(spec, info, found[1] if found else None, problems)
    sizes = check_sizes(spec, info, problems)
    check_executor(spec, problems)
    steps = find_steps(spec, info, problems)
    check_output(spec, info, problems)
    channels = find_channels(spec, info, found[0] if found else None, problems)
    if found and not problems:
        problems += misfit(*found, channels)
    if problems or found is None:
        raise SpecError(problems)
    return *_whole_objects(*found, sizes), channels, steps


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
    info = info.by_planes() if spec.planes else info
    backend, params, sizes, channels, steps = _checked(spec, info)
    problems, warnings = list[Problem](), list[str]()
    budget = memory.available() if memory_bytes is None else memory_bytes
    cost = bytes_per_voxel(backend, info, channels)
    grid = make_grid(spec, info, params, steps, budget // cost, problems, warnings)
    if problems or grid is None:
        raise SpecError(problems)
    tile_bytes = prod(grid.read_shape) * cost
    executor = spec.executor if spec.executor != "auto" else "dask" if spec.scheduler else "threads"
    each = tile_bytes + (PROCESS_BYTES if executor in ("processes", "dask") else 0)
    tiles = Region.of(grid, spec.region).n_tiles
    workers = auto_workers(spec.workers, executor, tiles, each, budget, cores or memory.cores())
    if workers < 1:
        raise SpecError([too_large(each, budget, grid)])
    wanted = cache_wanted(info, spec.level, channels, grid, workers)
    cache_bytes = min(wanted, cache_limit(info, workers * tile_bytes, budget))
    target = spec.output or (info.path if spec.image else None)
    return Plan(
        spec=spec,
        info=info,
        backend=backend,
        params=params,
        grid=grid,
        axes=tuple(info.axes[i] for i in info.label_axes),
        channels=channels,
        min_size=sizes[0],
        max_size=sizes[1],
        executor=executor,
        workers=workers,
        peak_bytes=ENGINE_BYTES + workers * each + cache_bytes,
        cache_bytes=cache_bytes,
        output=target,
        run_dir=f"{os.path.realpath(os.path.expanduser(target))}.seamlabel/{spec.name}" if target else None,
        steps=steps,
        warnings=(*warnings, *computed_again(info, cache_bytes, wanted)),
    )
