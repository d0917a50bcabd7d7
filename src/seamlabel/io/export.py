"""Labels written as OME-TIFF: tiled, compressed, with scale and units, whatever their size.

A slab of chunks is read once and its tiles, compressed, wait in a file until their planes are due; so memory
holds one box of a few tiles. The TIFF appears whole or not at all. Knows no runs.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError, OutputError, Problem, SpecError
from seamlabel.geometry import Box
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.convert.inputs import needed
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.places import local_path
from seamlabel.io.ngff.publish import explained
from seamlabel.io.partial import partial_of, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from seamlabel.axes import ImageInfo

TILE = 512
"""Voxels of a tile along y and x, 16 times a whole number."""
MOST_DEPTH = 64
"""Planes that are read together at most."""
CACHE_BYTES = 1 << 26
BIG_BYTES = 1 << 32
"""From this size on, compressed or not, offsets of 64 bits are written (BigTIFF)."""
_LEVEL = 6
_OME_UNITS = {
    "angstrom": "Å",
    "picometer": "pm",
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "decimeter": "dm",
    "meter": "m",
    "kilometer": "km",
    "inch": "in",
    "nanosecond": "ns",
    "microsecond": "µs",
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "d",
}
_NO_UNIT = "reference frame"
"""What OME says of lengths whose unit is not known; without it readers take them for micrometres."""


def export_labels(
    labels: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    level: int = 0,
    overwrite: bool = False,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write labels as an OME-TIFF: BigTIFF where they are large, in tiles, compressed (deflate).

    Parameters
    ----------
    labels : str or path-like
        A label group, such as ``IMAGE.zarr/labels/NAME``.
    out : str or path-like
        The file: ``.tif`` or ``.tiff``, in a folder that exists.
    level : int
        Resolution level, 0 = full.
    overwrite : bool
        Replace a file of that name, once the new one is whole.
    workers : int
        Threads that compress.
    on_progress : callable, optional
        Called with (voxels done, voxels).

    Returns
    -------
    str
        The file.

    Raises
    ------
    SpecError
        If there is no such level.
    ImageError
        If there are no labels there, or they cannot be read.
    OutputError
        If the file cannot be written, is there already, or ids do not fit 32 bits.
    """
    place = Path(local_path(out))
    array, info = _opened(labels, level)
    if place.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"{place.name} names no kind of image that is written", "End the name in .tif")
    if place.exists() and not (overwrite and place.is_file()):
        raise OutputError(f"{place} exists", "Give another name, or --overwrite to replace it")
    if not place.parent.is_dir():
        raise OutputError(f"{place} cannot be written: no folder {place.parent}", "Make the folder first")
    tifffile = needed("tifffile", "convert")
    sweep(place.parent, place.name)
    part = partial_of(place)
    try:
        with explained(place, "labels cannot be written into"):
            _write(tifffile, part, array, info, level, workers, on_progress)
            part.replace(place)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return str(place)


def _opened(labels: str | os.PathLike[str], level: int) -> tuple[Any, ImageInfo]:
    image = open_image(labels)
    info = image.info
    if info.labels:
        choices = ", ".join(f"{info.path}/labels/{name}" for name in info.labels[:10])
        raise ImageError(f"{info.path} is an image that holds labels", f"Give one of them: {choices}")
    if info.channel_axis is not None or np.dtype(info.dtype).kind not in "iub":
        msg = f"{info.path} holds no labels, but {info.names} of type {info.dtype}"
        raise ImageError(msg, "Give labels, such as IMAGE.zarr/labels/NAME")
    if not set(info.names) <= set("tzyx") or not info.names.endswith("yx"):
        raise ImageError(f"{info.path} has axes {info.names}", "TIFF has t, z, y and x, in this order")
    if not 0 <= level < len(info.levels):
        fix = f"Give one of 0 to {len(info.levels) - 1}"
        raise SpecError([Problem("level", f"the labels have no level {level}", fix)])
    return image.arrays[level], info


