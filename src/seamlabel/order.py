"""The order in which tiles are worked on, so that few chunks of the image are in use at a time.

Knows grids and chunk shapes, and what keeping chunks takes; knows no storage and no pixels.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from seamlabel.axes import ImageInfo
    from seamlabel.geometry import TileGrid

SAMPLE_VOXELS = 1 << 24
"""Most pixels that image-wide statistics look at: exact enough, and a second of reading."""
MOST_CACHE_BYTES = 1 << 29
SMALL_CACHE_BYTES = 1 << 24


def tile_order(
    grid: TileGrid,
    chunks: Sequence[int],
    joined: Sequence[bool],
    capacity: int,
    ahead: int = 1,
) -> Iterator[int]:
    """Yield the number of every tile once, neighbours soon after one another.

    Tiles that share chunks then follow one another while a cache still has them. Looped axes
    change slowest, but positions that lie in one chunk fastest; then the axis with most tiles; the
    planes across it (rows, in 2D) go in bands if the chunks of a whole one are more than the cache
    holds. Nothing is listed: O(1) memory.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    chunks : sequence of int
        Chunk shape in voxels, over the grid's axes.
    joined : sequence of bool
        False for every axis that is looped (time, planes): its tiles are 1 voxel and do not overlap.
    capacity : int
        Chunks that the cache holds.
    ahead : int
        Tiles in hand at a time, running or next in line.
    """
    band = _band(grid, chunks, joined, capacity, ahead)
    slow = slow_axis(grid, joined)
    loops = [a for a, tiled in enumerate(joined) if not tiled]
    fast = sorted((a for a, tiled in enumerate(joined) if tiled and a != slow), key=lambda a: -grid.counts[a])
    strides = [prod(grid.counts[axis + 1 :]) for axis in range(grid.ndim)]
    band = [chunks[a] if a in loops else n for a, n in enumerate(band)]
    outer = [range(0, grid.counts[a], band[a]) for a in [*loops, *fast]]
    inner = [slow, *fast, *loops]
    for corner in _lattice(outer):
        start = dict(zip([*loops, *fast], corner, strict=True))
        spans = []
        for a in inner:
            low = start.get(a, 0)
            high = min(low + band[a], grid.counts[a])
            spans.append(range(low * strides[a], high * strides[a], strides[a]))
        yield from _sums(spans, 0)


def view_first(order: Iterable[int], first: Callable[[], Iterable[int]]) -> Iterator[int]:
    """Yield every tile of `order` once, those that are wanted at the moment before the others.

    Parameters
    ----------
    order : iterable of int
        The tiles; looked at no further ahead than the next one that is due.
    first : callable
        Asked before each step for the tiles of `order` that are wanted now, the most wanted first. As
        long as it returns one and the same tuple, a step takes no longer however many there are.
    """
    given = bytearray()
    before: Iterable[int] = ()
    left: Iterator[int] = iter(())
    for number in order:
        while not _has(given, number):
            wanted = first()
            if wanted is not before or not isinstance(wanted, tuple):
                before, left = wanted, iter(wanted)
            tile = next((n for n in left if not _has(given, n)), number)
            given[tile] = 1
            yield tile


def _has(given: bytearray, number: int) -> bool:
    """Return whether a flag is set, after making room for it: a set would take sixty times as much."""
    if number >= len(given):
        given.extend(bytes(number + 1 + len(given)))
    return given[number] == 1


def chunks_held(grid: TileGrid, chunks: Sequence[int], joined: Sequence[bool], ahead: int = 1) -> int:
    """Return how many chunks a cache must hold so that `tile_order` needs every chunk only once.

    The chunks of one plane (row) of tiles across the slowest axis, and of the tiles in hand.
    Arguments as for `tile_order`.
    """
    return _held(grid, chunks, joined, ahead, grid.counts)


def slow_axis(grid: TileGrid, joined: Sequence[bool]) -> int:
    """Return the axis with most tiles of those that are not looped; the first of equals."""
    return max((a for a, tiled in enumerate(joined) if tiled), key=lambda a: grid.counts[a])


def _held(
    grid: TileGrid, chunks: Sequence[int], joined: Sequence[bool], ahead: int, band: Sequence[int]
) -> int:
    """Return the chunks of a band of tiles across the slowest axis, and of `ahead` tiles more.

    These are so many anywhere, and never more than the rows that they can reach into: with tiny tiles,
    many of which lie in one chunk, that is far less.
    """
    axes = [axis for axis, tiled in enumerate(joined) if tiled]
    slow = slow_axis(grid, joined)
    one = prod(_met(grid, axis, chunks[axis], 1) for axis in axes)
    across = prod(_met(grid, axis, chunks[axis], band[axis]) for axis in axes if axis != slow)
    reached = 1 + -(-ahead // prod(band[axis] for axis in axes if axis != slow))
    row, rows = (across * _met(grid, slow, chunks[slow], n) for n in (1, reached))
    most = prod(-(-grid.shape[axis] // chunks[axis]) for axis in axes)
    return min(row + ahead * one, rows, most)


def _met(grid: TileGrid, axis: int, chunk: int, tiles: int) -> int:
    """Return the most chunks that the read boxes of so many neighbouring tiles meet along an axis."""
    reach = min(grid.read_shape[axis] + (tiles - 1) * grid.tile_shape[axis], grid.shape[axis])
    return min((reach + chunk - 2) // chunk + 1, -(-grid.shape[axis] // chunk))


def _band(
    grid: TileGrid, chunks: Sequence[int], joined: Sequence[bool], capacity: int, ahead: int
) -> list[int]:
    """Return how many tiles a band has along each axis: all of them, if the cache holds that."""
    slow = slow_axis(grid, joined)
    band = list(grid.counts)
    while _held(grid, chunks, joined, ahead, band) > capacity:
        free = [axis for axis, tiled in enumerate(joined) if tiled and axis != slow and band[axis] > 1]
        if not free:
            break
        axis = max(free, key=lambda a: _met(grid, a, chunks[a], band[a]))
        bands = -(-grid.counts[axis] // (band[axis] - 1))
        band[axis] = -(-grid.counts[axis] // bands)  # bands of about one width
    return band


def at_once(workers: int) -> int:
    """Return the tiles in hand: the engine keeps as many waiting as are worked on."""
    return 2 * workers


def chunk_cells(info: ImageInfo, level: int, channels: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Return the chunk shape of a level over the label axes, and the bytes of one with its channels.

    `channels` are the chosen ones: where they lie in several chunks, all of these count as one.
    """
    chunks = info.levels[level].chunks
    size = prod(chunks) * np.dtype(info.dtype).itemsize
    along = 1 if info.channel_axis is None else chunks[info.channel_axis]
    return info.label_values(chunks), size * len({channel // along for channel in channels or (0,)})


def most_cached(work_bytes: int) -> int:
    """Return the most memory for decoded chunks, given what the tiles in hand take.

    Images whose rows of tiles need more are worked on in bands. A cache may be large beside large tiles;
    with tiny ones memory would grow with the image, and decoding a chunk twice costs nothing by comparison.
    """
    return min(MOST_CACHE_BYTES, max(SMALL_CACHE_BYTES, 8 * work_bytes))


def cache_wanted(info: ImageInfo, level: int, channels: tuple[int, ...], grid: TileGrid, workers: int) -> int:
    """Return the bytes of decoded chunks that have to be kept to decode each only once.

    Of a small image that is computed, all of them: image-wide statistics look at all of it beforehand.
    """
    shape = info.levels[level].shape
    if info.path is None and not info.computed and info.levels[level].chunks == shape:
        return 0  # an array without chunks
    chunks, size = chunk_cells(info, level, channels)
    joined = tuple(info.axes[axis].tiled for axis in info.label_axes)
    held = chunks_held(grid, chunks, joined, at_once(workers))
    if info.computed and prod(info.label_values(shape)) <= SAMPLE_VOXELS:
        held = max(held, prod(-(-n // c) for n, c in zip(info.label_values(shape), chunks, strict=True)))
    return held * size


def cache_limit(info: ImageInfo, work_bytes: int, budget: int) -> int:
    """Return the most memory for decoded chunks, given the budget of all and what the tiles in hand take.

    Where pixels are computed half of it may be used: to compute them again costs more than to decode them.
    """
    spare = max(budget - work_bytes, budget // 32)  # little memory: a small cache, no failure
    most = budget // 2 if info.computed else min(most_cached(work_bytes), budget // 4)
    return min(most, spare)


def computed_again(info: ImageInfo, held: int, wanted: int) -> list[str]:
    """Return the warning that a cache does not hold the computed blocks that have to be kept, if so."""
    if not info.computed or held >= wanted:
        return []
    return [
        f"memory holds {held / 1e6:,.0f} MB of the {wanted / 1e6:,.0f} MB of computed blocks that tiles "
        "share, so that some are computed again: store the array first (to_zarr), or give it smaller chunks"
    ]


def _lattice(ranges: list[range]) -> Iterator[tuple[int, ...]]:
    """Yield what `itertools.product` does, which would list the ranges first."""
    if not ranges:
        yield ()
        return
    for value in ranges[0]:
        for rest in _lattice(ranges[1:]):
            yield (value, *rest)


def _sums(ranges: list[range], first: int) -> Iterator[int]:
    """Yield the sums of one value from each range, the last range fastest."""
    if len(ranges) == 1:
        yield from range(first + ranges[0].start, first + ranges[0].stop, ranges[0].step)
        return
    for value in ranges[0]:
        yield from _sums(ranges[1:], first + value)
