"""TIFF files as arrays in pieces: contiguous pixels by rows, the rest by strips and tiles.

tifffile, imported when a file is opened, says where pieces lie and decodes them. What their metadata mean
is read in `seamlabel.io.convert.tiffmeta`.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError
from seamlabel.io.convert.inputs import needed
from seamlabel.io.segments import PIECE_BYTES, Segments, even, fill, fresh, raw_array, raw_sizes, read_raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Index = tuple[int, ...]

BROKEN: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
)
BROKEN += (struct.error, MemoryError, AssertionError)
"""What tifffile raises of files that are none, or damaged."""
MOST_PIECE_BYTES = 1 << 32
SUFFIXES = (".tif", ".tiff", ".tf8", ".btf", ".lsm", ".stk")
"""Files that are opened by tifffile."""


@dataclass(frozen=True)
class TiffImage:
    """One image (series) of a TIFF file.

    Parameters
    ----------
    array : Segments
        Its pixels.
    axes : str
        Letters as tifffile gives them, in capitals; those of samples are C, unknown ones as they are.
    file : TiffFile
        What metadata are read of.
    number : int
        Position among the series of the file.
    files : tuple of str
        All files that hold a part of it.
    """

    array: Segments
    axes: str
    file: Any
    number: int
    files: tuple[str, ...]


def open_tiff(path: str, series: int | None = None) -> TiffImage:
    """Open an image of a TIFF file.

    Parameters
    ----------
    path : str
        The file.
    series : int, optional
        Which image; needed where there are several.

    Raises
    ------
    ImageError
        If it cannot be read, or holds several images and none is named.
    """
    tifffile = needed("tifffile", "convert")
    try:
        file = tifffile.TiffFile(path)
        found = file.series
        number = _chosen(path, found, series)
        one = found[number]
        array, axes = _pixels(path, one)
        files = tuple(dict.fromkeys([path, *(p.parent.filehandle.path for p in _present(one))]))
        if len(one.pages) == 1:
            file.filehandle.close()
    except ImageError:
        raise
    except BROKEN as error:
        raise unreadable(path, error) from error
    return TiffImage(array, axes, file, number, files)


def unreadable(path: str, error: BaseException) -> ImageError:
    """Return the error for a file that cannot be opened or decoded."""
    if "imagecodecs" in str(error):
        return ImageError(f"{path}: {error}", 'Install it: pip install "seamlabel[convert]"')
    text = getattr(error, "strerror", None) or error
    return ImageError(f"{path} cannot be read: {text}", "Check the file with the program that wrote it")


def _present(one: Any) -> list[Any]:
    """Return pages of which each may lie in a file of its own; one, where all lie in one file."""
    pages = one.pages
    several = getattr(one, "is_multifile", False)
    return [page for page in pages if page is not None] if several else [one.keyframe]


def _chosen(path: str, found: Any, series: int | None) -> int:
    choices = "; ".join(
        f"--series {i}: {s.name or 'image'}, {s.axes.lower()} {' x '.join(map(str, s.shape))} {s.dtype}"
        for i, s in enumerate(found[:20])
    )
    if not len(found):
        raise ImageError(f"{path} holds no image", "Give another file")
    if series is None and len(found) > 1:
        raise ImageError(f"{path} holds {len(found)} images", f"Choose one: {choices}")
    if series is not None and not 0 <= series < len(found):
        raise ImageError(f"{path} has no series {series}", f"Choose one: {choices}")
    return series or 0


def _pixels(path: str, one: Any) -> tuple[Segments, str]:
    key = one.keyframe
    if one.dtype is None or one.dtype.kind not in "biuf":
        raise ImageError(f"{path}: pixels of type {one.dtype}", "Give an image of whole numbers or floats")
    stored = np.dtype(one.dtype).newbyteorder(key.parent.byteorder)
    if one.dataoffset is not None and key.is_final:
        axes = one.axes.replace("S", "C")
        samples = int(one.axes.endswith("S"))
        return raw_array(key.parent.filehandle.path, one.dataoffset, one.shape, stored, samples), axes
    outer = one.shape[: len(one.shape) - len(key.shape)]
    if prod(outer) != len(one.pages):
        msg = f"{path} has {len(one.pages)} planes where its metadata tell of {prod(outer)}"
        raise ImageError(msg, "It is cut short or its metadata are wrong: save it again")
    pages = _Pages(one, stored)
    sizes = [(1,) * n for n in outer] + [pages.sizes[i] for i in pages.kept]

    def compute(index: Index) -> NDArray[Any]:
        number = int(np.ravel_multi_index(index[: len(outer)], outer)) if outer else 0
        inner = [0] * 5
        for axis, i in zip(pages.kept, index[len(outer) :], strict=True):
            inner[axis] = i
        piece = pages.read(number, tuple(inner))
        return piece.reshape((1,) * len(outer) + tuple(piece.shape[i] for i in pages.kept))

    letters = "".join("CZYXC"[i] for i in pages.kept)
    return Segments(sizes, stored, compute), one.axes[: len(outer)].replace("S", "C") + letters


class _Pages:
    """Pages of one shape, each in pieces over samples, depth, rows, columns, samples within a pixel."""

    def __init__(self, one: Any, stored: np.dtype[Any]) -> None:
        self._one, self._stored, self._lock = one, stored, Lock()
        key = one.keyframe
        self._key, self.shape = key, tuple(key.shaped)
        self.kept = [i for i, n in enumerate(self.shape) if n > 1 or i in (2, 3)]
        _planes, depth, length, width, inside = self.shape
        deep, rows, columns = (
            (key.tiledepth, key.tilelength, key.tilewidth)
            if key.is_tiled
            else (1, min(key.rowsperstrip, length), width)
        )
        if (size := deep * rows * columns * inside * stored.itemsize) > MOST_PIECE_BYTES:
            msg = f"{one.keyframe.parent.filehandle.path} has strips or tiles of {size:,} bytes"
            raise ImageError(msg, "They are decoded at once: save it with smaller ones")
        self._counts = (-(-depth // deep), -(-length // rows), -(-width // columns))
        self.raw = not key.is_tiled and self._counts[1] == 1 and key.is_final and key.is_contiguous
        # short strips, even single rows, are taken together
        row = width * inside * stored.itemsize
        self._group = 1 if key.is_tiled else max(1, PIECE_BYTES // 2 // max(1, row * rows))
        sides = (1, deep, rows * self._group, columns, inside)
        self.sizes = [even(n, s) for n, s in zip(self.shape, sides, strict=True)]
        if self.raw:
            self.sizes = [*raw_sizes(self.shape[:4], inside * stored.itemsize), (inside,)]

    def read(self, number: int, index: Index) -> NDArray[Any]:
        """Return a piece of a page; zeros of a page that is not there."""
        part = tuple(side[i] for side, i in zip(self.sizes, index, strict=True))
        begin = tuple(sum(side[:i]) for side, i in zip(self.sizes, index, strict=True))
        with self._lock:
            page = self._page(number)
        if page is None or not len(page.dataoffsets):
            return np.zeros(part, self._stored.newbyteorder("="))
        path = page.parent.filehandle.path
        if page.keyframe.hash != self._key.hash:  # of another file, that keeps its planes in another way
            return self._whole(page, path)[tuple(slice(a, a + n) for a, n in zip(begin, part, strict=True))]
        if self.raw:
            return read_raw(path, page.dataoffsets[0], self.shape, self._stored, (begin, part))
        try:
            return self._decoded(page, path, begin, part)
        except ImageError:
            raise
        except BROKEN as error:
            raise unreadable(path, error) from error

    def _whole(self, page: Any, path: str) -> NDArray[Any]:
        try:
            with self._lock:
                if page.parent.filehandle.closed:
                    page.parent.filehandle.open()
                found = page.asarray(maxworkers=1)
                page.parent.filehandle.close()
        except BROKEN as error:
            raise unreadable(path, error) from error
        return np.asarray(found, self._stored.newbyteorder("=")).reshape(self.shape)

    def _page(self, number: int) -> Any:
        handle = self._key.parent.filehandle
        if handle.closed and len(self._one.pages) > 1:
            handle.open()
        return self._one.pages[number]

    def _decoded(self, page: Any, path: str, begin: Index, part: Index) -> NDArray[Any]:
        out = fresh(part, self._stored.newbyteorder("="))
        _, rows, columns = self._counts
        side = self._key.tilelength if self._key.is_tiled else self._key.rowsperstrip
        deep = self._key.tiledepth if self._key.is_tiled else 1
        wide = self._key.tilewidth if self._key.is_tiled else self.shape[3]
        first = (begin[0] * self._counts[0] + begin[1] // deep) * rows
        with open(path, "rb", buffering=0) as file:
            for row in range(begin[2] // side, -(-(begin[2] + part[2]) // side)):
                at = (first + row) * columns + begin[3] // wide
                piece = self._one_piece(page, file, at, path)
                if piece is not None:
                    down = row * side - begin[2]
                    room = out[0, :, down : down + piece.shape[1]]
                    room[...] = piece[tuple(map(slice, room.shape))]
        return out

    def _one_piece(self, page: Any, file: Any, at: int, path: str) -> Any:
        if at >= len(page.dataoffsets):
            raise ImageError(
                f"{path} lists {len(page.dataoffsets)} pieces, {at + 1} are needed", "Save it again"
            )
        offset, count = page.dataoffsets[at], page.databytecounts[at]
        if not count:
            return None
        if offset + count > os.fstat(file.fileno()).st_size:
            raise ImageError(f"{path} ends before its pixels do", "The file is cut short: copy it again")
        data = bytearray(count)
        file.seek(offset)
        fill(file, memoryview(data), path)
        tables = {"jpegtables": self._key.jpegtables} if self._key.jpegtables is not None else {}
        return self._key.decode(bytes(data), at, **tables)[0]
