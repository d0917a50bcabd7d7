"""The one pass that writes final labels and their pyramid.

Blocks own whole chunks on every level they write, so they are painted in any order, in parallel,
without locks. Knows tables and boxes, not how labels were found.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from seamlabel.geometry import Box
from seamlabel.kernels.pyramid import level_factor, sample, sample_index

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.geometry import TileGrid
    from seamlabel.protocols import LabelSink
    from seamlabel.region import Region

CHUNKS = {1: (1 << 16,), 2: (512, 512), 3: (64, 128, 128)}
BLOCKS = {1: (1 << 20,), 2: (2048, 2048), 3: (128, 256, 256)}
LEAST_CHUNK = {1: 1 << 12, 2: 64, 3: 16}
SLACK = 3
"""Voxels of a level, or of the one that was segmented, by which a block's place is uncertain at most."""
STRIP_TILES = 4
"""A block is painted in strips of at least so many tiles."""


class LabelMaker(Protocol):
    """Where the labels that are painted come from."""

    @property
    def grid(self) -> TileGrid:
        """The tiles that they are made of."""
        ...

    def labels(self, box: Box) -> NDArray[Any] | None:
        """Return the labels of a box of the finest level; None if there are none."""
        ...


@dataclass(frozen=True)
class PaintLayout:
    """Chunks of every level, and the blocks of every pass.

    Parameters
    ----------
    shapes, chunks : tuple of tuple of int
        Shape and chunk shape of every level.
    blocks : tuple of tuple of int
        Shape of the blocks of every level.
    n_first : int
        Levels that the first pass writes; each later level has a pass of its own, made from the
        one before.
    """

    shapes: tuple[tuple[int, ...], ...]
    chunks: tuple[tuple[int, ...], ...]
    blocks: tuple[tuple[int, ...], ...]
    n_first: int

    def counts(self, level: int) -> tuple[int, ...]:
        """Return the number of blocks per axis of a level's pass."""
        pairs = zip(self.shapes[level], self.blocks[level], strict=True)
        return tuple(-(-n // b) for n, b in pairs)

    def passes(self) -> list[list[int]]:
        """Return the levels that each pass writes."""
        return [list(range(self.n_first)), *([k] for k in range(self.n_first, len(self.shapes)))]

    def meeting(self, levels: list[int], shape: tuple[int, ...], box: Box) -> list[range]:
        """Return, per axis, the blocks of a pass that may show voxels of a box of an image of this shape."""
        found = []
        for axis, (start, stop, n) in enumerate(zip(box.start, box.stop, shape, strict=True)):
            count, firsts, ends = self.counts(levels[0])[axis], [], []
            for level in levels:
                factor, side = self.shapes[level][axis] / n, self.blocks[level][axis]
                slack = SLACK * max(1, factor)  # sizes of levels are rounded
                firsts.append(int(max(0, start * factor - slack) // side))
                ends.append(int((stop * factor + slack) // side) + 1)
            found.append(range(min(firsts), min(count, max(ends))))
        return found

    def box(self, level: int, index: tuple[int, ...]) -> Box:
        """Return a block's box on a level."""
        start = tuple(i * b for i, b in zip(index, self.blocks[level], strict=True))
        stop = (min(a + b, n) for a, b, n in zip(start, self.blocks[level], self.shapes[level], strict=True))
        return Box(start, tuple(stop))


def paint_layout(shapes: tuple[tuple[int, ...], ...], tiled: tuple[bool, ...]) -> PaintLayout:
    """Choose chunks and blocks for labels of these level shapes.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Shape of every level over the label axes.
    tiled : tuple of bool
        Which axes are space; others have chunks and blocks of 1.
    """
    ndim = sum(tiled)
    chunk = _spread(CHUNKS.get(ndim, (32,) * ndim), tiled)
    block = _spread(BLOCKS.get(ndim, (64,) * ndim), tiled)
    least = _spread((LEAST_CHUNK.get(ndim, 8),) * ndim, tiled)
    chunks, blocks = [], []
    for shape in shapes:
        fitting = _fit(shapes[0], shape, block, least, chunk)
        if fitting is None:
            break
        blocks.append(fitting)
        chunks.append(tuple(map(min, chunk, fitting)))
    n_first = len(blocks)
    half = tuple(max(c, b // 2) for c, b in zip(chunk, block, strict=True))
    for shape in shapes[n_first:]:
        blocks.append(half)
        chunks.append(tuple(map(min, chunk, shape)))
    return PaintLayout(shapes, tuple(chunks), tuple(blocks), n_first)


def _spread(values: tuple[int, ...], tiled: tuple[bool, ...]) -> tuple[int, ...]:
    left = iter(values)
    return tuple(next(left) if t else 1 for t in tiled)


def _fit(
    fine: tuple[int, ...],
    shape: tuple[int, ...],
    block: tuple[int, ...],
    least: tuple[int, ...],
    chunk: tuple[int, ...],
) -> tuple[int, ...] | None:
    """Return what a block of the finest level is on this level.

    None if that is not made of whole chunks, or too small.
    """
    fitting = []
    for n, m, b, low, c in zip(fine, shape, block, least, chunk, strict=True):
        side = b / level_factor(n, m)
        if n <= b:
            fitting.append(max(m, 1))
        elif side == int(side) and side >= min(low, b) and side % min(c, side) == 0:
            fitting.append(int(side))
        else:
            return None
    return tuple(fitting)


@dataclass(frozen=True)
class PaintJob:
    """Everything that painting a block of one run needs; shared by all threads.

    Parameters
    ----------
    composer : LabelMaker
        Makes the labels of the finest level.
    sink : LabelSink
        Where labels go.
    layout : PaintLayout
        Blocks.
    stop : threading.Event
        Set when the run is being closed: nothing more is written.
    region : Region, optional
        Outside of what its tiles read there is nothing to write.
    """

    composer: LabelMaker
    sink: LabelSink
    layout: PaintLayout
    stop: threading.Event
    region: Region | None = None

    def blocks(self, levels: list[int]) -> Iterator[tuple[int, ...]]:
        """Yield the indices of the blocks that the pass of these levels writes."""
        shape = self.composer.grid.shape
        reach = self.region.reach if self.region else (Box.whole(shape),)
        parts = [product(*self.layout.meeting(levels, shape, box)) for box in reach]
        return parts[0] if len(parts) == 1 else iter(dict.fromkeys(chain.from_iterable(parts)))

    def paint(self, levels: list[int], index: tuple[int, ...]) -> None:
        """Write one block on these levels, from strips of the level that they are made of."""
        boxes = {k: self.layout.box(k, index) for k in levels}
        boxes = {k: box for k, box in boxes.items() if box.size}
        first = levels[0] == 0
        source = self.composer.grid.shape if first else self.layout.shapes[levels[0] - 1]
        picks = {k: self._indices(source, k, box) for k, box in boxes.items()}
        start = tuple(min(int(p[a][0]) for p in picks.values()) for a in range(len(source)))
        stop = tuple(max(int(p[a][-1]) + 1 for p in picks.values()) for a in range(len(source)))
        held: dict[int, NDArray[Any]] = {}
        for strip, axis in self._strips(Box(start, stop)):
            labels = self.composer.labels(strip) if first else self.sink.read(levels[0] - 1, strip)
            if labels is None or self.stop.is_set():
                continue
            for k, pick in picks.items():
                if k == 0 and source == self.layout.shapes[0]:
                    self.sink.write(0, strip, labels)
                else:
                    _keep_sample(held, k, labels, pick, strip, axis)
            del labels  # before the next strip takes as much
        for k, labels in held.items():
            if not self.stop.is_set():
                self.sink.write(k, boxes[k], labels)

    def _strips(self, box: Box) -> Iterator[tuple[Box, int]]:
        """Yield the parts of a box along its first axis that has any extent, and that axis.

        Whole chunks of the finest level, and a few tiles at least, as those that meet two strips are
        decoded twice. Whole blocks of tiny tiles would take more memory than all other work on them.
        """
        axis = next((a for a, n in enumerate(box.shape) if n > 1), 0)
        chunk = self.layout.chunks[0][axis]
        step = chunk * -(-STRIP_TILES * self.composer.grid.tile_shape[axis] // chunk)
        for at in range(box.start[axis], box.stop[axis], step):
            start, stop = list(box.start), list(box.stop)
            start[axis], stop[axis] = at, min(at + step, box.stop[axis])
            yield Box(tuple(start), tuple(stop)), axis

    def _indices(self, source: tuple[int, ...], level: int, box: Box) -> tuple[NDArray[Any], ...]:
        shape = self.layout.shapes[level]
        return tuple(
            sample_index(n, m, a, b) for n, m, a, b in zip(source, shape, box.start, box.stop, strict=True)
        )


def _keep_sample(
    held: dict[int, NDArray[Any]],
    level: int,
    labels: NDArray[Any],
    pick: tuple[NDArray[Any], ...],
    strip: Box,
    axis: int,
) -> None:
    """Sample the labels of a strip into those of a coarser level, which are made where missing."""
    low, high = np.searchsorted(pick[axis], (strip.start[axis], strip.stop[axis])).tolist()
    if low == high:
        return
    if level not in held:
        held[level] = np.zeros(tuple(map(len, pick)), labels.dtype)
    moved = [index - a for index, a in zip(pick, strip.start, strict=True)]
    moved[axis] = moved[axis][low:high]
    place = (slice(None),) * axis + (slice(low, high),)
    held[level][place] = sample(labels, tuple(moved))
