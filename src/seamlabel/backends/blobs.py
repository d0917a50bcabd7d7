"""Spots: bright (or dark) blobs of about known size, by a band-pass of the pixels.

Knows nothing of tiles: how high a spot must be is measured by the range of the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from seamlabel.backends.fields import Background, Dark, MinSize
from seamlabel.backends.flood import flood
from seamlabel.backends.foreground import statistics_of
from seamlabel.backends.pixels import TopHat, cubes, drop_small, finite, near, spacing_of
from seamlabel.backends.spots import diameters, draw, find_spots, reach_of, seeds_of

if TYPE_CHECKING:
    from seamlabel.protocols import Image, Labels, SegmentContext

_BRIGHTEST = 99.99
"""Percent of the voxels that the brightest ones exceed: spots may be few, and single hot pixels fewer."""


@dataclass(frozen=True)
class BlobsParams:
    """Parameters of the blobs backend.

    Parameters
    ----------
    kind : {"log", "dog"}
        Laplacian of a Gaussian, or difference of two Gaussians.
    diameter : float
        Of the smallest spots, in voxels of the finest axis.
    largest : float or None
        Diameter of the largest spots; None: all have about one size.
    threshold : float
        Least height of a spot over its surroundings, as a share of the range of the whole image: from
        its median to its brightest (if `dark`, darkest) 0.01 %.
    labels : {"discs", "regions"}
        Discs (balls) of the size at which a spot answers most; or the region around each maximum,
        parted from its neighbours by a watershed.
    background : float
        Radius of a top-hat, in voxels of the finest axis, that removes background before; 0 for none.
    dark : bool
        Spots are darker than what is around.
    min_size : int
        Objects of fewer voxels are removed.

    Raises
    ------
    ValueError
        If the largest diameter is less than the smallest.
    """

    kind: Annotated[
        Literal["log", "dog"],
        {"label": "Filter", "tooltip": "log: Laplacian of a Gaussian; dog: difference of two Gaussians"},
    ] = "log"
    diameter: Annotated[
        float,
        {
            "label": "Diameter",
            "tooltip": "Diameter of the (smallest) spots",
            "min": 1.0,
            "max": 500.0,
            "unit": "voxels",
        },
    ] = 6.0
    largest: Annotated[
        float | None,
        {
            "label": "Largest",
            "tooltip": "Diameter of the largest spots; auto: all have one size",
            "min": 1.0,
            "max": 500.0,
            "unit": "voxels",
        },
    ] = None
    threshold: Annotated[
        float,
        {
            "label": "Threshold",
            "tooltip": "Least height of a spot, as a share of the range of the whole image",
            "min": 0.0,
            "max": 1.0,
            "step": 0.01,
            "unit": "of range",
        },
    ] = 0.2
    labels: Annotated[
        Literal["discs", "regions"],
        {"label": "Labels", "tooltip": "discs: of the size of a spot; regions: what is bright around it"},
    ] = "discs"
    background: Background = 0.0
    dark: Dark = False
    min_size: MinSize = 0

    def __post_init__(self) -> None:
        """Check what must fit together."""
        if self.largest is not None and self.largest < self.diameter:
            msg = f"the largest diameter {self.largest:g} is less than the smallest, {self.diameter:g}"
            raise ValueError(msg)

    @property
    def most(self) -> float:
        """Diameter of the largest spots."""
        return self.diameter if self.largest is None else self.largest

    @property
    def radius(self) -> int:
        """Voxels beyond which a cut does not change the labels."""
        found = TopHat(self.background).reach + reach_of(self.kind, self.most)
        return found + (ceil(self.most / 2) if self.labels == "discs" else ceil(2 * self.most) + 2)


@dataclass(frozen=True)
class BlobsSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x); see `BlobsParams`.

    Parameters
    ----------
    params : BlobsParams
        Parameters.
    limit : float
        Least height of a spot, in grey values.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis; empty for cubes.
    """

    params: BlobsParams
    limit: float
    spacing: tuple[float, ...] = ()

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the image's shape."""
        params = self.params
        if params.background:
            image = TopHat(params.background, params.dark)(image, self.spacing)
        pixels, valid = finite(image)
        pixels = pixels.astype(np.float32)
        if params.dark:
            np.negative(pixels, out=pixels)
        spacing = cubes(self.spacing, pixels.ndim)
        sizes = diameters(params.diameter, params.most)
        spots, best = find_spots(pixels, params.kind, sizes, spacing, self.limit)
        if params.labels == "discs":
            labels = draw(spots, pixels.shape, spacing)
        else:
            seeds = seeds_of(spots, pixels.shape)
            around = (best > self.limit / 2) & near(seeds > 0, spacing, params.most)
            labels = flood(best, seeds, around, rest=False)
        if valid is not None:
            labels[~valid] = 0
        return drop_small(labels, params.min_size)


def make(params: BlobsParams, context: SegmentContext) -> BlobsSegmenter:
    """Return the segmenter; takes the range of the whole image."""
    statistics = statistics_of(context, 0, params.background, params.dark)
    end = statistics.percentile(100 - _BRIGHTEST if params.dark else _BRIGHTEST)
    limit = params.threshold * abs(end - statistics.percentile(50))
    return BlobsSegmenter(params, limit, spacing_of(context))
