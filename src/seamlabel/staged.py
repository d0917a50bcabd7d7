"""The labels of one tile as they are staged, and which whole objects are kept.

Runs and small tables in numpy; knows no tiles' places, no storage and no merging.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABEL_BITS = 32
"""A label of a tile is named by one integer key, ``tile << 32 | label``."""
LOCAL = (1 << LABEL_BITS) - 1

INTERIOR, NODE, BORDER, COMPLETE = 1, 2, 4, 8
"""Flags of a label: no neighbour can see it; it takes part in the merge; it touches the image's
border; it does not reach the last voxels that the tile can be trusted with."""


@dataclass(frozen=True)
class StagedTile:
    """The labels of one tile as they are staged.

    Labels ``1..n_core`` have voxels in the core, in raster order of the first of them; the others
    follow in raster order, and after them pieces of background that may be part of a hole.

    Parameters
    ----------
    shape : tuple of int
        Of the read box.
    values, lengths : ndarray, shape (n_runs,)
        Label and voxels of every run, background too.
    n_core : int
        Labels with voxels in the core.
    areas : ndarray of int64, shape (n_labels,)
        Voxels of each label in the trusted part of the read box.
    flags : ndarray of uint8, shape (n_labels,)
        `INTERIOR`, `NODE`, `BORDER`, `COMPLETE`.
    n_pieces : int
        Pieces of background, with values ``n_all + 1 .. n_all + n_pieces``.
    """

    shape: tuple[int, ...]
    values: NDArray[Any]
    lengths: NDArray[Any]
    n_core: int
    areas: NDArray[np.int64]
    flags: NDArray[np.uint8]
    n_pieces: int = 0

    @property
    def n_all(self) -> int:
        """Number of labels."""
        return self.areas.size

    def painted(self, table: NDArray[Any]) -> NDArray[Any]:
        """Return the read box with every label replaced by its entry of `table`.

        Of n_all + 1 entries, then pieces of background become 0; or of n_all + n_pieces + 1.
        """
        if table.size <= self.n_all + self.n_pieces:
            table = np.append(table, np.zeros(self.n_pieces, table.dtype))
        return np.repeat(table[self.values], self.lengths).reshape(self.shape)

    def labels(self, pieces: bool = False) -> NDArray[np.int32]:
        """Return the labels of the read box; pieces of background too, if asked."""
        count = self.n_all + self.n_pieces if pieces else self.n_all
        return self.painted(np.arange(count + 1, dtype=np.int32))


@dataclass(frozen=True)
class ObjectFilter:
    """Which whole objects are kept.

    Parameters
    ----------
    min_size, max_size : int
        Voxels; `max_size` 0 is no limit.
    drop_border : bool
        Objects that touch the image's border are removed.
    """

    min_size: int = 0
    max_size: int = 0
    drop_border: bool = False

    @property
    def removes(self) -> bool:
        """Whether anything can be removed."""
        return self.min_size > 1 or self.max_size > 0 or self.drop_border

    def keeps(self, area: NDArray[Any], at_border: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which objects of these sizes stay."""
        kept = area >= self.min_size
        if self.max_size:
            kept &= area <= self.max_size
        return kept & ~at_border.astype(bool) if self.drop_border else kept

    def interior(self, staged: StagedTile) -> NDArray[np.bool_]:
        """Return which labels of a tile are objects of its own that stay."""
        inner = (staged.flags & INTERIOR) > 0
        if not self.removes:
            return inner
        kept: NDArray[np.bool_] = inner & self.keeps(staged.areas, staged.flags & BORDER)
        return kept
