"""What the metadata of a zarr array may say before zarr-python is asked to open it.

Pure: documents in, refusals out. Knows both formats of zarr, nothing of NGFF and no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from seamlabel import memory
from seamlabel.io.pictures import PICTURES

MOST_AXES = 8
MOST_SIDE = 1 << 40
MOST_VOXELS = 1 << 53
"""The largest images today have 2**51; beyond 2**63 numbers of voxels would no longer be right."""
_ABSURD_BYTES = 1 << 28
_ABSURD_TIMES = 1 << 12
"""A chunk of more bytes than that, and so many times the whole array, is there to fill the memory."""
_SMALL_BYTES = 1 << 25
"""Less than is needed anyway: how much is free need not be asked."""
_MOST_INNER = 1 << 24
"""Chunks in a shard: the index of so many takes 256 MB."""
_NUMBERS = re.compile(r"[<>|=]?(b1|[iuf][1248])")
_V3_NUMBERS = re.compile(r"bool|float(16|32|64)|u?int(8|16|32|64)")
_COMPRESSORS = {"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"}
_FILTERS = {
    *("adler32", "astype", "bitround", "crc32", "crc32c", "delta", "fixedscaleoffset", "fletcher32"),
    *("packbits", "quantize", "shuffle"),
}
_V3_CODECS = {"blosc", "bytes", "crc32c", "gzip", "transpose", "zstd"} | {
    f"numcodecs.{name}" for name in _COMPRESSORS | _FILTERS
}
_V3_KEYS = {
    *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value"),
    *("codecs", "attributes", "dimension_names", "storage_transformers"),
}
_TYPE_KEYS = ("dtype", "astype", "encode_dtype", "decode_dtype")

REWRITE = "Write it again with another program"
DAMAGED = "Check that it was written completely"


class Refused(ValueError):
    """Metadata that cannot be right, or would do harm; `hint` says what to do."""

    def __init__(self, message: str, hint: str = DAMAGED) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class ArrayShape:
    """What the metadata say of an array's size.

    Parameters
    ----------
    shape, chunks : tuple of int
        Voxels; of shards where there are some, because they are stored together.
    chunk_bytes : int
        Of a chunk (or shard) as it is decoded.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    chunk_bytes: int


def check_array(document: dict[str, Any]) -> ArrayShape:
    """Return the size of the array that ``.zarray`` or ``zarr.json`` describes.

    Raises
    ------
    Refused
        If sizes are no sizes, a chunk takes more memory than there is, pixels are not numbers, or a
        codec or an extension is not one of those that are known to do no harm.
    """
    version = document.get("zarr_format")
    if version == 2 and version is not True:
        stored, chunks = _version_2(document)
    elif version == 3:
        stored, chunks = _version_3(document)
    else:
        raise Refused(f"zarr_format {version!r:.50} is neither 2 nor 3")
    shape = _extents(document.get("shape"), "shape", 0)
    chunks = _extents(chunks, "chunk shape", 1)
    if len(shape) != len(chunks):
        raise Refused(f"chunks of {len(chunks)} dimensions do not belong to a shape of {len(shape)}")
    if prod(shape) > MOST_VOXELS:
        raise Refused(f"it would have {prod(shape):,} voxels")
    return ArrayShape(shape, chunks, _chunk_bytes(shape, chunks, stored))


def _chunk_bytes(shape: tuple[int, ...], chunks: tuple[int, ...], stored: np.dtype[Any]) -> int:
    size = prod(chunks) * stored.itemsize
    if size > _SMALL_BYTES and size > memory.available():
        msg = f"one chunk takes {size:,} bytes, more memory than is free"
        raise Refused(msg, "Rechunk the image, or use a machine with more memory")
    if size > max(_ABSURD_BYTES, _ABSURD_TIMES * prod(shape) * stored.itemsize):
        msg = f"one chunk takes {size:,} bytes, {_ABSURD_TIMES:,} times the whole array"
        raise Refused(msg, REWRITE)
    return size


