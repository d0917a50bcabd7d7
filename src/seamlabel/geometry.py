"""Boxes, tiles, seams and the grid: arithmetic on voxel coordinates, never a list of tiles.

Knows integers only: no pixels, no axes' meaning, no storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECENT = 1024
"""Tiles that a grid keeps at hand."""


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box of voxels, ``start[i] <= x[i] < stop[i]``.

    Parameters
    ----------
    start, stop : tuple of int
        Voxels, one entry per axis. A box whose stop is not past its start is empty.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Box:
        """Return the box of a whole array of this shape."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent per axis in voxels; 0 where the box is empty."""
        return tuple(max(0, b - a) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Slices that cut this box out of an array."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def grow(self, by: tuple[int, ...]) -> Box:
        """Return the box with `by[i]` voxels more (fewer, if negative) on both sides of axis i."""
        return Box(
            tuple(a - g for a, g in zip(self.start, by, strict=True)),
            tuple(b + g for b, g in zip(self.stop, by, strict=True)),
        )

    def shift(self, by: tuple[int, ...]) -> Box:
        """Return the box moved by `by` voxels."""
        return Box(
            tuple(a + s for a, s in zip(self.start, by, strict=True)),
            tuple(b + s for b, s in zip(self.stop, by, strict=True)),
        )

    def intersect(self, other: Box) -> Box:
        """Return the common part; its `size` is 0 if there is none."""
        return Box(
            tuple(map(max, self.start, other.start)),
            tuple(map(min, self.stop, other.stop)),
        )

    def relative_to(self, other: Box) -> Box:
        """Return this box in coordinates that start at `other.start`."""
        return self.shift(tuple(-a for a in other.start))

    def contains(self, other: Box) -> bool:
        """Return whether `other` lies inside this box."""
        return all(map(int.__le__, self.start, other.start)) and all(map(int.__ge__, self.stop, other.stop))


@dataclass(frozen=True, slots=True)
class Tile:
    """One unit of work: segment the `read` box, keep the `core`.

    Parameters
    ----------
    number : int
        Position in raster order, from 0.
    index : tuple of int
        Position in the grid per axis.
    core, read : Box
        The voxels that the tile owns, and those that it reads.
    """

    number: int
    index: tuple[int, ...]
    core: Box
    read: Box


@dataclass(frozen=True, slots=True)
class Seam:
    """Where the read boxes of two neighbouring tiles overlap; `lower` has the lower number."""

    lower: int
    upper: int
    box: Box


class Numbered:
    """What a grid has of the numbers of its parts: raster order over `counts` of them along each axis."""

    part, parts = "tile", "tiles"
    """What one and several are called in messages."""

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of parts along each axis."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Return the number of parts."""
        return prod(self.counts)

    def index(self, number: int) -> tuple[int, ...]:
        """Return the position in the grid of part `number`.

        Raises
        ------
        IndexError
            If there is no such part.
        """
        if not 0 <= number < len(self):
            msg = f"{self.part} {number} does not exist: the grid has {len(self)} {self.parts}"
            raise IndexError(msg)
        index = []
        for count in reversed(self.counts):
            number, i = divmod(number, count)
            index.append(i)
        return tuple(reversed(index))

    def number(self, index: tuple[int, ...]) -> int:
        """Return the number of the part at this position in the grid."""
        number = 0
        for i, count in zip(index, self.counts, strict=True):
            number = number * count + i
        return number


@dataclass(frozen=True)
class TileGrid(Numbered):
    """Tiles over an array: their cores partition it, their read boxes have one constant shape.

    A read box is the core grown by the overlap. Where the array's border would cut it, it is
    extended inwards, so that all read boxes have the shape ``min(tile_shape + 2 * overlap, shape)``,
    or a little more where they are aligned: thin last tiles see as much context as all others.
    Building a grid is O(1); nothing is stored per tile.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array in voxels.
    tile_shape : tuple of int
        Shape of the cores in voxels; may be larger than the array, the last core may be thinner.
    overlap : tuple of int
        Voxels per axis that a tile reads past its core, on every side; may exceed the tile.
    align : tuple of int, optional
        Read boxes start at multiples of this; 1 by default.

    Raises
    ------
    ValueError
        If the tuples differ in length, a shape is not positive or an overlap is negative.
    """

    shape: tuple[int, ...]
    tile_shape: tuple[int, ...]
    overlap: tuple[int, ...]
    align: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the tuples against one another."""
        ndim = len(self.shape)
        if not self.align:
            object.__setattr__(self, "align", (1,) * ndim)
        if not ndim or not len(self.tile_shape) == len(self.overlap) == len(self.align) == ndim:
            msg = (
                f"shape {self.shape}, tile_shape {self.tile_shape}, overlap {self.overlap} and "
                f"align {self.align} need one entry per axis"
            )
            raise ValueError(msg)
        if min(self.shape + self.tile_shape + self.align) < 1 or min(self.overlap) < 0:
            msg = (
                f"shape {self.shape}, tile_shape {self.tile_shape} and align {self.align} must be "
                f"positive, overlap {self.overlap} not negative"
            )
            raise ValueError(msg)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of tiles along each axis."""
        return tuple(-(-n // t) for n, t in zip(self.shape, self.tile_shape, strict=True))

    @cached_property
    def read_shape(self) -> tuple[int, ...]:
        """Shape of every read box in voxels.

        What alignment moves starts back by comes on top, and what lets the last box, which ends with
        the array, start at a multiple too: less than ``2 * align``.
        """
        return tuple(map(_read_length, self.shape, self.tile_shape, self.overlap, self.align))

    def __iter__(self) -> Iterator[Tile]:
        """Yield the tiles in raster order, made as they are asked for."""
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Tile:
        """Return tile `number`.

        Raises
        ------
        IndexError
            If there is no such tile.
        """
        return self._recent(number)

    @cached_property
    def _recent(self) -> Callable[[int], Tile]:
        """The same as indexing; neighbours ask for the same tiles again and again."""
        return lru_cache(maxsize=RECENT)(self._make)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of."""
        return TileGrid, (self.shape, self.tile_shape, self.overlap, self.align)

    def _make(self, number: int) -> Tile:
        index = self.index(number)
        start = tuple(i * t for i, t in zip(index, self.tile_shape, strict=True))
        stop = tuple(min(a + t, n) for a, t, n in zip(start, self.tile_shape, self.shape, strict=True))
        core = Box(start, stop)
        return Tile(number, index, core, self._read(core))

    def _read(self, core: Box) -> Box:
        start, stop = [], []
        for axis, size in enumerate(self.read_shape):
            first = min(core.start[axis] - self.overlap[axis], self.shape[axis] - size)
            first = max(0, first)
            start.append(first - first % self.align[axis])
            stop.append(start[-1] + size)
        return Box(tuple(start), tuple(stop))

    def read_start(self, axis: int, index: Any) -> Any:
        """Return where read boxes start along an axis, for positions in the grid (numbers or arrays)."""
        last = self.shape[axis] - self.read_shape[axis]
        first = np.clip(index * self.tile_shape[axis] - self.overlap[axis], 0, last)
        return first - first % self.align[axis]

    def touching(self, box: Box) -> Iterator[int]:
        """Yield the numbers of the tiles whose cores meet `box`, in raster order."""
        box = box.intersect(Box.whole(self.shape))
        if box.size:
            spans = zip(box.start, box.stop, self.tile_shape, strict=True)
            ranges = [range(a // t, -(-b // t)) for a, b, t in spans]
            yield from map(self.number, product(*ranges))

    def neighbours(self, number: int) -> Iterator[int]:
        """Yield the numbers of the tiles beside this one (faces, edges and corners), ascending."""
        index = self.index(number)
        ranges = [
            range(max(0, i - 1), min(count, i + 2)) for i, count in zip(index, self.counts, strict=True)
        ]
        for other in product(*ranges):
            if other != index:
                yield self.number(other)

    def seam(self, one: int, other: int) -> Seam:
        """Return the seam of two neighbouring tiles, given in any order."""
        lower, upper = sorted((one, other))
        return Seam(lower, upper, self[lower].read.intersect(self[upper].read))


def _read_length(length: int, tile: int, overlap: int, align: int) -> int:
    """Return how long read boxes are along an axis of this length."""
    step = gcd(tile, align)
    moved = align - step + -overlap % step  # the farthest that any start is moved back
    least = tile + 2 * overlap + moved
    return min(length, least + (length - least) % align)
