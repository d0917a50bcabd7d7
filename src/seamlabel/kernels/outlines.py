"""Labels with other outlines: grown, shrunk, smoothed. A voxel looks a bounded way around itself.

What a voxel becomes depends on nothing further away, ties included, so that a part of an image gives what
the whole gives that far from where it was cut. Knows nothing of tiles.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Labels = NDArray[Any]
    Slices = tuple[slice, ...]

TRUNCATE = 4.0
"""Standard deviations after which a Gaussian is cut off."""
EVEN = 1e-6
"""Shares of a voxel that differ by less are even, and distances by this part of them equal."""


def expanded(labels: Labels, distance: float, spacing: Sequence[float]) -> Labels:
    """Return labels grown into the background by `distance`, until they meet.

    Background gets the label of the nearest object, as by `skimage.segmentation.expand_labels`. Where
    several voxels are equally near, that function's choice depends on voxels far away; here it is the
    first of them in the order of the array.

    Parameters
    ----------
    labels : ndarray of int, any shape
        Labels, 0 is background.
    distance : float
        Between centres of voxels, in units of `spacing`.
    spacing : sequence of float
        Extent of a voxel per axis.
    """
    out = labels.copy()
    ways, lengths = _ball(distance, spacing)
    if not labels.any() or not len(ways):
        return out
    far = ndimage.distance_transform_edt(labels == 0, spacing)
    voxels = np.flatnonzero((far > 0) & (far <= distance * (1 + EVEN)))
    voxels = voxels[np.argsort(far.ravel()[voxels], kind="stable")]
    reach = np.abs(ways).max(axis=0)
    padded = np.pad(labels, [(r, r) for r in reach])
    strides = np.cumprod([1, *padded.shape[:0:-1]])[::-1]
    places = (np.stack(np.unravel_index(voxels, labels.shape), axis=1) + reach) @ strides
    far, flat, found = far.ravel()[voxels], padded.ravel(), out.ravel()
    first = np.flatnonzero(np.diff(lengths, prepend=-1.0) > EVEN * lengths)
    for begin, end in zip(first, [*first[1:], len(ways)], strict=True):
        low, high = np.searchsorted(far, lengths[[begin, end - 1]] * (1 - EVEN, 1 + EVEN))
        for way in ways[begin:end][::-1]:  # the first is written last
            near = flat[places[low:high] + way @ strides]
            found[voxels[low:high]] = np.where(near, near, found[voxels[low:high]])
    return found.reshape(labels.shape)


def _ball(distance: float, spacing: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ways to all voxels up to a distance, and their lengths: by length, then as in an array."""
    reach = [int(distance * (1 + EVEN) / step) for step in spacing]
    ways = np.indices([2 * r + 1 for r in reach]).reshape(len(reach), -1).T - reach
    lengths = np.sqrt(((ways * np.asarray(spacing)) ** 2).sum(axis=1))
    order = np.argsort(np.round(lengths / EVEN), kind="stable")
    order = order[(lengths[order] > 0) & (lengths[order] <= distance * (1 + EVEN))]
    return ways[order], lengths[order]


def shrunk(labels: Labels, distance: float, spacing: Sequence[float]) -> Labels:
    """Return labels without the voxels up to `distance` from background or from another object.

    The edge of the array takes nothing away: objects may go on beyond it.

    Parameters
    ----------
    labels : ndarray of int, any shape
        Labels, 0 is background.
    distance : float
        Between centres of voxels, in units of `spacing`.
    spacing : sequence of float
        Extent of a voxel per axis.
    """
    out = labels.copy()
    for value, box in objects(labels):
        near = grown(box, (1,) * labels.ndim, labels.shape)
        mask = labels[near] == value
        if not mask.all():
            far = ndimage.distance_transform_edt(mask, spacing)
            out[near][mask & (far <= distance * (1 + EVEN))] = 0
    return out


def smoothed(labels: Labels, sigma: float, spacing: Sequence[float]) -> Labels:
    """Return labels with smooth outlines: each voxel becomes what has the largest share around it.

    Shares are those of a Gaussian window. Thin parts vanish, dents are filled; objects stay apart.

    Parameters
    ----------
    labels : ndarray of int, any shape
        Labels, 0 is background.
    sigma : float
        Standard deviation of the window, in units of `spacing`.
    spacing : sequence of float
        Extent of a voxel per axis.
    """
    sigmas = [sigma / step for step in spacing]
    reach = [ceil(TRUNCATE * s + 0.5) for s in sigmas]
    before = np.pad(labels, [(r, r) for r in reach], mode="edge")
    found = objects(before)
    own, total = np.zeros(before.shape, np.float32), np.zeros(before.shape, np.float32)
    for near, mask, share in _shares(before, found, sigmas, reach):
        total[near] += share
        own[near][mask] = share[mask]
    best = np.where(before == 0, 1 - total, own)
    after = np.where(1 - total > best + EVEN, 0, before).astype(before.dtype)
    np.maximum(best, 1 - total, out=best)
    for near, mask, share in _shares(before, found, sigmas, reach):
        more = share > best[near] + EVEN
        after[near][more] = before[near][mask][0]
        best[near][more] = share[more]
    return after[tuple(slice(r, r + n) for r, n in zip(reach, labels.shape, strict=True))]


def _shares(
    labels: Labels, found: list[tuple[int, Slices]], sigmas: Sequence[float], reach: Sequence[int]
) -> Iterator[tuple[Slices, NDArray[np.bool_], NDArray[np.float32]]]:
    """Yield where each object has a share, where it is, and its share."""
    for value, box in found:
        near = grown(box, reach, labels.shape)
        mask = labels[near] == value
        share = ndimage.gaussian_filter(mask.astype(np.float32), sigmas, mode="constant", truncate=TRUNCATE)
        yield near, mask, share


def objects(labels: Labels) -> list[tuple[int, Slices]]:
    """Return the label and the bounding box of every object, by label."""
    if labels.max(initial=0) <= labels.size:
        found = ndimage.find_objects(labels.astype(np.int64, copy=False))
        return [(value, box) for value, box in enumerate(found, 1) if box is not None]
    values, dense = np.unique(labels, return_inverse=True)
    found = ndimage.find_objects(dense.reshape(labels.shape) + 1)
    return [(value, box) for value, box in zip(values.tolist(), found, strict=True) if value]


def grown(box: Slices, reach: Sequence[int], shape: Sequence[int]) -> Slices:
    """Return a box that is larger by `reach` on every side, cut by the array."""
    return tuple(
        slice(max(0, s.start - r), min(n, s.stop + r)) for s, r, n in zip(box, reach, shape, strict=True)
    )
