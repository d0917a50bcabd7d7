"""Where the chunks of an array lie along its axes, be they of one size or of many.

Pure numbers; knows no arrays.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise

Part = tuple[int, slice, slice]
"""Along one axis: index of a chunk, what is wanted of it, and where that goes."""
Chunks = int | tuple[int, ...]
"""Along one axis: the size of every chunk (the last may be cut), or where they begin and the last ends."""


def chunks_of(sizes: tuple[int, ...]) -> Chunks:
    """Return chunks of these sizes along an axis; one number where all but the last are equal."""
    regular = set(sizes[:-1]) <= {sizes[0]} and 0 < sizes[-1] <= sizes[0]
    return sizes[0] if regular else tuple(accumulate(sizes, initial=0))


def longest(chunks: Chunks) -> int:
    """Return the size of the largest chunk."""
    if isinstance(chunks, int):
        return chunks
    return max(b - a for a, b in pairwise(chunks))


def parts(start: int, stop: int, chunks: Chunks) -> list[Part]:
    """Return the parts of the chunks along one axis that ``start:stop`` is made of."""
    found: list[Part] = []
    index, at = _first(start, chunks), start
    while at < stop:
        first, end = _ends(index, chunks)
        high = min(stop, end)
        if high > at:  # else an empty chunk
            found.append((index, slice(at - first, high - first), slice(at - start, high - start)))
            at = high
        index += 1
    return found


def _first(start: int, chunks: Chunks) -> int:
    """Return the index of the chunk that holds the voxel `start`."""
    return start // chunks if isinstance(chunks, int) else bisect_right(chunks, start) - 1


def _ends(index: int, chunks: Chunks) -> tuple[int, int]:
    """Return where a chunk begins and ends."""
    if isinstance(chunks, int):
        return index * chunks, (index + 1) * chunks
    return chunks[index], chunks[index + 1]
