"""Boxes of remote arrays, with many chunks asked for at once.

zarr asks for ten at a time, and for those within a shard one after the other; over a network waiting is most
of the time. Knows arrays of zarr, no caches and no images.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.core.sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Cut = tuple[slice, ...]


def read_remote(array: Any, cut: Cut) -> NDArray[Any]:
    """Return ``array[cut]``; the array's store says how many requests there may be at a time."""
    out = np.empty([s.stop - s.start for s in cut], array.dtype)
    if out.size:
        sync(_filled(array, cut, out))
    return out


async def _filled(array: Any, cut: Cut, out: NDArray[Any]) -> None:
    async def fill(part: Cut) -> None:
        inside = tuple(slice(p.start - s.start, p.stop - s.start) for p, s in zip(part, cut, strict=True))
        out[inside] = await array.async_array.getitem(part)

    tasks = [asyncio.create_task(fill(part)) for part in _parts(array, cut)]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise


def _parts(array: Any, cut: Cut) -> Iterator[Cut]:
    """Yield rows of chunks; where chunks lie in shards, one by one."""
    sizes = list(array.chunks)
    if array.shards is None:
        sizes[-1] = max(1, array.shape[-1])
    along = []
    for s, n in zip(cut, sizes, strict=True):
        edges = [s.start, *range((s.start // n + 1) * n, s.stop, n), s.stop]
        along.append([slice(a, b) for a, b in pairwise(edges)])
    yield from product(*along)
