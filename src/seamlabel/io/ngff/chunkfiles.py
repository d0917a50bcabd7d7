"""`ChunkFiles`: whole chunks of a local zarr array, written and read as the files that they are.

zarr-python costs about a millisecond per call and a second copy of the pixels. Fits the arrays that
`seamlabel.io.ngff.store.create_array` makes (C order, zstd, fill value 0, nested folders), in shards or
not; the bytes are those that zarr-python would write. Knows no metadata and no NGFF.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs import Blosc, Zstd

from seamlabel.geometry import Box
from seamlabel.io.ngff.shards import Shards
from seamlabel.io.ngff.store import ZSTD_LEVEL, create_array

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seamlabel.io.ngff.documents import ZarrFormat
    from seamlabel.protocols import Labels

_SAMPLE = 16
"""Most chunks that are not empty have a label on this lattice: then not every voxel is looked at."""


class ChunkFiles:
    """The chunks of one array; safe to use from many threads, as long as each has its own chunks.

    A file is not replaced in one step: nobody may read a chunk while it is written.

    Parameters
    ----------
    folder : Path
        The array.
    shape, chunks : tuple of int
        Voxels.
    dtype : str
        numpy name; stored little endian.
    zarr_format : {2, 3}
        Says how the files are named.
    shuffle : bool
        As `create_array` was told.
    shards : tuple of int, optional
        Voxels of the shards that the chunks are put into.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: str,
        *,
        zarr_format: ZarrFormat,
        shuffle: bool = False,
        shards: tuple[int, ...] | None = None,
    ) -> None:
        self._folder = folder / "c" if zarr_format == 3 else folder
        self._shape = shape
        self._chunks = chunks
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._codec = Blosc("zstd", ZSTD_LEVEL, Blosc.SHUFFLE) if shuffle else Zstd(level=ZSTD_LEVEL)
        counts = tuple(s // c for s, c in zip(shards or chunks, chunks, strict=True))
        self._shards = Shards(self._folder, counts) if shards else None

    def write(self, box: Box, labels: Labels) -> None:
        """Write a box made of whole chunks, or cut by the array's end; chunks of zeros get no file.

        Parameters
        ----------
        box : Box
            Where, in voxels of the array.
        labels : ndarray of int
            Of the box's shape; cast to the array's type.

        Raises
        ------
        ValueError
            If the box cuts chunks (two writers in one chunk would lose each other's labels), or the
            labels have another shape.
        OSError
            If a file cannot be written.
        """
        edges = zip(box.start, box.stop, self._chunks, self._shape, strict=True)
        if any(a % c or (b % c and b != n) for a, b, c, n in edges):
            msg = f"{box} is not made of whole chunks of {self._chunks}"
            raise ValueError(msg)
        if labels.shape != box.shape:
            msg = f"labels of shape {labels.shape} do not fill {box}"
            raise ValueError(msg)
        if _is_empty(labels):
            return
        # One for all chunks: fresh memory costs as much as the copy.
        buffer = np.empty(self._chunks, self._dtype)
        for index, chunk in self._chunks_of(box):
            part = labels[chunk.intersect(box).relative_to(box).slices]
            if _is_empty(part):
                continue
            if part.shape != self._chunks:
                buffer[...] = 0
            inside = buffer[tuple(map(slice, part.shape))]
            np.copyto(inside, part, casting="unsafe")
            self._put(index, self._codec.encode(buffer))

    def read(self, box: Box) -> Labels:
        """Return the labels of any box inside the array; 0 where no chunk was written.

        Raises
        ------
        OSError
            If a file cannot be read.
        """
        out = np.zeros(box.shape, self._dtype)
        buffer = np.empty(self._chunks, self._dtype)
        for index, chunk in self._chunks_of(box):
            try:
                packed = self._get(index)
            except FileNotFoundError:
                continue
            self._codec.decode(packed, buffer)
            part = chunk.intersect(box)
            out[part.relative_to(box).slices] = buffer[part.relative_to(chunk).slices]
        return out

    def size(self, box: Box) -> int:
        """Return the bytes on disk of the chunks that meet a box, if they are not in shards."""
        found = 0
        for index, _ in self._chunks_of(box):
            with suppress(FileNotFoundError):
                found += self._folder.joinpath(*map(str, index)).stat().st_size
        return found

    def _chunks_of(self, box: Box) -> Iterator[tuple[tuple[int, ...], Box]]:
        """Yield the index and the whole box of each chunk that meets a box."""
        ends = zip(box.start, box.stop, self._chunks, strict=True)
        for index in product(*(range(a // c, -(-b // c)) for a, b, c in ends)):
            start = tuple(i * c for i, c in zip(index, self._chunks, strict=True))
            stop = tuple(a + c for a, c in zip(start, self._chunks, strict=True))
            yield index, Box(start, stop)

    def _put(self, index: tuple[int, ...], packed: bytes) -> None:
        if self._shards is not None:
            self._shards.put(index, packed)
        else:
            _save(self._folder.joinpath(*map(str, index)), packed)

    def _get(self, index: tuple[int, ...]) -> bytes:
        if self._shards is not None:
            return self._shards.get(index)
        return self._folder.joinpath(*map(str, index)).read_bytes()


def make_array(
    folder: Path,
    shape: tuple[int, ...],
    dtype: str,
    chunks: tuple[int, ...],
    *,
    zarr_format: ZarrFormat,
    names: tuple[str, ...],
    shards: tuple[int, ...] | None = None,
) -> ChunkFiles:
    """Make an array as `create_array` does, and return what writes its chunks."""
    form: Any = {"zarr_format": zarr_format, "shards": shards}
    array = create_array(folder, shape, dtype, chunks, names=names, **form)
    return ChunkFiles(folder, shape, array.chunks, dtype, **form)


def _is_empty(labels: Labels) -> bool:
    lattice = (slice(None, None, _SAMPLE),) * labels.ndim
    return not (labels[lattice].any() or labels.any())


def _save(file: Path, packed: bytes) -> None:
    """Write a file; its folders are made when the first one misses them."""
    try:
        file.write_bytes(packed)
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(packed)
