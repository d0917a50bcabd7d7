"""What is foreground: pixels beyond a value of the whole image, or beyond their own surroundings.

Knows nothing of tiles: values of the whole image come through the context, so every tile is cut alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from seamlabel.backends.fields import LOCAL
from seamlabel.backends.pixels import TopHat, cubes, finite, mean_around, reach, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Image, SegmentContext, Statistics


class ForegroundParams(Protocol):
    """Parameters that say what is foreground; see `seamlabel.backends.threshold.ThresholdParams`."""

    @property
    def method(self) -> str: ...  # noqa: D102 - as above, and so on
    @property
    def value(self) -> float | None: ...  # noqa: D102
    @property
    def window(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> float: ...  # noqa: D102
    @property
    def smoothing(self) -> float: ...  # noqa: D102
    @property
    def background(self) -> float: ...  # noqa: D102
    @property
    def dark(self) -> bool: ...  # noqa: D102


def check_method(params: ForegroundParams) -> None:
    """Refuse a value of one's own beside a method that has one for every pixel.

    Raises
    ------
    ValueError
        If both are given.
    """
    if params.value is not None and params.method in LOCAL:
        msg = f"a threshold of {params.value:g} and the method '{params.method}' exclude each other"
        raise ValueError(msg)


def reach_of(params: ForegroundParams) -> int:
    """Return how far the decision about a voxel looks, in voxels."""
    found = TopHat(params.background).reach + reach(params.smoothing)
    if params.method == "local mean":
        return found + params.window // 2
    return found + (reach(_sigma(params)) if params.method in LOCAL else 0)


def _sigma(params: ForegroundParams) -> float:
    return (params.window - 1) / 6


def statistics_of(context: SegmentContext, position: int, background: float, dark: bool) -> Statistics:
    """Return statistics of a chosen channel of the whole image, without its background if there is one."""
    if background:
        return context.filtered(position, TopHat(background, dark))
    return context.statistics(position)


def decide_limit(params: ForegroundParams, context: SegmentContext) -> float:
    """Return the threshold of the first chosen channel: a value of one's own, or of the whole image.

    NaN for methods that have none.

    Raises
    ------
    ValueError
        If it is taken from the whole image, and the context has no statistics.
    """
    if params.value is not None:
        return float(params.value)
    if params.method in LOCAL:
        return float("nan")
    statistics = statistics_of(context, 0, params.background, params.dark)
    if params.dark and statistics.minimum == statistics.maximum:
        return float("-inf")  # an even image has no objects, neither bright nor dark ones
    return automatic(params.method, statistics)


def automatic(method: str, statistics: Statistics) -> float:
    """Return the threshold by one of the methods for the whole image."""
    find = {"li": statistics.li, "triangle": statistics.triangle}.get(method, statistics.otsu)
    return float(find())


@dataclass(frozen=True)
class Foreground:
    """Tells foreground from background.

    Parameters
    ----------
    params : ForegroundParams
        How.
    limit : float
        The threshold, decided; of no account for local methods.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis; empty for cubes.
    """

    params: ForegroundParams
    limit: float
    spacing: tuple[float, ...] = ()

    def prepare(self, image: Image) -> tuple[Image, NDArray[np.bool_] | None]:
        """Return pixels without background and smoothed, and where they are finite (None: all)."""
        if self.params.background:
            image = TopHat(self.params.background, self.params.dark)(image, self.spacing)
        pixels, valid = finite(image)
        return smooth(pixels, self.params.smoothing), valid

    def mask(self, pixels: Image, valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Return what is foreground of prepared pixels."""
        dark = self.params.dark
        if self.params.method in LOCAL:
            found = self._local(pixels)
        else:
            found = pixels <= self.limit if dark else pixels > self.limit
        return found if valid is None else found & valid

    def _local(self, pixels: Image) -> NDArray[Any]:
        """Return which pixels lie further beyond the mean of their surroundings than the offset.

        Means are rounded to float32, so that no pixel of an even area differs from its own.
        """
        params, steps = self.params, cubes(self.spacing, pixels.ndim)
        pixels = pixels.astype(np.float32, copy=False)
        if params.method == "local mean":
            around = mean_around(pixels, [int(params.window // 2 / step) for step in steps])
        else:
            around = smooth(pixels, [_sigma(params) / step for step in steps])
        if params.dark:
            return np.asarray(pixels < around - np.float32(params.offset))
        return np.asarray(pixels > around + np.float32(params.offset))
