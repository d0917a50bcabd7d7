"""New OME-Zarr images: `ImageWriter` writes them block by block, `write_image` all in one call.

Bounded memory: a block of some 16 MB and its means. An image's metadata come last: until then no reader
takes it for one. Knows nothing of labels (their pyramids are sampled).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel import __version__
from seamlabel.errors import OutputError
from seamlabel.io.ngff.chunkfiles import ChunkFiles
from seamlabel.io.ngff.documents import group_format, make_group, write_attributes
from seamlabel.io.ngff.layout import halved, layout
from seamlabel.io.ngff.metadata import group_attributes, multiscale, writing_attributes
from seamlabel.io.ngff.pyramid import area_mean, middle
from seamlabel.io.ngff.store import create_array
from seamlabel.io.partial import ENDING

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.io.ngff.layout import ImageLayout, Stage

    Window = dict[int, tuple[float, float]]
    """Lowest and highest value by channel."""

_SHRUNK = {
    area_mean: ("mean", "the mean of the voxels that a voxel stands for"),
    middle: ("nearest", "the middle one of the voxels that a voxel stands for"),
}
"""Ways to make coarser levels, and how these are told of: strict validators want to know."""


class ImageWriter:
    """Writes the arrays of one image; blocks of a stage may be written in any order, from many threads.

    Parameters
    ----------
    folder : Path
        Becomes the image.
    plan : ImageLayout
        How it is to lie there.
    classes : bool
        Values are numbers of classes, of which there is no mean: coarser levels are sampled.
    """

    def __init__(self, folder: Path, plan: ImageLayout, classes: bool = False) -> None:
        self.folder, self.plan = folder, plan
        self._shrink = middle if classes else area_mean
        self._steps = [
            tuple(b // a for a, b in zip(one.factor, other.factor, strict=True))
            for one, other in zip(plan.levels, plan.levels[1:], strict=False)
        ]
        self._files = [
            ChunkFiles(
                folder / str(number),
                level.shape,
                plan.shards or plan.cell(number),
                plan.dtype,
                zarr_format=plan.zarr_format,
                shuffle=True,
            )
            for number, level in enumerate(plan.levels)
        ]
        self.arrays: list[Any] = []
        """The zarr array of every level, once they are made."""

    def create(self) -> None:
        """Make the group, which says that it is being written, and its arrays; chunks there are kept."""
        make_group(self.folder, self.plan.zarr_format, writing_attributes())
        for number, level in enumerate(self.plan.levels):
            place = self.folder / str(number)
            for name in ("zarr.json", ".zarray", ".zattrs"):
                (place / name).unlink(missing_ok=True)
            array = create_array(
                place,
                level.shape,
                self.plan.dtype,
                self.plan.chunks,
                zarr_format=self.plan.zarr_format,
                names=tuple(self.plan.names),
                shuffle=True,
                shards=self.plan.shards,
            )
            self.arrays.append(array)

    def sweep(self) -> None:
        """Remove files that were cut short; nobody else may be writing."""
        for number in range(len(self.plan.levels)):
            for file in (self.folder / str(number)).rglob(f"*{ENDING}"):
                file.unlink(missing_ok=True)

    def write(self, stage: Stage, box: Box, pixels: NDArray[Any]) -> None:
        """Write what a block gives of every level of its stage.

        Parameters
        ----------
        stage : Stage
            Of the layout.
        box : Box
            One of the stage's blocks, in voxels of its base.
        pixels : ndarray
            The base there.

        Raises
        ------
        ValueError
            If the pixels have another shape than the box.
        OSError
            If a file cannot be written.
        """
        if pixels.shape != box.shape:
            msg = f"the block at {box} has shape {pixels.shape}, not {box.shape}"
            raise ValueError(msg)
        for number, there in self._boxes(stage, box):
            if number > stage.base:
                pixels = self._shrink(pixels, self._steps[number - 1])
            if number not in stage.levels:
                continue
            if self.plan.shards:
                self.arrays[number][there.slices] = pixels
            else:
                self._files[number].write(there, pixels)

    def size(self, stage: Stage, box: Box) -> int:
        """Return the bytes on disk of what a block gives."""
        boxes = self._boxes(stage, box)
        return sum(self._files[number].size(there) for number, there in boxes if number in stage.levels)

    def _boxes(self, stage: Stage, box: Box) -> list[tuple[int, Box]]:
        """Return the base and what is written with the boxes that a block covers there."""
        found = [(stage.base, box)]
        for number in range(stage.base, stage.levels.stop - 1):
            box = halved(box, self._steps[number], self.plan.levels[number + 1].shape)
            found.append((number + 1, box))
        return found

    def finish(
        self, channels: Sequence[str] | None, window: Window, at: Sequence[float] | None = None
    ) -> None:
        """Make it an image: one put of the group's attributes; `at`: where voxel 0 lies, in world units."""
        start, placed = at or (0.0,) * len(self.plan.scale), []
        for i, level in enumerate(self.plan.levels):
            scale, moved = level.place(self.plan.scale)
            placed.append((str(i), scale, tuple(a + b for a, b in zip(start, moved, strict=True))))
        image = multiscale(self.folder.name.split(".")[0], self.plan.axes, placed)
        kind, about = _SHRUNK[self._shrink]
        method = f"{self._shrink.__module__}.{self._shrink.__name__}"
        told = {"description": about, "method": method, "version": __version__}
        image |= {"type": kind, "metadata": told}
        more = {"omero": _omero(channels, window, np.dtype(self.plan.dtype))} if channels else {}
        write_attributes(self.folder, group_attributes(self.plan.zarr_format, image, more))


