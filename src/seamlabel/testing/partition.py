"""Compare two label images as partitions: same objects, whatever their ids.

Knows arrays only. Works on runs of equal labels, so whole images compare in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class PartitionReport:
    """How two label images `a` (expected) and `b` (found) differ as partitions.

    Parameters
    ----------
    n_a, n_b : int
        Objects in each.
    identical : int
        Objects that have exactly the same voxels in both.
    merges : int
        Objects of `b` that hold voxels of two or more objects of `a`.
    splits : int
        Objects of `a` that hold voxels of two or more objects of `b`.
    foreground_differs : int
        Voxels that are background in one only.
    """

    n_a: int
    n_b: int
    identical: int
    merges: int
    splits: int
    foreground_differs: int

    @property
    def same(self) -> bool:
        """Whether the two are equal up to renaming."""
        return self.identical == self.n_a == self.n_b and not self.foreground_differs


def same_partition(a: ArrayLike, b: ArrayLike) -> bool:
    """Return whether label images are equal up to a renaming of objects; 0 is background in both.

    Raises
    ------
    ValueError
        If their shapes differ.
    """
    return compare(a, b).same


def compare(a: ArrayLike, b: ArrayLike) -> PartitionReport:
    """Return how label images `a` (expected) and `b` (found) differ as partitions.

    Raises
    ------
    ValueError
        If their shapes differ.
    """
    one, other, count = _pairs(np.asarray(a), np.asarray(b))
    both = (one != 0) & (other != 0)
    alone = (one == 0) != (other == 0)
    in_a, partners_a = np.unique(one[one != 0], return_counts=True)
    in_b, partners_b = np.unique(other[other != 0], return_counts=True)
    single_a, single_b = in_a[partners_a == 1], in_b[partners_b == 1]
    same = both & np.isin(one, single_a) & np.isin(other, single_b)
    return PartitionReport(
        n_a=in_a.size,
        n_b=in_b.size,
        identical=int(same.sum()),
        merges=int((np.unique(other[both], return_counts=True)[1] > 1).sum()),
        splits=int((np.unique(one[both], return_counts=True)[1] > 1).sum()),
        foreground_differs=int(count[alone].sum()),
    )


def _pairs(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return the pairs (label in a, label in b) that share voxels, and how many voxels."""
    if a.shape != b.shape:
        msg = f"label images of shapes {a.shape} and {b.shape} cannot be compared"
        raise ValueError(msg)
    a, b = a.ravel(), b.ravel()
    if not a.size:
        return a, b, np.zeros(0, np.int64)
    starts = np.flatnonzero((a[1:] != a[:-1]) | (b[1:] != b[:-1])) + 1
    starts = np.concatenate([[0], starts])
    lengths = np.diff(starts, append=a.size)
    names_a, run_a = np.unique(a[starts], return_inverse=True)
    names_b, run_b = np.unique(b[starts], return_inverse=True)
    packed, place = np.unique(run_a.astype(np.int64) * names_b.size + run_b, return_inverse=True)
    voxels = np.bincount(place, weights=lengths).astype(np.int64)
    return names_a[packed // names_b.size], names_b[packed % names_b.size], voxels
