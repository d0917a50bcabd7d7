"""`MapStream`: a map that is being written, on every level that napari wants, and its range so far.

Fed by the thread that writes; read from any. Knows blocks and arrays, no layers and no Qt.
"""

from __future__ import annotations

from math import inf, prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.pyramid import sample, sample_index
from seamlabel.napari.layers.lazy_labels import MEMORY_BYTES, LazyArray, lazy
from seamlabel.napari.layers.levels import display_shapes, sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.blending.blend import Blend
    from seamlabel.geometry import Box
    from seamlabel.io.maps import MapWriter
    from seamlabel.napari.layers.lazy_labels import Picks


class MapStream:
    """Shows what a writer has written so far.

    Levels are kept in memory, the coarsest first, as far as there is room; finer ones are read from disk.

    Parameters
    ----------
    writer : MapWriter
        Of the map; it tells this stream of its blocks from now on.
    most : int
        Channels that are shown, the first ones.
    blend : Blend, optional
        What the map is blended by; it tells of each tile, which is shown until its block is complete, on
        levels that are kept in memory.
    memory_bytes : int
        Limit for levels kept in memory.

    Attributes
    ----------
    limits : list of (float, float)
        Lowest and highest value so far of every channel that is shown; (inf, -inf) before there is any.
    """

    def __init__(
        self, writer: MapWriter, most: int, blend: Blend | None = None, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        whole, self._axis = writer.array, writer.channel_axis
        shape = tuple(n for i, n in enumerate(whole.shape) if i != self._axis)
        self.total = 1 if self._axis is None else int(whole.shape[self._axis])
        self.count = min(most, self.total)
        self.shapes = display_shapes([shape])
        self._index = [tuple(map(sample_index, shape, level)) for level in self.shapes]
        self._memory: list[NDArray[Any] | None] = [None] * len(self.shapes)
        for k in reversed(range(len(self.shapes))):
            memory_bytes -= self.count * prod(self.shapes[k]) * writer.dtype.itemsize
            if memory_bytes < 0:
                break
            self._memory[k] = np.zeros((self.count, *self.shapes[k]), writer.dtype)
        self._full = lazy(whole)
        self.limits = [(inf, -inf)] * self.count
        self._new: list[Box] = []
        self._lock = Lock()
        self._done = writer.done
        writer.on_block = self.accept
        for number in sorted(writer.done):
            box = writer.box(number)
            parts = [np.asarray(self._level0(c)[box.slices]) for c in range(self.count)]
            self.accept(box, np.stack(parts))
        if blend is not None:
            blend.on_part = self.accept

    def accept(self, box: Box, values: NDArray[Any]) -> None:
        """Take in a block: values of shape (channels, *box) or box."""
        values = values[: self.count] if values.ndim > len(box.shape) else values[None]
        with self._lock:
            self._fill(box, values)
            self._new.append(box)

    def _fill(self, box: Box, values: NDArray[Any]) -> None:
        for k, kept in enumerate(self._memory):
            if kept is not None:
                index = self._index[k]
                edges = [
                    np.searchsorted(i, e)
                    for i, e in zip(index, zip(box.start, box.stop, strict=False), strict=True)
                ]
                where = tuple(slice(int(a), int(b)) for a, b in edges)
                inside = zip(index, where, box.start, strict=True)
                taken = tuple(i[s] - a for i, s, a in inside)
                for channel in range(self.count):
                    kept[(channel, *where)] = sample(values[channel], taken)
        for channel in range(self.count):
            low, high = self.limits[channel]
            finite = values[channel][np.isfinite(values[channel])]
            if finite.size:
                self.limits[channel] = min(low, float(finite.min())), max(high, float(finite.max()))

    @property
    def whole(self) -> bool:
        """Whether any block is on disk."""
        return bool(self._done)

    def news(self) -> list[Box]:
        """Return the blocks that came since this was asked last."""
        with self._lock:
            new, self._new = self._new, []
        return new

    def levels(self, channel: int) -> list[Any]:
        """Return a channel on every level, the full one first.

        Those in memory are real arrays that change: napari keeps what it has read of the coarsest level.
        """
        return [self._level(k, channel) for k in range(len(self.shapes))]

    def _level(self, k: int, channel: int) -> Any:
        kept = self._memory[k]
        if kept is None:
            full = self._level0(channel)
            return full if k == 0 else sampled(full, self.shapes[k])
        if k == len(self.shapes) - 1 and len(self.shapes[k]) == 2:
            return kept[channel]

        def read(picks: Picks) -> NDArray[Any]:
            return kept[(channel, *(slice(p.start, p.stop, p.step) for p in picks))].copy()

        return LazyArray(read, tuple(map(range, self.shapes[k])), kept.dtype)

    def _level0(self, channel: int) -> LazyArray:
        if self._axis is None:
            return self._full
        return self._full[(slice(None),) * self._axis + (channel,)]
