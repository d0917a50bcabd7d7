"""Chunk files of plain zarr arrays on a local disk, read and decoded without zarr's machinery.

Knows zarr's metadata, chunk names and a few codecs. Knows no cache and no image: zarr-python is the
truth, and reads whatever is not described here word for word.
"""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.storage import LocalStore

from seamlabel.io.blame import check_there, corrupt, is_there, unreadable
from seamlabel.io.bounded import decode_exactly, zstd_size
from seamlabel.io.guarded import GuardedStore, most_encoded
from seamlabel.io.regular import Irregular, read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DECODED = ("", "blosc", "gzip", "zlib", "zstd")
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
        """Return whether the chunk at this index has a file; one that cannot be read is told when it is.

        Raises
        ------
        OSError
            If the system does not tell, or the whole image is gone.
        """
        found = is_there(self.path(index))
        if not found:
            check_there(self.folder)
        return found

    def read(self, index: tuple[int, ...]) -> NDArray[Any] | None:
        """Return the whole chunk at this index in native byte order; None if it has no file.

        Raises
        ------
        ImageError
            If the file does not hold such a chunk.
        OSError
            If the system cannot read it, or the whole image is gone.
        """
        path = self.path(index)
        size = prod(self.shape) * self.stored.itemsize
        try:
            data = read_regular(path, most_encoded(size))
        except (FileNotFoundError, NotADirectoryError):  # what zarr takes for missing
            check_there(self.folder)
            return None
        except Irregular as error:
            raise corrupt(path, str(error)) from None
        except OSError as error:
            raise unreadable(path, error) from error
        try:
            own = size >= _LARGE and (
                self.codec == "blosc" or (self.codec == "zstd" and zstd_size(data) == size)
            )
            out = np.frombuffer(mmap.mmap(-1, size), np.uint8) if own else None
            pixels = decode_exactly(self.codec, data, size, out)
        except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
            raise corrupt(path, str(error)) from None
        if len(pixels) != size:
            raise corrupt(path, f"{len(pixels)} bytes where {size} belong")
        chunk = np.frombuffer(pixels, self.stored).reshape(self.shape)
        return chunk.astype(self.stored.newbyteorder("="), copy=False)


def chunk_files(array: Any) -> ChunkFiles | None:
    """Return the chunk files of a zarr array; None where only zarr-python should read it.

    Parameters
    ----------
    array : zarr.Array
        Plain if it lies in a folder, in one file per chunk, in C order, without filters, compressed
        by nothing or one of blosc, gzip, zlib (zarr 2 only) and zstd, and if its metadata say
        nothing beyond that.
    """
    if type(array.store) not in (GuardedStore, LocalStore):
        return None
    meta = array.metadata.to_dict()
    found = {2: _version_2, 3: _version_3}.get(meta.get("zarr_format"), lambda _: None)(meta)
    if found is None:
        return None
    prefix, separator, shape, stored, codec = found
    if not shape or separator not in (".", "/") or codec not in _DECODED or stored.kind not in "biuf":
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
