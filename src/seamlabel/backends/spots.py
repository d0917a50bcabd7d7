"""Where spots are: maxima of a band-pass over space and size. Knows no parameters and no statistics.

Every decision looks a bounded way: the response at a voxel, a maximum among its direct neighbours, and one
comparison with the spots around. (Pruning spots greedily, as is usual, would let one spot decide on the
next, across the whole image.)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from seamlabel.backends.pixels import reach, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels

WIDER = 1.6
"""Ratio of the two Gaussians of a difference, close to a Laplacian (Marr and Hildreth, 1980)."""
STEP = 1.5
"""Ratio of neighbouring diameters that are looked for, at most."""


@dataclass(frozen=True)
class Spots:
    """Spots that were found, in raster order.

    Parameters
    ----------
    places : array of int, shape (n, axes)
        Their middles in voxels.
    heights : array of float, shape (n,)
        How high each stands over its surroundings.
    radii : array of float, shape (n,)
        In voxels of the finest axis.
    """

    places: NDArray[np.intp]
    heights: NDArray[np.float32]
    radii: NDArray[np.float64]


def diameters(smallest: float, largest: float) -> list[float]:
    """Return the diameters to look for, in equal ratios of at most `STEP`."""
    count = ceil(np.log(largest / smallest) / np.log(STEP) - 1e-9) + 1
    return [float(d) for d in np.geomspace(smallest, largest, count)]


def sigma_of(diameter: float, ndim: int) -> float:
    """Return the Gaussian to which a disc (a ball) of this diameter answers most: r / sqrt(axes)."""
    return diameter / 2 / sqrt(ndim)


def reach_of(kind: str, largest: float) -> int:
    """Return how far finding a spot looks, in voxels, in 2D or 3D: blur, neighbours, other spots."""
    sigma = sigma_of(largest, 2) * (WIDER if kind == "dog" else 1.0)
    return reach(sigma) + 2 + ceil(largest / 2)


def response(image: Image, kind: str, diameter: float, spacing: tuple[float, ...]) -> NDArray[np.float32]:
    """Return how high spots of this diameter stand over their surroundings.

    1 at the middle of a Gaussian spot of height 1 whose standard deviation is that of the filter.

    Parameters
    ----------
    image : array of float32
        Pixels, in which spots are bright.
    kind : {"log", "dog"}
        Laplacian of a Gaussian (T. Lindeberg, Feature detection with automatic scale selection,
        Int. J. Computer Vision 30, 79-116, 1998, scale-normalised), or difference of two.
    diameter : float
        In voxels of the finest axis.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis.
    """
    ndim = image.ndim
    sigma = [sigma_of(diameter, ndim) / step for step in spacing]
    blurred = smooth(image, sigma)
    if kind == "dog":
        wider = smooth(image, [WIDER * s for s in sigma])
        unit = 0.5 ** (ndim / 2) - (1 / (1 + WIDER**2)) ** (ndim / 2)
        return np.asarray((blurred - wider) / np.float32(unit))
    # differences of neighbours, as sampled derivatives of a narrow Gaussian do not add up to 0
    found = np.zeros(image.shape, np.float32)
    for axis, s in enumerate(sigma):
        found -= ndimage.correlate1d(blurred, [s * s, -2 * s * s, s * s], axis, mode="reflect")
    return np.asarray(found / np.float32(ndim / 2 * 0.5 ** (ndim / 2)))


def find_spots(
    image: Image, kind: str, sizes: list[float], spacing: tuple[float, ...], limit: float
) -> tuple[Spots, NDArray[np.float32]]:
    """Return the spots that stand higher than `limit`, and the highest response of all sizes."""
    best = response(image, kind, sizes[0], spacing)
    scale = np.zeros(image.shape, np.uint8)
    for number, size in enumerate(sizes[1:], start=1):
        found = response(image, kind, size, spacing)
        scale[found > best] = number
        np.maximum(best, found, out=best)
    peaks = (ndimage.maximum_filter(best, 3, mode="nearest") == best) & (best > limit)
    places = np.argwhere(peaks)
    radii = np.array(sizes)[scale[peaks]] / 2
    spots = Spots(places, best[peaks], radii)
    keep = _outstanding(spots, np.array(spacing))
    return Spots(places[keep], spots.heights[keep], radii[keep]), best


def _outstanding(spots: Spots, spacing: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which spots have their middle in no higher spot; of equal ones the first is higher."""
    keep = np.ones(len(spots.places), bool)
    if len(keep) < 2:
        return keep
    most = float(spots.radii.max()) * 1.001
    pairs = cKDTree(spots.places * spacing).query_pairs(most, output_type="ndarray")
    low, high = pairs.min(1), pairs.max(1)
    later = spots.heights[high] > spots.heights[low]
    higher, lower = np.where(later, high, low), np.where(later, low, high)
    # of differences in voxels, which are the same wherever a tile begins
    away = (((spots.places[higher] - spots.places[lower]) * spacing) ** 2).sum(1)
    keep[lower[away < spots.radii[higher] ** 2]] = False
    return keep


def seeds_of(spots: Spots, shape: tuple[int, ...]) -> Labels:
    """Return labels of the middles alone."""
    labels = np.zeros(shape, np.int32)
    labels[tuple(spots.places.T)] = np.arange(1, len(spots.places) + 1)
    return labels


def draw(spots: Spots, shape: tuple[int, ...], spacing: tuple[float, ...]) -> Labels:
    """Return labels of discs (balls) around the middles; where they overlap, the highest is on top."""
    order = np.lexsort((-np.arange(len(spots.heights)), spots.heights))  # the first of equals last
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    top = np.zeros(shape, np.int32)
    for radius in np.unique(spots.radii):
        mine = order[spots.radii[order] == radius]
        for offset in _ball(float(radius), spacing):
            place = spots.places[mine] + offset
            inside = ((place >= 0) & (place < shape)).all(1)
            cells = tuple(place[inside].T)
            top[cells] = np.maximum(top[cells], rank[mine[inside]])
    return np.append(0, order + 1).astype(np.int32)[top]


def _ball(radius: float, spacing: tuple[float, ...]) -> list[tuple[int, ...]]:
    """Return the voxels of a ball around 0."""
    sides = [range(-int(radius / step), int(radius / step) + 1) for step in spacing]
    return [
        place
        for place in product(*sides)
        if sum((p * step) ** 2 for p, step in zip(place, spacing, strict=True)) <= radius**2
    ]
