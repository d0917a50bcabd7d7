"""One staged tile as bytes, and back: its labels as runs, compressed, with a table of them.

Knows no files; of bytes that somebody else made it unpacks no more than a tile can hold.
"""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numcodecs import Zstd

from seamlabel.io.bounded import decode_exactly
from seamlabel.staged import StagedTile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAD = struct.Struct("<4sBBBxIIIQ")
_MAGIC = b"SLT2"


def most_packed(shape: tuple[int, ...]) -> int:
    """Return how long the file of a tile can be: 25 bytes for every voxel, and what compression may add."""
    return 26 * prod(shape) + (1 << 16)


def pack(staged: StagedTile) -> bytes:
    """Return a staged tile as bytes."""
    columns = (staged.values, staged.lengths, staged.areas)
    narrow = [column.astype(_narrow(column)) for column in columns]
    body = b"".join(part.tobytes() for part in (*narrow, staged.flags))
    sizes = (part.itemsize for part in narrow)
    counts = staged.n_core, staged.n_all, staged.n_pieces, staged.values.size
    head = _HEAD.pack(_MAGIC, *sizes, *counts)
    return head + bytes(Zstd(level=1).encode(body))


def unpack(packed: bytes, shape: tuple[int, ...]) -> StagedTile:
    """Return the staged tile that `pack` was given.

    Raises
    ------
    ValueError, RuntimeError, struct.error
        If the bytes are not whole.
    """
    magic, *sizes, n_core, n_all, n_pieces, n_runs = _HEAD.unpack_from(packed)
    value, length, area = sizes
    voxels = prod(shape)
    if magic != _MAGIC or not set(sizes) <= {1, 2, 4, 8}:
        msg = "not a staged tile"
        raise ValueError(msg)
    if max(n_runs, n_all, n_pieces) > voxels or n_core > n_all:
        msg = "it tells of more labels or runs than a tile can have"
        raise ValueError(msg)
    size = n_runs * (value + length) + n_all * (area + 1)
    body = decode_exactly("zstd", packed[_HEAD.size :], size) if size else b""
    parts, at = [], 0
    for count, width in ((n_runs, value), (n_runs, length), (n_all, area), (n_all, 1)):
        parts.append(np.frombuffer(body, f"<u{width}", count, at))
        at += count * width
    values, lengths, areas, flags = parts
    if lengths.max(initial=0) > voxels or int(lengths.sum(dtype=np.int64)) != voxels:
        msg = "its runs do not fill the tile"
        raise ValueError(msg)
    if values.max(initial=0) > n_all + n_pieces:
        msg = "its runs name labels that it does not have"
        raise ValueError(msg)
    return StagedTile(shape, values, lengths, n_core, areas.astype(np.int64), flags, n_pieces)


def _narrow(column: NDArray[np.int64]) -> str:
    top = int(column.max(initial=0))
    return "<u1" if top < 1 << 8 else "<u2" if top < 1 << 16 else "<u4" if top < 1 << 32 else "<u8"
