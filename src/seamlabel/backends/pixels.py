"""Filters of pixels and masks whose result at a voxel is the same in a tile as in the whole image.

Every voxel is computed by itself from those around it, in one order of additions: no running sums, whose
rounding would depend on where a tile begins. Knows no parameters of backends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from seamlabel import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, SegmentContext

TRUNCATE = 4.0
"""Standard deviations after which a Gaussian is cut off."""


def reach(sigma: float) -> int:
    """Return how far a Gaussian of `sigma` voxels looks, in voxels."""
    return int(TRUNCATE * sigma + 0.5)


def spacing_of(context: SegmentContext) -> tuple[float, ...]:
    """Return the extent of a voxel per axis, in units of the finest axis; empty if that is not known."""
    return steps.spacing_of(context.scale)


def cubes(spacing: tuple[float, ...], ndim: int) -> tuple[float, ...]:
    """Return the spacing of these axes; 1 each where it is not known."""
    return spacing if len(spacing) == ndim else (1.0,) * ndim


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


def mean_around(image: Image, halves: Sequence[int]) -> Image:
    """Return the mean over a box of `halves` voxels to each side, float32, mirrored at the border."""
    out = image.astype(np.float32, copy=False)
    for axis, half in enumerate(halves):
        if half:
            weights = np.full(2 * half + 1, 1 / (2 * half + 1))
            out = ndimage.correlate1d(out, weights, axis, mode="reflect")
    return out


@dataclass(frozen=True)
class TopHat:
    """Removes background: what a box that is wider than the objects fits under.

    The white top-hat, image minus its opening (P. Soille, Morphological Image Analysis, 2nd ed., 4.5,
    2003), by a box; for dark objects image minus its closing, which is 0 or less.

    Parameters
    ----------
    radius : float
        How far the box reaches to each side, in voxels of the finest axis: at least that of objects.
    dark : bool
        Objects are darker than the background.
    """

    radius: float
    dark: bool = False

    @property
    def reach(self) -> int:
        """How far it looks, in voxels: the opening is two passes of the box."""
        return 2 * int(self.radius)

    def __call__(self, image: Image, spacing: tuple[float, ...]) -> Image:
        """Return float32 pixels without background; NaN where they are not finite."""
        pixels, valid = finite(image.astype(np.float32, copy=False))
        box = [2 * int(self.radius / step) + 1 for step in cubes(spacing, pixels.ndim)]
        around = ndimage.grey_closing if self.dark else ndimage.grey_opening
        out: Image = pixels - around(pixels, box)
        if valid is not None:
            out[~valid] = np.nan
        return out


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


def near(mask: NDArray[np.bool_], spacing: tuple[float, ...], away: float) -> NDArray[np.bool_]:
    """Return where the mask is at most `away` voxels of the finest axis away."""
    if not mask.any():  # scipy's distance is undefined then
        return mask
    found: NDArray[Any] = ndimage.distance_transform_edt(~mask, None if set(spacing) == {1.0} else spacing)
    return found <= away
