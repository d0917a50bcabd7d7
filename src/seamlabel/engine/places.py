"""Which places of an image have most to show: a few windows where there is contrast.

Looks at a level that is small, or at samples where there is none. Knows pixels, not what is made of them.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.auto import cube
from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan

LOOK_VOXELS = 1 << 22
"""Of a level that is looked at as a whole."""
MOST_WINDOWS = 1024
"""That are judged on such a level."""
SAMPLES = 32
"""Windows of which a part is read where no level is that small."""
PART = 64
"""Side of that part in voxels."""
ROUND = 64
"""Windows start at multiples of this: methods that pool see what they see at the start of the image."""
ENOUGH = 0.3
"""Of the best windows' contrast."""


def window_shape(size: tuple[int, ...], voxels: int) -> tuple[int, ...]:
    """Return the shape of a window of about so many voxels in an image of this size, over space axes."""
    sides = (min(n, _rounded(side)) for n, side in zip(size, cube(size, voxels), strict=True))
    return tuple(sides)


def _rounded(side: int) -> int:
    for unit in (ROUND, 16):
        if side >= unit:
            return side - side % unit
    return side


def best_places(plan: Plan, source: Source, shape: tuple[int, ...], count: int) -> list[Box]:
    """Return windows over the label axes, the most informative first, at most `count` of them.

    Parameters
    ----------
    plan : Plan
        Says which axes are tiled; along the others (time, planes) a window has the extent 1.
    source : Source
        The image.
    shape : tuple of int
        Of a window over the space axes, in voxels of the level that is segmented.
    count : int
        How many at most.
    """
    level = _small_level(source)
    windows = list(_windows(plan, shape, MOST_WINDOWS if level is not None else SAMPLES))
    looked = source.level if level is None else level
    cuts = [window if level is not None else _part(window) for window in windows]
    score = np.array([_contrast(source.coarse(looked, cut), len(source.channels) > 1) for cut in cuts])
    order = np.argsort(-score, kind="stable")
    good = order[score[order] >= ENOUGH * np.quantile(score, 0.95)]
    # Not the best alone, which may be dirt: evenly through all that are good, and the others after them.
    chosen = good[np.linspace(0, good.size - 1, min(count, good.size)).round().astype(int)]
    rest = [n for n in order if n not in set(chosen)]
    return [windows[n] for n in [*chosen, *rest][:count]]


def _small_level(source: Source) -> int | None:
    """Return the finest level that is small enough to be looked at whole, None if there is none."""
    for level in range(source.level, len(source.info.levels)):
        if prod(source.info.label_values(source.info.levels[level].shape)) <= LOOK_VOXELS:
            return level
    return None


def _windows(plan: Plan, shape: tuple[int, ...], most: int) -> Iterator[Box]:
    """Yield windows spread over the image, at most so many; looped axes are gone through meanwhile."""
    size = tuple(n for n, tiled in zip(plan.grid.shape, plan.joined, strict=True) if tiled)
    starts = [
        sorted({min(a, n - w) - min(a, n - w) % min(ROUND, w) for a in range(0, n, w)})
        for n, w in zip(size, shape, strict=True)
    ]
    total = prod(map(len, starts))
    step = max(1, -(-total // most)) | 1  # odd, so that it does not hit one column alone
    loops = [n for n, tiled in zip(plan.grid.shape, plan.joined, strict=True) if not tiled]
    for number, start in enumerate(product(*starts)):
        if number % step == 0:
            part = (number // step * 0.6180339887498949 + 0.5) % 1.0
            yield _over_label_axes(plan, start, shape, [int(part * n) for n in loops])


def _over_label_axes(plan: Plan, start: tuple[int, ...], shape: tuple[int, ...], loops: list[int]) -> Box:
    space, looped = iter(zip(start, shape, strict=True)), iter(loops)
    spans = []
    for tiled in plan.joined:
        first, length = next(space) if tiled else (next(looped), 1)
        spans.append((first, first + length))
    return Box(tuple(a for a, _ in spans), tuple(b for _, b in spans))


def _part(window: Box) -> Box:
    """Return the middle of a window."""
    start = tuple(a + max(0, (b - a - PART) // 2) for a, b in zip(window.start, window.stop, strict=True))
    stop = tuple(min(a + PART, b) for a, b in zip(start, window.stop, strict=True))
    return Box(start, stop)


def _contrast(pixels: NDArray[Any], several: bool) -> float:
    """Return how much pixels vary, over the channel that varies most; what is not finite is left out."""
    channels = pixels if several else pixels[None]
    finite = [channel[np.isfinite(channel)] for channel in channels]
    return max((float(found.std(dtype=np.float64)) for found in finite if found.size), default=0.0)
