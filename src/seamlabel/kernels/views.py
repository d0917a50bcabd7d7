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
    at_border : ndarray of bool
        Whether it touches the image's border.
    best : ndarray of float32
        Margin of the best view; 0 if no tile sees it whole.
    owner : ndarray of int32
        The label that is that view; n_nodes if there is none.
    core_area, whole_area : ndarray of int64
        Voxels in the cores of its labels' tiles, and of its owner; empty where nobody asks for sizes.
    spared, gone : ndarray of bool
        Cut off by hand: not to be dropped; dropped, or part of another object.
    """

    grid: TileGrid
    keys: NDArray[np.int64]
    complete: NDArray[np.bool_]
    component: NDArray[np.int32]
    lowest: NDArray[np.int32]
    alone: NDArray[np.bool_]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    at_border: NDArray[np.bool_]
    best: NDArray[np.float32]
    owner: NDArray[np.int32]
    core_area: NDArray[np.int64]
    whole_area: NDArray[np.int64]
    spared: NDArray[np.bool_]
    gone: NDArray[np.bool_]

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
            at_border=np.zeros(count, bool),
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
        objects = self.component[np.searchsorted(self.keys, chunk["key"])]
        for axis in range(self.grid.ndim):
            np.minimum.at(self.start[:, axis], objects, chunk["start"][:, axis])
            np.maximum.at(self.stop[:, axis], objects, chunk["stop"][:, axis])
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

    def forget_boxes(self) -> None:
        """Free what only the report needs."""
        self.start, self.stop = self.start[:0].copy(), self.stop[:0].copy()

    def compare(self, chunk: NDArray[Any]) -> None:
        """Find the label that is the best view of each object; of equal ones the lowest."""
        nodes = np.searchsorted(self.keys, chunk["key"])
        sees = ((chunk["flags"] & COMPLETE) > 0) & (chunk["margin"] >= ENOUGH_MARGIN)
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

    def drop(self) -> NDArray[np.int64]:
        """Remove objects that one tile sees whole, and the tile that they are centred in not at all.

        Returns
        -------
        ndarray of int64
            The objects.
        """
        dropped = self.alone & self.complete[self.lowest] & ~self.spared
        dropped &= self.tile(self.lowest) != self.home
        self.gone |= dropped
        return np.flatnonzero(dropped)

    def weak(self) -> NDArray[np.bool_]:
        """Return which nodes are alone and cut, and may be what is left of another object."""
        alone = self.alone & ~self.complete[self.lowest] & ~self.spared
        weak: NDArray[np.bool_] = alone[self.component]
        return weak

    def absorb(
        self, nodes: NDArray[np.int64], areas: NDArray[np.int64], overlaps: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Remove weak labels, mostly outside their tile's core, that another object covers by half.

        Parameters
        ----------
        nodes, areas : ndarray of int64, shape (m,)
            Weak labels that lie mostly outside, ascending, and the voxels of each.
        overlaps : ndarray of int64, shape (n, 3)
            Weak label, other label, voxels in common.

        Returns
        -------
        ndarray of int64
            The objects that are no more.
        """
        one, other, common = overlaps[np.isin(overlaps[:, 0], nodes)].T
        other = self.component[other]
        order = np.lexsort((other, one))
        one, other, common = one[order], other[order], common[order]
        begin = np.flatnonzero((np.diff(one, prepend=-1) != 0) | (np.diff(other, prepend=-1) != 0))
        if not begin.size:
            return np.zeros(0, np.int64)
        covered = np.add.reduceat(common, begin)
        one, other = one[begin], other[begin]
        half = 2 * covered >= areas[np.searchsorted(nodes, one)]
        lone = self.alone[other] & ~self.complete[self.lowest[other]]
        taken = np.unique(self.component[one[half & ~self.gone[other] & ~lone]])
        self.gone[taken] = True
        return taken.astype(np.int64)

    def kept(self, keep: ObjectFilter, groups: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which objects are painted, judged by the whole groups that they belong to."""
        if not keep.removes:
            return ~self.gone
        area = np.where(self.owner < self.keys.size, self.whole_area, self.core_area)
        total = np.zeros(self.size, np.int64)
        np.add.at(total, groups, np.where(self.gone, 0, area))
        at_border = np.zeros(self.size, bool)
        at_border[groups[self.at_border]] = True
        return ~self.gone & keep.keeps(total[groups], at_border[groups])
