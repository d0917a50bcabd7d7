"""Hypothesis strategies for grids and label images, small and awkward.

The only module that imports hypothesis, which the package does not depend on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

from seamlabel.geometry import Box, TileGrid

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn, SearchStrategy
    from numpy.typing import NDArray

_SIDES = {1: 60, 2: 32, 3: 14}
"""Longest side of an image by its number of axes: small enough for many examples."""


@st.composite
def shapes(draw: DrawFn, min_ndim: int = 1, max_ndim: int = 3) -> tuple[int, ...]:
    """Draw shapes of `min_ndim` to `max_ndim` axes, sides of 1 among them."""
    ndim = draw(st.integers(min_ndim, max_ndim))
    return draw(st.tuples(*[st.integers(1, _SIDES[ndim])] * ndim))


@st.composite
def grids(draw: DrawFn, shape: tuple[int, ...] | None = None, max_overlap: int = 8) -> TileGrid:
    """Draw grids in 1D to 3D: odd shapes, tiles larger than the image, overlaps larger than tiles."""
    shape = draw(shapes()) if shape is None else shape
    tile = tuple(draw(st.integers(max(1, n // 6), n + 3)) for n in shape)
    overlap = tuple(draw(st.integers(0, max_overlap)) for _ in shape)
    return TileGrid(shape, tile, overlap)


@st.composite
def boxes(draw: DrawFn, shape: tuple[int, ...]) -> Box:
    """Draw boxes within an array of this shape, empty ones among them."""
    pairs = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    return Box(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _percolating(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return connected parts of random foreground near the density at which they span the image."""
    share = {1: 0.9, 2: 0.42, 3: 0.12}[len(shape)]
    return _connected(rng.random(shape) < share)


def _blobs(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5, mode="nearest")
    return _connected(smooth > np.median(smooth))


def _stripes(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return bars as long as the image, with gaps of one voxel in every fourth."""
    axis = int(rng.integers(len(shape)))
    place = np.indices(shape)[axis]
    mask = place // int(rng.integers(1, 4)) % 2 == 0
    return _connected(mask & (rng.random(shape) > 0.05 * rng.integers(0, 2)))


def _dense(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return touching Voronoi cells that leave no background, or holes where cells are missing."""
    count = max(1, int(np.prod(shape) // 40))
    points = np.stack([rng.integers(0, n, count) for n in shape], -1)
    where = np.indices(shape)[..., None]
    away = sum((where[i] - points[:, i]) ** 2 for i in range(len(shape)))
    names = np.where(rng.random(count) < 0.9, np.arange(1, count + 1), 0)
    return np.asarray(names[np.argmin(np.asarray(away), -1)])


def _connected(mask: NDArray[Any]) -> NDArray[Any]:
    labels = np.zeros(mask.shape, np.int64)
    ndimage.label(mask, np.ones((3,) * mask.ndim), output=labels)
    return labels


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]] = {
    "blobs": _blobs,
    "stripes": _stripes,
    "percolating": _percolating,
    "dense": _dense,
}
"""Ways to make a label image of a shape."""


@st.composite
def label_images(
    draw: DrawFn, shape: tuple[int, ...] | None = None, kinds: tuple[str, ...] = tuple(KINDS)
) -> NDArray[np.int64]:
    """Draw label images in 1D to 3D of the given kinds, ids in no order, empty ones among them."""
    shape = draw(shapes()) if shape is None else shape
    kind = draw(st.sampled_from([*kinds, "empty"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "empty":
        return np.zeros(shape, np.int64)
    labels = KINDS[kind](rng, shape)
    names = np.concatenate([[0], rng.permutation(int(labels.max())) + 1])
    return names.astype(np.int64)[labels.astype(np.intp)]


def images_and_grids(
    kinds: tuple[str, ...] = tuple(KINDS), max_overlap: int = 8
) -> SearchStrategy[tuple[NDArray[np.int64], TileGrid]]:
    """Draw pairs of a label image and a grid over it."""
    return shapes().flatmap(lambda s: st.tuples(label_images(s, kinds), grids(s, max_overlap)))
