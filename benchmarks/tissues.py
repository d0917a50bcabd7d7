"""Tissues whose true labels are known over the whole image, 2D and 3D, each a function of a seed.

Knows nothing of tiles, noise or rules.
"""

from __future__ import annotations

from math import gamma, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import label as connected_components

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

SIZE = {2: 40.0, 3: 12.0}
"""Typical diameter of an object in voxels, by number of axes."""
_LEAST = 0.02
"""Objects below this share of a typical one's volume are left out: crumbs of how they are made."""


def connected(labels: NDArray[Any]) -> Labels:
    """Return labels 1..n of the connected pieces (corners count) of every label."""
    return np.asarray(connected_components(labels, background=0, connectivity=labels.ndim), np.int32)


def diameter(labels: NDArray[Any]) -> float:
    """Return D, the median diameter of the disk or ball as large as each object, in voxels."""
    areas = np.bincount(labels.ravel())[1:]
    n = labels.ndim
    unit = pi ** (n / 2) / gamma(n / 2 + 1)
    return float(np.median(2 * (areas[areas > 0] / unit) ** (1 / n)))


def thickness(labels: NDArray[Any]) -> float:
    """Return the median over objects of twice the longest way from a voxel to the object's outside."""
    inner = np.ones(labels.shape, bool)
    for axis in range(labels.ndim):
        steps = np.diff(labels, axis=axis) != 0
        ends = [(0, 0)] * axis
        inner &= ~np.pad(steps, [*ends, (0, 1), *[(0, 0)] * (labels.ndim - axis - 1)])
        inner &= ~np.pad(steps, [*ends, (1, 0), *[(0, 0)] * (labels.ndim - axis - 1)])
    depth = ndimage.distance_transform_edt(inner) + 0.5
    return float(np.median(2 * ndimage.maximum(depth, labels, np.arange(1, int(labels.max()) + 1))))


def make(kind: str, shape: tuple[int, ...], seed: int) -> Labels:
    """Return the true labels of a tissue.

    Parameters
    ----------
    kind : str
        A name in `TISSUES`.
    shape : tuple of int
        (y, x) or (z, y, x) in voxels.
    seed : int
        Other seeds give other images.

    Returns
    -------
    ndarray of int32, shape `shape`
        0 is background; every object is connected, 1..N.
    """
    rng = np.random.default_rng([seed, len(shape), list(TISSUES).index(kind)])
    labels = connected(TISSUES[kind](shape, rng))
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < _LEAST * SIZE[len(shape)] ** len(shape)] = 0
    return connected(labels)


def _smooth(shape: tuple[int, ...], rng: np.random.Generator, sigma: float) -> NDArray[np.float32]:
    """Return smooth noise of mean 0 and deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="reflect", truncate=3)
    centred: NDArray[np.float32] = (field - field.mean()) / field.std()
    return centred


def _voronoi(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return confluent cells around the jittered points of a lattice."""
    size = SIZE[len(shape)]
    axes = [np.arange(-size, n + size, size) for n in shape]
    points = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], -1)
    points = points + rng.uniform(-0.42 * size, 0.42 * size, points.shape)
    voxels = np.stack([g.ravel() for g in np.indices(shape, np.float32)], -1)
    _, nearest = cKDTree(points).query(voxels)
    cells: NDArray[Any] = (nearest + 1).reshape(shape).astype(np.int32)
    return cells


def _islands(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return clusters of touching cells with background between the clusters."""
    tissue = _smooth(shape, rng, 1.2 * SIZE[len(shape)]) > 0.1
    return np.where(tissue, _voronoi(shape, rng), 0)


def _sizes(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return disks or balls whose diameters span a factor of ten; where two meet they touch."""
    size, n = SIZE[len(shape)], len(shape)
    low, high = (0.3 * size, 3.0 * size) if n == 2 else (0.4 * size, 4.0 * size)
    out = np.zeros(shape, np.int32)
    budget = 2.5 * np.prod(shape)
    radii: list[float] = []
    while budget > 0:
        radii.append(float(np.exp(rng.uniform(np.log(low), np.log(high)))) / 2)
        budget -= (2 * radii[-1]) ** n
    for number, radius in enumerate(sorted(radii, reverse=True), 1):
        _ball(out, rng.uniform(0, shape), radius, number)
    return out


def _ball(out: NDArray[np.int32], centre: NDArray[np.float64], radius: float, number: int) -> None:
    """Paint a ball, unless much of it is taken."""
    start = np.maximum(0, np.floor(centre - radius)).astype(int)
    stop = np.minimum(out.shape, np.ceil(centre + radius) + 1).astype(int)
    part = out[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    grids = np.ogrid[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    inside = sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) <= radius**2
    free = inside & (part == 0)
    if free.sum() > 0.8 * inside.sum():
        part[free] = number


def _blobs(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return irregular objects that do not touch: what of smooth noise is above a threshold."""
    return connected(_smooth(shape, rng, 0.28 * SIZE[len(shape)]) > (0.9 if len(shape) == 2 else 1.2))


def _fibres(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return thin wavy fibres that cross the tiles aslant; many are longer than a tile."""
    size, n = SIZE[len(shape)], len(shape)
    along, *across = _turned(shape, rng)
    across = [a + 0.3 * size * _smooth(shape, rng, 1.2 * size) for a in across]
    pitch = 0.32 * size if n == 2 else 0.6 * size
    lane = [np.floor(a / pitch).astype(np.int64) for a in across]
    away = sum((a / pitch - i - 0.5) ** 2 for a, i in zip(across, lane, strict=True))
    inside = away < (0.27 if n == 2 else 0.3) ** 2
    lanes = np.ravel_multi_index(tuple(i - i.min() for i in lane), tuple(np.ptp(i) + 1 for i in lane))
    cuts = np.cumsum(rng.lognormal(np.log(4.5 * size), 0.7, (int(lanes.max()) + 1, 40)), axis=1)
    cuts += float(along.min()) - rng.uniform(0, 9 * size, (cuts.shape[0], 1))
    piece = np.zeros(shape, np.int64)
    for k in range(cuts.shape[1]):
        past = along - cuts[lanes, k]
        if past.max() < 0:
            break
        piece += past > 0
        inside &= np.abs(past) > 0.1 * size
    return np.where(inside, lanes * cuts.shape[1] + piece + 1, 0).astype(np.int32)


def _turned(shape: tuple[int, ...], rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Return coordinates along orthogonal axes that lie aslant to the image's; the first has most of x."""
    n = len(shape)
    frame = np.linalg.qr(np.eye(n)[::-1].T + rng.uniform(-0.45, 0.45, (n, n)))[0]
    grid = np.indices(shape, np.float64)
    return [np.tensordot(frame[:, k], grid, 1) for k in range(n)]


TISSUES: dict[str, Callable[[tuple[int, ...], np.random.Generator], NDArray[Any]]] = {
    "voronoi": _voronoi,
    "islands": _islands,
    "sizes": _sizes,
    "blobs": _blobs,
    "fibres": _fibres,
}
"""Makers of raw labels by name: confluent, clusters, a factor of ten in diameter, apart, long and thin."""
