"""Which patches have a say in which blocks of a map. Arithmetic only."""

from __future__ import annotations

from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import Box
from seamlabel.patch_grid import Span

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
    raster : bool
        Whether patches come in raster order, not in that in which least is kept in memory.
    """

    def __init__(
        self, grid: PatchGrid, weights: PatchWeights, shape: tuple[int, ...], raster: bool = False
    ) -> None:
        self.grid, self.weights, self.shape = grid, weights, shape
        self.counts = tuple(-(-n // b) for n, b in zip(grid.shape, shape, strict=True))
        self._whole = Box.whole(grid.shape)
        self._slow = sorted(range(grid.ndim), key=lambda axis: 0 if raster else -grid.shape[axis])
        self._strides = tuple(prod(self.counts[axis + 1 :]) for axis in range(grid.ndim))

    def __len__(self) -> int:
        """Return how many there are."""
        return prod(self.counts)

    def box(self, number: int) -> Box:
        """Return what a block covers."""
        start = tuple(i * b for i, b in zip(self._place(number), self.shape, strict=True))
        stop = tuple(min(a + b, n) for a, b, n in zip(start, self.shape, self.grid.shape, strict=True))
        return Box(start, stop)

    def inside(self, number: int) -> Box:
        """Return the part of the array that a patch has a say in; may be empty."""
        spans = [along[i] for along, i in zip(self._spans, self.grid.index(number), strict=True)]
        return Box(tuple(span.start for span in spans), tuple(span.stop for span in spans))

    def parts(self, number: int) -> Iterator[tuple[int, Box]]:
        """Yield the blocks that a patch has a say in, and its part of each."""
        along = [cuts[i] for cuts, i in zip(self._cuts, self.grid.index(number), strict=True)]
        for cut in product(*along):
            block = sum(i * stride for (i, _), stride in zip(cut, self._strides, strict=True))
            yield block, Box(tuple(span.start for _, span in cut), tuple(span.stop for _, span in cut))

    def patches(self, block: int) -> list[int]:
        """Return the patches that have a say in a block, in the order in which they are summed."""
        seen = [along[i] for along, i in zip(self._seen, self._place(block), strict=True)]
        return list(self._ordered(seen))

    def expected(self, block: int) -> int:
        """Return how many patches have a say in a block."""
        return prod(len(along[i]) for along, i in zip(self._seen, self._place(block), strict=True))

    def _place(self, block: int) -> tuple[int, ...]:
        """Return the place of a block along each axis."""
        return tuple(block // s % n for s, n in zip(self._strides, self.counts, strict=True))

    def _ordered(self, along: Sequence[Sequence[int]]) -> Iterator[int]:
        """Yield the patches at these places along the axes, the longest axis slowest."""
        fast = [self._slow.index(axis) for axis in range(self.grid.ndim)]
        for place in product(*(along[axis] for axis in self._slow)):
            yield self.grid.number(tuple(place[i] for i in fast))

    @cached_property
    def _spans(self) -> tuple[tuple[Span, ...], ...]:
        """Per axis and patch: where in the array it has a say; may be empty."""
        found = []
        for axis, (spans, n) in enumerate(zip(self.grid.spans, self.grid.shape, strict=True)):
            owned = self.weights.owned(axis) if self.weights.exclusive else spans
            ends = [(max(0, s.start, a), min(n, s.stop, b)) for s, (a, b) in zip(spans, owned, strict=True)]
            found.append(tuple(Span(a, max(a, b)) for a, b in ends))
        return tuple(found)

    @cached_property
    def _cuts(self) -> tuple[tuple[tuple[tuple[int, Span], ...], ...], ...]:
        """Per axis and patch: the blocks that it has a say in, and where."""
        return tuple(
            tuple(
                tuple(
                    (i, Span(max(a, i * b), min(z, i * b + b)))
                    for i in range(a // b, -(-z // b) if z > a else 0)
                )
                for a, z in spans
            )
            for spans, b in zip(self._spans, self.shape, strict=True)
        )

    @cached_property
    def _seen(self) -> tuple[tuple[list[int], ...], ...]:
        """Per axis and block: the patches that have a say in it."""
        found: list[tuple[list[int], ...]] = []
        for cuts, count in zip(self._cuts, self.counts, strict=True):
            seen: tuple[list[int], ...] = tuple([] for _ in range(count))
            for patch, cut in enumerate(cuts):
                for block, _ in cut:
                    seen[block].append(patch)
            found.append(seen)
        return tuple(found)

    def order(self, done: Collection[int]) -> Iterator[int]:
        """Yield the patches that blocks still wait for, so that as little as possible is kept in memory.

        The longest axis is the slowest, where patches need not come in raster order: what is kept is a
        patch's length of it.
        """
        along = [[i for i, cut in enumerate(cuts) if cut] for cuts in self._cuts]
        for number in self._ordered(along):
            if not done or any(block not in done for block, _ in self.parts(number)):
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
