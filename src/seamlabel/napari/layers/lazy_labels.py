"""Labels computed when they are read: staged tiles under provisional ids, and arrays made lazy.

Knows grids, events and staging; nothing of layers, viewers or Qt. Safe to read from any thread.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.events import RunStarted, SeamsMerged, TileDone
from seamlabel.geometry import Box
from seamlabel.io.staging import open_staging
from seamlabel.kernels.pyramid import sample, sample_index
from seamlabel.kernels.relabel import ProvisionalIds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.events import Event
    from seamlabel.geometry import TileGrid
    from seamlabel.protocols import LabelStore

Picks = tuple[range, ...]
"""Which indices are wanted, per axis."""

MEMORY_BYTES = 256_000_000
"""For levels kept whole in memory, coarsest first: views from afar meet too many tiles to read."""
CACHE_BYTES = 128_000_000
"""For tiles read back from staging, for the finer levels."""


@dataclass(frozen=True, eq=False)
class LazyArray:
    """An array that is indexed now and read at `numpy.asarray`.

    napari indexes the displayed axes of a level first and the others next; an eager array would
    read a whole stack for one plane.

    Parameters
    ----------
    read : callable
        ``read(picks)`` returns the pixels at these ranges, all axes kept.
    picks : tuple of (range or int)
        What of every axis is left; an int drops the axis.
    dtype : numpy.dtype
        Type of the pixels.
    """

    read: Callable[[Picks], NDArray[Any]]
    picks: tuple[range | int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that is left."""
        return tuple(len(pick) for pick in self.picks if isinstance(pick, range))

    @property
    def ndim(self) -> int:
        """Number of axes left."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Return the part at `key`, still lazy; fancy indices are read at once."""
        keys = _whole_key(key, self.ndim)
        if keys is None:
            return np.asarray(self)[key]
        left = iter(keys)
        picks = tuple(pick[next(left)] if isinstance(pick, range) else pick for pick in self.picks)
        return LazyArray(self.read, picks, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the pixels."""
        whole = tuple(range(p, p + 1) if isinstance(p, int) else p for p in self.picks)
        pixels = np.asarray(self.read(whole)).reshape(self.shape)
        return pixels.astype(dtype or self.dtype, copy=False)


def _whole_key(key: Any, ndim: int) -> tuple[int | slice, ...] | None:
    """Return one int or ascending slice per axis, or None if `key` asks for more than that."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(k is Ellipsis for k in keys):
        place = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[place : place + 1] = [slice(None)] * (ndim - len(keys) + 1)
    keys += [slice(None)] * (ndim - len(keys))
    plain = []
    for k in keys:
        if isinstance(k, int | np.integer):
            plain.append(int(k))
        elif isinstance(k, slice) and (k.step is None or k.step > 0):
            plain.append(k)
        else:
            return None
    return tuple(plain) if len(plain) == ndim else None


def lazy(array: Any, dtype: Any = None) -> LazyArray:
    """Return `array` (anything that slices cut) as a `LazyArray`, optionally of another dtype."""

    def read(picks: Picks) -> NDArray[Any]:
        return np.asarray(array[tuple(slice(p.start, p.stop, p.step) for p in picks)])

    return LazyArray(read, tuple(map(range, array.shape)), np.dtype(dtype or array.dtype))


def with_axis(array: LazyArray, position: int, length: int) -> LazyArray:
    """Return `array` repeated along a new axis; nothing is copied until it is read."""

    def read(picks: Picks) -> NDArray[Any]:
        rest = picks[:position] + picks[position + 1 :]
        pixels = np.expand_dims(array.read(rest), position)
        return np.repeat(pixels, len(picks[position]), axis=position)

    picks = (*array.picks[:position], range(length), *array.picks[position:])
    return LazyArray(read, picks, array.dtype)


class LabelStream:
    """The labels of a run under way, on every level, with ids that are consistent so far.

    Feed it with events from one thread; read `levels` from any.

    Parameters
    ----------
    grid : TileGrid
        Tiles of the run, over the label axes at the level that is segmented.
    shapes : sequence of tuple of int
        Shapes of the levels to show.
    memory_bytes, cache_bytes : int
        Limits for levels kept in memory and for tiles read back.
    """

    def __init__(
        self,
        grid: TileGrid,
        shapes: Sequence[tuple[int, ...]],
        memory_bytes: int = MEMORY_BYTES,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.grid = grid
        self.index = [tuple(map(sample_index, grid.shape, shape)) for shape in shapes]
        self.levels = [self._level(k, shape) for k, shape in enumerate(shapes)]
        self._cache_bytes = cache_bytes
        self._store: LabelStore | None = None
        self._ids = ProvisionalIds()
        self.shown: NDArray[np.uint32] | None = None
        """Ids to show, by provisional ids; None for those of the run."""
        self._first: dict[int, int] = {}
        self._tiles: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = Lock()
        self._memory: list[NDArray[np.uint32] | None] = [None] * len(shapes)
        for k in sorted(range(len(shapes)), key=lambda k: prod(shapes[k])):
            memory_bytes -= 4 * prod(shapes[k])
            if memory_bytes < 0:
                break
            self._memory[k] = np.zeros(shapes[k], np.uint32)

    def accept(self, event: Event) -> None:
        """Take in one event of the run."""
        if isinstance(event, RunStarted):
            self._store = open_staging(event.run_dir)
        elif isinstance(event, TileDone):
            with self._lock:
                self._ids.add(event.first_id, event.n_labels)
            self._fill(event.tile, event.first_id)
            self._first[event.tile] = event.first_id
        elif isinstance(event, SeamsMerged):
            with self._lock:
                self._ids.join(event.joined)

    def source(self) -> tuple[str, NDArray[np.int64]]:
        """Return the staging folder, and the id before the first one of every tile; -1 for none."""
        found = np.full(len(self.grid), -1, np.int64)
        found[list(self._first)] = list(self._first.values())
        return getattr(self._store, "folder", ""), found

    def span(self, tile: int, level: int) -> Box:
        """Return the box that a tile's core covers on a level."""
        core = self.grid[tile].core
        edges = zip(self.index[level], core.start, core.stop, strict=True)
        both = [(int(np.searchsorted(i, a)), int(np.searchsorted(i, b))) for i, a, b in edges]
        return Box(tuple(a for a, _ in both), tuple(b for _, b in both))

    def _level(self, k: int, shape: tuple[int, ...]) -> LazyArray:
        def read(picks: Picks) -> NDArray[Any]:
            kept = self._memory[k]
            if kept is not None:
                ids = kept[tuple(slice(p.start, p.stop, p.step) for p in picks)].copy()
            else:
                ids = self._assemble(k, picks)
            with self._lock:  # after the ids were copied, so that it knows all of them
                table = self._ids.table() if self.shown is None else self.shown
            return np.take(table, ids)

        return LazyArray(read, tuple(map(range, shape)), np.dtype(np.uint32))

    def _fill(self, tile: int, first_id: int) -> None:
        """Put a finished tile into the levels that are kept in memory."""
        kept = [(k, array) for k, array in enumerate(self._memory) if array is not None]
        if not kept:
            return
        labels = self._labels(tile, first_id)
        start = self.grid[tile].core.start
        for k, array in kept:
            where = self.span(tile, k).slices
            index = zip(self.index[k], where, start, strict=True)
            array[where] = sample(labels, tuple(i[s] - a for i, s, a in index))

    def _assemble(self, k: int, picks: Picks) -> NDArray[np.uint32]:
        """Return provisional ids of a level that is not kept, from the tiles on disk."""
        index = [i[p.start : p.stop : p.step] for i, p in zip(self.index[k], picks, strict=True)]
        out = np.zeros(tuple(i.size for i in index), np.uint32)
        if not out.size:
            return out
        box = Box(tuple(int(i[0]) for i in index), tuple(int(i[-1]) + 1 for i in index))
        for tile in self.grid.touching(box):
            first_id = self._first.get(tile)
            if first_id is None:
                continue
            core = self.grid[tile].core
            edges = zip(index, core.start, core.stop, strict=True)
            where = tuple(slice(*np.searchsorted(i, (a, b))) for i, a, b in edges)
            inside = zip(index, where, core.start, strict=True)
            out[where] = sample(self._labels(tile, first_id), tuple(i[s] - a for i, s, a in inside))
        return out

    def _labels(self, tile: int, first_id: int) -> NDArray[np.uint32]:
        """Return a finished tile's core in provisional ids, from the cache or from staging."""
        with self._lock:
            if tile in self._tiles:
                self._tiles.move_to_end(tile)
                return self._tiles[tile]
        place = self.grid[tile]
        staged = self._store.read(tile) if self._store else None
        if staged is None:
            return np.zeros(place.core.shape, np.uint32)
        table = np.zeros(staged.n_all + 1, np.uint32)  # what lies in the overlap only is not shown
        table[1 : staged.n_core + 1] = np.arange(1, staged.n_core + 1) + first_id
        labels = staged.painted(table)[place.core.relative_to(place.read).slices].copy()
        with self._lock:
            self._tiles[tile] = labels
            while len(self._tiles) > 1 and sum(a.nbytes for a in self._tiles.values()) > self._cache_bytes:
                self._tiles.popitem(last=False)
        return labels
