"""What the merge decided: for every label of every tile its final id, and who paints it.

Memory grows with the labels that neighbours may see and with the number of tiles, not with all labels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.staged import LABEL_BITS, LOCAL, ObjectFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.staged import StagedTile

PART = 1 << 20
"""Objects looked at together, to bound memory."""
WHOLE, FOLLOWS, PART_OF = 1, 2, 4
"""Roles of a label: its version is the object; another tile's is, and may differ; it is cut, and none is."""


@dataclass(frozen=True)
class Solution:
    """Final ids: dense 1..n_objects, by tile; in a tile first what it has alone, then what it shares.

    Parameters
    ----------
    base : ndarray of int64, shape (n_tiles,)
        Objects of the tiles before.
    keys : ndarray of int64, shape (n,)
        Labels that took part, ascending.
    ids : ndarray of uint32 or uint64, shape (n,)
        Their final ids, 0 for what is not painted.
    roles : ndarray of uint8, shape (n,)
        `WHOLE`, `FOLLOWS`, `PART_OF` or 0; empty if tiles differ nowhere.
    owner : ndarray of int32, shape (n,)
        For labels that follow, the tile whose version counts; empty if none does.
    unclean : ndarray of int64, shape (m, 2)
        Pairs of tiles that differ, in both directions, sorted.
    n_objects : int
        Objects in the image.
    keep : ObjectFilter
        Which objects are kept.
    piece_keys, piece_ids : ndarray of int64
        Pieces of background, ascending, and the final id of the object whose hole each is part of, 0
        for background.
    """

    base: NDArray[np.int64]
    keys: NDArray[np.int64]
    ids: NDArray[Any]
    roles: NDArray[np.uint8]
    owner: NDArray[np.int32]
    unclean: NDArray[np.int64]
    n_objects: int
    keep: ObjectFilter = field(default_factory=ObjectFilter)
    piece_keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    piece_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def dtype(self) -> str:
        """Smallest label type that holds every id and that all viewers read: uint32, else uint64."""
        return "uint32" if self.n_objects < 1 << 32 else "uint64"

    def _span(self, tile: int) -> tuple[int, int]:
        return _span(self.keys, tile)

    def has_labels(self, tile: int) -> bool:
        """Return whether a tile has labels that are painted, or that neighbours may see."""
        low, high = self._span(tile)
        following = self.base[tile + 1] if tile + 1 < self.base.size else self.n_objects
        return high > low or bool(following > self.base[tile])

    def table(self, tile: int, staged: StagedTile) -> NDArray[Any]:
        """Return the final ids of a tile's labels 0..n_all and of its pieces of background.

        0 for background and what is not painted.
        """
        table = np.zeros(staged.n_all + staged.n_pieces + 1, self.dtype)
        low, high = self._span(tile)
        local = self.keys[low:high] & LOCAL
        inner = self.keep.interior(staged)
        inner[local - 1] = False  # an edit made it take part
        table[1 : staged.n_all + 1][inner] = np.arange(1, int(inner.sum()) + 1) + self.base[tile]
        table[local] = self.ids[low:high]
        if staged.n_pieces:
            low, high = _span(self.piece_keys, tile)
            table[self.piece_keys[low:high] & LOCAL] = self.piece_ids[low:high]
        return table

    def followers(self, tile: int, n_all: int) -> NDArray[np.int32]:
        """Return for labels 0..n_all the tile whose version counts, -1 where it is this one's."""
        found = np.full(n_all + 1, -1, np.int32)
        low, high = self._span(tile)
        if self.owner.size:
            follows = (self.roles[low:high] & FOLLOWS) > 0
            found[self.keys[low:high][follows] & LOCAL] = self.owner[low:high][follows]
        return found

    def stitched(self, tile: int, n_all: int) -> NDArray[np.bool_]:
        """Return which of the labels 0..n_all are cut, and part of objects that no tile's version shows."""
        found = np.zeros(n_all + 1, bool)
        low, high = self._span(tile)
        if self.roles.size:
            found[self.keys[low:high][(self.roles[low:high] & PART_OF) > 0] & LOCAL] = True
        return found

    def wholes(self, tile: int, staged: StagedTile) -> NDArray[Any]:
        """Return the final ids of those of a tile's labels whose version is the object; else 0."""
        table = np.zeros(staged.n_all + 1, self.dtype)
        low, high = self._span(tile)
        if self.roles.size:
            whole = (self.roles[low:high] & WHOLE) > 0
            table[self.keys[low:high][whole] & LOCAL] = self.ids[low:high][whole]
        return table

    def differing(self, tile: int) -> NDArray[np.int64]:
        """Return the neighbours whose labels differ from this tile's."""
        low, high = np.searchsorted(self.unclean[:, 0], (tile, tile + 1))
        return self.unclean[low:high, 1]


def _span(keys: NDArray[np.int64], tile: int) -> tuple[int, int]:
    """Return where a tile's keys are."""
    first = np.int64(tile) << LABEL_BITS
    low, high = np.searchsorted(keys, (first, first + (1 << LABEL_BITS)))
    return int(low), int(high)


def final_ids(
    keys: NDArray[np.int64], roots: NDArray[np.int32], interior: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64], int]:
    """Return ids of objects, without a table of all labels.

    Parameters
    ----------
    keys : ndarray of int64, ascending
        Labels that take part.
    roots : ndarray of int32, ascending
        The lowest label of every object that takes part and is kept, as a place in `keys`.
    interior : ndarray of int64, shape (n_tiles,)
        Objects that tiles have alone.

    Returns
    -------
    ndarray of uint32 or uint64
        The id of each root.
    ndarray of int64, shape (n_tiles,)
        Objects of the tiles before.
    int
        Number of objects.
    """
    count = int(interior.sum()) + roots.size
    dtype = np.uint32 if count < 1 << 32 else np.uint64
    ids: NDArray[Any] = np.arange(1, roots.size + 1, dtype=dtype)
    alone = np.cumsum(interior)
    shared = np.zeros(interior.size, np.int64)
    for start in range(0, roots.size, PART):
        part = slice(start, start + PART)
        tile = keys[roots[part]] >> LABEL_BITS
        ids[part] = ids[part] + alone[tile].astype(dtype)  # what tiles up to its own have alone is before
        shared += np.bincount(tile, minlength=interior.size)
    ends = alone + np.cumsum(shared)
    return ids, ends - interior - shared, count
