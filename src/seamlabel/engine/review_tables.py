"""Tables of staged tiles kept in memory, so that another merge is shown without reading labels again.

Knows the labels of tiles by number, their sizes and flags; no voxels and no places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.staged import BORDER, INTERIOR, LABEL_BITS, LOCAL, StagedTile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from seamlabel.kernels.solution import Solution
    from seamlabel.protocols import LabelStore
    from seamlabel.staged import ObjectFilter


@dataclass(frozen=True)
class AllLabels:
    """The labels of all tiles, tile after tile.

    Parameters
    ----------
    at : ndarray of int64, shape (n_tiles + 1,)
        Labels of the tiles before.
    n_core : ndarray of int64, shape (n_tiles,)
        Labels with voxels in the core of each.
    tile, local : ndarray of int32, shape (n_labels,)
        Where each label belongs, and its number there.
    areas : ndarray of integers, shape (n_labels,)
        Voxels.
    flags : ndarray of uint8, shape (n_labels,)
        As in `StagedTile`.
    """

    at: NDArray[np.int64]
    n_core: NDArray[np.int64]
    tile: NDArray[np.int32]
    local: NDArray[np.int32]
    areas: NDArray[Any]
    flags: NDArray[np.uint8]

    def alone(self, keep: ObjectFilter) -> NDArray[np.bool_]:
        """Return which labels are objects of their own that are kept."""
        inner = (self.flags & INTERIOR) > 0
        if not keep.removes:
            return inner
        kept: NDArray[np.bool_] = inner & keep.keeps(self.areas, self.flags & BORDER)
        return kept


class Tables:
    """The tables of all staged tiles, read when they are asked for; safe to use from many threads.

    Parameters
    ----------
    store : LabelStore
        Staged tiles.
    n_tiles : int
        How many there are.
    """

    def __init__(self, store: LabelStore, n_tiles: int) -> None:
        self._store, self._n_tiles = store, n_tiles
        self._known: dict[int, StagedTile | None] = {}
        self._all: AllLabels | None = None
        self._lock = Lock()

    def of(self, tile: int) -> StagedTile | None:
        """Return a staged tile without its voxels; None if nothing is staged of it."""
        if tile not in self._known:
            staged = self._store.read(tile)
            self._known[tile] = None if staged is None else _without_voxels(staged)
        return self._known[tile]

    def all(self, stop: Callable[[], bool] = lambda: False) -> AllLabels | None:
        """Return the labels of all tiles; None if `stop` returned True before they were read.

        The first time this reads all that is staged.
        """
        with self._lock:
            if self._all is not None:
                return self._all
            for tile in range(self._n_tiles):
                if stop():
                    return None
                self.of(tile)
            self._all = self._gathered()
            return self._all

    def _gathered(self) -> AllLabels:
        none = StagedTile((), *(np.zeros(0, np.int64),) * 2, 0, np.zeros(0, np.int64), np.zeros(0, np.uint8))
        tiles = [self._known[number] or none for number in range(self._n_tiles)]
        counts = np.array([tile.n_all for tile in tiles], np.int64)
        at = np.append(0, np.cumsum(counts))
        tile = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
        return AllLabels(
            at=at,
            n_core=np.array([tile.n_core for tile in tiles], np.int64),
            tile=tile,
            local=(np.arange(at[-1]) - at[tile] + 1).astype(np.int32),
            areas=np.concatenate([tile.areas for tile in tiles]),
            flags=np.concatenate([tile.flags for tile in tiles]),
        )


def _without_voxels(staged: StagedTile) -> StagedTile:
    nothing = np.zeros(0, staged.values.dtype)
    areas = staged.areas
    if areas.max(initial=0) < 1 << 32:
        areas = areas.astype(np.uint32)
    return replace(staged, values=nothing, lengths=nothing, areas=areas, flags=staged.flags.copy())


def shown_ids(labels: AllLabels, solution: Solution, first: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the final id of every provisional id, for labels that are looked up when they are read.

    Parameters
    ----------
    labels : AllLabels
        Of all tiles.
    solution : Solution
        Whose label is what.
    first : ndarray of int64, shape (n_tiles,)
        The provisional id before the first one of each tile, which are numbered as its labels are;
        -1 for tiles that have none.
    """
    ids = np.zeros(labels.local.size, np.uint32)
    alone = labels.alone(solution.keep)
    shared = labels.at[solution.keys >> LABEL_BITS] + (solution.keys & LOCAL) - 1
    alone[shared] = False
    before = np.append(0, np.cumsum(alone))
    own = np.flatnonzero(alone)
    ids[own] = before[own + 1] + (solution.base - before[labels.at[:-1]])[labels.tile[own]]
    ids[shared] = solution.ids
    known = np.flatnonzero((labels.local <= labels.n_core[labels.tile]) & (first[labels.tile] >= 0))
    places = first[labels.tile[known]] + labels.local[known]
    table = np.zeros(int(places.max(initial=0)) + 1, np.uint32)
    table[places] = ids[known]
    return table


def steady_ids(ids: NDArray[np.uint32], before: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return ids of the same objects that change as little as can be, so that colours stay.

    An object keeps the lowest id that any of its labels had; of several that had it, the first.

    Parameters
    ----------
    ids, before : ndarray of uint32, shape (n,)
        The object of every label now and before; 0 for none.
    """
    n_now, n_before = int(ids.max(initial=0)), int(before.max(initial=0))
    both = np.flatnonzero((ids > 0) & (before > 0))
    had = np.full(n_now + 1, n_before + 1, np.uint32)
    np.minimum.at(had, ids[both], before[both])
    heir = np.full(n_before + 2, n_now + 1, np.uint32)
    np.minimum.at(heir, had[1:], np.arange(1, n_now + 1, dtype=np.uint32))
    keeps = (had <= n_before) & (heir[had] == np.arange(n_now + 1))
    fresh = np.flatnonzero(~keeps[1:]) + 1
    had[fresh] = np.arange(n_before + 1, n_before + 1 + fresh.size)
    had[0] = 0
    return had[ids]
