"""Numbering of labels: within a tile, for display while a run goes on, and by table.

Works on runs (stretches of equal labels in raster order), of which label images have few, so that
nothing is sorted per voxel. Knows nothing of tiles' places or of storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True)
class LocalLabels:
    """Labels of one tile, renumbered by `number_locally`.

    Parameters
    ----------
    labels : ndarray of int32
        Same shape as given. ``1..n_core`` have voxels in the core, in raster order of the first of
        them; ``n_core + 1..n_all`` lie in the overlap only, in raster order.
    n_core, n_all : int
        Counts.
    areas : ndarray of int64, shape (n_core,)
        Core voxels of each label.
    """

    labels: NDArray[np.int32]
    n_core: int
    n_all: int
    areas: NDArray[np.int64]


def run_starts(flat: NDArray[Any]) -> NDArray[np.intp]:
    """Return where in a 1-D array a value differs from the one before; index 0 always counts."""
    change = np.empty(flat.size, bool)
    if flat.size:
        change[0] = True
        np.not_equal(flat[1:], flat[:-1], out=change[1:])
    return np.flatnonzero(change)


def number_locally(labels: NDArray[Any], core: tuple[slice, ...]) -> LocalLabels:
    """Renumber a tile's labels from 1, those with voxels in the core first.

    Parameters
    ----------
    labels : ndarray of integers, not negative
        Any numbering.
    core : tuple of slice
        The core, relative to `labels`.

    Returns
    -------
    LocalLabels
        Independent of how `labels` was numbered.
    """
    inside = np.ascontiguousarray(labels[core]).ravel()
    starts = run_starts(inside)
    core_runs = inside[starts]
    lengths = np.diff(starts, append=inside.size)
    flat = np.ascontiguousarray(labels).ravel()
    all_runs = flat[run_starts(flat)]
    order = _first_seen(np.concatenate([core_runs, all_runs]))
    core_labels = _first_seen(core_runs)
    out, lut = _renumber(flat, order)
    local_runs = lut(core_runs)
    areas = np.bincount(local_runs, weights=lengths, minlength=core_labels.size + 1)
    return LocalLabels(
        out.reshape(labels.shape),
        core_labels.size,
        order.size,
        areas[1:].astype(np.int64),
    )


def _first_seen(values: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct positive values in order of first appearance."""
    largest = int(values.max(initial=0))
    if largest <= 8 * values.size + (1 << 16):  # a table is faster than sorting
        seen = np.full(largest + 1, values.size, np.intp)
        seen[values[::-1]] = np.arange(values.size - 1, -1, -1)  # the last write is the first place
        distinct = np.flatnonzero(seen < values.size).astype(values.dtype)
        first = seen[distinct]
    else:
        distinct, first = np.unique(values, return_index=True)
    keep = distinct != 0
    ordered: NDArray[Any] = distinct[keep][np.argsort(first[keep])]
    return ordered


def _renumber(flat: NDArray[Any], order: NDArray[Any]) -> tuple[NDArray[np.int32], Any]:
    """Return `flat` with ``order[i]`` replaced by i + 1, and the function that does it."""
    largest = int(order.max()) if order.size else 0
    new = np.arange(1, order.size + 1, dtype=np.int32)
    if largest <= max(4 * flat.size, 1 << 16):
        table = np.zeros(largest + 1, np.int32)
        table[order] = new

        def lut(values: NDArray[Any]) -> NDArray[np.int32]:
            return np.take(table, values.astype(np.intp, copy=False), mode="clip")
    else:
        rank = np.argsort(order)
        keys, numbers = np.append(order[:0], order[rank]), new[rank]

        def lut(values: NDArray[Any]) -> NDArray[np.int32]:
            place = np.searchsorted(keys, values)
            found: NDArray[np.int32] = np.take(numbers, place, mode="clip")
            return np.where(values == 0, np.int32(0), found)

    return lut(flat), lut


class ProvisionalIds:
    """Ids to show while a run goes on: consistent across all seams that are known so far.

    Fed from the events `TileDone` and `SeamsMerged`; not thread-safe.
    """

    def __init__(self) -> None:
        self._parent: NDArray[np.uint32] = np.zeros(1, np.uint32)
        self._flat: NDArray[np.uint32] | None = self._parent

    def add(self, first_id: int, n: int) -> None:
        """Add the provisional ids ``first_id + 1 .. first_id + n`` of a tile."""
        top = first_id + n + 1
        if top > self._parent.size:
            grown = np.arange(max(top, 2 * self._parent.size), dtype=np.uint32)
            grown[: self._parent.size] = self._parent
            self._parent = grown
            self._flat = None

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Show each first id of the pairs as the second from now on."""
        for gone, kept in pairs:
            self._parent[gone] = kept
            self._flat = None

    def table(self) -> NDArray[np.uint32]:
        """Return an array that gives for every provisional id the one to show; ``table[0] == 0``."""
        if self._flat is None:
            flat = self._parent
            while True:  # pointer jumping: log2 of the longest chain of joins
                jumped = flat[flat]
                if np.array_equal(jumped, flat):
                    break
                flat = jumped
            self._flat = flat
        return self._flat
