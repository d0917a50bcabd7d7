"""Images that tiles are cut from: OME-Zarr paths and arrays behind one `Source`.

Knows which axes are looped, chosen and tiled; knows nothing of tiles' meaning or of labels' writing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError, OutputError
from seamlabel.geometry import Box
from seamlabel.io.ahead import ReadAhead
from seamlabel.io.arrays import array_info
from seamlabel.io.boxes import covering, image_slices, spread
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.ngff.documents import read_attributes
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.model import label_names, open_image
from seamlabel.io.ngff.places import can_stage, local_path, obstacle
from seamlabel.io.opened import Opened, opened
from seamlabel.order import SAMPLE_VOXELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.axes import ImageInfo
    from seamlabel.protocols import Image

CACHE_BYTES = 1 << 26
"""For decoded chunks, where no plan says how much."""


def image_info(
    image: Any, *, axes: str | None = None, output: str | os.PathLike[str] | None = None
) -> ImageInfo:
    """Describe an image without reading its pixels.

    Parameters
    ----------
    image : str, path-like or array
        Path (``~`` is expanded) or address of an OME-Zarr, another file that `as_source` reads, or
        anything with ``shape``, ``dtype`` and ``__getitem__``.
    axes : str, optional
        Axis letters of an array or of a file that does not say them, such as ``"tczyx"``, in any case; by
        default ``x``, ``yx``, ``zyx``.
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
    image = opened(image, axes)
    if isinstance(image, str | os.PathLike):
        info = open_image(image).info
        if axes is not None and axes.lower() != info.names.lower():
            msg = f"{info.path} has axes '{info.names}', not '{axes}'"
            raise ImageError(msg, "Leave axes out: they are for arrays, an OME-Zarr names its own")
    else:
        info = array_info(image, axes)
    return info if output is None else _into(info, Path(local_path(output)))


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


