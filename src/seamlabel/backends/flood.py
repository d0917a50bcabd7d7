"""A watershed from seeds whose basins are the same in a tile as in the whole image. Knows no parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from seamlabel.backends.pixels import connected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Labels

_WINDOW = 0.25
"""Neighbourhood in which a seed is the maximum, in diameters to each side."""


def flood(height: NDArray[np.float32], seeds: Labels, mask: NDArray[np.bool_], rest: bool = True) -> Labels:
    """Return the basins of the seeds within the mask.

    scikit-image takes voxels in the order of level, then age. All seeds have one age, so equal ones
    would come in an order that depends on the rest of the image: they get levels of their own, below
    all others, in the order of voxels. Division by a power of two keeps all levels exact.

    Parameters
    ----------
    height : array of float32
        What is flooded from its top.
    seeds : array of int
        Labels of the seeds; those outside the mask are of no account.
    mask : array of bool
        What may be flooded.
    rest : bool
        Parts without any seed are objects too.
    """
    seeds = np.where(mask, seeds, 0)
    place = np.flatnonzero(seeds)
    level = np.negative(height, dtype=np.float64)
    highest = max(-float(level.min()), float(level.max()))
    np.ldexp(level, -int(np.frexp(highest)[1]), out=level)
    level.ravel()[place] = np.arange(-place.size, 0) - 1.0
    labels: Labels = watershed(level, seeds, connectivity=mask.ndim, mask=mask)
    left = mask & (labels == 0)
    if rest and left.any():
        labels = labels + np.where(left, connected(left) + labels.max(), 0).astype(labels.dtype)
    return labels


def window_of(diameter: float, spacing: tuple[float, ...]) -> list[int]:
    """Return the sides of the neighbourhood in which a seed is the maximum, in voxels."""
    return [2 * max(1, int(_WINDOW * diameter / step)) + 1 for step in spacing]


def peaks(height: NDArray[np.float32], mask: NDArray[np.bool_], window: list[int]) -> Labels:
    """Return labels of the voxels that are the highest foreground in a window around them.

    A plateau is one seed. (Greedy peak picking with a least distance would be simpler to tune, but
    one peak decides on the next, across the whole image.)
    """
    inside = np.where(mask, height, np.float32(-np.inf))
    return connected((ndimage.maximum_filter(inside, window) == inside) & mask)
