"""Which patches have a say in which blocks of a map. Arithmetic only."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from seamlabel.blending.windows import PatchWeights
    from seamlabel.patch_grid import PatchGrid

_BLOCK = {1: 1 << 18, 2: 512, 3: 64}
"""Sides of blocks where the output has no chunks."""
_SIDE = 32


class Blocks:
    """The blocks that a map is written in.

    Parameters
    ----------
    grid : PatchGrid
        The patches.
    weights : PatchWeights
        Say which voxels a patch has a say in.
    shape : tuple of int
        Of a block.
    """

    def __init__(self, grid: PatchGrid, weights: PatchWeights, shape: tuple[int, ...]) -> None:
        self.grid, self.weights, self.shape = grid, weights, shape
        self.counts = tuple(-(-n // b) for n, b in zip(grid.shape, shape, strict=True))
        self._whole = Box.whole(grid.shape)
        self._slow = sorted(range(grid.ndim), key=lambda axis: -grid.shape[axis])

    def __len__(self) -> int:
        """Return how many there are."""
        return prod(self.counts)

    def box(self, number: int) -> Box:
        """Return what a block covers."""
        place = np.unravel_index(number, self.counts)
        start = tuple(int(i) * b for i, b in zip(place, self.shape, strict=True))
        stop = tuple(min(a + b, n) for a, b, n in zip(start, self.shape, self.grid.shape, strict=True))
        return Box(start, stop)

    def inside(self, number: int) -> Box:
        """Return the part of the array that a patch has a say in; may be empty."""
        patch = self.grid[number]
        box = patch.box.intersect(self._whole)
        if self.weights.exclusive:
            owned = self.weights.owned(patch.index)
            box = box.intersect(Box(tuple(a for a, _ in owned), tuple(b for _, b in owned)))
        return box

    def parts(self, number: int) -> Iterator[tuple[int, Box]]:
        """Yield the blocks that a patch has a say in, and its part of each."""
        box = self.inside(number)
        if not box.size:
            return
        spans = zip(box.start, box.stop, self.shape, strict=True)
        for place in product(*(range(a // s, -(-b // s)) for a, b, s in spans)):
            block = int(np.ravel_multi_index(place, self.counts))
            yield block, box.intersect(self.box(block))

    def patches(self, block: int) -> list[int]:
        """Return the patches that have a say in a block, in the order in which they are summed."""
        box = self.box(block)
        found = [n for n in self.grid.touching(box) if self.inside(n).intersect(box).size]
        return sorted(found, key=lambda n: [self.grid.index(n)[axis] for axis in self._slow])

    def expected(self, block: int) -> int:
        """Return how many patches have a say in a block."""
        box = self.box(block)
        return sum(self.inside(n).intersect(box).size > 0 for n in self.grid.touching(box))

    def order(self, done: Collection[int]) -> Iterator[int]:
        """Yield the patches that blocks still wait for, so that as little as possible is kept in memory.

        The longest axis is the slowest: what is kept is a patch's length of it.
        """
        grid, slow = self.grid, self._slow
        fast = [slow.index(axis) for axis in range(grid.ndim)]
        for place in product(*(range(grid.counts[axis]) for axis in slow)):
            number = grid.number(tuple(place[i] for i in fast))
            if any(block not in done for block, _ in self.parts(number)):
                yield number

    def covered(self) -> Box:
        """Return the part of the array that patches cover."""
        ends = [s[-1].stop if s else 0 for s in self.grid.spans]
        return Box((0,) * self.grid.ndim, tuple(ends)).intersect(self._whole)

    def holes(self, block: int, absent: Sequence[int]) -> NDArray[np.bool_] | None:
        """Return the voxels of a block that are in one of these patches, or in none; None: no voxel is."""
        box = self.box(block)
        inside = box.intersect(self.covered())
        if inside.size == box.size and not absent:
            return None
        holes = np.ones(box.shape, bool)
        holes[inside.relative_to(box).slices] = False
        for number in absent:
            part = self.inside(number).intersect(box)
            if part.size:
                holes[part.relative_to(box).slices] = True
        return holes


def block_shape(out: Any, grid: PatchGrid) -> tuple[int, ...]:
    """Return the shape of what is written at once: whole shards, or chunks, of all channels."""
    chunks = getattr(out, "shards", None) or getattr(out, "chunks", None)
    if chunks and all(isinstance(n, int) for n in chunks):
        return tuple(chunks[-grid.ndim :])
    return tuple(min(n, _BLOCK.get(grid.ndim, _SIDE)) for n in grid.shape)