def _extents(values: Any, what: str, least: int) -> tuple[int, ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_AXES:
        raise Refused(f"its {what} {values!r:.100} is not a list of 1 to {MOST_AXES} numbers")
    for value in values:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= MOST_SIDE:
            raise Refused(f"its {what} {values!r:.100} is not made of whole numbers from {least} to 2**40")
    return tuple(values)


def _number_type(name: Any, allowed: re.Pattern[str]) -> np.dtype[Any]:
    if not isinstance(name, str) or not allowed.fullmatch(name):
        msg = f"it is not an array of numbers but {_type_name(name)}"
        raise Refused(msg, "Give an image of integers or floats")
    return np.dtype(name)


def _type_name(name: Any) -> str:
    return "a structure" if isinstance(name, list | dict) else f"{name!r:.50}"


def _version_2(document: dict[str, Any]) -> tuple[np.dtype[Any], Any]:
    stored = _number_type(document.get("dtype"), _NUMBERS)
    for key, usual in (("fill_value", "0"), ("order", '"C"')):
        if key not in document:
            raise Refused(f"its metadata do not say '{key}'", f'Add it, such as "{key}": {usual}')
    compressor, filters = document.get("compressor"), document.get("filters")
    if compressor is not None:
        _check_codec(compressor, "id", _COMPRESSORS | PICTURES)
    if filters is not None and not isinstance(filters, list):
        raise Refused("its filters are no list")
    for codec in filters or ():
        _check_codec(codec, "id", _FILTERS)
    return stored, document.get("chunks")


def _version_3(document: dict[str, Any]) -> tuple[np.dtype[Any], Any]:
    stored = _number_type(document.get("data_type"), _V3_NUMBERS)
    for key in document.keys() - _V3_KEYS:
        extension = document[key]
        if not isinstance(extension, dict) or extension.get("must_understand") is not False:
            raise Refused(f"it needs the extension {key!r:.50}, which is not known", REWRITE)
    if document.get("storage_transformers"):
        raise Refused("it needs storage transformers, which are not known", REWRITE)
    grid = document.get("chunk_grid")
    chunks = _configuration(grid).get("chunk_shape")
    if not isinstance(grid, dict) or grid.get("name") != "regular":
        raise Refused(f"its chunk grid {grid!r:.50} is not regular", REWRITE)
    _check_codecs(document.get("codecs"), chunks, 0)
    return stored, chunks


def _check_codecs(codecs: Any, chunks: Any, depth: int) -> None:
    if not isinstance(codecs, list) or not 0 < len(codecs) <= 16:
        raise Refused(f"its codecs {codecs!r:.50} are no list of codecs")
    for codec in codecs:
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed" and depth < 2:
            inside = _configuration(codec)
            _check_shard(_extents(inside.get("chunk_shape"), "chunk shape in shards", 1), chunks)
            for part in ("codecs", "index_codecs"):
                _check_codecs(inside.get(part, [{"name": "bytes"}]), inside.get("chunk_shape"), depth + 1)
        else:
            _check_codec({"name": codec} if isinstance(codec, str) else codec, "name", _V3_CODECS)


def _check_shard(inner: tuple[int, ...], chunks: Any) -> None:
    outer = _extents(chunks, "chunk shape", 1)
    if len(inner) != len(outer) or any(n % m for n, m in zip(outer, inner, strict=True)):
        raise Refused(f"chunks of {inner} do not fill shards of {outer}")
    count = prod(n // m for n, m in zip(outer, inner, strict=True))
    if count > _MOST_INNER:
        raise Refused(f"a shard has {count:,} chunks", "Write it again with fewer chunks in a shard")


def _check_codec(codec: Any, key: str, allowed: set[str]) -> None:
    name = codec.get(key) if isinstance(codec, dict) else codec
    if not isinstance(codec, dict) or not isinstance(name, str) or name not in allowed:
        msg = f"its codec {name!r:.50} is not one of those that are known to be safe"
        known = ", ".join(sorted(allowed - PICTURES))
        raise Refused(msg, f"{REWRITE}, or without it; known are {known}")
    settings = codec if key == "id" else _configuration(codec)
    for setting in _TYPE_KEYS:
        if settings.get(setting) is not None:
            _number_type(settings[setting], _SETTING)


_SETTING = re.compile(f"{_NUMBERS.pattern}|{_V3_NUMBERS.pattern}")


def _configuration(part: Any) -> dict[str, Any]:
    found = part.get("configuration") if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {}
