"""Images that tiles are cut from: OME-Zarr paths and arrays behind one `Source`.

Knows which axes are looped, chosen and tiled; knows nothing of tiles' meaning or of labels' writing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from seamlabel.axes import ImageInfo, LevelInfo, parse_axes
from seamlabel.errors import ImageError, OutputError
from seamlabel.geometry import Box, TileGrid
from seamlabel.io.ngff.documents import read_attributes
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.model import label_names, open_image
from seamlabel.io.ngff.places import can_stage, local_path, obstacle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Image

SAMPLE_VOXELS = 1 << 24
"""Most pixels that image-wide statistics look at: exact enough, and a second of reading."""
_PIECE_VOXELS = 1 << 20
_LETTERS = "tczyx"
_DEFAULT_AXES = {1: "x", 2: "yx", 3: "zyx"}
_GOLDEN = 0.6180339887498949


def image_info(
    image: Any, *, axes: str | None = None, output: str | os.PathLike[str] | None = None
) -> ImageInfo:
    """Describe an image without reading its pixels.

    Parameters
    ----------
    image : str, path-like or array
        Path of an OME-Zarr (``~`` is expanded), or anything with ``shape``, ``dtype`` and
        ``__getitem__``.
    axes : str, optional
        Axis letters of an array, in small or capital letters, such as ``"tczyx"``; by default
        ``x``, ``yx``, ``zyx``.
    output : str or path-like, optional
        OME-Zarr of its own that gets the labels; may not exist yet. `labels` and `writable` of the
        result then describe that store.

    Returns
    -------
    ImageInfo
        `writable` says that labels can be put into the store, and that a folder can be made beside
        it: tiles are staged there while a run goes on.

    Raises
    ------
    ImageError
        If it cannot be opened or its axes are not known.
    OutputError
        If `output` is remote, or an OME-Zarr image of another shape.
    """
    if isinstance(image, str | os.PathLike):
        info = open_image(image).info
        if axes is not None and axes.lower() != info.names.lower():
            msg = f"{info.path} has axes '{info.names}', not '{axes}'"
            raise ImageError(msg, "Leave axes out: they are for arrays, an OME-Zarr names its own")
    else:
        info = _array_info(image, axes)
    return info if output is None else _into(info, Path(local_path(output, OutputError)))


def _into(info: ImageInfo, output: Path) -> ImageInfo:
    """Return the info with `labels` and `writable` of the store that gets the labels."""
    info = replace(info, labels=label_names(output), writable=not obstacle(output) and can_stage(output))
    if info.writable and "multiscales" in ngff_part(read_attributes(output)):
        other = open_image(output).info
        ours, theirs = info.label_values(info.shape), other.label_values(other.shape)
        if ours != theirs:
            msg = f"{output} is an image of shape {theirs}, labels of shape {ours} do not belong to it"
            raise OutputError(msg, "Give another output")
    return info


def _array_info(image: Any, axes: str | None) -> ImageInfo:
    if not all(hasattr(image, name) for name in ("shape", "dtype", "__getitem__")):
        msg = f"{type(image).__name__} is neither a path nor an array"
        raise ImageError(msg, "Give the path of an OME-Zarr, or a numpy, zarr or dask array")
    shape = tuple(int(n) for n in image.shape)
    names = axes.lower() if axes else _DEFAULT_AXES.get(len(shape), "")
    if not set(names) <= set(_LETTERS):
        msg = f"axes {axes!r} have letters that mean no axis"
        raise ImageError(msg, f"Use {', '.join(_LETTERS)}: time, channel and the space axes")
    if not shape or len(names) != len(shape) or len(set(names)) < len(names):
        msg = f"an array of {len(shape)} dimensions, shape {shape}, with axes {axes!r}"
        raise ImageError(msg, "Name its axes, one letter each: axes='tczyx', axes='cyx', …")
    if axes is None and len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) > 4:
        msg = f"an array of shape {shape} looks like a colour picture"
        raise ImageError(msg, "Say what it is: axes='yxc' for colours, axes='zyx' for a volume")
    dtype = np.dtype(image.dtype)
    if dtype.kind not in "biuf":
        msg = f"pixels of type {dtype} are not numbers that can be segmented"
        raise ImageError(msg, "Give an image of integers or floats")
    parsed = parse_axes(names)
    count = next((n for axis, n in zip(parsed, shape, strict=True) if axis.kind == "channel"), 0)
    return ImageInfo(
        axes=parsed,
        dtype=dtype.newbyteorder("=").name,
        levels=(LevelInfo("", shape, _chunks(image, shape), (1.0,) * len(shape), (0.0,) * len(shape)),),
        channels=tuple(map(str, range(count))),
    )


def _chunks(image: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the chunk shape: zarr and h5py give numbers, dask all sizes along each axis, numpy none."""
    chunks = getattr(image, "chunks", None)
    if not chunks or len(chunks) != len(shape):
        return shape
    return tuple(int(c[0]) if isinstance(c, tuple) else int(c) for c in chunks)


