"""`save_labels`: labels that lie in an array, of whatever origin, into an OME-Zarr with all its levels.

Streams them block by block, as a run paints its own. Knows no viewer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.paint import PaintJob, paint_layout
from seamlabel.errors import OutputError
from seamlabel.geometry import TileGrid
from seamlabel.io.ngff.labels import LabelWriter
from seamlabel.io.ngff.metadata import LabelRecord

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.axes import ImageInfo
    from seamlabel.geometry import Box

_LARGEST = np.iinfo(np.uint32).max


@dataclass(frozen=True)
class _Given:
    """Labels as an array has them; a `LabelMaker`."""

    array: Any
    grid: TileGrid
    dtype: np.dtype[Any]

    def labels(self, box: Box) -> NDArray[Any] | None:
        pixels = np.asarray(self.array[box.slices])
        if pixels.size and pixels.dtype.kind == "i" and pixels.min() < 0:
            msg = f"labels below 0, such as {pixels.min()}"
            raise OutputError(msg, "Use 0 for the background and numbers from 1 for objects")
        return pixels.astype(self.dtype) if pixels.any() else None


def save_labels(labels: Any, info: ImageInfo, store: Path, name: str, *, overwrite: bool = False) -> str:
    """Write labels into ``STORE/labels/NAME``; they are seen once they are whole.

    Parameters
    ----------
    labels : array-like
        Integers, over the label axes of `info`; of the shape of one of its levels.
    info : ImageInfo
        The image that they belong to: as many levels are made as it has.
    store : Path
        OME-Zarr that gets them, made if it does not exist.
    name : str
        Name of the label.
    overwrite : bool
        Replace a label of that name.

    Returns
    -------
    str
        Where they are.

    Raises
    ------
    OutputError
        If they are no labels of this image, the name is taken, or the store cannot be written.
    """
    record = LabelRecord(name, info, overwrite)
    shape = tuple(map(int, labels.shape))
    if shape not in record.level_shapes:
        image = " x ".join(map(str, record.level_shapes[0]))
        msg = f"labels of {' x '.join(map(str, shape))} do not belong to an image of {image}"
        raise OutputError(msg, "Save them into another OME-Zarr")
    sink = LabelWriter(record, store)
    sink.check()
    layout = paint_layout(sink.shapes, tuple(axis.tiled for axis in record.axes))
    grid = TileGrid(shape, tuple(map(min, layout.blocks[0], shape)), (0,) * len(shape))
    maker = _Given(labels, grid, _dtype(labels, grid))
    try:
        sink.begin(maker.dtype.name, layout.chunks, layout.blocks)
        job = PaintJob(maker, sink, layout, threading.Event())
        for levels in layout.passes():
            for index in job.blocks(levels):
                job.paint(levels, index)
        sink.commit()
    except BaseException:
        sink.abort()
        raise
    return sink.path


def _dtype(labels: Any, grid: TileGrid) -> np.dtype[Any]:
    """Return the smallest type of labels that holds all of these; long integers are looked through."""
    dtype = np.dtype(labels.dtype)
    if dtype.kind not in "biu":
        msg = f"labels of type {dtype} are no whole numbers"
        raise OutputError(msg, "Turn them into integers")
    if dtype.itemsize <= 4:
        return np.dtype(np.uint32)
    large = any(int(np.max(labels[tile.core.slices], initial=0)) > _LARGEST for tile in grid)
    return np.dtype(np.uint64 if large else np.uint32)
