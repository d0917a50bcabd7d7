"""One seam task: a finished tile against its finished neighbours. Runs in workers."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import Box
from seamlabel.kernels.merge import LABEL_BITS
from seamlabel.kernels.pieces import cut_to
from seamlabel.kernels.relabel import number_locally
from seamlabel.kernels.seams import IouRule, border_steps, overlap_pairs, touching_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Tile, TileGrid
    from seamlabel.kernels.relabel import LocalLabels
    from seamlabel.plan import Plan
    from seamlabel.protocols import Labels, LabelStore
    from seamlabel.spec import MergeSpec


@dataclass(frozen=True)
class SeamFinder:
    """Finds which labels of neighbouring tiles are one object.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    joined : tuple of bool
        Axes along which labels are joined.
    merge : MergeSpec
        How objects are judged.
    radius : int or None
        Voxels beyond which a cut changes no label, where the backend knows.
    """

    grid: TileGrid
    joined: tuple[bool, ...]
    merge: MergeSpec
    radius: int | None = None

    @classmethod
    def of(cls, plan: Plan) -> SeamFinder:
        """Return the finder that a plan asks for."""
        radius = getattr(plan.params, "radius", None)
        return cls(plan.grid, plan.joined, plan.spec.merge, None if radius is None else ceil(radius))

    def keys(
        self, store: LabelStore, n_core: Mapping[int, int], number: int, others: Sequence[int]
    ) -> NDArray[np.int64]:
        """Return which labels of tile `number` and of its neighbours are one object.

        Parameters
        ----------
        store : LabelStore
            Staging, which holds all these tiles.
        n_core : mapping
            Labels with core voxels, for each of these tiles.
        number : int
            The tile.
        others : sequence of int
            Its neighbours.

        Returns
        -------
        ndarray of int64, shape (n, 2)
            Pairs of keys ``tile << 32 | label``. Only labels with core voxels of their tile: no
            other is ever painted, and an object that crosses a border has core voxels on both sides.
        """
        found = [np.zeros((0, 2), np.int64)]
        one, mine = self.grid[number], store.read(number)
        for other in others:
            two = self.grid[other]
            theirs = store.read(other) if self._meet(one, two) else None
            if mine is None or theirs is None:
                continue
            pairs = self._pairs(one, two, mine, theirs)
            owned = (pairs[:, 0] <= n_core[number]) & (pairs[:, 1] <= n_core[other])
            base = np.array([number, other], np.int64) << LABEL_BITS
            found.append(pairs[owned] + base)
        return np.concatenate(found)

    def _meet(self, one: Tile, two: Tile) -> bool:
        """Return whether labels are joined along all axes on which the tiles differ."""
        return all(j or a == b for a, b, j in zip(one.index, two.index, self.joined, strict=True))

    def _pairs(self, one: Tile, two: Tile, mine: Labels, theirs: Labels) -> NDArray[np.int64]:
        if self.merge.rule == "touching":
            difference = tuple(b - a for a, b in zip(one.index, two.index, strict=True))
            return touching_pairs(
                mine[one.core.relative_to(one.read).slices],
                theirs[two.core.relative_to(two.read).slices],
                one.core,
                two.core,
                border_steps(difference, self.joined, self.merge.connectivity),
            )
        box = self.box(one, two)
        if not box.size:
            return np.zeros((0, 2), np.int64)
        shape = tuple(n for n, joined in zip(box.shape, self.joined, strict=True) if joined)
        return overlap_pairs(
            mine[box.relative_to(one.read).slices].reshape(shape),
            theirs[box.relative_to(two.read).slices].reshape(shape),
            IouRule(self.merge.iou),
        )

    def box(self, one: Tile, two: Tile) -> Box:
        """Return the voxels in which two tiles' labels are compared: what both can be trusted with."""
        return self.trusted(one).intersect(self.trusted(two))

    def trusted(self, tile: Tile) -> Box:
        """Return where a tile's labels are those of the whole image, up to their names.

        Where the backend says how far a cut reaches (`radius` r) and the overlap is more than that,
        it is the read box less r at the faces that are not the image's, whatever lies outside. Else
        the whole read box, for want of better.
        """
        axes = zip(self.grid.overlap, self.grid.counts, self.joined, strict=True)
        cut = [overlap for overlap, count, joined in axes if joined and count > 1]
        if self.radius is None or not cut or min(cut) <= self.radius:
            return tile.read
        reach = tuple(self.radius if joined else 0 for joined in self.joined)
        start = (a + r if a else a for a, r in zip(tile.read.start, reach, strict=True))
        ends = zip(tile.read.stop, reach, self.grid.shape, strict=True)
        return Box(tuple(start), tuple(b - r if b < n else b for b, r, n in ends))

    def number(self, tile: Tile, labels: NDArray[Any]) -> LocalLabels:
        """Return a tile's labels as they are staged: what can be trusted, numbered from 1.

        Parameters
        ----------
        tile : Tile
            The tile.
        labels : ndarray of integers, not negative
            Labels over its read box, numbered in any way.
        """
        core = tile.core.relative_to(tile.read).slices
        local = number_locally(labels, core)
        trusted = self.trusted(tile)
        if trusted == tile.read or not local.n_core:
            return local
        part = trusted.relative_to(tile.read)
        space = [axis for axis, joined in enumerate(self.joined) if joined]
        flat = local.labels.reshape([labels.shape[axis] for axis in space])
        kept = cut_to(flat, tuple(part.slices[axis] for axis in space))
        return number_locally(kept.reshape(labels.shape), core)
