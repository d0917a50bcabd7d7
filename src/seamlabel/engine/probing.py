"""One window of an image, segmented again with something changed: what moves, and how far away.

A band across an axis is filled with the image's darkest or brightest value, the window is cut in two, or
it is shifted. The backend is a black box: pixels in, labels out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.answers import check_labels
from seamlabel.errors import BackendError, SeamlabelError, TileError
from seamlabel.kernels.agreement import DIFFER, LOOKED, disagreement, distances

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.protocols import Segmenter

LEAST_BAND = 4
"""Voxels of a filled band, and of the margin in which more than the known reach would show."""


@dataclass
class Method:
    """The backend, its calls counted and its labels checked.

    Parameters
    ----------
    segmenter : callable
        Takes pixels, returns labels.
    end : float
        When there is no time for more, on the monotonic clock.
    """

    segmenter: Segmenter
    end: float
    calls: int = 0
    slowest: float = 0.0

    def over(self) -> bool:
        """Whether there is no time for another call as slow as any before."""
        return monotonic() + self.slowest > self.end

    def __call__(self, pixels: NDArray[Any], ndim: int) -> NDArray[Any]:
        """Return the labels of pixels, over the last `ndim` axes.

        Raises
        ------
        BackendError
            If the backend fails or gives no labels.
        """
        start = monotonic()
        shape = pixels.shape[pixels.ndim - ndim :]
        try:
            found = check_labels(self.segmenter(np.ascontiguousarray(pixels)), shape, 0)
        except TileError as error:
            raise BackendError(error.reason, error.hint) from error
        except SeamlabelError:
            raise
        except Exception as error:
            size = " x ".join(map(str, shape))
            msg = f"the method failed on pixels of {size}: {type(error).__name__}: {error}"
            raise BackendError(msg, "Try it on one tile first") from error
        self.calls += 1
        self.slowest = max(self.slowest, monotonic() - start)
        return found


@dataclass
class Tally:
    """What was counted along one axis, by depth, up to a limit; rows as of `disagreement`.

    `fair` counts only where nothing bright was put beside an object, which would grow by that: there
    objects that are cut differ from others only if the method looks at whole objects.
    """

    limit: int
    rows: NDArray[np.int64] = field(init=False)
    fair: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.rows, self.fair = np.zeros((2, 4, max(1, self.limit)), np.int64)

    def add(self, counts: NDArray[np.int64], fair: bool) -> None:
        """Add counts, those beyond the limit left out."""
        n = min(counts.shape[1], self.rows.shape[1])
        self.rows[:, :n] += counts[:, :n]
        if fair:
            self.fair[:, :n] += counts[:, :n]

    def reach(self, floor: float, row: int = DIFFER) -> int:
        """Return the least depth from which on no more voxels differ than by chance."""
        looked = self.rows[row - 1]
        allowed = np.where(floor > 0, 3 + 5 * floor * looked, 0)
        found = np.flatnonzero(self.rows[row] > allowed)
        return int(found[-1]) + 1 if found.size else 0


@dataclass
class Window:
    """Pixels of one place, and their labels.

    Parameters
    ----------
    pixels : array
        The space axes, behind a channel axis if there are several channels.
    labels : array of int
        What the backend makes of them.
    fills : sequence of array
        Values to fill with, one after the other: the darkest and the brightest of every channel, in a
        shape that suits `pixels`.
    loud : sequence of array
        The same beyond all that is in the image, so that what a tile's extremes decide is moved too.
    """

    pixels: NDArray[Any]
    labels: NDArray[Any]
    fills: tuple[Any, Any]
    loud: tuple[Any, Any]

    @property
    def lead(self) -> int:
        """Number of axes before the space axes."""
        return self.pixels.ndim - self.labels.ndim

    def filled(
        self, method: Method, axis: int, changed: NDArray[np.bool_], *, loud: bool = False
    ) -> Iterator[tuple[NDArray[np.int64], bool]]:
        """Yield what differs beside bands that are filled, and whether that is fair, after each call."""
        depth = distances(changed)
        where = changed.reshape([-1 if i == axis else 1 for i in range(self.labels.ndim)])
        last = self.labels
        for value in self.loud if loud else self.fills:
            pixels = np.where(where, value, self.pixels).astype(self.pixels.dtype, copy=False)
            found = method(pixels, self.labels.ndim)
            yield disagreement(last, found, axis, depth), last is self.labels
            last = found

    def cut(
        self, method: Method, axis: int, at: int, *, both: bool
    ) -> Iterator[tuple[NDArray[np.int64], bool]]:
        """Yield what differs before a cut and, if `both`, behind it, and that it is fair, after each call."""
        n = self.labels.shape[axis]
        sides = ((slice(0, at), np.arange(at)[::-1]), (slice(at, n), np.arange(n - at)))
        for part, depth in sides if both else sides[:1]:
            found = method(self.pixels[self._slices(axis, part)], self.labels.ndim)
            whole = self.labels[self._slices(axis, part)[self.lead :]]
            yield disagreement(whole, found, axis, depth), True

    def shifted(self, method: Method, axis: int, most: int, margin: int) -> Iterator[tuple[int, float]]:
        """Yield shifts to try, and the part of the object voxels far from borders that differs.

        Parameters
        ----------
        axis : int
            Along which the window is shifted.
        most : int
            Largest shift.
        margin : int
            How far a border is seen.
        """
        size = self.labels.shape[axis] - most
        ndim = self.labels.ndim
        base = method(self.pixels[self._slices(axis, slice(0, size))], ndim)
        for shift in _shifts(most):
            low, high = shift + margin, size - margin
            if high - low < LEAST_BAND:
                continue
            found = method(self.pixels[self._slices(axis, slice(shift, shift + size))], ndim)
            one = base[self._slices(axis, slice(low, high))[self.lead :]]
            other = found[self._slices(axis, slice(low - shift, high - shift))[self.lead :]]
            counts = disagreement(one, other, axis, np.zeros(high - low, np.intp)).sum(axis=1)
            if counts[LOOKED]:
                yield shift, counts[DIFFER] / counts[LOOKED]

    def _slices(self, axis: int, part: slice) -> tuple[slice, ...]:
        whole = slice(None)
        space = tuple(part if i == axis else whole for i in range(self.labels.ndim))
        return (whole,) * self.lead + space


def _shifts(most: int) -> Iterator[int]:
    """Yield powers of two, then what else there may be."""
    powers = [2**k for k in range(most.bit_length()) if 2**k <= most]
    yield from powers
    yield from (n for n in range(3, most + 1) if n not in powers)


def bands(n: int, reach: int | None, random: np.random.Generator) -> NDArray[np.bool_]:
    """Return which positions along an axis of `n` to fill: a band in the middle, or many.

    Bands lie so far apart that a change of the known reach, and half as much again, ends between them.
    Where they begin is left to chance, so that every place and every phase of a pooling has its turn.

    Parameters
    ----------
    n : int
        Length of the axis.
    reach : int or None
        As far as it is known.
    random : Generator
        Decides where bands begin.
    """
    changed = np.zeros(n, bool)
    if reach is None:
        width = max(1, min(n // 8, 64))
        first = n // 2 - width // 2 + int(random.integers(-(n // 16), n // 16 + 1))
        changed[first : first + width] = True
        return changed
    margin = max(LEAST_BAND, reach // 2)
    width = max(LEAST_BAND, reach)
    period = (width + 2 * (reach + margin)) | 1
    changed[(np.arange(n) + int(random.integers(period))) % period < width] = True
    if not changed.any() or changed.all():
        return bands(n, None, random)
    return changed
