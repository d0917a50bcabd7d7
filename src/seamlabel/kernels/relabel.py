"""Numbering of labels: within a tile, and for display while a run goes on.

Knows nothing of tiles' places or of storage.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def run_starts(flat: NDArray[Any]) -> NDArray[np.intp]:
    """Return where in a 1-D array a value differs from the one before; index 0 always counts."""
    change = np.empty(flat.size, bool)
    if flat.size:
        change[0] = True
        np.not_equal(flat[1:], flat[:-1], out=change[1:])
    return np.flatnonzero(change)


@dataclass(frozen=True)
class Renaming:
    """Turns a tile's labels, numbered in any way, into 1..size; 0 stays 0.

    Parameters
    ----------
    size : int
        Labels that have a new name.
    keys, names : ndarray
        Old names, ascending, and the new one of each; or no keys, and names indexed by the old.
    """

    size: int
    keys: NDArray[Any] | None
    names: NDArray[np.int32]

    def __call__(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """Return the new names of values that are 0 or among those that were renamed."""
        if self.keys is None:
            return np.take(self.names, values.astype(np.intp, copy=False), mode="clip")
        place = np.searchsorted(self.keys, values)
        found: NDArray[np.int32] = np.take(self.names, place, mode="clip")
        return np.where(values == 0, np.int32(0), found)


def renaming(values: NDArray[Any], first: NDArray[np.bool_]) -> tuple[Renaming, int]:
    """Return numbers for labels, from 1 in order of appearance, those among the `first` before others.

    Parameters
    ----------
    values : ndarray of positive integers
        A label of every run, in raster order.
    first : ndarray of bool
        Which of these count first.

    Returns
    -------
    Renaming, int
        And how many labels appear among the first.
    """
    ahead = values[first]
    order = _first_seen(np.concatenate([ahead, values]))
    n_first = _first_seen(ahead).size
    new = np.arange(1, order.size + 1, dtype=np.int32)
    largest = int(order.max()) if order.size else 0
    if largest <= max(16 * values.size, 1 << 16):
        table = np.zeros(largest + 1, np.int32)
        table[order] = new
        return Renaming(order.size, None, table), n_first
    rank = np.argsort(order)
    return Renaming(order.size, order[rank], new[rank]), n_first


def _first_seen(values: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct values in order of first appearance."""
    largest = int(values.max(initial=0))
    if largest <= 8 * values.size + (1 << 16):  # a table is faster than sorting
        seen = np.full(largest + 1, values.size, np.intp)
        seen[values[::-1]] = np.arange(values.size - 1, -1, -1)  # the last write is the first place
        distinct = np.flatnonzero(seen < values.size).astype(values.dtype)
        first = seen[distinct]
    else:
        distinct, first = np.unique(values, return_index=True)
    ordered: NDArray[Any] = distinct[np.argsort(first)]
    return ordered


class ProvisionalUnions:
    """Components of provisional ids as pairs come in, one by one; the older id is kept."""

    def __init__(self) -> None:
        self._parent = array("I", [0])
        self.n_joined = 0

    @property
    def size(self) -> int:
        """Number of ids, and the largest one."""
        return len(self._parent) - 1

    def add(self, n: int) -> int:
        """Add n ids; return the one before the first of them."""
        before = self.size
        if before + n >= 1 << 32 and self._parent.typecode == "I":
            self._parent = array("Q", self._parent)
        self._parent.extend(range(before + 1, before + n + 1))
        return before

    def find(self, one: int) -> int:
        """Return the id that stands for the component."""
        parent, root = self._parent, one
        while parent[root] != root:
            root = parent[root]
        while parent[one] != root:
            parent[one], one = root, parent[one]
        return root

    def union(self, one: int, other: int) -> tuple[int, int] | None:
        """Join two components; return (id that is gone, id that is kept), None if one already."""
        a, b = self.find(one), self.find(other)
        if a == b:
            return None
        kept, gone = (a, b) if a < b else (b, a)
        self._parent[gone] = kept
        self.n_joined += 1
        return gone, kept


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
