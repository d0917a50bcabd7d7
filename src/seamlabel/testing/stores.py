"""Stores in memory: a staging store and a label sink that also watch how they are used.

They keep the contracts of `seamlabel.protocols` and raise AssertionError where a caller breaks them.
"""

from __future__ import annotations

from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Labels
    from seamlabel.staged import StagedTile


class MemoryStore:
    """A `LabelStore` in memory.

    Attributes
    ----------
    tiles : dict of int to StagedTile
        What was written, by tile.
    """

    def __init__(self) -> None:
        self.tiles: dict[int, StagedTile] = {}

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> tuple[int, int]:
        """Keep the labels of a tile, in place of older ones; return (0, 0).

        Raises
        ------
        AssertionError
            If its runs do not fill its box, or have labels that its table has not.
        """
        assert int(staged.lengths.sum()) == prod(staged.shape), f"tile {tile}: runs do not fill the box"
        top = int(staged.values.max(initial=0))
        assert top <= staged.n_all + staged.n_pieces, f"tile {tile}: label {top} of {staged.n_all}"
        assert staged.n_core <= staged.n_all, f"tile {tile}: more labels in the core than in all"
        self.tiles[tile] = staged
        return 0, 0

    def read(self, tile: int) -> StagedTile | None:
        """Return the labels of a tile, or None for one that was never written."""
        return self.tiles.get(tile)


class MemorySink:
    """A `LabelSink` in memory: one array per level.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Shape of every level, full resolution first.
    path : str
        What it says where the labels are.

    Attributes
    ----------
    levels : list of array
        The arrays, between `begin` and `abort`.
    state : {"new", "begun", "committed", "aborted"}
        What was called last.
    """

    def __init__(self, shapes: tuple[tuple[int, ...], ...], path: str = "memory") -> None:
        self._shapes = tuple(tuple(shape) for shape in shapes)
        self._path = path
        self._lock = Lock()
        self._written: list[NDArray[np.bool_]] = []
        self._chunks: tuple[tuple[int, ...], ...] = ()
        self.levels: list[NDArray[Any]] = []
        self.state = "new"

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every level."""
        return self._shapes

    @property
    def path(self) -> str:
        """Where the labels are said to be."""
        return self._path

    def check(self) -> None:
        """Refuse nothing but a sink that was used.

        Raises
        ------
        AssertionError
            If it was begun before.
        """
        assert self.state == "new", f"check() of a sink that is {self.state}"

    def begin(
        self, dtype: str, chunks: tuple[tuple[int, ...], ...], blocks: tuple[tuple[int, ...], ...] = ()
    ) -> None:
        """Make the arrays, all 0.

        Raises
        ------
        AssertionError
            If it was begun before, or `chunks` do not fit the levels.
        """
        assert self.state == "new", f"begin() of a sink that is {self.state}"
        fits = [len(c) == len(s) for c, s in zip(chunks, self._shapes, strict=True)]
        assert all(fits), f"chunks {chunks} do not fit levels of shapes {self._shapes}"
        self._chunks = chunks
        self.levels = [np.zeros(shape, dtype) for shape in self._shapes]
        self._written = [np.zeros(shape, bool) for shape in self._shapes]
        self.state = "begun"

    def write(self, level: int, box: Box, labels: Labels) -> None:
        """Write a box of whole chunks; nothing after `abort`.

        Raises
        ------
        AssertionError
            If the sink is not open, the box lies outside, cuts a chunk or was written before, or
            labels have another shape or do not fit the type.
        """
        if self.state == "aborted":
            return
        place = f"level {level}, {box}"
        assert self.state == "begun", f"write() to a sink that is {self.state}"
        assert Box.whole(self._shapes[level]).contains(box), f"{place} is outside {self._shapes[level]}"
        assert labels.shape == box.shape, f"{place}: labels of shape {labels.shape}"
        ends = zip(box.start, box.stop, self._chunks[level], self._shapes[level], strict=True)
        assert all(not a % c and (not b % c or b == n) for a, b, c, n in ends), f"{place} cuts a chunk"
        top = np.iinfo(self.levels[level].dtype).max
        assert not labels.size or 0 <= labels.min() <= labels.max() <= top, f"{place}: ids do not fit"
        with self._lock:
            assert not self._written[level][box.slices].any(), f"{place} was written before"
            self._written[level][box.slices] = True
            self.levels[level][box.slices] = labels

    def read(self, level: int, box: Box) -> Labels:
        """Return a copy of a box.

        Raises
        ------
        AssertionError
            If nothing was begun, or it was aborted.
        """
        assert self.state in ("begun", "committed"), f"read() from a sink that is {self.state}"
        return self.levels[level][box.slices].copy()

    def commit(self) -> None:
        """Make the labels visible.

        Raises
        ------
        AssertionError
            If the sink is not open.
        """
        assert self.state == "begun", f"commit() of a sink that is {self.state}"
        self.state = "committed"

    def abort(self) -> None:
        """Drop what was written; may be called before `begin`, or twice.

        Raises
        ------
        AssertionError
            If the labels were committed.
        """
        assert self.state != "committed", "abort() of labels that are committed"
        self.levels, self._written = [], []
        self.state = "aborted"
