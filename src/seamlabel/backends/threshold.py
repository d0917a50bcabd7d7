"""Bright (or dark) regions: pixels beyond one image-wide value, connected into objects.

Knows nothing of tiles: Otsu's threshold comes from the whole image through the context, so every
tile is cut at the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, SegmentContext

TRUNCATE = 4.0
"""Standard deviations after which a Gaussian is cut off."""

MINIMUM_SIZE = {
    "label": "Minimum size",
    "tooltip": "Objects of fewer voxels are removed",
    "min": 0,
    "max": 10**9,
    "unit": "voxels",
}


Value = Annotated[
    float | None,
    {"label": "Threshold", "tooltip": "Foreground lies above; auto: Otsu of the whole image"},
]
Smoothing = Annotated[
    float,
    {
        "label": "Smoothing",
        "tooltip": "Gaussian blur before the threshold; 0 for none",
        "min": 0.0,
        "max": 100.0,
        "unit": "voxels",
    },
]
Dark = Annotated[bool, {"label": "Dark objects", "tooltip": "Objects are darker than the background"}]


@dataclass(frozen=True)
class ThresholdParams:
    """Parameters of the threshold backend.

    Parameters
    ----------
    value : float or None
        Pixels above it are foreground; None: Otsu's threshold of the whole image.
    smoothing : float
        Standard deviation of a Gaussian in voxels, the same on every axis; 0 for none.
    dark : bool
        Objects are darker than the background: pixels up to `value` are foreground.
    min_size : int
        Objects of fewer voxels are removed.
    """

    value: Value = None
    smoothing: Smoothing = 1.0
    dark: Dark = False
    min_size: Annotated[int, MINIMUM_SIZE] = 0

    @property
    def radius(self) -> int:
        """Voxels beyond which a cut cannot change the labels: the reach of the Gaussian."""
        return reach(self.smoothing)


@dataclass(frozen=True)
class ThresholdSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x); see `ThresholdParams`.

    Parameters
    ----------
    params : ThresholdParams
        With their defaults or not.
    limit : float
        The threshold, decided.
    """

    params: ThresholdParams
    limit: float

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the image's shape, in raster order of the objects."""
        pixels, valid = finite(image)
        above = foreground(smooth(pixels, self.params.smoothing), valid, self.limit, self.params.dark)
        return drop_small(connected(above), self.params.min_size)


def make(params: ThresholdParams, context: SegmentContext) -> ThresholdSegmenter:
    """Return the segmenter; takes Otsu's threshold of the whole image where no value is given."""
    return ThresholdSegmenter(params, decide_limit(params.value, params.dark, context))


def decide_limit(value: float | None, dark: bool, context: SegmentContext) -> float:
    """Return the threshold: `value`, or Otsu's of the first chosen channel of the whole image.

    Raises
    ------
    ValueError
        If the value is None and the context has no statistics.
    """
    if value is not None:
        return float(value)
    statistics = context.statistics(0)
    if dark and statistics.minimum == statistics.maximum:
        return float("-inf")  # an even image has no objects, neither bright nor dark ones
    return float(statistics.otsu())


def reach(sigma: float) -> int:
    """Return how far a Gaussian of `sigma` voxels looks, in voxels."""
    return int(TRUNCATE * sigma + 0.5)


def finite(image: Image) -> tuple[Image, NDArray[np.bool_] | None]:
    """Return pixels with 0 where they are NaN or infinite, and where they are finite (None: all)."""
    if image.dtype.kind != "f":
        return image, None
    valid = np.isfinite(image)
    if valid.all():
        return image, None
    return np.where(valid, image, image.dtype.type(0)), valid


def smooth(image: Image, sigma: float | Sequence[float]) -> Image:
    """Return the image under a Gaussian of `sigma` voxels, float32, mirrored at the border.

    The image itself is returned for sigma 0, so that integers are compared exactly.
    """
    if not np.any(sigma):
        return image
    pixels = image.astype(np.float32, copy=False)
    blurred: Image = ndimage.gaussian_filter(pixels, sigma, mode="reflect", truncate=TRUNCATE)
    return blurred


def foreground(image: Image, valid: NDArray[np.bool_] | None, limit: float, dark: bool) -> NDArray[np.bool_]:
    """Return where pixels lie above `limit` (up to it, if `dark`) and are `valid`."""
    found: NDArray[Any] = image <= limit if dark else image > limit
    return found if valid is None else found & valid


def connected(mask: NDArray[np.bool_]) -> Labels:
    """Return int32 labels of the connected regions, over faces, edges and corners."""
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3,) * mask.ndim, bool), output=labels)
    return labels


def drop_small(labels: Labels, min_size: int) -> Labels:
    """Return labels without objects of fewer than `min_size` voxels, numbered without gaps."""
    if min_size <= 1:
        return labels
    keep = np.bincount(labels.ravel()) >= min_size
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(labels.dtype)[labels]
