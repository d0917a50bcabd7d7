"""Pyramids of images: which levels there are, where they lie, and means over voxels. Pure numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.axes import LevelInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.axes import Axis

COARSEST = 512
"""The pyramid goes on until y and x of the coarsest level are no longer than this."""
_PART_BYTES = 1 << 21
"""Means are taken over parts of this size, that stay in the processor's cache with what is made of them."""


@dataclass(frozen=True)
class Level:
    """A level to be made.

    Parameters
    ----------
    shape : tuple of int
        Voxels.
    factor : tuple of int
        Voxels of level 0 per voxel.
    """

    shape: tuple[int, ...]
    factor: tuple[int, ...]

    def place(self, scale: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return scale and translation, from the scale of level 0."""
        return (
            tuple(s * f for s, f in zip(scale, self.factor, strict=True)),
            tuple(s * (f - 1) / 2 for s, f in zip(scale, self.factor, strict=True)),
        )


def pyramid(
    axes: tuple[Axis, ...], shape: tuple[int, ...], scale: tuple[float, ...], levels: int | None
) -> tuple[Level, ...]:
    """Return shapes and factors of all levels.

    y and x are halved, and z where it is neither small nor much coarser than they are.

    Parameters
    ----------
    axes : tuple of Axis
        In array order.
    shape, scale : tuple
        Of level 0.
    levels : int or None
        How many; None until y and x are at most `COARSEST`.
    """
    found = [Level(shape, (1,) * len(shape))]
    lateral = [i for i, axis in enumerate(axes) if axis.name in ("y", "x")]
    if not lateral:
        lateral = [i for i, axis in enumerate(axes) if axis.tiled]
    while len(found) < levels if levels else any(found[-1].shape[i] > COARSEST for i in lateral):
        last = found[-1]
        sizes = [s * f for s, f in zip(scale, last.factor, strict=True)]
        fine = min((sizes[i] for i in lateral if last.shape[i] > 1), default=0.0)
        steps = [1] * len(shape)
        for i, axis in enumerate(axes):
            thick = i not in lateral and (sizes[i] > 1.5 * fine or last.shape[i] < 64)
            steps[i] = 2 if axis.tiled and last.shape[i] > 1 and not thick else 1
        if max(steps) == 1:
            break
        found.append(
            Level(
                tuple(-(-n // s) for n, s in zip(last.shape, steps, strict=True)),
                tuple(f * s for f, s in zip(last.factor, steps, strict=True)),
            )
        )
    return tuple(found)


def pyramid_levels(
    axes: tuple[Axis, ...],
    shape: tuple[int, ...],
    scale: tuple[float, ...],
    translation: tuple[float, ...],
) -> tuple[LevelInfo, ...]:
    """Return the levels that would be made of an image that lies at `translation`."""
    levels = []
    for number, level in enumerate(pyramid(axes, shape, scale, None)):
        size, moved = level.place(scale)
        place = tuple(t + m for t, m in zip(translation, moved, strict=True))
        levels.append(LevelInfo(str(number), level.shape, level.shape, size, place))
    return tuple(levels)


def middle(pixels: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    """Return the middle one of each box of `steps` (1 or 2 per axis) voxels, for numbers of classes."""
    for axis, step in enumerate(steps):
        if step == 2:
            n = pixels.shape[axis]
            pixels = np.take(pixels, np.minimum(np.arange(1, n + 1, 2), n - 1), axis=axis)
    return pixels


def area_mean(pixels: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    """Return means over boxes of `steps` (1 or 2 per axis) voxels; over what exists at odd ends.

    Whole numbers are rounded to the nearest, halves to the even one.
    """
    rows = max(2, _PART_BYTES // max(1, pixels[:1].nbytes) // 2 * 2)
    if pixels.shape[0] > rows:
        starts = range(0, pixels.shape[0], rows)
        return np.concatenate([area_mean(pixels[at : at + rows], steps) for at in starts])
    exact = pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 4
    return _whole_mean(pixels, steps) if exact else _float_mean(pixels, steps)


def _whole_mean(pixels: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    """Sum in integers that hold the sums of up to 8 voxels, then shift: exact, and twice as fast."""
    wide = np.int32 if pixels.dtype.itemsize <= 2 else np.int64
    total: NDArray[Any] = pixels
    doubled = 0
    for axis, step in enumerate(steps):
        if step == 2:
            total = np.moveaxis(total, axis, 0)
            pairs = total.shape[0] // 2
            out = np.empty((-(-total.shape[0] // 2), *total.shape[1:]), wide)
            np.add(total[: 2 * pairs : 2], total[1 : 2 * pairs : 2], out=out[:pairs], dtype=wide)
            if out.shape[0] > pairs:  # the mean over what exists: the last one, as often as two
                np.multiply(total[-1:], 2, out=out[-1:], dtype=wide)
            total, doubled = np.moveaxis(out, 0, axis), doubled + 1
    if not doubled:
        return pixels.copy()
    odd = (total >> doubled) & 1
    odd += (1 << (doubled - 1)) - 1
    odd += total
    odd >>= doubled
    return odd.astype(pixels.dtype)


def _float_mean(pixels: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    mean: NDArray[Any] = pixels.astype(np.float32 if pixels.dtype.itemsize < 4 else np.float64)
    for axis, step in enumerate(steps):
        if step == 2:
            mean = np.moveaxis(mean, axis, 0)
            pairs = mean.shape[0] // 2
            halved = np.add(mean[: 2 * pairs : 2], mean[1 : 2 * pairs : 2]) / 2
            mean = np.moveaxis(np.concatenate([halved, mean[2 * pairs :]]), 0, axis)
    return (mean if pixels.dtype.kind == "f" else np.rint(mean)).astype(pixels.dtype)
