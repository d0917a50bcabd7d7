"""Chunk files of plain zarr arrays on a local disk, read and decoded without zarr's machinery.

Knows zarr's metadata, chunk names and a few codecs. Knows no cache and no image: zarr-python is the
truth, and reads whatever is not described here word for word.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs import Blosc, GZip, Zlib, Zstd
from zarr.storage import LocalStore

from seamlabel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_DECODE: dict[str, Callable[..., Any]] = {
    "": bytes,
    "blosc": Blosc().decode,
    "gzip": GZip().decode,
    "zlib": Zlib().decode,
    "zstd": Zstd().decode,
}
_BLOSC_HEADER = struct.Struct("<4B3I")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LARGE = 1 << 20
"""Chunks of so many bytes get memory of their own: mixed with small things on the heap, what they leave when
they are dropped is split, and the process grows to twice what the cache holds."""
_V2_KEYS = {
    *("zarr_format", "shape", "chunks", "dtype", "fill_value", "order", "filters", "compressor"),
    *("dimension_separator", "attributes"),
}
_V3_KEYS = {
    *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value"),
    *("codecs", "attributes", "dimension_names", "storage_transformers"),
}
_V3_TYPES = {"bool", "float16", "float32", "float64"} | {
    f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64)
}


@dataclass(frozen=True, slots=True)
class ChunkFiles:
    """The chunk files of one array.

    Parameters
    ----------
    folder : str
        The array's folder.
    prefix, separator : str
        A chunk's file is the prefix and its indices joined by the separator.
    shape : tuple of int
        Shape of every chunk, also of those that the array's border cuts.
    stored : numpy.dtype
        Type in the files, with its byte order.
    codec : str
        How the bytes are compressed: ``"blosc"``, ``"gzip"``, ``"zlib"``, ``"zstd"`` or ``""``.
    fill : numpy scalar
        Value of the voxels of chunks that have no file.
    """

    folder: str
    prefix: str
    separator: str
    shape: tuple[int, ...]
    stored: np.dtype[Any]
    codec: str
    fill: Any

    def path(self, index: tuple[int, ...]) -> str:
        """Return the file of the chunk at this index."""
        return f"{self.folder}{self.prefix}{self.separator.join(map(str, index))}"

    def exists(self, index: tuple[int, ...]) -> bool:
        """Return whether the chunk at this index has a file."""
        return os.path.isfile(self.path(index))

    def read(self, index: tuple[int, ...]) -> NDArray[Any] | None:
        """Return the whole chunk at this index in native byte order; None if it has no file.

        Raises
        ------
        ImageError
            If the file does not hold such a chunk.
        """
        path = self.path(index)
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.readall()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):  # what zarr takes for missing
            return None
        size = prod(self.shape) * self.stored.itemsize
        try:
            if self.codec == "blosc":
                _check_blosc(data, size)
            own = size >= _LARGE and _says_its_size(self.codec, data, size)
            out = {"out": np.frombuffer(mmap.mmap(-1, size), np.uint8)} if own else {}
            pixels = _DECODE[self.codec](data, **out)
        except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
            raise _corrupt(path, str(error)) from None
        if len(pixels) != size:
            raise _corrupt(path, f"{len(pixels)} bytes where {size} belong")
        chunk = np.frombuffer(pixels, self.stored).reshape(self.shape)
        return chunk.astype(self.stored.newbyteorder("="), copy=False)


def _check_blosc(data: bytes, size: int) -> None:
    """Raise if the header does not fit: blosc believes it and would read past the end."""
    if len(data) < _BLOSC_HEADER.size:
        msg = f"{len(data)} bytes are no blosc frame"
        raise ValueError(msg)
    *_, decoded, _, encoded = _BLOSC_HEADER.unpack_from(data)
    if decoded != size or encoded > len(data):
        msg = f"{encoded} bytes for {decoded} are announced, {len(data)} are there and {size} belong"
        raise ValueError(msg)


def _says_its_size(codec: str, data: bytes, size: int) -> bool:
    """Return whether it is sure beforehand that so many bytes are decoded, or that this fails.

    For zstd it stands in the header of the frame (RFC 8878, section 3.1.1.1).
    """
    if codec != "zstd" or data[:4] != _ZSTD_MAGIC or len(data) < 18:
        return codec == "blosc"  # which is checked
    single = data[4] >> 5 & 1
    start = 6 - single + (0, 1, 2, 4)[data[4] & 3]
    length = (single, 2, 4, 8)[data[4] >> 6]
    said = int.from_bytes(data[start : start + length], "little") + (256 if length == 2 else 0)
    return bool(length) and said == size


def _corrupt(path: str, why: str) -> ImageError:
    return ImageError(
        f"{path} is no chunk of this image: {why}", "It is damaged: copy or write the image again"
    )


def chunk_files(array: Any) -> ChunkFiles | None:
    """Return the chunk files of a zarr array; None where only zarr-python should read it.

    Parameters
    ----------
    array : zarr.Array
        Plain if it lies in a folder, in one file per chunk, in C order, without filters, compressed
        by nothing or one of blosc, gzip, zlib (zarr 2 only) and zstd, and if its metadata say
        nothing beyond that.
    """
    if type(array.store) is not LocalStore:
        return None
    meta = array.metadata.to_dict()
    found = {2: _version_2, 3: _version_3}.get(meta.get("zarr_format"), lambda _: None)(meta)
    if found is None:
        return None
    prefix, separator, shape, stored, codec = found
    if not shape or separator not in (".", "/") or codec not in _DECODE or stored.kind not in "biuf":
        return None
    folder = os.path.join(str(array.store.root), array.path, "")
    fill = array.metadata.fill_value
    native = stored.newbyteorder("=")
    return ChunkFiles(
        folder, prefix, separator, shape, stored, codec, native.type(0 if fill is None else fill)
    )


_Found = tuple[str, str, tuple[int, ...], np.dtype[Any], str]


def _version_2(meta: dict[str, Any]) -> _Found | None:
    compressor = meta.get("compressor")
    codec = "" if compressor is None else _name(compressor, "id")
    plain = meta.keys() <= _V2_KEYS and meta.get("order") == "C" and not meta.get("filters")
    if not plain or not isinstance(meta.get("dtype"), str) or (compressor is not None and not codec):
        return None
    separator = meta.get("dimension_separator", ".")
    return "", separator, tuple(meta["chunks"]), np.dtype(meta["dtype"]), codec


def _version_3(meta: dict[str, Any]) -> _Found | None:
    grid, keys = meta.get("chunk_grid"), meta.get("chunk_key_encoding")
    codecs: list[Any] = list(meta.get("codecs") or ())
    plain = (
        meta.keys() <= _V3_KEYS
        and not meta.get("storage_transformers")
        and meta.get("data_type") in _V3_TYPES
        and _name(grid) == "regular"
        and _name(keys) in ("default", "v2")
        and [_name(codec) for codec in codecs[:1]] == ["bytes"]
        and [_name(codec) for codec in codecs[1:]] in ([], ["blosc"], ["gzip"], ["zstd"])
    )
    if not plain or grid is None:
        return None
    prefix, separator = ("c", "/") if _name(keys) == "default" else ("", ".")
    separator = _setting(keys, "separator", separator)
    stored = np.dtype(meta["data_type"])
    endian = _setting(codecs[0], "endian", None)
    if endian not in ("little", "big") and (endian or stored.itemsize > 1):
        return None
    return (
        prefix and f"{prefix}{separator}",
        separator,
        tuple(grid["configuration"]["chunk_shape"]),
        stored.newbyteorder(">" if endian == "big" else "<"),
        _name(codecs[1]) if len(codecs) > 1 else "",
    )


def _name(part: Any, key: str = "name") -> str:
    return str(part.get(key, "")) if isinstance(part, dict) else ""


def _setting(part: Any, key: str, default: Any) -> Any:
    return (part.get("configuration") or {}).get(key, default)
