"""Touching cells, split by a watershed from one seed per cell.

Every step looks a bounded way around a voxel, so that labels away from a cut do not depend on what
was cut off: distances are capped, a seed is the maximum of its own neighbourhood, and ties are
broken by the order of voxels, which is the same in a part as in the whole. Knows nothing of tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from seamlabel.backends.threshold import (
    MINIMUM_SIZE,
    Dark,
    Smoothing,
    Value,
    connected,
    decide_limit,
    drop_small,
    finite,
    foreground,
    reach,
    smooth,
)
from seamlabel.steps import spacing_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, SegmentContext

_BLUR = {"distance": 0.08, "intensity": 0.1}
"""Blur of what is flooded, in diameters: removes seeds of noise and of bumpy outlines."""
_WINDOW = 0.25
"""Neighbourhood in which a seed is the maximum, in diameters to each side."""
_REACH = 2.0
"""Diameters beyond which a cut changes nothing, for objects of up to twice the diameter.

Measured on tissue in 2D and 3D, for both seeds: at most 0.9 where `diameter` is right, 1.8 where it
is half of what it should be. An object that is thicker than that can be split in another way.
"""


@dataclass(frozen=True)
class WatershedParams:
    """Parameters of the watershed backend.

    Parameters
    ----------
    seeds : {"distance", "intensity"}
        ``"distance"``: seeds lie where the way to the background is longest, for roundish objects.
        ``"intensity"``: seeds are the brightest spots (darkest, if `dark`), for cells with dark
        borders.
    diameter : float
        Typical diameter of an object in voxels of the finest axis, right within a factor of two:
        seeds are more than a quarter of it apart, distances are told apart up to it.
    value : float or None
        Pixels above it are foreground; None: Otsu's threshold of the whole image.
    smoothing : float
        Standard deviation of a Gaussian in voxels before the threshold; 0 for none.
    dark : bool
        Objects are darker than the background.
    min_size : int
        Objects of fewer voxels are removed.
    """

    seeds: Annotated[
        Literal["distance", "intensity"],
        {"label": "Seeds", "tooltip": "distance: middle of round objects; intensity: brightest spots"},
    ] = "distance"
    diameter: Annotated[
        float,
        {
            "label": "Diameter",
            "tooltip": "Typical diameter of an object, right within a factor of two",
            "min": 2.0,
            "max": 1000.0,
            "unit": "voxels",
        },
    ] = 30.0
    value: Value = None
    smoothing: Smoothing = 1.0
    dark: Dark = False
    min_size: Annotated[int, MINIMUM_SIZE] = 0

    @property
    def radius(self) -> int:
        """Voxels beyond which a cut does not change the labels of objects up to twice `diameter`."""
        return reach(self.smoothing) + ceil(_REACH * self.diameter) + 2


@dataclass(frozen=True)
class WatershedSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x); see `WatershedParams`.

    Parameters
    ----------
    params : WatershedParams
        Parameters.
    limit : float
        The threshold, decided.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis; empty for cubes.
    """

    params: WatershedParams
    limit: float
    spacing: tuple[float, ...] = ()

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the image's shape."""
        params = self.params
        pixels, valid = finite(image)
        pixels = smooth(pixels, params.smoothing)
        mask = foreground(pixels, valid, self.limit, params.dark)
        spacing = self.spacing if len(self.spacing) == mask.ndim else (1.0,) * mask.ndim
        if params.seeds == "distance":
            del pixels, valid
            return drop_small(basins(mask, spacing, params.diameter), params.min_size)
        blur = [_BLUR["intensity"] * params.diameter / step for step in spacing]
        height = smooth(-pixels.astype(np.float32) if params.dark else pixels, blur)
        del pixels, valid
        seeds = _seeds(height, mask, _window(params.diameter, spacing))
        return drop_small(_flood(height, seeds, mask), params.min_size)


def make(params: WatershedParams, context: SegmentContext) -> WatershedSegmenter:
    """Return the segmenter; distances follow the ratios of the context's scale."""
    limit = decide_limit(params.value, params.dark, context)
    return WatershedSegmenter(params, limit, spacing_of(context.scale))


def basins(mask: NDArray[np.bool_], spacing: tuple[float, ...], diameter: float) -> Labels:
    """Return the parts of a mask around the places that are furthest from background, as int32 labels.

    Parameters
    ----------
    mask : ndarray of bool, (z, y, x) or (y, x)
        What is to be split.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis.
    diameter : float
        Of a part, in those units, right within a factor of two.
    """
    blur = [_BLUR["distance"] * diameter / step for step in spacing]
    height = smooth(_depth(mask, spacing, diameter), blur)
    return _flood(height, _seeds(height, mask, _window(diameter, spacing)), mask)


def _window(diameter: float, spacing: tuple[float, ...]) -> list[int]:
    """Return the sides of the neighbourhood in which a seed is the maximum, in voxels."""
    return [2 * max(1, int(_WINDOW * diameter / step)) + 1 for step in spacing]


def _depth(mask: NDArray[np.bool_], spacing: tuple[float, ...], cap: float) -> NDArray[np.float32]:
    """Return the distance to the background, at most `cap`: how far a voxel has to look.

    What lies beyond the edge of the image, or of a tile, is unknown. Background is supposed half of
    `cap` beyond it, the radius of a typical object: if there were none, two thick objects that the
    edge cuts would grow together along it, and if it began at the edge, each would get a seed too many.
    """
    if mask.all():  # scipy's distance is undefined without background
        return np.full(mask.shape, cap, np.float32)
    distance = ndimage.distance_transform_edt(mask, None if set(spacing) == {1.0} else spacing)
    capped: NDArray[np.float32] = np.minimum(distance, cap).astype(np.float32)
    for axis, (length, step) in enumerate(zip(mask.shape, spacing, strict=True)):
        place = np.arange(length, dtype=np.float32)
        edge = np.minimum(place, length - 1 - place) * np.float32(step) + np.float32(cap / 2)
        np.minimum(capped, edge.reshape([-1 if a == axis else 1 for a in range(mask.ndim)]), out=capped)
    return capped


def _seeds(height: NDArray[np.float32], mask: NDArray[np.bool_], window: list[int]) -> Labels:
    """Return labels of the voxels that are the highest foreground in a window around them.

    A plateau is one seed. (Greedy peak picking with a least distance would be simpler to tune, but
    one peak decides on the next, across the whole image.)
    """
    inside = np.where(mask, height, np.float32(-np.inf))
    return connected((ndimage.maximum_filter(inside, window) == inside) & mask)


def _flood(height: NDArray[np.float32], seeds: Labels, mask: NDArray[np.bool_]) -> Labels:
    """Return the basins of the seeds within the mask; parts without any seed are objects too.

    scikit-image takes voxels in the order of level, then age. All seeds have one age, so equal ones
    would come in an order that depends on the rest of the image: they get levels of their own, below
    all others, in the order of voxels. Division by a power of two keeps all levels exact.
    """
    place = np.flatnonzero(seeds)
    level = np.negative(height, dtype=np.float64)
    highest = max(-float(level.min()), float(level.max()))
    np.ldexp(level, -int(np.frexp(highest)[1]), out=level)
    level.ravel()[place] = np.arange(-place.size, 0) - 1.0
    labels: Labels = watershed(level, seeds, connectivity=mask.ndim, mask=mask)
    left = mask & (labels == 0)
    if left.any():
        labels = labels + np.where(left, connected(left) + labels.max(), 0).astype(labels.dtype)
    return labels
