"""Pixels scaled for a network by statistics of the whole image, so that all tiles agree.

Knows no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Statistics

_STEPS = 1001
"""Quantiles that stand for the values of a channel where channels are taken together; 0.1 % apart."""


@dataclass(frozen=True)
class Scaling:
    """Takes an offset off each channel and divides it by a width.

    Parameters
    ----------
    offsets, widths : tuple of float
        One per channel; a width of 0, as of an image of one value, divides by nothing.
    """

    offsets: tuple[float, ...]
    widths: tuple[float, ...]

    @classmethod
    def between(cls, limits: Sequence[tuple[float, float]]) -> Scaling:
        """Return the scaling after which these values of each channel are 0 and 1."""
        return cls(tuple(low for low, _ in limits), tuple(high - low for low, high in limits))

    @classmethod
    def standard(cls, channels: Sequence[Statistics]) -> Scaling:
        """Return the scaling after which each channel has mean 0 and deviation 1."""
        return cls(tuple(one.mean for one in channels), tuple(one.deviation for one in channels))

    def __call__(self, planes: Image) -> NDArray[np.float32]:
        """Return float32 pixels of (channels, *space); what is no number becomes 0."""
        out = np.empty(planes.shape, np.float32)
        for pixels, plane, offset, width in zip(out, planes, self.offsets, self.widths, strict=True):
            np.subtract(plane, np.float32(offset), out=pixels, casting="unsafe")
            pixels /= np.float32(width or 1)
        return np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def joint_percentiles(channels: Sequence[Statistics], percents: Sequence[float]) -> tuple[float, ...]:
    """Return percentiles of all channels taken together, from the quantiles of each."""
    if len(channels) == 1:
        return tuple(channels[0].percentile(percent) for percent in percents)
    steps = np.linspace(0, 100, _STEPS)
    quantiles = [[one.percentile(step) for step in steps] for one in channels]
    return tuple(float(value) for value in np.percentile(quantiles, percents))
