"""How far labels are from the truth: F1 of the objects at seams, panoptic quality, kinds of errors.

Knows label images and core borders only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from seamlabel import TileGrid

NEAR = 2
"""An object is a seam object if one of its voxels is among the first 2 on a side of a core border."""


@dataclass(frozen=True)
class Scores:
    """One result against the truth, or the mean of several.

    Parameters
    ----------
    n, delta_n : float
        Objects found; how many more than there are.
    f50, f75, f90 : float
        F1 of seam objects at IoU .5 (more than), .75 and .9.
    pq : float
        Panoptic quality of the whole image at IoU .5.
    merges : float
        False merges: true objects beyond the first whose larger part lies in one found object.
    splits : float
        False splits: found objects beyond the first whose larger part lies in one true object.
    lost : float
        True objects more than half of which is background.
    identical : float
        Percent of the true objects that were found voxel for voxel.
    cpu : float
        CPU seconds of the rule.
    """

    n: float
    delta_n: float
    f50: float
    f75: float
    f90: float
    pq: float
    merges: float
    splits: float
    lost: float
    identical: float
    cpu: float = 0.0


def mean(scores: Iterable[Scores]) -> Scores:
    """Return the mean of each field."""
    rows = list(scores)
    return Scores(**{f.name: float(np.mean([getattr(r, f.name) for r in rows])) for f in fields(Scores)})


def overlaps(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs (label in a, label in b) of voxels, background too, and how many have each.

    Returns
    -------
    ndarray of int64, shape (n, 2); ndarray of int64, shape (n,)
        Pairs in ascending order, and voxels.
    """
    one, other = a.ravel(), b.ravel()
    if not one.size:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero((one[1:] != one[:-1]) | (other[1:] != other[:-1])) + 1
    starts = np.concatenate([[0], starts])
    lengths = np.diff(starts, append=one.size)
    packed = (one[starts].astype(np.int64) << 32) | other[starts].astype(np.int64)
    pairs, place = np.unique(packed, return_inverse=True)
    return np.stack([pairs >> 32, pairs & 0xFFFFFFFF], 1), np.bincount(place, lengths).astype(np.int64)


def near_borders(labels: NDArray[Any], grid: TileGrid) -> NDArray[np.bool_]:
    """Return for every label whether one of its voxels is within `NEAR` of a core border."""
    near = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis, (tile, n) in enumerate(zip(grid.tile_shape, grid.shape, strict=True)):
        for border in range(tile, n, tile):
            slab = slice(max(0, border - NEAR), border + NEAR)
            near[np.unique(labels[(slice(None),) * axis + (slab,)])] = True
    near[0] = False
    return near


def score(truth: NDArray[Any], found: NDArray[Any], grid: TileGrid, cpu: float = 0.0) -> Scores:
    """Return the scores of a result.

    Seam F1: recall is the share of true seam objects that some found object matches, precision the
    share of found seam objects that match some true object; either is 1 of none.

    Parameters
    ----------
    truth, found : ndarray of integers, not negative
        Label images, 0 for background.
    grid : TileGrid
        Whose core borders are the seams.
    cpu : float
        CPU seconds, passed on.
    """
    pairs, shared = overlaps(truth, found)
    area_t, area_f = np.bincount(truth.ravel()), np.bincount(found.ravel())
    both = (pairs > 0).all(1)
    (t, f), hits = pairs[both].T, shared[both]
    iou = hits / (area_t[t] + area_f[f] - hits)
    n_t, n_f = int(np.count_nonzero(area_t[1:])), int(np.count_nonzero(area_f[1:]))
    near_t, near_f = near_borders(truth, grid), near_borders(found, grid)
    f1 = [_seam_f1(t[ok], f[ok], near_t, near_f) for ok in (iou > 0.5, iou >= 0.75, iou >= 0.9)]
    matched = iou > 0.5
    background = np.zeros(area_t.size, np.int64)
    alone = (pairs[:, 1] == 0) & (pairs[:, 0] > 0)
    background[pairs[alone, 0]] = shared[alone]
    return Scores(
        n=n_f,
        delta_n=n_f - n_t,
        f50=f1[0],
        f75=f1[1],
        f90=f1[2],
        pq=float(iou[matched].sum() / max((n_t + n_f) / 2, 1)),
        merges=_more_than_one(f[hits > area_t[t] / 2]),
        splits=_more_than_one(t[hits > area_f[f] / 2]),
        lost=int((background > area_t / 2).sum()),
        identical=100 * int((iou == 1).sum()) / max(n_t, 1),
        cpu=cpu,
    )


def _seam_f1(
    t: NDArray[np.int64], f: NDArray[np.int64], near_t: NDArray[np.bool_], near_f: NDArray[np.bool_]
) -> float:
    recall = np.unique(t[near_t[t]]).size / max(near_t.sum(), 1) if near_t.any() else 1.0
    precision = np.unique(f[near_f[f]]).size / max(near_f.sum(), 1) if near_f.any() else 1.0
    return float(2 * recall * precision / max(recall + precision, 1e-9))


def _more_than_one(owners: NDArray[np.int64]) -> int:
    """Return how many entries share their owner with an earlier one."""
    return int(owners.size - np.unique(owners).size)
