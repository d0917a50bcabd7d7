"""Bright (or dark) regions: pixels beyond a threshold, connected into objects.

Knows nothing of tiles: a threshold of the whole image comes through the context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seamlabel.backends.fields import (
    Background,
    Dark,
    Method,
    MinSize,
    Offset,
    Smoothing,
    Value,
    Window,
)
from seamlabel.backends.foreground import Foreground, check_method, decide_limit, reach_of
from seamlabel.backends.pixels import connected, drop_small, spacing_of

if TYPE_CHECKING:
    from seamlabel.protocols import Image, Labels, SegmentContext


@dataclass(frozen=True)
class ThresholdParams:
    """Parameters of the threshold backend.

    Parameters
    ----------
    method : {"otsu", "li", "triangle", "local mean", "local gaussian"}
        How the threshold is found where no `value` is given: of the histogram of the whole image, or
        for every pixel as the mean of its surroundings.
    value : float or None
        Pixels above it are foreground; None: by the method.
    window : int
        For local methods: width of the surroundings in voxels of the finest axis; for
        ``"local gaussian"`` 6 standard deviations.
    offset : float
        For local methods: by how much a pixel must exceed (if `dark`: fall short of) the mean.
    smoothing : float
        Standard deviation of a Gaussian in voxels, the same on every axis; 0 for none.
    background : float
        Radius of a top-hat, in voxels of the finest axis, that removes background before all else;
        at least that of the objects; 0 for none.
    dark : bool
        Objects are darker than the background: pixels up to `value` are foreground.
    min_size : int
        Objects of fewer voxels are removed.

    Raises
    ------
    ValueError
        If a value is given beside a local method.
    """

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
        """Voxels beyond which a cut cannot change the labels: the reach of all filters."""
        return reach_of(self)


@dataclass(frozen=True)
class ThresholdSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x); see `ThresholdParams`.

    Parameters
    ----------
    params : ThresholdParams
        With their defaults or not.
    limit : float
        The threshold, decided; NaN for local methods.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis; empty for cubes.
    """

    params: ThresholdParams
    limit: float
    spacing: tuple[float, ...] = ()

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the image's shape, in raster order of the objects."""
        ground = Foreground(self.params, self.limit, self.spacing)
        return drop_small(connected(ground.mask(*ground.prepare(image))), self.params.min_size)


def make(params: ThresholdParams, context: SegmentContext) -> ThresholdSegmenter:
    """Return the segmenter; takes the threshold of the whole image where no value is given."""
    return ThresholdSegmenter(params, decide_limit(params, context), spacing_of(context))
