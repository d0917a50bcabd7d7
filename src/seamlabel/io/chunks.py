"""Boxes cut from arrays: put together from decoded chunks that a cache keeps.

Knows arrays (zarr, dask, anything that slices cut) and their chunk grids over all axes; knows no
axes' meaning, channels or tiles.
"""

from __future__ import annotations

from itertools import product
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from seamlabel.io.blame import read_zarr
from seamlabel.io.blocks import dask_blocks
from seamlabel.io.direct import chunk_files
from seamlabel.io.segments import Segments
from seamlabel.io.spans import chunks_of, longest, parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.io.cache import ChunkCache
    from seamlabel.io.direct import ChunkFiles
    from seamlabel.io.spans import Chunks, Part

    Index = tuple[int, ...]
    Key = tuple["ChunkReader", Index]


class ChunkReader:
    """Reads boxes of one array, decoding every chunk once while the cache has room for it.

    Plain chunk files on a local disk are decoded directly (`seamlabel.io.direct`), chunks of other zarr
    arrays through zarr, one call for all that a box misses; dask computes one block at a time, in
    the calling thread, and `Segments` a piece. Of other arrays, and where a chunk is larger than the
    cache, boxes are cut as they are asked for. Safe to use from several threads.

    Parameters
    ----------
    array : array-like
        Anything with ``shape``, ``dtype`` and ``__getitem__``.
    cache : ChunkCache
        Keeps the chunks; may be shared by several readers.
    """

    def __init__(self, array: Any, cache: ChunkCache) -> None:
        self.array = array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        self.decoded = 0
        """Chunks decoded so far, those decoded again counted again; 0 for arrays without chunks."""
        self._cache, self._lock = cache, Lock()
        self._files: ChunkFiles | None = chunk_files(array) if isinstance(array, zarr.Array) else None
        self._blocks = array if isinstance(array, Segments) else dask_blocks(array)
        chunks: tuple[Chunks, ...] = tuple(array.chunks) if isinstance(array, zarr.Array) else ()
        if self._blocks:
            chunks = tuple(map(chunks_of, self._blocks.sizes))
        self._chunks = chunks or self.shape
        self._chunk_shape = tuple(map(longest, self._chunks))
        self._chunk_bytes = prod(self._chunk_shape) * self.dtype.itemsize
        self._cached = bool(chunks) and self._chunk_bytes <= cache.budget
        self._whole = isinstance(array, zarr.Array) and self._files is None

    def lacks(self, box: Box | Sequence[slice]) -> bool:
        """Return whether reading a box ahead would do anything.

        Not for dask, which computes in the thread that asks, nor for arrays without chunks.
        """
        can = self._cached and isinstance(self.array, zarr.Array)
        return can and self._cache.lacks((self, index) for index in self._indices(box))

    @property
    def fill(self) -> Any:
        """Value of the voxels of missing chunks; None where it is not known which are missing."""
        return None if self._files is None else self._files.fill

    def read(self, box: Box | Sequence[slice]) -> NDArray[Any]:
        """Return the pixels of a box over all axes of the array.

        Parameters
        ----------
        box : Box or sequence of slice
            Of step 1; clipped to the array.

        Returns
        -------
        ndarray
            All axes kept, native byte order, C-contiguous, shared with nobody.

        Raises
        ------
        ImageError
            If a chunk file is damaged.
        OSError
            If the system cannot read one, or the whole image is gone.
        """
        cut = self._clip(box)
        axes = self._parts(cut)
        size = prod(map(len, axes)) * self._chunk_bytes
        if not size or not self._cached or (self._whole and size > self._cache.budget):
            return self._straight(cut, prod(map(len, axes)))
        keys = [(self, tuple(i for i, _, _ in met)) for met in product(*axes)]
        if len(keys) == 1:
            chunk = self._cache.get(keys, self._load)[keys[0]]
            return chunk[tuple(inside for ((_, inside, _),) in axes)].copy()
        # zarr is asked for all chunks at once; of others one at a time is held besides the cache's.
        together = self._cache.get(keys, self._load) if self._whole else {}
        out = np.empty(tuple(s.stop - s.start for s in cut), self.dtype)
        for key, met in zip(keys, product(*axes), strict=True):
            chunk = together[key] if together else self._cache.get([key], self._load)[key]
            out[tuple(to for _, _, to in met)] = chunk[tuple(inside for _, inside, _ in met)]
        return out

    def warm(self, box: Box | Sequence[slice]) -> None:
        """Load chunks of a box into the cache, as far as there is room for what nobody asked for yet."""
        if self._cached:
            keys = [(self, index) for index in self._indices(box)]
            self._cache.warm(keys, self._load, self._chunk_bytes)

    def forget(self) -> None:
        """Let go of all chunks kept, those of readers that share the cache too."""
        self._cache.clear()

    def missing(self, box: Box | Sequence[slice]) -> bool:
        """Return whether it is known, without reading, that all pixels of a box are the fill value."""
        return self._files is not None and not any(map(self._files.exists, self._indices(box)))

    def _clip(self, box: Box | Sequence[slice]) -> tuple[slice, ...]:
        wanted = box if isinstance(box, list | tuple) else box.slices  # type: ignore[union-attr]
        spans = [s.indices(n) for s, n in zip(wanted, self.shape, strict=True)]
        return tuple(slice(start, max(start, stop)) for start, stop, _ in spans)

    def _parts(self, cut: tuple[slice, ...]) -> list[list[Part]]:
        return [parts(s.start, s.stop, c) for s, c in zip(cut, self._chunks, strict=True)]

    def _indices(self, box: Box | Sequence[slice]) -> Iterator[Index]:
        return product(*([i for i, _, _ in along] for along in self._parts(self._clip(box))))

    def _straight(self, cut: tuple[slice, ...], chunks: int) -> NDArray[Any]:
        """Cut from the array itself."""
        if isinstance(self.array, zarr.Array):
            pixels = _pixels(read_zarr(self.array, cut))
            self._count(chunks)
            return np.ascontiguousarray(pixels)
        return _pixels(self.array[cut]).copy(
            order="C"
        )  # a segmenter that works in place must not touch the user's array

    def _load(self, keys: list[Key]) -> Iterator[tuple[Key, NDArray[Any]]]:
        indices = [index for _, index in keys]
        for index, chunk in self._rectangles(indices) if self._whole else map(self._one, indices):
            yield (self, index), chunk

    def _one(self, index: Index) -> tuple[Index, NDArray[Any]]:
        if self._files is None:
            self._count(1)
            assert self._blocks is not None
            return index, self._blocks.compute(index).view()  # the flags of dask's own stay as they are
        chunk = self._files.read(index)
        if chunk is None:
            return index, np.broadcast_to(self._files.fill, self._chunk_shape)
        self._count(1)
        return index, chunk

    def _rectangles(self, indices: list[Index]) -> Iterator[tuple[Index, NDArray[Any]]]:
        """Yield chunks through zarr, a call for every rectangle of them."""
        for rectangle in rectangles(indices):
            cut = tuple(
                slice(r.start * c, min(r.stop * c, n))
                for r, c, n in zip(rectangle, self._chunk_shape, self.shape, strict=True)
            )
            pixels = _pixels(read_zarr(self.array, cut))
            self._count(prod(map(len, rectangle)))
            for index in product(*rectangle):
                starts = [
                    (i - r.start) * c for i, r, c in zip(index, rectangle, self._chunk_shape, strict=True)
                ]
                part = pixels[tuple(slice(a, a + c) for a, c in zip(starts, self._chunk_shape, strict=True))]
                yield index, part if part.size == pixels.size else part.copy()

    def _count(self, chunks: int) -> None:
        with self._lock:
            self.decoded += chunks


def rectangles(indices: Collection[Index]) -> Iterator[tuple[range, ...]]:
    """Split indices into rectangles of them, one range per axis, as long along the last axes as can be."""
    left = set(indices)
    while left:
        found = [range(i, i + 1) for i in min(left)]
        for axis in reversed(range(len(found))):
            grown = found[axis]
            while left.issuperset(product(*found[:axis], (grown.stop,), *found[axis + 1 :])):
                grown = range(grown.start, grown.stop + 1)
            found[axis] = grown
        left.difference_update(product(*found))
        yield tuple(found)


def _pixels(part: Any) -> NDArray[Any]:
    """Return what an array gave as a numpy array in native byte order."""
    if hasattr(part, "__dask_graph__"):  # dask, or xarray around it: the engine has its own threads
        part = part.compute(scheduler="synchronous")
    pixels = np.asarray(part)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
