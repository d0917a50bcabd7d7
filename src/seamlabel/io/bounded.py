"""Decompression that never makes more bytes than are asked for, whatever the compressed bytes claim.

Knows codecs by their names in zarr's metadata; no chunks and no files.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs import LZ4, Blosc, Zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_BLOSC_HEADER = struct.Struct("<4B3I")
_LZMA_MEMORY = 1 << 28
"""Bytes that a stream may ask for to be unpacked: its strongest preset takes a quarter of that."""
_BLOSC, _ZSTD, _LZ4 = Blosc(), Zstd(), LZ4()


class TooLong(ValueError):
    """What comes out is longer than it may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than the {limit:,} bytes that belong there are compressed in it")


def decode_exactly(codec: str, data: Any, size: int, out: NDArray[np.uint8] | None = None) -> Any:
    """Return decoded bytes of a known size, or fewer; never more.

    Parameters
    ----------
    codec : str
        One of `CODECS`.
    data : bytes-like
        What was read.
    size : int
        How many bytes belong there.
    out : ndarray of uint8, shape (size,), optional
        Memory for them; only for ``"blosc"`` and ``"zstd"``.

    Raises
    ------
    ValueError, RuntimeError, OSError, EOFError, zlib.error, lzma.LZMAError
        If there would be more, or the data are damaged.
    """
    if codec == "blosc":
        _check_blosc(data, size, exact=True)
        return _BLOSC.decode(data, out)
    if codec == "zstd":  # which is told the size by its own header, or not at all, but keeps within `out`
        return _ZSTD.decode(data, np.empty(size, np.uint8) if out is None else out)
    return CODECS[codec](data, size, size)


def _blosc(data: Any, size: int, limit: int) -> Any:
    _check_blosc(data, limit, exact=False)
    return _BLOSC.decode(data)


def _check_blosc(data: Any, limit: int, *, exact: bool) -> None:
    """Raise if the header does not fit: blosc believes it and would read past the end."""
    if len(data) < _BLOSC_HEADER.size:
        msg = f"{len(data)} bytes are no blosc frame"
        raise ValueError(msg)
    *_, decoded, _, encoded = _BLOSC_HEADER.unpack_from(data)
    if decoded > limit or (exact and decoded != limit) or encoded > len(data):
        msg = f"{encoded} bytes for {decoded} are announced, {len(data)} are there and {limit} belong"
        raise ValueError(msg)


def _zstd(data: Any, size: int, limit: int) -> Any:
    """Decode what may be shorter: the header says how long it is (RFC 8878, section 3.1.1.1)."""
    said = zstd_size(data)
    if said is not None and said > limit:
        raise TooLong(limit)
    return _ZSTD.decode(data, np.empty(size if said is None else said, np.uint8))


def zstd_size(data: Any) -> int | None:
    """Return how many bytes a frame says that it holds; None where it does not."""
    head = bytes(data[:18]).ljust(18, b"\0")
    if head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    single = head[4] >> 5 & 1
    start = 6 - single + (0, 1, 2, 4)[head[4] & 3]
    length = (single, 2, 4, 8)[head[4] >> 6]
    said = int.from_bytes(head[start : start + length], "little") + (256 if length == 2 else 0)
    return said if length else None


def _lz4(data: Any, size: int, limit: int) -> Any:
    if len(data) < 4 or int.from_bytes(bytes(data[:4]), "little") > limit:
        raise TooLong(limit)
    return _LZ4.decode(data)


def _stream(make: Callable[[], Any], data: Any, limit: int, *, many: bool) -> bytes:
    """Decode with one of Python's own decompressors; `many` streams may follow one another."""
    found, left = b"", bytes(data)
    while left:
        stream = make()
        part = stream.decompress(left, limit + 1 - len(found))
        found = found + part if found else part
        if len(found) > limit:
            raise TooLong(limit)
        if not stream.eof:
            raise EOFError("it ends too early")
        left = stream.unused_data.lstrip(b"\0") if many else b""
    return found


def _gzip(data: Any, size: int, limit: int) -> bytes:
    return _stream(lambda: zlib.decompressobj(31), data, limit, many=True)


def _zlib(data: Any, size: int, limit: int) -> bytes:
    return _stream(zlib.decompressobj, data, limit, many=False)


def _bz2(data: Any, size: int, limit: int) -> bytes:
    return _stream(bz2.BZ2Decompressor, data, limit, many=True)


def _lzma(data: Any, size: int, limit: int) -> bytes:
    return _stream(lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY), data, limit, many=True)


CODECS: dict[str, Callable[[Any, int, int], Any]] = {
    "": lambda data, _, __: data,
    "blosc": _blosc,
    "bz2": _bz2,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _zlib,
    "zstd": _zstd,
}
"""``decode(data, size, limit)`` of every codec that is known: at most `limit` bytes come out, and `size`
where the data do not say themselves how many (zstd)."""
