"""From pairs to objects: components of labels over all tiles, and their final ids.

A label is named by one integer key, ``tile << 32 | label``. Memory grows with the labels at seams
and the number of tiles, not with all labels. Touches no voxel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LABEL_BITS = 32
_LABEL = (1 << LABEL_BITS) - 1


class UnionFind:
    """Components that grow pair by pair; the root is the smallest key, whatever the order."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self.n_joined = 0

    def find(self, key: int) -> int:
        """Return the root of the component of `key`."""
        root = key
        while (above := self._parent.get(root, root)) != root:
            root = above
        while key != root:
            self._parent[key], key = root, self._parent[key]
        return root

    def union(self, one: int, other: int) -> tuple[int, int] | None:
        """Join two components; return (root that is gone, root that is kept), None if one already."""
        a, b = self.find(one), self.find(other)
        if a == b:
            return None
        kept, gone = (a, b) if a < b else (b, a)
        self._parent[gone] = kept
        self._parent.setdefault(kept, kept)
        self.n_joined += 1
        return gone, kept

    def members(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all keys that were ever joined, ascending, and the root of each."""
        keys = sorted(self._parent)
        roots = [self.find(key) for key in keys]
        return np.array(keys, np.int64), np.array(roots, np.int64)


class FinalIds:
    """Final ids of all labels: dense 1..N, in order of the tile and label that own each object.

    Every object is owned by its smallest key. ``id = base[tile] + rank among the tile's owned``,
    so no table over all labels exists.

    Parameters
    ----------
    n_core : ndarray of int64, shape (n_tiles,)
        Labels with core voxels in each tile.
    members : tuple of two ndarrays of int64
        Joined keys, ascending, and the root of each, see `UnionFind.members`.
    removed : ndarray of int64
        Keys of labels that become background (all members of a removed object), ascending.
    sequential : bool
        Without it, ids of labels that own no object are left out of the sequence as gaps.
    """

    def __init__(
        self,
        n_core: NDArray[np.int64],
        members: tuple[NDArray[np.int64], NDArray[np.int64]],
        removed: NDArray[np.int64] | None = None,
        sequential: bool = True,
    ) -> None:
        self._n_core = n_core
        self._keys, self._roots = members
        self._removed = np.zeros(0, np.int64) if removed is None else removed
        gone = np.union1d(self._keys[self._keys != self._roots], self._removed)
        self.n_objects = int(n_core.sum()) - gone.size
        self._gaps = gone if sequential else gone[:0]
        per_tile = np.bincount(self._gaps >> LABEL_BITS, minlength=n_core.size)
        self._base = np.zeros(n_core.size, np.int64)
        np.cumsum((n_core - per_tile)[:-1], out=self._base[1:])
        self.largest = int(n_core.sum()) - self._gaps.size

    @property
    def dtype(self) -> str:
        """Smallest label type that holds every id and that all viewers read: uint32, else uint64."""
        return "uint32" if self.largest < 1 << 32 else "uint64"

    def ids(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids of keys that own their object."""
        tile = keys >> LABEL_BITS
        before = np.searchsorted(self._gaps, keys) - np.searchsorted(self._gaps, tile << LABEL_BITS)
        owned: NDArray[np.int64] = self._base[tile] + (keys & _LABEL) - before
        return owned

    def table(self, tile: int, n_all: int) -> NDArray[Any]:
        """Return the ids of a tile's labels 0..n_all; 0 for background, removed and overlap-only."""
        first = np.int64(tile) << LABEL_BITS
        keys = first + np.arange(1, int(self._n_core[tile]) + 1)
        table = np.zeros(n_all + 1, self.dtype)
        low, high = np.searchsorted(self._keys, (first, first + (1 << LABEL_BITS)))
        keys[(self._keys[low:high] & _LABEL) - 1] = self._roots[low:high]
        table[1 : keys.size + 1] = self.ids(keys)
        low, high = np.searchsorted(self._removed, (first, first + (1 << LABEL_BITS)))
        table[self._removed[low:high] & _LABEL] = 0
        return table


def too_small(
    areas: Mapping[int, NDArray[np.int64]],
    members: tuple[NDArray[np.int64], NDArray[np.int64]],
    min_size: int,
) -> NDArray[np.int64]:
    """Return the keys of all labels whose whole object has fewer voxels than `min_size`, ascending.

    Parameters
    ----------
    areas : mapping of tile number to ndarray of int64, shape (n_core,)
        Core voxels of each label. Cores partition the image, so sums over members are exact.
    members : tuple of two ndarrays of int64
        Joined keys, ascending, and the root of each.
    min_size : int
        Voxels.
    """
    keys, roots = members
    tiles = sorted(tile for tile in areas if areas[tile].size)
    if not tiles:
        return np.zeros(0, np.int64)
    every = np.concatenate([(np.int64(t) << LABEL_BITS) + np.arange(1, areas[t].size + 1) for t in tiles])
    sizes = np.concatenate([areas[t] for t in tiles])
    place = np.searchsorted(every, keys)
    component, index = np.unique(roots, return_inverse=True)
    total = np.bincount(index, weights=sizes[place], minlength=component.size).astype(np.int64)
    sizes[place] = total[index]
    small: NDArray[np.int64] = every[sizes < min_size]
    return small
