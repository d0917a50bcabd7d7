"""How much each patch counts at each of its voxels, so that the weights of all patches sum to 1.

Windows along single axes: their product (or least) is the weight of a voxel. At the array's own ends, where
no neighbour takes over, windows are held at what they are inside. Knows grids; no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.patch_grid import PatchGrid, Span

SIGMA = 1 / 8
"""Standard deviation of the Gaussian, in patch lengths (nnU-Net: Isensee et al., Nat Methods 18, 2021)."""
_LEAST = 1e-6
"""What no weight falls below, so that a voxel that only one patch sees is divided by something."""
_LEAST_OF_ARRAY = 1e-20
"""The same of arrays of weights: in their corners they may be the product of three small ones."""
_CACHED = 8
"""Products of windows that are kept, each as large as a patch: those of a row of patches."""

Window = Callable[[int], "NDArray[Any]"]


@dataclass(frozen=True)
class Border:
    """Counts less near the edges of a patch.

    Parameters
    ----------
    width : int
        Voxels of the edge.
    weight : float
        What they count, where the middle counts 1. 0: only where nothing else is known.
    """

    width: int
    weight: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.width < 0 or not 0 <= self.weight <= 1:
            msg = f"a border of {self.width} voxels and weight {self.weight}: use 0 or more, and 0 to 1"
            raise ValueError(msg)


def gaussian(length: int) -> NDArray[np.float64]:
    """Return a Gaussian over a patch, 1 at its middle."""
    x = np.arange(length) - (length - 1) / 2
    window: NDArray[np.float64] = np.exp(-0.5 * (x / (SIGMA * length)) ** 2)
    return window


def hann(length: int) -> NDArray[np.float64]:
    """Return a raised cosine over a patch, above 0 at its ends."""
    window: NDArray[np.float64] = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    return window


def flat(length: int) -> NDArray[np.float64]:
    """Return the same weight for all voxels."""
    return np.ones(length)


_KINDS: dict[str, Window] = {"gaussian": gaussian, "hann": hann, "flat": flat}
KINDS = ("crop", *_KINDS)
"""Weights that have a name."""


class PatchWeights:
    """The weights of a grid's patches.

    Parameters
    ----------
    grid : PatchGrid
        The patches.
    weights : str, Border, callable or array
        ``"crop"``: each voxel comes from the one patch in whose middle it lies; ``"gaussian"``,
        ``"hann"``, ``"flat"``; a `Border`; a function of a length that returns a window along an axis; or
        an array of the patch's shape, which is taken as it is.

    Raises
    ------
    ValueError
        If the name is unknown, or a window has another length, is negative or zero everywhere.
    """

    def __init__(self, grid: PatchGrid, weights: Any = "crop") -> None:
        self.grid, self.weights = grid, weights
        self.exclusive = isinstance(weights, str) and weights == "crop"
        self.map = _floored(weights, grid.patch) if isinstance(weights, np.ndarray) else None
        if isinstance(weights, str) and weights not in KINDS:
            msg = f"weights {weights!r} are none of {', '.join(KINDS)}"
            raise ValueError(msg)
        self.sums_to_one = not isinstance(weights, Border) and self.map is None
        """Whether no division is needed at the end."""
        self._least = isinstance(weights, Border)
        self._cached = lru_cache(maxsize=_CACHED)(self._product)

    def of(self, index: tuple[int, ...], box: Box) -> NDArray[np.float32]:
        """Return the weights of a patch over a part of it.

        Parameters
        ----------
        index : tuple of int
            The patch's position in the grid.
        box : Box
            In voxels of the array, inside the patch.
        """
        spans = [spans[i] for spans, i in zip(self.grid.spans, index, strict=True)]
        cut = tuple(
            (a - span.start, b - span.start) for a, b, span in zip(box.start, box.stop, spans, strict=True)
        )
        if self.map is not None:
            return self.map[tuple(slice(a, b) for a, b in cut)]
        keys = tuple(kinds[i] for kinds, i in zip(self._alike, index, strict=True))
        return self._cached(keys, cut)

    def owned(self, axis: int) -> tuple[tuple[int, int], ...]:
        """Return where along an axis voxels are each patch's own under "crop", in voxels of the array."""
        return self._owned[axis]

    def _product(self, keys: tuple[int, ...], cut: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
        ndim = len(keys)
        out: Any = None
        for axis, (key, (a, b)) in enumerate(zip(keys, cut, strict=True)):
            line = self._lines[axis][key][a:b].reshape([-1 if i == axis else 1 for i in range(ndim)])
            out = line if out is None else np.minimum(out, line) if self._least else out * line
        full: NDArray[np.float32] = np.ascontiguousarray(
            np.broadcast_to(out, [b - a for a, b in cut]), np.float32
        )
        return full

    @cached_property
    def _owned(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Per axis and patch: from the middle of the overlap with the one before to that with the next."""
        found = []
        for spans, n in zip(self.grid.spans, self.grid.shape, strict=True):
            cuts = [(a.stop + b.start) // 2 for a, b in pairwise(spans)]
            found.append(tuple(zip([0, *cuts], [*cuts, min(n, spans[-1].stop) if spans else n], strict=True)))
        return tuple(found)

    @cached_property
    def _windows(self) -> tuple[tuple[NDArray[np.float64], ...], ...]:
        """Per axis: the window of every patch, normalised where windows are multiplied."""
        return tuple(self._axis(axis) for axis in range(self.grid.ndim))

    @cached_property
    def _alike(self) -> tuple[tuple[int, ...], ...]:
        """Per axis and patch: which of the windows that differ it has."""
        return tuple(map(_first, self._windows))

    @cached_property
    def _lines(self) -> tuple[tuple[NDArray[np.float32], ...], ...]:
        return tuple(tuple(w.astype(np.float32) for w in windows) for windows in self._windows)

    def _axis(self, axis: int) -> tuple[NDArray[np.float64], ...]:
        spans, n = self.grid.spans[axis], self.grid.shape[axis]
        windows = [self._line(axis, span, i) for i, span in enumerate(spans)]
        if self._least:
            return tuple(windows)
        low = min((s.start for s in spans), default=0)
        total = np.zeros(max([n, *(s.stop for s in spans)]) - low)
        for span, window in zip(spans, windows, strict=True):
            total[span.start - low : span.stop - low] += window
        return tuple(
            window / np.maximum(total[s.start - low : s.stop - low], _LEAST**2)
            for s, window in zip(spans, windows, strict=True)
        )

    def _line(self, axis: int, span: Span, place: int) -> NDArray[np.float64]:
        length = span.stop - span.start
        if self.exclusive:
            first, stop = self._owned[axis][place]
            x = np.arange(span.start, span.stop)
            return ((x >= first) & (x < stop)).astype(np.float64)
        if isinstance(self.weights, Border):
            return self._border(axis, span, length)
        make = _KINDS[self.weights] if isinstance(self.weights, str) else self.weights
        # a patch that was cut short has the window of a whole one, cut short
        window = np.array(make(self.grid.patch[axis]), np.float64)
        whole, middle = _checked(window, (self.grid.patch[axis],)), self.grid.patch[axis] // 2
        if span.start <= 0:  # the array ends there, nothing was cut off: the patch knows as much as it can
            whole[:middle] = whole[middle]
        if span.stop >= self.grid.shape[axis]:
            whole[middle:] = whole[middle]
        cut: NDArray[np.float64] = np.maximum(whole[:length], _LEAST)
        return cut

    def _border(self, axis: int, span: Span, length: int) -> NDArray[np.float64]:
        """Return the window of a border: none at the array's own ends."""
        assert isinstance(self.weights, Border)
        x = np.arange(length)
        low = (x < self.weights.width) & (span.start > 0)
        high = (x >= length - self.weights.width) & (span.stop < self.grid.shape[axis])
        window: NDArray[np.float64] = np.where(low | high, max(self.weights.weight, _LEAST), 1.0)
        return window


def _checked(window: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if window.shape != shape:
        msg = f"weights have shape {window.shape}, the patch has {shape}"
        raise ValueError(msg)
    if not np.isfinite(window).all() or window.min() < 0 or not window.any():
        msg = "weights must be finite and not negative, and above 0 somewhere"
        raise ValueError(msg)
    return window


def _floored(weights: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array of weights, none of which is 0."""
    found = _checked(np.asarray(weights, np.float32), shape)
    out: NDArray[np.float32] = np.maximum(found, np.float32(_LEAST_OF_ARRAY) * found.max())
    return out


def _first(windows: tuple[NDArray[np.float64], ...]) -> tuple[int, ...]:
    """Return for each window the place of the first that is the same: most are, and are looked for nearby."""
    found: list[int] = []
    for place, window in enumerate(windows):
        near = (1, 2, place - 1)
        same = (at for at in near if 0 <= at < place and np.array_equal(windows[at], window))
        other = next(same, None)
        found.append(place if other is None else found[other])
    return tuple(found)
