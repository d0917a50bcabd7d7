"""Creating zarr arrays in one way for labels and images: separators, byte order, compression.

Knows zarr's two formats, nothing of NGFF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numcodecs import Blosc, Zstd
from zarr.codecs import BloscCodec, BytesCodec, ShardingCodec, ZstdCodec

if TYPE_CHECKING:
    from pathlib import Path

    from seamlabel.io.ngff.documents import ZarrFormat

ZSTD_LEVEL = 1
"""Level 3 is no smaller on labels; lz4 is up to twice as fast, at two to three times the size."""


def create_array(
    folder: Path,
    shape: tuple[int, ...],
    dtype: str,
    chunks: tuple[int, ...],
    *,
    zarr_format: ZarrFormat,
    names: tuple[str, ...],
    shuffle: bool = False,
    shards: tuple[int, ...] | None = None,
) -> zarr.Array[Any]:
    """Make an array in this folder: little endian, C order, fill value 0, zstd level 1.

    Parameters
    ----------
    folder : Path
        Becomes the array.
    shape, chunks : tuple of int
        Voxels; chunks are cut at the shape, but for those in shards.
    dtype : str
        numpy name.
    zarr_format : {2, 3}
        Format; chunks are in nested folders in both.
    names : tuple of str
        Names of the axes, kept as ``dimension_names`` in zarr 3.
    shuffle : bool
        Shuffle bytes before compression: good for intensities, bad for labels.
    shards : tuple of int, optional
        Voxels, made of whole chunks: chunks that share a file, with their index at its start; in zarr 3 only.
    """
    little = np.dtype(dtype).newbyteorder("<")
    common: dict[str, Any] = {
        "store": str(folder),
        "shape": shape,
        "dtype": little,
        "chunks": chunks if shards else tuple(min(c, n) for c, n in zip(chunks, shape, strict=True)),
        "fill_value": 0,
        # zarr's own test for empty chunks costs as much as the write; callers skip empty boxes
        "config": {"write_empty_chunks": True},
    }
    if zarr_format == 2:
        return zarr.create_array(
            **common,
            zarr_format=2,
            order="C",  # else the order that zarr's configuration says
            compressors=Blosc("zstd", ZSTD_LEVEL, Blosc.SHUFFLE) if shuffle else Zstd(level=ZSTD_LEVEL),
            filters=None,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
    chunked = _codecs(little, common["chunks"], shuffle, shards)
    return zarr.create_array(**common | chunked, zarr_format=3, filters=None, dimension_names=names)


def _codecs(
    dtype: np.dtype[Any], chunks: tuple[int, ...], shuffle: bool, shards: tuple[int, ...] | None
) -> dict[str, Any]:
    """Return what zarr 3 is told of chunks and codecs."""
    blosc = BloscCodec(cname="zstd", clevel=ZSTD_LEVEL, shuffle="shuffle", typesize=dtype.itemsize)
    serializer = BytesCodec(endian="little" if dtype.itemsize > 1 else None)
    packed = blosc if shuffle else ZstdCodec(level=ZSTD_LEVEL)
    if not shards:
        return {"chunks": chunks, "serializer": serializer, "compressors": packed}
    sharded = ShardingCodec(chunk_shape=chunks, codecs=[serializer, packed], index_location="start")
    return {"chunks": shards, "serializer": sharded, "compressors": None}