def write_image(  # noqa: PLR0913 - one call, options by name
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: str,
    block: Callable[[Box], NDArray[Any]],
    *,
    axes: str,
    scale: Sequence[float] | None = None,
    units: Sequence[str | None] | None = None,
    channels: Sequence[str] | None = None,
    version: str = "0.5",
    chunks: tuple[int, ...] | None = None,
    shards: tuple[int, ...] | None = None,
    levels: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a new OME-Zarr image, block by block; its metadata come last.

    Coarser levels halve y and x, and z where it is neither small nor much coarser than they are; a
    voxel is the mean of those that it covers, of what exists at odd ends. Their translation says
    that a coarse voxel's centre is the centre of what it covers: ``(factor - 1) / 2`` fine voxels.

    Parameters
    ----------
    path : str or path-like
        Folder to make.
    shape : tuple of int
        Voxels of level 0, over all axes.
    dtype : str
        numpy name of the pixel type.
    block : callable
        ``block(box)`` gives the pixels of a box of level 0 over all axes; boxes are made of whole
        chunks, of some 16 MB, and asked for once each, in raster order.
    axes : str
        Axis letters, such as ``"tczyx"``.
    scale : sequence of float, optional
        World units per voxel of each axis; 1 by default.
    units : sequence of str or None, optional
        NGFF unit of each axis.
    channels : sequence of str, optional
        Channel names.
    version : {"0.5", "0.4"}
        NGFF version: 0.5 in zarr 3, 0.4 in zarr 2.
    chunks : tuple of int, optional
        Chunk shape over all axes; by default 512 x 512, or 64 x 128 x 128 for volumes.
    shards : tuple of int, optional
        Voxels of the chunks that share a file, in 0.5; by default every chunk has its own.
    levels : int, optional
        Number of levels; by default until y and x are at most 512.
    overwrite : bool
        Replace a zarr group at that path.

    Raises
    ------
    OutputError
        If the path exists and may not be replaced, or cannot be written.
    ValueError
        If the arguments do not fit one another.
    """
    folder = Path(path)
    cut: dict[str, Any] = {"chunks": chunks, "shards": shards, "levels": levels}
    plan = layout(shape, dtype, axes=axes, scale=scale, units=units, version=version, **cut)
    _clear(folder, overwrite)
    writer = ImageWriter(folder, plan)
    writer.create()
    window: Window = {}
    for stage in plan.stages():
        for tile in stage.grid:
            first = stage.levels.start == stage.base
            read = block if first else lambda box, level=stage.base: writer.arrays[level][box.slices]
            pixels = np.asarray(read(tile.core))
            writer.write(stage, tile.core, pixels)
            if first:
                widen(window, value_range(tile.core, pixels, axes.find("c")))
    writer.finish(channels, window)


def _clear(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        msg = f"{folder} exists"
        raise OutputError(msg, "Give another path, or overwrite=True to replace it")
    if group_format(folder) is None:
        msg = f"{folder} is not a zarr group, it is not replaced"
        raise OutputError(msg, "Move it away, or give another path")
    shutil.rmtree(folder)


def value_range(box: Box, pixels: NDArray[Any], channel: int) -> Window:
    """Return the range of finite values of each channel in a block; `channel` is their axis, or -1."""
    first = box.start[channel] if channel >= 0 else 0
    found = {}
    for number, part in enumerate(np.moveaxis(pixels, channel, 0) if channel >= 0 else pixels[None], first):
        if pixels.dtype.kind == "f" and not np.isfinite(part.sum()):
            part = part[np.isfinite(part)]
        if part.size:
            found[number] = (float(part.min()), float(part.max()))
    return found


def widen(window: Window, more: Window) -> None:
    """Widen the range of values of each channel by those of a block."""
    for number, (low, high) in more.items():
        old = window.get(number, (low, high))
        window[number] = (min(low, old[0]), max(high, old[1]))


_COLORS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def _omero(
    channels: Sequence[str], window: dict[int, tuple[float, float]], dtype: np.dtype[Any]
) -> dict[str, Any]:
    """Return names, colours and display ranges of the channels."""
    described = []
    for number, name in enumerate(channels):
        start, end = window.get(number, (0.0, 1.0))
        low, high = (start, end) if dtype.kind in "fb" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        described.append(
            {
                "label": name,
                "color": _COLORS[number % len(_COLORS)] if len(channels) > 1 else _COLORS[0],
                "window": {"min": float(low), "max": float(high), "start": start, "end": max(end, start + 1)},
                "active": True,
            }
        )
    return {"channels": described}
