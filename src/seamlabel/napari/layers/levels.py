"""Levels to show of labels that have too few: sampled from the finest, lazily or at once.

Knows arrays and events; nothing of layers or Qt. Safe to call from any thread.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import SeamlabelError
from seamlabel.events import RunFinished
from seamlabel.io.sources import open_labels
from seamlabel.kernels.pyramid import sample, sample_index
from seamlabel.napari.layers.lazy_labels import LazyArray, lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.events import Event
    from seamlabel.napari.layers.lazy_labels import Picks

REAL_VOXELS = 24_000_000
"""Most voxels of levels that are held in memory: 4096² and what is coarser."""
READ_VOXELS = 8_000_000
"""Voxels that are read at once to make them, about."""
VOLUME_VOXELS = 1_000_000_000
"""Voxels of stacks and volumes that are not read for it: napari reads the coarsest level of pictures only."""


def display_shapes(shapes: Sequence[tuple[int, ...]], least: int = 512) -> list[tuple[int, ...]]:
    """Return these level shapes and coarser ones after them, until the longest side is at most `least`.

    napari shows the coarsest level in 3D and in thumbnails, so there must be a small one.
    """
    out = [tuple(shape) for shape in shapes]
    while max(out[-1]) > least:
        out.append(tuple(-(-n // 2) if n > least // 4 else n for n in out[-1]))
    return out


def display_levels(levels: Sequence[Any]) -> list[LazyArray]:
    """Return label arrays as lazy uint32 levels, with coarser ones sampled where they are missing."""
    out = [lazy(level, np.uint32) for level in levels]
    for shape in display_shapes([level.shape for level in out])[len(out) :]:
        out.append(sampled(out[len(levels) - 1], shape))
    return out


def halved(level: LazyArray) -> LazyArray:
    """Return labels at half the size along every axis, sampled as they are read."""
    return sampled(level, tuple(-(-n // 2) for n in level.shape))


def sampled(source: LazyArray, shape: tuple[int, ...]) -> LazyArray:
    """Return labels at another size, sampled as they are read."""
    index = tuple(map(sample_index, source.shape, shape))

    def read(picks: Picks) -> NDArray[Any]:
        wanted = [i[p.start : p.stop : p.step] for i, p in zip(index, picks, strict=True)]
        low = [int(i[0]) if i.size else 0 for i in wanted]
        high = [int(i[-1]) + 1 if i.size else 0 for i in wanted]
        pixels = source.read(tuple(map(range, low, high)))
        return sample(pixels, tuple(i - a for i, a in zip(wanted, low, strict=True)))

    return LazyArray(read, tuple(map(range, shape)), source.dtype)


def ready_levels(levels: Sequence[Any], stop: Callable[[], bool] = lambda: False) -> list[LazyArray]:
    """Return levels for display, those in memory that would be sampled from the whole of another.

    napari reads the coarsest level whenever it is given one, in the window's thread: of labels without
    coarser levels that is all of them.

    Parameters
    ----------
    levels : sequence of array-like
        Labels, full resolution first.
    stop : callable, optional
        Once ``stop()`` is true, what is not in memory by then stays lazy.
    """
    out = display_levels(levels)
    finest, source = out[len(levels) - 1], None
    if finest.ndim > 2 and finest.size > VOLUME_VOXELS:
        return out
    sizes = [level.size for level in out]
    for k in range(len(levels), len(out)):
        if source is None and sum(sizes[k:]) > REAL_VOXELS:
            continue
        pixels = _read(sampled(source or finest, out[k].shape), finest.size, stop)
        if pixels is None:
            break
        out[k] = lazy(pixels)
        source = source or out[k]  # not the one before: half voxels would add up
    return out


def _read(level: LazyArray, voxels: int, stop: Callable[[], bool]) -> NDArray[Any] | None:
    """Return a level that is sampled from one of so many voxels, read slab by slab; None if stopped."""
    pixels = np.empty(level.shape, level.dtype)
    step = max(1, len(level) * READ_VOXELS // max(1, voxels))
    for start in range(0, len(level), step):
        if stop():
            return None
        pixels[start : start + step] = level[start : start + step]
    return pixels


class FinalLevels:
    """Makes the labels of a run ready to be shown in the run's own thread.

    Parameters
    ----------
    accept : callable, optional
        Called with every event before.
    """

    def __init__(self, accept: Callable[[Event], None] | None = None) -> None:
        self._accept = accept
        self.stop: Callable[[], bool] = lambda: False
        self.found: list[LazyArray] | None = None
        """The levels, once the run has ended well."""

    def hear(self, event: Event) -> None:
        """Take in an event; to be called in the thread of the run."""
        if self._accept is not None:
            self._accept(event)
        if isinstance(event, RunFinished) and event.path:
            with suppress(SeamlabelError):  # who shows them meets it as well, and tells
                self.found = ready_levels(open_labels(event.path), self.stop)