@dataclass(frozen=True)
class Source:
    """The image at the level that is segmented, reduced to the chosen channels.

    Made by `open_source`; safe to use from several threads.

    Parameters
    ----------
    arrays : tuple
        One array per level of the image, over all its axes.
    info : ImageInfo
        Describes them.
    level : int
        The level that is segmented.
    channels : tuple of int
        Channels that `read` gives; empty where the image has no channel axis.
    """

    arrays: tuple[Any, ...]
    info: ImageInfo
    level: int
    channels: tuple[int, ...]

    def read(self, box: Box) -> Image:
        """Return the pixels of a box.

        Parameters
        ----------
        box : Box
            Over the label axes (time and space) in the image's order; extent 1 along time.

        Returns
        -------
        ndarray
            The space axes in the image's order, such as ``zyx``; with a leading channel axis if
            several channels were chosen. Native byte order, C-contiguous.
        """
        pixels = self._cut(self.level, box, self.channels or (0,))
        times = tuple(
            1 + i for i, axis in enumerate(self.info.label_axes) if self.info.axes[axis].kind == "time"
        )
        pixels = pixels.squeeze(axis=times)
        pixels = pixels if len(self.channels) > 1 else pixels[0]
        if isinstance(self.arrays[self.level], zarr.Array):
            return np.ascontiguousarray(pixels)
        return pixels.copy(order="C")  # a segmenter that works in place must not touch the user's array

    def sample(self, channel: int) -> NDArray[Any]:
        """Return pixels for image-wide statistics of one channel, the same however tiles are cut.

        All pixels of the finest level that is not finer than the one segmented and has at most
        2**24 voxels over all times; if none is that small, blocks spread evenly over the coarsest.

        Parameters
        ----------
        channel : int
            Index of the channel in the image; 0 where it has no channel axis.

        Returns
        -------
        ndarray
            1-D, native byte order.
        """
        for level in range(self.level, len(self.arrays)):
            shape = self.info.label_values(self.info.levels[level].shape)
            if prod(shape) <= SAMPLE_VOXELS:
                return self._cut(level, Box.whole(shape), (channel,)).ravel()
        level = len(self.arrays) - 1
        return np.concatenate([self._cut(level, box, (channel,)).ravel() for box in self._pieces(level)])

    def _pieces(self, level: int) -> list[Box]:
        """Return blocks of whole chunks (parts, if chunks are huge), evenly spread over a level."""
        info = self.info.levels[level]
        shape = self.info.label_values(info.shape)
        piece = [min(c, n) for c, n in zip(self.info.label_values(info.chunks), shape, strict=True)]
        while prod(piece) > _PIECE_VOXELS:
            longest = piece.index(max(piece))
            piece[longest] = -(-piece[longest] // 2)
        grid = TileGrid(shape, tuple(piece), (0,) * len(shape))
        wanted = max(1, min(len(grid), SAMPLE_VOXELS // prod(piece)))
        # Steps of the golden ratio cover rows and columns alike; equal steps may hit one column only.
        numbers = {int((i + 0.5) * _GOLDEN % 1.0 * len(grid)) for i in range(wanted)}
        return [grid[number].core for number in sorted(numbers)]

    def _cut(self, level: int, box: Box, channels: tuple[int, ...]) -> Image:
        """Return channels in front, then the label axes, whatever the image's order of axes."""
        where = self.info.channel_axis
        slices: list[Any] = [0] * len(self.info.axes)  # axes that are neither have extent 1
        for axis, cut in zip(self.info.label_axes, box.slices, strict=True):
            slices[axis] = cut
        array = self.arrays[level]
        if where is None:
            return _pixels(array[tuple(slices)])[None]
        together = channels == tuple(range(channels[0], channels[0] + len(channels)))
        cuts = [slice(channels[0], channels[-1] + 1)] if together else [slice(c, c + 1) for c in channels]
        # Dropped axes before the channel axis move it forward in what comes back.
        place = where - sum(1 for axis in range(where) if slices[axis] == 0)
        parts = []
        for cut in cuts:
            slices[where] = cut
            parts.append(np.moveaxis(_pixels(array[tuple(slices)]), place, 0))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _pixels(part: Any) -> Image:
    """Return what an array gave as a numpy array in native byte order."""
    if hasattr(part, "__dask_graph__"):  # dask, or xarray around it: the engine has its own threads
        part = part.compute(scheduler="synchronous")
    pixels = np.asarray(part)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def open_source(image: Any, info: ImageInfo, level: int, channels: tuple[int, ...]) -> Source:
    """Open an image for reading tiles.

    Parameters
    ----------
    image : str, path-like or array
        What `image_info` described.
    info : ImageInfo
        That description.
    level : int
        Level to segment.
    channels : tuple of int
        Chosen channels; empty where the image has no channel axis.

    Raises
    ------
    ImageError
        If the image cannot be opened, or is no longer as `info` says.
    """
    arrays = open_image(image).arrays if isinstance(image, str | os.PathLike) else (image,)
    shapes = tuple(tuple(array.shape) for array in arrays)
    if shapes != tuple(entry.shape for entry in info.levels):
        planned = tuple(entry.shape for entry in info.levels)
        msg = f"the image has levels of shape {shapes} now, it was planned with {planned}"
        raise ImageError(msg, "Plan the run again")
    return Source(tuple(arrays), info, level, channels)


def open_labels(path: str | os.PathLike[str]) -> list[Any]:
    """Return the levels of a label group as lazy, read-only arrays, full resolution first.

    Each has ``shape``, ``dtype``, ``ndim``, ``chunks``, ``__getitem__`` and ``__array__``.

    Raises
    ------
    ImageError
        If there are no finished labels at this path.
    """
    return list(open_image(path).arrays)
