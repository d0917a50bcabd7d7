"""A part of an image that is to be segmented: what users write of it, and which tiles that means.

A tile is segmented if its core touches one of the boxes. Knows integers only, no axes' meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import Problem
from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import TileGrid

    Boxes = tuple[tuple[tuple[int, int | None], ...], ...]
    """Start and stop per axis of every box; a stop of None is the end of the image."""


@dataclass(frozen=True)
class Region:
    """The tiles that are segmented, and the voxels that they may show.

    Parameters
    ----------
    grid : TileGrid
        All tiles of the image.
    boxes : tuple of Box
        What is wanted, in voxels, each inside the image; that of the whole image if it is all wanted.
    """

    grid: TileGrid
    boxes: tuple[Box, ...]

    @classmethod
    def of(cls, grid: TileGrid, boxes: Boxes | None) -> Region:
        """Return the region that a spec asks for; None is the whole image."""
        if boxes is None:
            return cls(grid, (Box.whole(grid.shape),))
        found = []
        for pairs in boxes:
            ends = zip(pairs, grid.shape, strict=True)
            stops = tuple(n if stop is None else stop for (_, stop), n in ends)
            found.append(Box(tuple(start for start, _ in pairs), stops))
        return cls(grid, tuple(found))

    @cached_property
    def whole(self) -> bool:
        """Whether every tile is segmented."""
        return self.n_tiles == len(self.grid)

    @cached_property
    def n_tiles(self) -> int:
        """Number of tiles that are segmented."""
        if len(self.boxes) == 1:
            return prod(len(part) for part in self._span(self.boxes[0]))
        return int(self.tiles.sum())

    @cached_property
    def tiles(self) -> NDArray[np.bool_]:
        """Which tiles are segmented, by number."""
        return self._marked(self.boxes)

    @cached_property
    def reach(self) -> tuple[Box, ...]:
        """For every box, the voxels that its tiles read: elsewhere all is background."""
        return tuple(dict.fromkeys(self._read(box) for box in self.boxes))

    @cached_property
    def shown(self) -> NDArray[np.bool_]:
        """Which tiles have voxels that a tile of the region reads, by number."""
        return self._marked(self.reach)

    @cached_property
    def beyond(self) -> NDArray[np.intp]:
        """Tiles that are not segmented, and show what tiles of the region see of them."""
        return np.zeros(0, np.intp) if self.whole else np.flatnonzero(self.shown & ~self.tiles)

    @cached_property
    def voxels(self) -> int:
        """Voxels in the cores of the tiles that are segmented."""
        if self.whole:
            return prod(self.grid.shape)
        sizes = np.ones((), np.int64)
        for n, tile, count in zip(self.grid.shape, self.grid.tile_shape, self.grid.counts, strict=True):
            start = np.arange(count) * tile
            sizes = np.multiply.outer(sizes, np.minimum(start + tile, n) - start)
        return int(sizes.ravel()[self.tiles].sum())

    def _span(self, box: Box) -> list[range]:
        """Return the positions in the grid of the tiles whose cores meet a box."""
        ends = zip(box.start, box.stop, self.grid.tile_shape, strict=True)
        return [range(a // t, -(-b // t)) for a, b, t in ends]

    def _read(self, box: Box) -> Box:
        span, grid = self._span(box), self.grid
        starts = (int(grid.read_start(axis, part[0])) for axis, part in enumerate(span))
        last = (int(grid.read_start(axis, part[-1])) for axis, part in enumerate(span))
        return Box(tuple(starts), tuple(a + n for a, n in zip(last, grid.read_shape, strict=True)))

    def _marked(self, boxes: Iterable[Box]) -> NDArray[np.bool_]:
        marks = np.zeros(self.grid.counts, bool)
        for box in boxes:
            marks[tuple(slice(part.start, part.stop) for part in self._span(box))] = True
        flat: NDArray[np.bool_] = marks.ravel()
        flat.setflags(write=False)
        return flat


def misplaced(boxes: Boxes, names: Sequence[str], shape: tuple[int, ...], level: int) -> list[Problem]:
    """Return what is wrong with boxes for axes of these names and a level of this shape, if anything is."""
    fix = f"Level {level} has " + ", ".join(f"{name} 0:{n}" for name, n in zip(names, shape, strict=True))
    for box in boxes:
        if len(box) != len(shape):
            message = f"a box of {len(box)} pairs of start and stop for {len(shape)} axes"
            return [Problem("region", message, fix)]
        ends = zip(names, shape, box, strict=True)
        beyond = [name for name, n, (start, stop) in ends if start >= n or (stop or 0) > n]
        if beyond:
            return [Problem("region", f"a box reaches beyond the image along {', '.join(beyond)}", fix)]
    return []


def as_region(value: Any) -> Any:
    """Return what users write of a region as boxes of (start, stop) pairs.

    Parameters
    ----------
    value : None, box or sequence of boxes
        A box has one slice or (start, stop) per axis; None is the whole image.

    Raises
    ------
    ValueError
        If it is something else, a slice has a step, or a box has no voxels.
    """
    if value is None:
        return value
    value = value.tolist() if hasattr(value, "tolist") else value
    value = (value,) if isinstance(value, slice) else value
    found: tuple[Any, ...] = (_box(value),)
    if not all(map(_is_span, found[0])):
        found = tuple(map(_box, value))
    for pair in chain.from_iterable(found):
        if isinstance(pair, tuple) and len(pair) == 2 and _is_empty(*pair):
            msg = f"{pair[0]}:{pair[1]} has no voxels"
            raise ValueError(msg)
    return found


def _is_span(value: Any) -> bool:
    """Return whether this is a slice or a pair of numbers, not a box of such."""
    pair = isinstance(value, list | tuple) and not any(isinstance(v, list | tuple | slice) for v in value)
    return isinstance(value, slice) or pair


def _box(value: Any) -> tuple[Any, ...]:
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, list | tuple):
        msg = f"{value!r} is no box"
        raise ValueError(msg)  # what pydantic understands
    return tuple(map(_pair, value))


def _pair(value: Any) -> Any:
    if isinstance(value, slice):
        if value.step not in (None, 1):
            msg = f"a step of {value.step} leaves gaps"
            raise ValueError(msg)
        value = value.start, value.stop
    if isinstance(value, list | tuple) and len(value) == 2:
        return (0 if value[0] is None else value[0], value[1])
    return value


def _is_empty(start: Any, stop: Any) -> bool:
    return isinstance(start, int) and isinstance(stop, int) and stop <= start


def parse_region(text: str) -> tuple[tuple[int | None, int | None], ...]:
    """Return the box that is written as slices: ``0:2048,:``; ``:`` is a whole axis, ``5`` one layer.

    Raises
    ------
    ValueError
        If it is not understood.
    """
    pairs: list[tuple[int | None, int | None]] = []
    for part in text.split(","):
        start, colon, stop = (piece.strip() for piece in part.partition(":"))
        if colon:
            pairs.append((int(start) if start else None, int(stop) if stop else None))
        else:
            pairs.append((int(start), int(start) + 1))
    return tuple(pairs)


def region_text(boxes: Boxes) -> list[str]:
    """Return every box as `parse_region` reads it."""
    return [
        ",".join(f"{start or ''}:{'' if stop is None else stop}" for start, stop in pairs) for pairs in boxes
    ]
