"""Touching cells, split by a watershed from one seed per cell.

Every step looks a bounded way around a voxel, so that labels away from a cut do not depend on what
was cut off: distances are capped, a seed is the maximum of its own neighbourhood, and ties are
broken by the order of voxels, which is the same in a part as in the whole. Knows nothing of tiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from scipy import ndimage

from seamlabel.backends.fields import (
    LOCAL,
    Background,
    Dark,
    Method,
    MinSize,
    Offset,
    Smoothing,
    Value,
    Window,
)
from seamlabel.backends.flood import flood, peaks, window_of
from seamlabel.backends.foreground import (
    Foreground,
    automatic,
    check_method,
    decide_limit,
    reach_of,
    statistics_of,
)
from seamlabel.backends.pixels import connected, cubes, drop_small, near, smooth, spacing_of
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, SegmentContext

_BLUR = {"distance": 0.08, "intensity": 0.1, "markers": 0.1}
"""Blur of what is flooded, in diameters: removes seeds of noise and of bumpy outlines."""
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
    seeds : {"distance", "intensity", "markers"}
        ``"distance"``: seeds lie where the way to the background is longest, for roundish objects.
        ``"intensity"``: seeds are the brightest spots (darkest, if `dark`), for cells with dark
        borders. ``"markers"``: seeds are the connected bright regions of a second channel, such as
        nuclei, above a threshold of that whole channel; what is further than `diameter` from any of
        them is background.
    diameter : float
        Typical diameter of an object in voxels of the finest axis, right within a factor of two:
        seeds are more than a quarter of it apart, distances are told apart up to it.
    method, value, window, offset, smoothing, background, dark
        What is foreground of the (first) channel; see `seamlabel.backends.threshold.ThresholdParams`.
        Markers are cut by the same method, or Otsu's if that is a local one.
    min_size : int
        Objects of fewer voxels are removed.

    Raises
    ------
    ValueError
        If a value is given beside a local method.
    """

    seeds: Annotated[
        Literal["distance", "intensity", "markers"],
        {
            "label": "Seeds",
            "tooltip": "distance: middle of round objects; intensity: brightest spots; "
            "markers: bright regions of a second channel",
        },
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
    method: Method = "otsu"
    value: Value = None
    window: Window = 51
    offset: Offset = 0.0
    smoothing: Smoothing = 1.0
    background: Background = 0.0
    dark: Dark = False
    min_size: MinSize = 0

    def __post_init__(self) -> None:
        """Check what must fit together."""
        check_method(self)

    @property
    def radius(self) -> int:
        """Voxels beyond which a cut does not change the labels of objects up to twice `diameter`."""
        return reach_of(self) + ceil(_REACH * self.diameter) + 2

    @property
    def n_channels(self) -> int:
        """How many channels it takes."""
        return 2 if self.seeds == "markers" else 1


@dataclass(frozen=True)
class WatershedSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x), behind an axis of 2 channels if there are markers.

    Parameters
    ----------
    params : WatershedParams
        Parameters.
    limit : float
        The threshold, decided; NaN for local methods.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis; empty for cubes.
    marker_limit : float
        The threshold of the markers, decided.
    """

    params: WatershedParams
    limit: float
    spacing: tuple[float, ...] = ()
    marker_limit: float = 0.0

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the image's shape."""
        params, with_markers = self.params, self.params.seeds == "markers"
        ground = Foreground(params, self.limit, self.spacing)
        pixels, valid = ground.prepare(image[0] if with_markers else image)
        mask = ground.mask(pixels, valid)
        spacing = cubes(self.spacing, mask.ndim)
        if params.seeds == "distance":
            del pixels, valid
            return drop_small(basins(mask, spacing, params.diameter), params.min_size)
        blur = [_BLUR[params.seeds] * params.diameter / step for step in spacing]
        height = smooth(-pixels.astype(np.float32) if params.dark else pixels, blur)
        del pixels, valid
        if with_markers:
            return drop_small(self._from_markers(height, mask, image[1], spacing), params.min_size)
        seeds = peaks(height, mask, window_of(params.diameter, spacing))
        return drop_small(flood(height, seeds, mask), params.min_size)

    def _from_markers(
        self,
        height: NDArray[np.float32],
        mask: NDArray[np.bool_],
        channel: Image,
        spacing: tuple[float, ...],
    ) -> Labels:
        """Return the basins of the markers, no further from them than the diameter."""
        way = replace(self.params, method="otsu", value=None, dark=False)
        ground = Foreground(way, self.marker_limit, self.spacing)
        markers = ground.mask(*ground.prepare(channel))
        mask = (mask | markers) & near(markers, spacing, self.params.diameter)
        return flood(height, connected(markers), mask, rest=False)


def make(params: WatershedParams, context: SegmentContext) -> WatershedSegmenter:
    """Return the segmenter; distances follow the ratios of the context's scale.

    Raises
    ------
    BackendError
        If there are not as many channels as the seeds need.
    """
    given = len(context.channels) or 1
    if given != params.n_channels:
        msg = f"the watershed with seeds '{params.seeds}' takes {params.n_channels} channels, not {given}"
        raise BackendError(msg, "Choose the cells' channel first, and for markers theirs second")
    limit = decide_limit(params, context)
    if params.seeds != "markers":
        return WatershedSegmenter(params, limit, spacing_of(context))
    method = "otsu" if params.method in LOCAL else params.method
    marker_limit = automatic(method, statistics_of(context, 1, params.background, dark=False))
    return WatershedSegmenter(params, limit, spacing_of(context), marker_limit)


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
    return flood(height, peaks(height, mask, window_of(diameter, spacing)), mask)


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
