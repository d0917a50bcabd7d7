"""What tells an image from another, or from what it was before: its arrays, and pixels here and there.

Knows no runs; a few voxels are read, none of them through the caches of a run.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from seamlabel.errors import BackendError, ImageError
from seamlabel.geometry import Box
from seamlabel.io.boxes import image_slices
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader

if TYPE_CHECKING:
    from seamlabel.io.sources import Source

SPOTS = 4
"""Places at which pixels are looked at, along the diagonal."""
SIDE = 16
BLOCK_BYTES = 1 << 22


def fingerprint(source: Source) -> dict[str, str]:
    """Return what tells an image: digests of its arrays' descriptions, and of some of its pixels.

    Pixels of a dask array are not looked at: they would be computed for that alone.
    """
    arrays = [_described(array) for array in source.arrays]
    level = source.info.levels[source.level]
    looks = [arrays, source.info.names, source.info.channels, level.scale]
    return {"image": _digest(json.dumps(looks).encode()), "pixels": _pixels(source)}


def _described(array: Any) -> Any:
    if isinstance(array, zarr.Array):
        found = array.metadata.to_dict()
        found.pop("attributes", None)
        return json.loads(json.dumps(found, default=str))
    return [list(map(int, array.shape)), str(np.dtype(array.dtype))]


def _pixels(source: Source) -> str:
    """Return a digest of some pixels; "" where none can be had."""
    array = source.arrays[source.level]
    if source.info.computed:
        return ""
    reader = ChunkReader(array, ChunkCache(0))
    shape = source.info.label_values(source.info.levels[source.level].shape)
    sides = [SIDE if axis.tiled else 1 for axis in (source.info.axes[i] for i in source.info.label_axes)]
    found = 0
    try:
        for spot in range(SPOTS):
            start = [max(0, (n - side) * spot // (SPOTS - 1)) for n, side in zip(shape, sides, strict=True)]
            stop = [min(a + side, n) for a, side, n in zip(start, sides, shape, strict=True)]
            box = Box(tuple(start), tuple(stop))
            for cut in image_slices(source.info, box, source.channels or (0,)):
                found = zlib.crc32(reader.read(cut).tobytes(), found)
    except (ImageError, OSError, ValueError, RuntimeError):  # a damaged chunk is its tile's to tell
        return ""
    return f"{found:08x}"


def array_digest(array: Any) -> str:
    """Return a digest of an array that fits into memory."""
    values = np.ascontiguousarray(array)
    return _digest(repr((values.shape, values.dtype.str)).encode() + values.tobytes())


def _digest(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"


def content_digest(path: str) -> str:
    """Return a digest of a file, or of all files in a folder and their names.

    Raises
    ------
    BackendError
        If it cannot be read.
    """
    root, found = Path(path).expanduser(), 0
    try:
        for file in sorted(each for each in root.rglob("*") if each.is_file()) if root.is_dir() else [root]:
            found = zlib.crc32(file.relative_to(root).as_posix().encode(), found)
            with file.open("rb") as stream:
                while block := stream.read(BLOCK_BYTES):
                    found = zlib.crc32(block, found)
    except OSError as error:
        msg = f"the model {path} cannot be read: {error.strerror or error}"
        raise BackendError(msg, "Check the path, and that you may read it") from None
    return f"{found:08x}"
