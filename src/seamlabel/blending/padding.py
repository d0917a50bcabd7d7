"""Patches of an array that reach past its ends, padded as `numpy.pad` would pad the whole array.

Only what a patch needs is read. Knows no grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_BY_PLACE = ("edge", "reflect", "symmetric", "wrap")
"""Each padded voxel is the copy of one voxel of the array."""
_BY_LINE = ("maximum", "mean", "median", "minimum", "linear_ramp")
"""Padded voxels depend on a whole line of the array."""
MODES = ("constant", "empty", *_BY_PLACE, *_BY_LINE)
"""As `numpy.pad` has them."""


class Padded:
    """Reads boxes of an array, and what lies beyond its ends.

    Parameters
    ----------
    read : callable
        ``read(box)`` returns an array whose last axes are those of the box.
    shape : tuple of int
        Of the array, along those axes.
    mode : str
        One of numpy's: ``"reflect"``, ``"constant"``, ``"edge"``, ``"symmetric"``, ``"wrap"``, …
    padding : sequence of (int, int)
        How far boxes reach past each axis at most.
    value : float
        For ``"constant"``.

    Raises
    ------
    ValueError
        If the mode is unknown.
    """

    def __init__(
        self,
        read: Callable[[Box], NDArray[Any]],
        shape: tuple[int, ...],
        mode: str = "reflect",
        padding: Any = None,
        value: float = 0,
    ) -> None:
        if mode not in MODES:
            msg = f"padding {mode!r} is none of {', '.join(MODES)}"
            raise ValueError(msg)
        self._read, self.shape, self.mode, self.value = read, shape, mode, value
        self.padding = tuple(padding or ((0, 0),) * len(shape))
        self._places: dict[int, NDArray[np.intp]] = {}

    def read(self, box: Box) -> NDArray[Any]:
        """Return the voxels of a box, shape (..., *box.shape)."""
        whole = Box.whole(self.shape)
        if whole.contains(box):
            return self._read(box)
        if self.mode in _BY_PLACE:
            return self._gathered(box)
        if self.mode in _BY_LINE:
            return self._from_lines(box)
        found, inside = self._nearest(box)
        around = [(a - c, d - b) for c, d, a, b in self._ends(box, inside)]
        lead = [(0, 0)] * (found.ndim - len(self.shape))
        return np.pad(found, [*lead, *around], constant_values=self.value)

    def _nearest(self, box: Box) -> tuple[NDArray[Any], Box]:
        """Return the part of a box within the array: an empty one beside it, if there is none."""
        inside = box.intersect(Box.whole(self.shape))
        if inside.size:
            return self._read(inside), inside
        one = self._read(Box((0,) * len(self.shape), (1,) * len(self.shape)))
        empty = Box(box.start, tuple(a for a in box.start))
        return np.zeros((*one.shape[: one.ndim - len(self.shape)], *empty.shape), one.dtype), empty

    @staticmethod
    def _ends(box: Box, inside: Box) -> Any:
        return zip(box.start, box.stop, inside.start, inside.stop, strict=True)

    def _line(self, axis: int) -> NDArray[np.intp]:
        """Return which voxel of an axis each padded one is a copy of."""
        if axis not in self._places:
            line = np.arange(self.shape[axis])
            mode: Any = self.mode
            self._places[axis] = np.pad(line, self.padding[axis], mode=mode)
        return self._places[axis]

    def _gathered(self, box: Box) -> NDArray[Any]:
        """Return copies of the voxels that padded ones are copies of."""
        wanted = [
            self._line(axis)[a + self.padding[axis][0] : b + self.padding[axis][0]]
            for axis, (a, b) in enumerate(zip(box.start, box.stop, strict=True))
        ]
        start = tuple(int(line.min()) for line in wanted)
        pixels = self._read(Box(start, tuple(int(line.max()) + 1 for line in wanted)))
        index: tuple[Any, ...] = np.ix_(*(line - first for line, first in zip(wanted, start, strict=True)))
        out: NDArray[Any] = pixels[(..., *index)]
        return out

    def _from_lines(self, box: Box) -> NDArray[Any]:
        """Return padding that needs whole lines, along the axes that the box reaches past."""
        spans = zip(box.start, box.stop, self.shape, strict=True)
        past = [a < 0 or b > n for a, b, n in spans]
        whole = Box(
            tuple(0 if p else a for p, a in zip(past, box.start, strict=True)),
            tuple(n if p else b for p, b, n in zip(past, box.stop, self.shape, strict=True)),
        )
        pixels, mode = self._read(whole), self.mode
        lead = pixels.ndim - len(self.shape)
        for axis, reaches in enumerate(past):  # one after the other, as numpy does
            if reaches:
                around = [(0, 0)] * pixels.ndim
                around[lead + axis] = self.padding[axis]
                pixels = np.pad(pixels, around, mode=mode)  # type: ignore[call-overload]
                first = box.start[axis] + self.padding[axis][0]
                cut = slice(first, first + box.stop[axis] - box.start[axis])
                pixels = pixels[(slice(None),) * (lead + axis) + (cut,)]
        return pixels
