"""Where doubtful pairs lie, and the voxels by which edits name their labels.

A pair is two labels that neighbouring tiles show of the same place. Reads staged tiles, one pair at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.spatial import cKDTree

from seamlabel.engine.edits import Edit
from seamlabel.geometry import Box
from seamlabel.staged import LABEL_BITS, LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.engine.locate import Search
    from seamlabel.errors import Problem
    from seamlabel.kernels.solve import Records
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelStore

MOST_VOXELS = 4096
"""Voxels of a label that are looked at, evenly taken."""
TRIES = 24
"""Pairs of voxels that are tried, the nearest first."""


@dataclass(frozen=True)
class Place:
    """Two labels of neighbouring tiles that may be one object.

    Parameters
    ----------
    keys : tuple of int
        The labels, ``tile << 32 | label``.
    iou : float
        Intersection over union of their pieces in the overlap.
    joined : bool
        Whether they were taken for one object.
    boxes : tuple of Box
        Where each lies, in voxels of the segmented level over the label axes.
    """

    keys: tuple[int, int]
    iou: float
    joined: bool
    boxes: tuple[Box, Box]

    @property
    def tiles(self) -> tuple[int, int]:
        """The tiles that show them."""
        return self.keys[0] >> LABEL_BITS, self.keys[1] >> LABEL_BITS

    @property
    def box(self) -> Box:
        """The box around both."""
        one, other = self.boxes
        return Box(tuple(map(min, one.start, other.start)), tuple(map(max, one.stop, other.stop)))

    @property
    def center(self) -> tuple[float, ...]:
        """The middle of what both boxes share, in voxels."""
        one, other = self.boxes
        return tuple(
            (max(a, b) + min(c, d) - 1) / 2
            for a, b, c, d in zip(one.start, other.start, one.stop, other.stop, strict=True)
        )


def places_of(pairs: NDArray[Any], nodes: Records) -> list[Place]:
    """Return where pairs ``a, b, iou, joined`` lie, in the same order.

    Parameters
    ----------
    pairs : structured ndarray
        Of a `MergeReport`.
    nodes : Records
        All labels that take part.
    """
    keys = np.stack([pairs["a"], pairs["b"]], axis=1)
    wanted = np.unique(keys)
    found = [chunk[np.isin(chunk["key"], wanted)] for chunk in nodes.chunks()] if wanted.size else []
    if not found:
        return []
    known = np.concatenate(found)
    known = known[np.argsort(known["key"])]
    boxes = [
        Box(tuple(start), tuple(stop))
        for start, stop in zip(known["start"].tolist(), known["stop"].tolist(), strict=True)
    ]
    return [
        Place((a, b), iou, joined, (boxes[at], boxes[other]))
        for (a, b), iou, joined, (at, other) in zip(
            keys.tolist(),
            pairs["iou"].tolist(),
            pairs["joined"].tolist(),
            np.searchsorted(known["key"], keys).tolist(),
            strict=True,
        )
    ]


class Pointer:
    """Finds edits that join two labels or keep them apart.

    Parameters
    ----------
    plan : Plan
        Of the merge that the edits are for.
    store : LabelStore
        Staged tiles.
    search : Search
        Says which label a voxel means.
    """

    def __init__(self, plan: Plan, store: LabelStore, search: Search) -> None:
        self._grid, self._store, self._search = plan.grid, store, search
        self._labels = lru_cache(maxsize=8)(self._read)

    def keys(self, edit: Edit) -> tuple[int, ...] | Problem:
        """Return the labels that an edit means, or why it cannot be carried out, whatever others say."""
        found = self._search.check(edit) or self._search.find(edit)
        if isinstance(found, list) and edit.kind == "cut":
            found = self._search.check_cut(edit, found) or found
        return tuple(found) if isinstance(found, list) else found

    def edit(self, kind: Literal["join", "cut"], place: Place) -> Edit | None:
        """Return an edit about these two labels; None if no voxels tell them apart.

        Both points are the nearest that mean these labels, each in the core of its own tile if that
        can be. A cut parts only what some tile sees as two.
        """
        one, other = (self._voxels(key) for key in place.keys)
        if kind == "join":
            return self._nearest(kind, place, one, other)
        for first, second in (
            (one, other[~self._shows(place.keys[0], other)]),
            (one[~self._shows(place.keys[1], one)], other),
        ):
            found = self._nearest(kind, place, first, second)
            if found is not None:
                return found
        return None

    def _nearest(
        self, kind: str, place: Place, one: NDArray[np.int64], other: NDArray[np.int64]
    ) -> Edit | None:
        for points in _by_distance(one, other):
            edit = Edit(kind, points)
            if tuple(map(self._search.key, points)) != place.keys:
                continue
            if kind == "join" or self._search.check_cut(edit, list(place.keys)) is None:
                return edit
        return None

    def _read(self, tile: int) -> NDArray[np.int32]:
        staged = self._store.read(tile)
        if staged is None:
            return np.zeros(self._grid[tile].read.shape, np.int32)
        return staged.labels()

    def _voxels(self, key: int) -> NDArray[np.int64]:
        """Return voxels of a label, those in its tile's core if there are any."""
        tile = self._grid[key >> LABEL_BITS]
        mask = self._labels(tile.number) == key & LOCAL
        core = tile.core.relative_to(tile.read)
        found = np.argwhere(mask[core.slices]) + core.start
        if not found.size:
            found = np.argwhere(mask)
        every = -(-len(found) // MOST_VOXELS) or 1
        voxels: NDArray[np.int64] = found[::every] + tile.read.start
        return voxels

    def _shows(self, key: int, voxels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return at which voxels a label's tile shows it."""
        tile = self._grid[key >> LABEL_BITS]
        inside = ((voxels >= tile.read.start) & (voxels < tile.read.stop)).all(axis=1)
        found = np.zeros(len(voxels), bool)
        at = tuple((voxels[inside] - tile.read.start).T)
        found[inside] = self._labels(tile.number)[at] == key & LOCAL
        return found


def _by_distance(
    one: NDArray[np.int64], other: NDArray[np.int64]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield pairs of voxels, the nearest first, spread over all of them."""
    if not len(one) or not len(other):
        return
    distance, near = cKDTree(other).query(one)
    order = np.argsort(distance, kind="stable")
    some = {*order[: TRIES // 2].tolist(), *order[:: max(1, order.size // (TRIES // 2))].tolist()}
    for at in sorted(some, key=lambda at: (distance[at], at)):
        yield tuple(one[at].tolist()), tuple(other[near[at]].tolist())
