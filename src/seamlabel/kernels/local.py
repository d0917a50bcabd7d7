"""One tile's labels as runs and a table: numbered, counted, and which of them other tiles may see.

A run is a stretch of one label along the last axis, within one row. Label images have few of them, so
everything is taken from runs and no voxel is sorted. Knows one tile and its boxes, no neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.relabel import Renaming, renaming
from seamlabel.staged import BORDER, COMPLETE, INTERIOR, LABEL_BITS, NODE, StagedTile

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOLE = np.dtype([("piece", "<i8"), ("beside", "<i8"), ("voxels", "<i8")])
"""What is known of a piece of background, named by key: itself, with its voxels in the core; the keys
of labels beside it, and of pieces that are the same; label 0 of a tile if that one denies the hole."""
UNBOUNDED = np.float32(1e9)
"""Margin of a label of a tile that has no cut."""


@dataclass(frozen=True)
class View:
    """The boxes of one tile, in voxels from the start of its read box.

    Parameters
    ----------
    tile : int
        Its number.
    origin : tuple of int
        Where its read box starts in the image.
    core, trusted, alone : tuple of slice
        What the tile owns; where its labels are those of the image; where no neighbour is trusted.
    cut : tuple of (bool, bool)
        Per axis, whether the low and the high face of the read box is a cut through the image.
    border : tuple of (bool, bool)
        Per axis, whether it is the image's border, along axes that labels are joined along.
    overlap : tuple of int
        The grid's overlap.
    whole : bool
        Whether labels outside the core count, as better versions of a neighbour's.
    """

    tile: int
    origin: tuple[int, ...]
    core: tuple[slice, ...]
    trusted: tuple[slice, ...]
    alone: tuple[slice, ...]
    cut: tuple[tuple[bool, bool], ...]
    border: tuple[tuple[bool, bool], ...]
    overlap: tuple[int, ...]
    whole: bool = True


def node_dtype(ndim: int) -> np.dtype[Any]:
    """Return the record of a label that takes part in the merge, in image coordinates."""
    return np.dtype(
        [
            ("key", "<i8"),
            ("area", "<i8"),
            ("core_area", "<i8"),
            ("start", "<i4", (ndim,)),
            ("stop", "<i4", (ndim,)),
            ("margin", "<f4"),
            ("flags", "u1"),
        ]
    )


@dataclass(frozen=True)
class LocalTile:
    """A tile's labels, described.

    Parameters
    ----------
    staged : StagedTile
        What is staged of them.
    nodes : structured ndarray, see `node_dtype`
        The labels that take part in the merge, by label.
    rename : Renaming
        Turns the labels that were given into the staged ones.
    pieces : ndarray of integers or None
        Over the read box: pieces of background that may be part of a hole, as they are staged.
    holes : structured ndarray, see `HOLE`
        What is known of these.
    """

    staged: StagedTile
    nodes: NDArray[Any]
    rename: Renaming
    pieces: NDArray[Any] | None = None
    holes: NDArray[Any] = field(default_factory=lambda: np.zeros(0, HOLE))

    def strip(self, labels: NDArray[Any] | None, part: tuple[slice, ...]) -> NDArray[Any] | None:
        """Return what is staged of a part of the read box, None if there is nothing.

        Parameters
        ----------
        labels : ndarray of integers or None
            The labels that were given; None if there are none.
        part : tuple of slice
            Relative to the read box.
        """
        given = None if labels is None else labels[part]
        found = self.rename(given) if given is not None and given.any() else None
        pieces = None if self.pieces is None else self.pieces[part]
        if pieces is None or not pieces.any():
            return found
        return pieces.astype(np.int32) if found is None else found + pieces


@dataclass(frozen=True)
class _Runs:
    """Foreground runs: their label, where they lie, and which rows have a property."""

    label: NDArray[np.int32]
    row: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]  # one past the end
    shape: tuple[int, ...]

    def inside(self, part: tuple[slice, ...]) -> NDArray[np.int64]:
        """Return how many voxels of each run lie inside a box."""
        span = np.minimum(self.last, part[-1].stop) - np.maximum(self.first, part[-1].start)
        inside: NDArray[np.int64] = np.maximum(span, 0) * self._rows(part[:-1])[self.row]
        return inside

    def on(self, part: tuple[slice, ...], faces: tuple[tuple[bool, bool], ...]) -> NDArray[np.bool_]:
        """Return which runs have voxels in the outermost layer of a box at the chosen faces."""
        rows = np.zeros(self.shape[:-1], bool)
        for axis, (low, high) in enumerate(faces[:-1]):
            where = np.moveaxis(rows, axis, 0)
            where[part[axis].start] |= low
            where[part[axis].stop - 1] |= high
        found: NDArray[np.bool_] = rows.ravel()[self.row]
        if faces[-1][0]:
            found = found | (self.first <= part[-1].start)
        if faces[-1][1]:
            found = found | (self.last >= part[-1].stop)
        return found

    def _rows(self, part: tuple[slice, ...]) -> NDArray[np.bool_]:
        rows = np.zeros(self.shape[:-1], bool)
        rows[part] = True
        return rows.ravel()

    def chosen(self, which: NDArray[np.bool_]) -> _Runs:
        return _Runs(self.label[which], self.row[which], self.first[which], self.last[which], self.shape)


def describe(labels: NDArray[Any], view: View) -> LocalTile:
    """Return a tile's labels numbered and measured.

    Parameters
    ----------
    labels : ndarray of integers, not negative
        Over the read box, numbered in any way; 0 outside the trusted box.
    view : View
        The tile's boxes.

    Returns
    -------
    LocalTile
        Independent of how `labels` was numbered.
    """
    width = labels.shape[-1]
    flat = np.ascontiguousarray(labels).ravel()
    starts = row_runs(flat, width)
    values = flat[starts]
    lengths = np.diff(starts, append=flat.size)
    ink = np.flatnonzero(values)
    row = starts[ink] // width
    first = starts[ink] - row * width
    runs = _Runs(values[ink], row, first, first + lengths[ink], labels.shape)
    in_core = runs.inside(view.core)
    rename, n_core = renaming(runs.label, in_core > 0)
    runs = _Runs(rename(runs.label), row, first, runs.last, labels.shape)
    sizes = lengths[ink]
    areas = np.bincount(runs.label, weights=sizes, minlength=rename.size + 1)[1:].astype(np.int64)
    flags = _flags(runs, view, n_core, areas.size, sizes)
    nodes = _nodes(runs, view, areas, in_core, flags, n_core)
    numbered = np.zeros(values.size, np.int32)
    numbered[ink] = runs.label
    return LocalTile(StagedTile(labels.shape, numbered, lengths, n_core, areas, flags), nodes, rename)


def row_runs(flat: NDArray[Any], width: int) -> NDArray[np.intp]:
    """Return where runs start in a raster of rows of `width`: where the value changes, and every row."""
    change = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=change[1:])
    change[::width] = True
    return np.flatnonzero(change)


def _flags(runs: _Runs, view: View, n_core: int, n_all: int, sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the flags of all labels; `NODE` for all that a neighbour may see."""
    seen = _any(runs, runs.inside(view.alone) < sizes, n_all)
    flags = np.where(seen, NODE, INTERIOR).astype(np.uint8)
    flags[n_core:] |= NODE  # a label outside the core is nobody's but a neighbour's
    flags[n_core:] &= ~np.uint8(INTERIOR)
    flags[~_any(runs, runs.on(view.trusted, view.cut), n_all)] |= COMPLETE
    if any(map(any, view.border)):
        flags[_any(runs, runs.on(view.trusted, view.border), n_all)] |= BORDER
    return flags


