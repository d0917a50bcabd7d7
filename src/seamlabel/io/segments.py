"""Arrays in pieces that are decoded one at a time: rows of a raw file, strips, tiles, whole planes.

Knows shapes, pieces and files of raw numbers; knows no image format and no axes' meaning.
"""

from __future__ import annotations

import mmap
import os
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError
from seamlabel.io.spans import chunks_of, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Index = tuple[int, ...]

ROW_BYTES = 1 << 18
"""Rows longer than this are cut, shorter ones are taken together."""
PIECE_BYTES = 1 << 20
_ROWS, _COLUMN_BYTES = 64, 1 << 13


class Segments:
    """An array in pieces; safe to use from several threads.

    Parameters
    ----------
    sizes : sequence of tuple of int
        Voxels of the pieces along each axis.
    dtype : dtype
        Of the pixels, native.
    compute : callable
        ``compute(index)`` returns the piece at this index; raises `ImageError` where that cannot be.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, ...]],
        dtype: np.dtype[Any],
        compute: Callable[[Index], NDArray[Any]],
    ) -> None:
        self.sizes = tuple(sizes)
        self.shape = tuple(map(sum, self.sizes))
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.compute = compute

    @property
    def chunks(self) -> tuple[int, ...]:
        """The largest piece along each axis."""
        return tuple(map(max, self.sizes))

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Return the pixels at slices of step 1, one per axis."""
        spans = [s.indices(n)[:2] for s, n in zip(key, self.shape, strict=True)]
        met = [parts(a, b, chunks_of(c)) for (a, b), c in zip(spans, self.sizes, strict=True)]
        out = np.empty([max(0, b - a) for a, b in spans], self.dtype)
        for found in product(*met):
            piece = self.compute(tuple(i for i, _, _ in found))
            out[tuple(to for _, _, to in found)] = piece[tuple(inside for _, inside, _ in found)]
        return out


def even(length: int, side: int) -> tuple[int, ...]:
    """Return pieces of one size along an axis, the last one shorter."""
    side = max(1, min(side, length))
    return (side,) * (length // side) + ((length % side,) if length % side else ())


def raw_sizes(shape: tuple[int, ...], itemsize: int, samples: int = 0) -> list[tuple[int, ...]]:
    """Return pieces of a raw array, some 1 MB each: rows of its last axes, that are read in one go.

    Parameters
    ----------
    shape : tuple of int
        In C order, the last `samples` axes of which belong to one pixel.
    itemsize : int
        Bytes of a number.
    samples : int
        0 or 1.
    """
    pixel = itemsize * prod(shape[len(shape) - samples :])
    plane = shape[: len(shape) - samples]
    width = plane[-1] if plane else 1
    columns = width if width * pixel <= ROW_BYTES else max(1, _COLUMN_BYTES // pixel)
    rows = _ROWS
    if columns == width:
        rows = 1 << max(0, min(8, (PIECE_BYTES // (width * pixel)).bit_length() - 1))
    sides = ((1,) * max(0, len(plane) - 2) + (rows, columns))[-len(plane) :] if plane else ()
    return [even(n, s) for n, s in zip(shape, (*sides, *shape[len(plane) :]), strict=True)]


def raw_array(path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], samples: int) -> Segments:
    """Return an array that lies in a file as it is, in C order.

    Raises
    ------
    ImageError
        If the file is too short for it.
    """
    need, have = offset + prod(shape) * dtype.itemsize, os.path.getsize(path)
    if have < need:
        msg = f"{path} has {have:,} bytes, its {' x '.join(map(str, shape))} pixels end at {need:,}"
        raise ImageError(msg, "The file is cut short: copy it again")
    sizes = raw_sizes(shape, dtype.itemsize, samples)
    starts = [np.concatenate([[0], np.cumsum(side)]) for side in sizes]

    def compute(index: Index) -> NDArray[Any]:
        begin = tuple(int(s[i]) for s, i in zip(starts, index, strict=True))
        part = tuple(side[i] for side, i in zip(sizes, index, strict=True))
        return read_raw(path, offset, shape, dtype, (begin, part))

    return Segments(sizes, dtype, compute)


def fresh(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros, which go back to the system as soon as nobody needs them.

    Pieces that live for long and are mixed with short-lived things on the heap leave it in shreds: with
    several threads the process grows to twice what is kept.
    """
    size = prod(shape) * dtype.itemsize
    if size < PIECE_BYTES // 8:
        return np.zeros(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)


def read_raw(
    path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], box: tuple[Index, Index]
) -> NDArray[Any]:
    """Return a box (start, extent) of a raw array, by one read for each of its runs."""
    begin, part = box
    run = len(shape) - 1  # the first axis of what lies in one run
    while run > 0 and part[run] == shape[run]:
        run -= 1
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    out = fresh(part, dtype).reshape(prod(part[:run]), prod(part[run:]))
    with open(path, "rb", buffering=0) as file:
        for row, at in zip(out, product(*map(range, part[:run])), strict=True):
            first = [b + a for b, a in zip(begin, at, strict=False)] + list(begin[run:])
            file.seek(offset + sum(a * s for a, s in zip(first, strides, strict=True)) * dtype.itemsize)
            fill(file, row.view(np.uint8).data, path)
    return out.reshape(part).astype(dtype.newbyteorder("="), copy=False)


def fill(file: Any, room: memoryview, path: str) -> None:
    """Read as many bytes as there is room for.

    Raises
    ------
    ImageError
        If the file ends before.
    """
    done = 0
    while done < len(room):
        got = file.readinto(room[done:])
        if not got:
            msg = f"{path} ends {len(room) - done:,} bytes too soon"
            raise ImageError(msg, "The file is cut short: copy it again")
        done += got
