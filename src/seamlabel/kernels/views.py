"""Whole objects in the making: where they lie, how large they are, and which tile sees each best.

Fed with chunks of labels, in any order; numpy arrays over objects, nothing per voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.components import PART
from seamlabel.kernels.local import centres
from seamlabel.staged import BORDER, COMPLETE, LABEL_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import TileGrid
    from seamlabel.staged import ObjectFilter

ENOUGH_MARGIN = 0.25
"""Overlaps that a label stays from every cut, to be painted as its tile shows it."""
ENOUGH_AGREEMENT = 0.55
"""Intersection over union of tiles' versions, below which none is better than a part of each."""
_HOME = np.float32(1e10)
"""More than any margin: the tile that an object is centred in comes first."""


@dataclass
class Objects:
    """Components of labels, one entry each.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    keys : ndarray of int64, shape (n_nodes,)
        All labels, ascending.
    complete : ndarray of bool, shape (n_nodes,)
        Whether a label's tile sees it whole.
    component : ndarray of int32, shape (n_nodes,)
        Object of each label.
    lowest : ndarray of int32
        Lowest label of each object.
    alone : ndarray of bool
        Whether it is one label.
    start, stop : ndarray of int32, shape (n_objects, ndim)
        Bounding box in the image.
    inside : ndarray of bool, shape (n_nodes,)
        Whether half of a label or more lies in its tile's core.
    in_core, at_border : ndarray of bool
        Whether a label of it has voxels in its own tile's core; whether it touches the image's border.
    largest : ndarray of float32
        Voxels of its largest label.
    best : ndarray of float32
        Margin of the best view; 0 if no tile sees it whole.
    owner : ndarray of int32
        The label that is that view; n_nodes if there is none.
    core_area, whole_area : ndarray of int64
        Voxels in the cores of its labels' tiles, and of its owner; empty where nobody asks for sizes.
    spared, gone : ndarray of bool
        Cut off by hand: not to be dropped; dropped, or part of another object.
    asked : ndarray of bool, shape (n_tiles,), optional
        Which tiles were segmented; all by default.
    """

    grid: TileGrid
    keys: NDArray[np.int64]
    complete: NDArray[np.bool_]
    component: NDArray[np.int32]
    lowest: NDArray[np.int32]
    alone: NDArray[np.bool_]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    inside: NDArray[np.bool_]
    in_core: NDArray[np.bool_]
    at_border: NDArray[np.bool_]
    largest: NDArray[np.float32]
    best: NDArray[np.float32]
    owner: NDArray[np.int32]
    core_area: NDArray[np.int64]
    whole_area: NDArray[np.int64]
    spared: NDArray[np.bool_]
    gone: NDArray[np.bool_]
    asked: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        grid: TileGrid,
        keys: NDArray[np.int64],
        complete: NDArray[np.bool_],
        component: NDArray[np.int32],
        sizes: bool,
    ) -> Objects:
        """Return objects of which only the members are known; with `sizes`, these will be measured."""
        count = int(component.max(initial=-1)) + 1
        lowest = np.empty(count, np.int32)
        lowest[component[::-1]] = np.arange(keys.size - 1, -1, -1, dtype=np.int32)  # the last write stays
        several = np.ones(keys.size, bool)
        several[lowest] = False
        alone = np.ones(count, bool)
        alone[component[several]] = False
        return cls(
            grid=grid,
            keys=keys,
            complete=complete,
            component=component,
            lowest=lowest,
            alone=alone,
            start=np.full((count, grid.ndim), np.iinfo(np.int32).max, np.int32),
            stop=np.zeros((count, grid.ndim), np.int32),
            inside=np.zeros(keys.size, bool),
            in_core=np.zeros(count, bool),
            at_border=np.zeros(count, bool),
            largest=np.zeros(count, np.float32),
            best=np.zeros(count, np.float32),
            owner=np.full(count, keys.size, np.int32),
            core_area=np.zeros(count * sizes, np.int64),
            whole_area=np.zeros(count * sizes, np.int64),
            spared=np.zeros(count, bool),
            gone=np.zeros(count, bool),
        )

    @property
    def size(self) -> int:
        """Number of objects."""
        return self.alone.size

    def tile(self, nodes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the tiles of labels."""
        tiles: NDArray[np.int64] = self.keys[nodes] >> LABEL_BITS
        return tiles

    def measure(self, chunk: NDArray[Any]) -> None:
        """Add labels to boxes and sizes."""
        nodes = np.searchsorted(self.keys, chunk["key"])
        objects = self.component[nodes]
        self.inside[nodes] = 2 * chunk["core_area"] >= chunk["area"]
        for axis in range(self.grid.ndim):
            np.minimum.at(self.start[:, axis], objects, chunk["start"][:, axis])
            np.maximum.at(self.stop[:, axis], objects, chunk["stop"][:, axis])
        np.maximum.at(self.largest, objects, chunk["area"].astype(np.float32))
        self.in_core[objects[chunk["core_area"] > 0]] = True
        self.at_border[objects[(chunk["flags"] & BORDER) > 0]] = True
        if self.core_area.size:
            np.add.at(self.core_area, objects, chunk["core_area"])

    @cached_property
    def home(self) -> NDArray[np.int32]:
        """Tile that each object is centred in; known once all labels are measured."""
        number = np.zeros(self.size, np.int32)
        for at in range(0, self.size, PART):
            part = slice(at, at + PART)
            for axis, (side, count) in enumerate(zip(self.grid.tile_shape, self.grid.counts, strict=True)):
                centre = centres(self.start[part, axis], self.stop[part, axis])
                number[part] = number[part] * count + centre // side
        return number

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether the tile that each object is centred in was segmented."""
        return np.ones(self.size, bool) if self.asked is None else self.asked[self.home]

    def forget_boxes(self) -> None:
        """Free what only the report needs."""
        self.start, self.stop = self.start[:0].copy(), self.stop[:0].copy()

    def compare(self, chunk: NDArray[Any]) -> None:
        """Find the label that is the best view of each object; of equal ones the lowest."""
        nodes = np.searchsorted(self.keys, chunk["key"])
        sees = ((chunk["flags"] & COMPLETE) > 0) & (chunk["margin"] >= ENOUGH_MARGIN)
        sees &= chunk["core_area"] > 0  # what a tile paints in its core nobody else can claim
        sees &= 2 * chunk["area"] >= self.largest[self.component[nodes]]  # more than a splinter
        nodes, chunk = nodes[sees], chunk[sees]
        objects = self.component[nodes]
        at_home = self.tile(nodes) == self.home[objects]
        scores = np.where(at_home, _HOME, chunk["margin"])
        former = self.best[objects]
        np.maximum.at(self.best, objects, scores)
        self.owner[objects[self.best[objects] > former]] = self.keys.size
        best = scores == self.best[objects]
        np.minimum.at(self.owner, objects[best], nodes[best].astype(np.int32))
        if self.core_area.size:
            owns = self.owner[objects] == nodes
            self.whole_area[objects[owns]] = chunk["area"][owns]

    def disagree(self, objects: NDArray[Any], iou: NDArray[np.float64]) -> None:
        """Let objects have no best view whose versions agree too little."""
        self.owner[objects[iou < ENOUGH_AGREEMENT]] = self.keys.size

    def drop(self) -> NDArray[np.int64]:
        """Remove objects that one tile sees whole, and the tile that they are centred in not at all.

        That tile must see where they lie well enough to deny them.

        Returns
        -------
        ndarray of int64
            The objects.
        """
        lone = self.alone & self.complete[self.lowest] & ~self.spared & self.answered
        found = np.flatnonzero(lone & (self.tile(self.lowest) != self.home)).astype(np.int64)
        number = self.home[found].astype(np.int64)
        seen = np.ones(found.size, bool)
        for axis in reversed(range(self.grid.ndim)):
            number, index = np.divmod(number, self.grid.counts[axis])
            start = self.grid.read_start(axis, index)
            stop, margin = start + self.grid.read_shape[axis], ENOUGH_MARGIN * self.grid.overlap[axis]
            seen &= (self.start[found, axis] >= start + margin) | (start == 0)
            seen &= (self.stop[found, axis] <= stop - margin) | (stop >= self.grid.shape[axis])
        self.gone[found[seen]] = True
        return found[seen]

    def join(self, into: NDArray[Any]) -> None:
        """Make objects parts of others.

        Parameters
        ----------
        into : ndarray of integers, shape (n_objects,)
            For each object the one that it becomes part of, itself if it stays; these may form chains.
        """
        while not np.array_equal(into, into[into]):
            into = into[into]
        gone = np.flatnonzero(into != np.arange(self.size))
        to = into[gone]
        np.minimum.at(self.lowest, to, self.lowest[gone])
        np.minimum.at(self.start, to, self.start[gone])
        np.maximum.at(self.stop, to, self.stop[gone])
        self.alone[to] = False
        self.in_core[to[self.in_core[gone]]] = True
        self.at_border[to[self.at_border[gone]]] = True
        if self.core_area.size:
            np.add.at(self.core_area, to, self.core_area[gone])
        if gone.size:
            self.component[:] = into.astype(np.int32)[self.component]

    def kept(
        self, keep: ObjectFilter, groups: NDArray[np.int32], holes: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which objects are painted, judged by the whole groups that they belong to.

        Parameters
        ----------
        keep : ObjectFilter
            What is kept.
        groups : ndarray of int32
            Group of each object.
        holes : ndarray of int64
            Voxels of each group's holes, which count too.
        """
        self.gone |= ~self.in_core  # seen in passing only: no tile would paint it
        if not keep.removes:
            return ~self.gone
        area = np.where(self.owner < self.keys.size, self.whole_area, self.core_area)
        total = holes.copy()
        np.add.at(total, groups, np.where(self.gone, 0, area))
        at_border = np.zeros(self.size, bool)
        at_border[groups[self.at_border]] = True
        return ~self.gone & keep.keeps(total[groups], at_border[groups])
