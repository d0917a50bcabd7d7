"""What a model needs of tiles, measured: how far it sees, where tiles must start, whether they can agree.

Predictions of a window are compared with those of windows that are cut, shifted, or changed far away, by
distance from the change. Knows arrays and a function; no image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.patch_grid import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.patch_grid import Edge

MOST_ALIGN = 32
"""Windows are multiples of it, and shifts up to it are tried."""
TOLERANCE = 1e-4
"""Differences up to this part of the range of predictions are rounding."""


@dataclass(frozen=True)
class ModelNeeds:
    """What a model needs; tuples have an entry per axis.

    Parameters
    ----------
    halo : tuple of int
        Voxels from a cut beyond which predictions do not change: how far the model sees. The overlap to
        run with is this, in multiples of `align`.
    settled : tuple of bool
        Whether that was seen to end within the window; else the halo is the furthest that was looked at.
    align : tuple of int
        Predictions of windows that are shifted by multiples of it are the same; 0 if none up to
        `MOST_ALIGN` was found.
    normalises_per_tile : bool
        Predictions change however far away something changes: no overlap makes tiles agree.
    cut : tuple of bool
        Whether that was measured along an axis; else it was too short, and tiles should not be cut there.
    """

    halo: tuple[int, ...]
    settled: tuple[bool, ...]
    align: tuple[int, ...]
    normalises_per_tile: bool
    cut: tuple[bool, ...]

    @property
    def overlap(self) -> tuple[int, ...]:
        """What tiles should read beyond their core: the halo, in multiples of the alignment."""
        steps = [max(1, step) for step in self.align]
        return tuple(ceil(halo / step) * step for halo, step in zip(self.halo, steps, strict=True))

    def grid(self, shape: Sequence[int], patch: int | Sequence[int], edge: Edge = "snap") -> PatchGrid:
        """Return patches of an array for this model: predictions that are cropped are those of the whole.

        Parameters
        ----------
        shape : sequence of int
            Of the array's space axes.
        patch : int or sequence of int
            Sides of the patches, rounded up to the alignment. Along axes that were not measured they are
            as long as the array.
        edge : {"snap", "even", "shrink", "pad"}
            See `PatchGrid`.

        Raises
        ------
        ValueError
            If no overlap or alignment will do, or patches are no longer than what they overlap by.
        """
        if self.normalises_per_tile or not all(self.align):
            msg = "the model's answers depend on where patches lie: no grid will make them agree"
            raise ValueError(msg)
        given = [patch] * len(shape) if isinstance(patch, int) else list(patch)
        sides = [
            ceil((side if cut else n) / step) * step
            for side, n, cut, step in zip(given, shape, self.cut, self.align, strict=True)
        ]
        apart = [
            side - 2 * overlap if cut else side
            for side, overlap, cut in zip(sides, self.overlap, self.cut, strict=True)
        ]
        if min(apart) < 1:
            msg = f"patches of {tuple(sides)} are no longer than twice the overlap of {self.overlap}"
            raise ValueError(msg)
        return PatchGrid(tuple(shape), tuple(sides), tuple(apart), edge, align=self.align)


def measure_model(
    model: Callable[[NDArray[Any]], Any], pixels: NDArray[Any], ndim: int, *, tolerance: float = TOLERANCE
) -> ModelNeeds:
    """Measure what a model needs on a window of an image.

    Parameters
    ----------
    model : callable
        Gives (outputs, *space) or space of (channels, *space) or space.
    pixels : array, (channels, *space) or space
        A window with contrast, of about four times what the model may see. Axes shorter than
        ``4 * MOST_ALIGN`` are not cut: tiles should not be either.
    ndim : int
        Space axes.
    tolerance : float
        Part of the range of predictions that is rounding.

    Raises
    ------
    ValueError
        If the model gives something of another shape, or the same everywhere: nothing can be measured.
    """
    probe = _Probe(model, pixels, ndim, tolerance)
    found = [probe.halo(axis) for axis in range(ndim)]
    reach = tuple(halo for halo, _ in found)
    changed = not all(settled for _, settled in found) and probe.changes_everywhere()
    align = tuple(probe.align(axis, reach[axis]) for axis in range(ndim))
    return ModelNeeds(reach, tuple(settled for _, settled in found), align, changed, tuple(probe.cut))


class _Probe:
    """Windows of one image, and what a model says of them."""

    def __init__(self, model: Any, pixels: NDArray[Any], ndim: int, tolerance: float) -> None:
        self.model, self.ndim = model, ndim
        self.lead = pixels.ndim - ndim
        self.cut = [n >= 4 * MOST_ALIGN for n in pixels.shape[self.lead :]]
        # room for shifts is left behind the window along axes that are cut
        self.sides = [
            n // MOST_ALIGN * MOST_ALIGN - MOST_ALIGN if c else n
            for n, c in zip(pixels.shape[self.lead :], self.cut, strict=True)
        ]
        self.pixels = pixels
        self.whole = self.predicted([0] * ndim, self.sides)
        spread = float(np.nanmax(self.whole) - np.nanmin(self.whole))
        if not spread > 0:
            msg = "the model gives the same value everywhere: measure it on a part of the image with contrast"
            raise ValueError(msg)
        self.limit = tolerance * spread

    def predicted(
        self, start: Sequence[int], sides: Sequence[int], pixels: NDArray[Any] | None = None
    ) -> NDArray[np.float64]:
        """Return what the model says of a part of the window, (outputs, *sides)."""
        source = self.pixels if pixels is None else pixels
        cut: Any = (..., *(slice(a, a + n) for a, n in zip(start, sides, strict=True)))
        part = source[cut]
        found = self.model(np.array(part, order="C"))  # a copy: models may change what they are given
        values = np.asarray(found[0] if isinstance(found, tuple) else found, np.float64)
        values = values[None] if values.ndim == self.ndim else values
        if values.shape[1:] != tuple(sides):
            msg = f"the model answers to {tuple(sides)} voxels with {values.shape}: it must keep their shape"
            raise ValueError(msg)
        return values

    def lines(self, one: NDArray[Any], other: NDArray[Any], axis: int) -> NDArray[np.float64]:
        """Return the largest difference at each place of an axis."""
        apart = np.nan_to_num(abs(one - other), nan=0.0)
        found: NDArray[np.float64] = apart.max(axis=tuple(a for a in range(apart.ndim) if a != axis + 1))
        return found

    def halo(self, axis: int) -> tuple[int, bool]:
        """Return how far from a cut across an axis predictions change, and whether that was seen to end."""
        if not self.cut[axis]:
            return 0, True
        furthest, settled = 0, True
        middle = self.sides[axis] // 2 // MOST_ALIGN * MOST_ALIGN
        for first, last in ((0, middle), (middle, self.sides[axis])):
            start, sides = [0] * self.ndim, list(self.sides)
            start[axis], sides[axis] = first, last - first
            part = self.predicted(start, sides)
            whole = self.whole[(slice(None),) * (axis + 1) + (slice(first, last),)]
            apart = self.lines(part, whole, axis)
            distances = np.flatnonzero((apart[::-1] if first == 0 else apart) > self.limit) + 1
            reach = int(distances.max(initial=0))
            furthest, settled = max(furthest, reach), settled and reach < last - first - 1
        return furthest, settled

    def align(self, axis: int, halo: int) -> int:
        """Return the least power of two by which a window can be shifted; 0 if there is none."""
        if not self.cut[axis]:
            return 1
        step = 1
        while step <= MOST_ALIGN:
            start = [0] * self.ndim
            start[axis] = step
            shifted = self.predicted(start, self.sides)
            n = self.sides[axis]
            inside = slice(halo + step, n - halo)
            axes = (slice(None),) * (axis + 1)
            one = self.whole[(*axes, inside)]
            other = shifted[(*axes, slice(inside.start - step, inside.stop - step))]
            if one.size and self.lines(one, other, axis).max() <= self.limit:
                return step
            step *= 2
        return 0

    def changes_everywhere(self) -> bool:
        """Return whether bright pixels in one corner change predictions in the one across from it."""
        changed = self.pixels.copy()
        corner: Any = (..., *self._eighth(0))
        changed[corner] = self.pixels.max()
        found = self.predicted([0] * self.ndim, self.sides, changed)
        apart = abs(found - self.whole)[(slice(None), *self._eighth(7))]
        return bool(np.nanmax(apart) > self.limit)

    def _eighth(self, number: int) -> tuple[slice, ...]:
        """Return one of eight parts along axes that are cut, all of the others."""
        return tuple(
            slice(number * n // 8, (number + 1) * n // 8) if cut else slice(None)
            for n, cut in zip(self.sides, self.cut, strict=True)
        )