def _write(
    tifffile: Any,
    part: Path,
    array: Any,
    info: ImageInfo,
    level: int,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    dtype = np.dtype(array.dtype).newbyteorder("<")
    stored = np.dtype("<u4") if dtype.itemsize == 8 else np.dtype("u1") if dtype.kind == "b" else dtype
    size = array.size * stored.itemsize
    pool = ThreadPoolExecutor(workers, "seamlabel-export")
    try:
        with (
            tempfile.TemporaryFile(dir=part.parent, prefix=".seamlabel-export-") as spool,
            tifffile.TiffWriter(part, bigtiff=size >= BIG_BYTES, ome=True) as file,
        ):
            file.write(
                _tiles(array, stored, pool, spool, on_progress),
                shape=array.shape,
                dtype=stored,
                tile=(TILE, TILE),
                photometric="minisblack",
                compression="zlib",
                metadata=_told(info, level),
            )
        with part.open("rb+") as written:
            os.fsync(written.fileno())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _told(info: ImageInfo, level: int) -> dict[str, Any]:
    """Return what OME-XML says of axes, sizes and units."""
    found: dict[str, Any] = {"axes": info.names.upper(), "Name": Path(info.path or "labels").name}
    for axis, size in zip(info.axes, info.levels[level].scale, strict=True):
        unit = _OME_UNITS.get(axis.unit or "")
        if axis.name == "t":
            if unit:
                found |= {"TimeIncrement": size, "TimeIncrementUnit": unit}
        elif unit or size != 1:
            key = f"PhysicalSize{axis.name.upper()}"
            found |= {key: size, f"{key}Unit": unit or _NO_UNIT}
    return found


def _tiles(
    array: Any,
    stored: np.dtype[Any],
    pool: ThreadPoolExecutor,
    spool: Any,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[bytes]:
    """Yield compressed tiles, plane by plane and row by row, as a TIFF keeps them."""
    reader = ChunkReader(array, ChunkCache(CACHE_BYTES))
    *outer, height, width = array.shape
    depth = min(array.chunks[-3], MOST_DEPTH) if outer else 1
    rows, columns = range(0, height, TILE), range(0, width, TILE)
    empty = zlib.compress(bytes(TILE * TILE * stored.itemsize), _LEVEL)
    pack = partial(_packed, stored=stored, empty=empty)
    done = 0
    for first in product(*map(range, outer[:-1]), range(0, outer[-1] if outer else 1, depth)):
        planes = min(depth, outer[-1] - first[-1]) if outer else 1
        kept: list[list[tuple[int, int]]] = [[] for _ in range(planes)]
        spool.seek(0)
        spool.truncate()
        for y, x in product(rows, columns):
            low, high = (*first, y, x), (min(y + TILE, height), min(x + TILE, width))
            stop = (*(i + 1 for i in first[:-1]), first[-1] + planes, *high)
            box = Box(low, stop) if outer else Box((y, x), high)
            pixels = reader.read(box).reshape(planes, high[0] - y, high[1] - x)
            for plane, data in zip(kept, pool.map(pack, pixels), strict=True):
                plane.append((spool.tell(), len(data)))
                spool.write(data)
            done += box.size
            if on_progress:
                on_progress(done, array.size)
        for plane in kept:
            for at, length in plane:
                spool.seek(at)
                yield spool.read(length)


def _packed(pixels: NDArray[Any], stored: np.dtype[Any], empty: bytes) -> bytes:
    """Return a tile, compressed; filled up with background at the image's end."""
    if not pixels.any():
        return empty
    if pixels.dtype.itemsize == 8 and not 0 <= int(pixels.min()) <= int(pixels.max()) < 1 << 32:
        msg = f"ids from {pixels.min()} to {pixels.max()} do not fit the 32 bits that programs read of TIFF"
        raise OutputError(msg, "Relabel them, or keep them in OME-Zarr")
    if pixels.shape == (TILE, TILE):
        whole = pixels.astype(stored, order="C")
    else:
        whole = np.zeros((TILE, TILE), stored)
        whole[tuple(map(slice, pixels.shape))] = pixels
    return zlib.compress(whole.data, _LEVEL)