def _any(runs: _Runs, which: NDArray[np.bool_], n_all: int) -> NDArray[np.bool_]:
    """Return which labels have a run of these."""
    found = np.zeros(n_all + 1, bool)
    found[runs.label[which]] = True
    return found[1:]


def _nodes(
    runs: _Runs,
    view: View,
    areas: NDArray[np.int64],
    in_core: NDArray[np.int64],
    flags: NDArray[np.uint8],
    n_core: int,
) -> NDArray[Any]:
    """Return the records of the labels that take part; clears the flag `NODE` of the others."""
    ndim = len(view.core)
    chosen = np.append(False, (flags & NODE) > 0)[runs.label]
    part = runs.chosen(chosen)
    order = np.argsort(part.label, kind="stable")
    label = part.label[order]
    begin = np.flatnonzero(np.diff(label, prepend=0))
    names = label[begin]
    nodes = np.zeros(names.size, node_dtype(ndim))
    if not names.size:
        return nodes
    lead = np.unravel_index(part.row[order], runs.shape[:-1]) if ndim > 1 else ()
    for axis, (low, high) in enumerate([(c, c + 1) for c in lead] + [(part.first[order], part.last[order])]):
        nodes["start"][:, axis] = np.minimum.reduceat(low, begin) + view.origin[axis]
        nodes["stop"][:, axis] = np.maximum.reduceat(high, begin) + view.origin[axis]
    nodes["key"] = (np.int64(view.tile) << LABEL_BITS) + names
    nodes["area"] = areas[names - 1]
    nodes["core_area"] = np.add.reduceat(in_core[chosen][order], begin)
    nodes["margin"] = _margin(nodes, view, runs.shape)
    nodes["flags"] = flags[names - 1]
    takes_part = names <= n_core
    if view.whole:
        takes_part |= ((nodes["flags"] & COMPLETE) > 0) & _centred(nodes, view)
    flags[names[~takes_part] - 1] &= ~np.uint8(NODE)
    return nodes[takes_part]


def _centred(nodes: NDArray[Any], view: View) -> NDArray[np.bool_]:
    """Return which boxes have their centre in the tile's core."""
    inside = np.ones(nodes.size, bool)
    for axis, part in enumerate(view.core):
        centre = centres(nodes["start"][:, axis], nodes["stop"][:, axis]) - view.origin[axis]
        inside &= (centre >= part.start) & (centre < part.stop)
    return inside


def centres(start: NDArray[Any], stop: NDArray[Any]) -> NDArray[np.int64]:
    """Return the voxel at the centre of half-open ranges, the lower one of two."""
    middle: NDArray[np.int64] = (start.astype(np.int64) + stop - 1) // 2
    return middle


def _margin(nodes: NDArray[Any], view: View, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return how far labels stay from the cuts, in overlaps."""
    margin = np.full(nodes.size, UNBOUNDED)
    for axis, (low, high) in enumerate(view.cut):
        overlap = np.float32(max(1, view.overlap[axis]))
        if low:
            margin = np.minimum(margin, (nodes["start"][:, axis] - view.origin[axis]) / overlap)
        if high:
            end = view.origin[axis] + shape[axis]
            margin = np.minimum(margin, (end - nodes["stop"][:, axis]) / overlap)
    return margin.astype(np.float32)
