"""Masks: where objects may be, as another image or array over the same field of view.

Knows boxes of the image that a mask belongs to; not why anybody asks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SeamlabelError, SpecError
from seamlabel.geometry import Box
from seamlabel.io.boxes import covering
from seamlabel.io.sources import image_info, open_source

if TYPE_CHECKING:
    from seamlabel.axes import ImageInfo
    from seamlabel.io.sources import Source

_FIX = "Give a mask of the image's axes, of its shape or a coarser one"


@dataclass(frozen=True)
class Mask:
    """A mask beside an image at the level that is segmented; made by `open_mask`.

    Parameters
    ----------
    source : Source
        The mask's pixels.
    fine, coarse : tuple of int
        Shape of the image and of the mask, over those of the image's label axes that the mask has.
    axes : tuple of int
        Positions of these axes among the label axes.
    """

    source: Source
    fine: tuple[int, ...]
    coarse: tuple[int, ...]
    axes: tuple[int, ...]

    def any(self, box: Box) -> bool:
        """Return whether the mask is nonzero anywhere in a box of the image, over its label axes.

        Where the mask is coarser, one of its voxels more on every side counts too.
        """
        part = Box(tuple(box.start[i] for i in self.axes), tuple(box.stop[i] for i in self.axes))
        return bool(self.source.read(covering(part, self.fine, self.coarse)).any())


def open_mask(mask: Any, info: ImageInfo, level: int) -> Mask:
    """Open a mask for an image.

    Parameters
    ----------
    mask : str, path-like or array
        An OME-Zarr, image or labels, without channels or with one; or an array. It has the axes of
        the image's labels, or all but time, and covers the same field of view: coarser by one factor
        or by whole ones, up to rounding. Of an OME-Zarr the finest level is used that is not finer
        than the image's.
    info : ImageInfo
        The image.
    level : int
        Its level that is segmented.

    Raises
    ------
    SpecError
        If it cannot be opened or does not fit the image.
    """
    axes = [info.axes[i] for i in info.label_axes]
    space = [i for i, axis in enumerate(axes) if axis.kind == "space"]
    try:
        found = _describe(mask, [axis.name for axis in axes], space)
        names = [found.axes[i].name for i in found.label_axes]
        chosen = [i for i, axis in enumerate(axes) if axis.name in names]
        if [axes[i].name for i in chosen] != names or not set(space) <= set(chosen):
            raise _unfit(f"its axes are {', '.join(names)}, not {', '.join(axis.name for axis in axes)}")
        if found.channel_axis is not None and found.shape[found.channel_axis] > 1:
            raise _unfit(f"it has {found.shape[found.channel_axis]} channels")
        shape = info.label_values(info.levels[level].shape)
        fine = tuple(shape[i] for i in chosen)
        at = _level(found, fine, [axes[i].kind == "time" for i in chosen])
        coarse = found.label_values(found.levels[at].shape)
        _check_aspect(fine, coarse, [axes[i].tiled for i in chosen])
        source = open_source(mask, found, at, ())
    except SpecError:
        raise
    except SeamlabelError as error:
        raise SpecError([Problem("skip_empty", str(error), error.hint)]) from error
    return Mask(source, fine, coarse, tuple(chosen))


def _describe(mask: Any, names: list[str], space: list[int]) -> ImageInfo:
    """Describe a mask; an array has the image's label axes, or its space axes."""
    if isinstance(mask, str | os.PathLike):
        return image_info(mask)
    ndim = len(getattr(mask, "shape", ()))
    if ndim not in (0, len(names), len(space)):  # what has no shape is no array, and told so
        raise _unfit(f"it has {ndim} axes, the image's labels have {len(names)}: {', '.join(names)}")
    own = names if ndim == len(names) else [names[i] for i in space]
    return image_info(mask, axes="".join(own))


def _level(found: ImageInfo, fine: tuple[int, ...], time: list[bool]) -> int:
    """Return the finest level that is not finer than the image; time cannot be coarser."""
    for number, level in enumerate(found.levels):
        shape = found.label_values(level.shape)
        if all(m == n if t else m <= n for m, n, t in zip(shape, fine, time, strict=True)):
            return number
    shape = found.label_values(found.levels[-1].shape)
    raise _unfit(f"its shape is {shape}, the image's at the level that is segmented {fine}")


def _check_aspect(fine: tuple[int, ...], coarse: tuple[int, ...], tiled: list[bool]) -> None:
    """Raise if the mask shows another field of view: its shape would have to be stretched.

    Along a tiled axis it may be coarser by a whole factor, as levels are that are not coarser along z;
    or by the factor of another tiled axis. Either way its extent may be rounded up or down.
    """
    pairs = [(n, m) for n, m, t in zip(fine, coarse, tiled, strict=True) if t]
    for i, pair in enumerate(pairs):
        others = [*pairs[:i], *pairs[i + 1 :]]
        if others and not _whole(*pair) and not any(_alike(pair, other) for other in others):
            raise _unfit(f"its shape {coarse} has another aspect than the image's {fine}")


def _whole(n: int, m: int) -> bool:
    """Return whether `m` is `n` over a whole number, rounded up or down."""
    return (n // (m + 1) + 1) * (m - 1) < n


def _alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether one factor takes both extents to the coarser ones, rounded up or down."""
    (n, m), (k, c) = one, other
    return n * (c - 1) < k * (m + 1) and k * (m - 1) < n * (c + 1)


def _unfit(message: str) -> SpecError:
    return SpecError([Problem("skip_empty", f"the mask does not fit the image: {message}", _FIX)])