@dataclass(frozen=True)
class Source:
    """The image at the level that is segmented, reduced to the chosen channels.

    Made by `open_source`; safe to use from several threads.

    Parameters
    ----------
    readers : tuple of ChunkReader
        One per level of the image, over all its axes.
    info : ImageInfo
        Describes them.
    level : int
        The level that is segmented.
    channels : tuple of int
        Channels that `read` gives; empty where the image has no channel axis.
    """

    readers: tuple[ChunkReader, ...]
    info: ImageInfo
    level: int
    channels: tuple[int, ...]
    _ahead: ReadAhead = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare reading ahead."""
        object.__setattr__(self, "_ahead", ReadAhead(self._warm))

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The array of every level."""
        return tuple(reader.array for reader in self.readers)

    @property
    def decoded(self) -> int:
        """Chunks of the segmented level decoded so far; 0 for arrays without chunks."""
        return self.readers[self.level].decoded

    @property
    def fill(self) -> Any:
        """Value of the pixels of a box that is `missing`; None where none is ever known to be."""
        return self.readers[self.level].fill

    def read(self, box: Box) -> Image:
        """Return the pixels of a box.

        Parameters
        ----------
        box : Box
            Over the label axes (time and space) in the image's order; extent 1 along looped ones.

        Returns
        -------
        ndarray
            The space axes in the image's order, such as ``zyx``; with a leading channel axis if
            several channels were chosen. Native byte order, C-contiguous, shared with nobody.
        """
        self._ahead.forget(box)
        return self._tile(self.level, box)

    def coarse(self, level: int, box: Box) -> Image:
        """Return the pixels of a coarser level that cover a box of the segmented level.

        One coarse voxel more on every side along which the level is coarser (not past the image),
        so that all of the box is covered however the level was made.

        Parameters
        ----------
        level : int
            A level at least as coarse as the segmented one.
        box : Box
            As for `read`.

        Returns
        -------
        ndarray
            As `read` gives; a looped axis along which the level is coarser is kept.
        """
        fine, coarse = (self.info.label_values(self.info.levels[n].shape) for n in (self.level, level))
        return self._tile(level, covering(box, fine, coarse))

    def missing(self, box: Box) -> bool:
        """Return whether it is known without reading that every pixel of a box is `fill`.

        So it is where no chunk of the box has a file in a plain local store; elsewhere False.
        """
        reader = self.readers[self.level]
        return reader.fill is not None and all(
            map(reader.missing, image_slices(self.info, box, self.channels or (0,)))
        )

    def prefetch(self, box: Box) -> None:
        """Begin to load what a box needs soon, in a thread of its own; only a hint.

        Does nothing where all is loaded, and for arrays that are not zarr's. Errors are left to `read`.
        """
        reader = self.readers[self.level]
        if any(map(reader.lacks, image_slices(self.info, box, self.channels or (0,)))):
            self._ahead.ask(box)

    def close(self) -> None:
        """End reading ahead and let go of decoded chunks; what is read later is decoded anew."""
        self._ahead.close()
        self.readers[0].forget()

    def _warm(self, box: Box) -> None:
        for cut in image_slices(self.info, box, self.channels or (0,)):
            self.readers[self.level].warm(cut)

    def sample(self, channel: int) -> NDArray[Any]:
        """Return pixels for image-wide statistics of one channel: those of `samples`, 1-D."""
        return np.concatenate([part.ravel() for part in self.samples(channel)[1]])

    def samples(self, channel: int) -> tuple[int, list[Image]]:
        """Return a level and blocks of it for image-wide statistics, the same however tiles are cut.

        All pixels of the finest level that is not finer than the one segmented and has at most
        2**24 voxels over all times; if none is that small, blocks spread evenly over the coarsest.

        Parameters
        ----------
        channel : int
            Index of the channel in the image; 0 where it has no channel axis.
        """
        for level in range(self.level, len(self.readers)):
            shape = self.info.label_values(self.info.levels[level].shape)
            if prod(shape) <= SAMPLE_VOXELS:
                return level, [self._cut(level, Box.whole(shape), (channel,))[0]]
        level = len(self.readers) - 1
        shape, chunks = map(
            self.info.label_values, (self.info.levels[level].shape, self.info.levels[level].chunks)
        )
        boxes = spread(shape, chunks, SAMPLE_VOXELS)
        return level, [self._cut(level, box, (channel,))[0] for box in boxes]

    def _tile(self, level: int, box: Box) -> Image:
        """Return the chosen channels of a box of a level, without looped axes, as `read` gives them."""
        pixels = self._cut(level, box, self.channels or (0,))
        axes = enumerate((self.info.axes[axis] for axis in self.info.label_axes), start=1)
        looped = tuple(i for i, axis in axes if not axis.tiled and pixels.shape[i] == 1)
        pixels = pixels.squeeze(axis=looped)
        return np.ascontiguousarray(pixels if len(self.channels) > 1 else pixels[0])

    def _cut(self, level: int, box: Box, channels: tuple[int, ...]) -> Image:
        """Return channels in front, then the label axes, whatever the image's order of axes."""
        where = self.info.channel_axis
        kept = self.info.label_axes
        others = tuple(axis for axis in range(len(self.info.axes)) if axis not in kept and axis != where)
        parts = []
        for cut in image_slices(self.info, box, channels):
            pixels = self.readers[level].read(cut)
            pixels = pixels[None] if where is None else np.moveaxis(pixels, where, 0)
            # Axes that are neither have extent 1; those before the channels have moved back by one.
            drop = tuple(axis + 1 if where is None or axis < where else axis for axis in others)
            parts.append(pixels.squeeze(axis=drop))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_source(
    image: Any, info: ImageInfo, level: int, channels: tuple[int, ...],
    cache_bytes: int = CACHE_BYTES, axes: str | None = None,
) -> Source:  # fmt: skip
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
    cache_bytes : int
        Memory for decoded chunks.
    axes : str, optional
        As `image_info` was given them.

    Raises
    ------
    ImageError
        If the image cannot be opened, or is no longer as `info` says.
    """
    image = opened(image, axes)
    held = image.array if isinstance(image, Opened) else image
    arrays = open_image(image).arrays if isinstance(image, str | os.PathLike) else (held,)
    shapes = tuple(tuple(array.shape) for array in arrays)
    if shapes != (planned := tuple(entry.shape for entry in info.levels)):
        msg = f"the image has levels of shape {shapes} now, it was planned with {planned}"
        raise ImageError(msg, "Plan the run again")
    cache = ChunkCache(cache_bytes)
    return Source(tuple(ChunkReader(array, cache) for array in arrays), info, level, channels)


def open_labels(path: str | os.PathLike[str]) -> list[Any]:
    """Return the levels of a label group as lazy, read-only arrays, full resolution first.

    Each has ``shape``, ``dtype``, ``ndim``, ``chunks``, ``__getitem__`` and ``__array__``.

    Raises
    ------
    ImageError
        If there are no finished labels at this path.
    """
    return list(open_image(path).arrays)
