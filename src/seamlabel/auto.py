"""What "auto" means: tile shape, overlap and workers from sizes, chunks and memory. Pure numbers."""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.steps import Step

TARGET_VOXELS = {1: 1 << 20, 2: 1 << 20, 3: 1 << 22}
"""Core voxels of a tile: work enough to hide overheads, little enough to cancel soon."""
DEFAULT_OVERLAP = {1: 64, 2: 64, 3: 24}
"""Where a backend says nothing about its reach or the size of its objects."""
ENGINE_BYTES = 250_000_000
"""Interpreter, libraries, staging cache and the paint pass, whatever the tiles."""
PROCESS_BYTES = 150_000_000
"""Interpreter and libraries of a worker process."""
LEAST_TILE = 16
MOST_OVERREAD = 2.0
"""Voxels read per voxel owned, above which larger tiles are worth their memory."""
LEAST_OVERLAP = 2
"""Voxels of evidence that two tiles' labels are one object."""


def radius_of(params: Any, steps: Sequence[Step]) -> int | None:
    """Return the voxels beyond which a cut changes no label after these steps; None if nobody knows."""
    radius = getattr(params, "radius", None)
    return None if radius is None else ceil(radius) + sum(step.reach for step in steps if step.splits)


def auto_overlap(
    params: Any, steps: Sequence[Step], size: tuple[int, ...], warnings: list[str]
) -> tuple[int, ...]:
    """Return the overlap per space axis that the backend's parameters and the steps ask for.

    With `radius` r (beyond which a cut changes nothing) it is r + 1, which makes the merge exact.
    With an object `diameter` D alone (`usual_diameter` where it is None) it is 1.5 D: half of it so
    that tiles see objects whole whose centre they own, D for what a cut may change.
    """
    radius = radius_of(params, steps)
    diameter = getattr(params, "diameter", None) or getattr(params, "usual_diameter", None)
    more = sum(step.reach for step in steps if step.splits)
    if radius is not None:
        reach = radius + 1
    elif diameter:
        reach = ceil(1.5 * diameter) + more
    else:
        reach = DEFAULT_OVERLAP.get(len(size), 16) + more
        warnings.append(f"overlap {reach} assumed: set it to the diameter of your largest objects")
    return tuple(min(max(reach, LEAST_OVERLAP), n) for n in size)


def alignment(params: Any, ndim: int) -> tuple[int, ...]:
    """Return what the backend's parameters want read boxes to start at multiples of, per space axis."""
    align = getattr(params, "align", 1)
    return (align,) * ndim if isinstance(align, int) else tuple(align)


def auto_tile_shape(
    size: tuple[int, ...], chunks: tuple[int, ...], overlap: tuple[int, ...], voxels: int
) -> tuple[int, ...]:
    """Return a tile shape made of whole chunks where they are small enough.

    `voxels` is what memory allows for all read boxes at once; a quarter of it is used for one.
    Tiles grow while most of what they read is overlap, and shrink until they fit.
    """
    target = TARGET_VOXELS.get(len(size), 1 << 22)
    share = max(1, voxels // 4)
    tile = []
    for t, c, n in zip(cube(size, target), chunks, size, strict=True):
        whole = max(1, round(t / c)) * c if c <= 1.5 * t else t
        tile.append(n if n <= 1.25 * whole else whole)
    if len(size) == 2 and prod(size) <= 2 * target:
        tile = list(size)
    while (larger := _grown(tile, size, overlap)) and prod(_read(larger, size, overlap)) <= share:
        tile = larger
    while max(tile) > LEAST_TILE and prod(_read(tile, size, overlap)) > share:
        longest = tile.index(max(tile))
        tile[longest] = ceil(tile[longest] / 2)
    return tuple(tile)


def _read(tile: list[int], size: tuple[int, ...], overlap: tuple[int, ...]) -> list[int]:
    return [min(t + 2 * h, n) for t, h, n in zip(tile, overlap, size, strict=True)]


def _grown(tile: list[int], size: tuple[int, ...], overlap: tuple[int, ...]) -> list[int] | None:
    """Return the tile twice as long where the overlap weighs most; None if it wastes little."""
    open_axes = [i for i, (t, n) in enumerate(zip(tile, size, strict=True)) if t < n]
    if not open_axes or prod(_read(tile, size, overlap)) <= MOST_OVERREAD * prod(tile):
        return None
    worst = max(open_axes, key=lambda i: overlap[i] / tile[i])
    return [min(2 * t, n) if i == worst else t for i, (t, n) in enumerate(zip(tile, size, strict=True))]


def cube(size: tuple[int, ...], voxels: int) -> tuple[int, ...]:
    """Return sides as equal as the array allows, whose product is about `voxels`."""
    sides = list(size)
    free = list(range(len(size)))
    left = float(voxels)
    while free:
        side = left ** (1 / len(free))
        short = [i for i in free if size[i] <= side]
        if not short:
            for i in free:
                sides[i] = max(1, round(side))
            break
        for i in short:
            left /= size[i]
            free.remove(i)
    return tuple(sides)


def auto_workers(
    wanted: int | None,
    executor: str,
    tiles: int,
    tile_bytes: int,
    budget: int,
    cores: int,
) -> int:
    """Return how many tiles to segment at once; 0 if memory does not hold one."""
    fit = budget // max(1, tile_bytes)
    if executor == "serial":
        return min(1, fit)
    return min(wanted or cores, tiles, fit)
