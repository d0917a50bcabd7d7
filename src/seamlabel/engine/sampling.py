"""Pixels for statistics of the whole image after a filter. Knows sources and levels, no tiles."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan
    from seamlabel.protocols import PixelFilter


def filtered_sample(plan: Plan, source: Source, channel: int, function: PixelFilter) -> NDArray[Any]:
    """Return what a filter makes of the sample of a channel, 1-D.

    Time points, and planes that are segmented one by one, are filtered one by one.
    """
    level, parts = source.samples(channel)
    scale = plan.info.label_values(plan.info.levels[level].scale)
    finest = min(
        (s for s, tiled in zip(plan.scale, plan.joined, strict=True) if tiled and s > 0), default=1.0
    )
    spacing = tuple(
        s / finest if s > 0 else 1.0 for s, tiled in zip(scale, plan.joined, strict=True) if tiled
    )
    found = []
    for part in parts:
        looped = [range(1) if tiled else range(n) for n, tiled in zip(part.shape, plan.joined, strict=True)]
        for place in product(*looped):
            cut = tuple(slice(None) if tiled else i for i, tiled in zip(place, plan.joined, strict=True))
            found.append(function(part[cut], spacing).ravel())
    return np.concatenate(found)
