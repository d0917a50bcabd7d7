"""Which voxels of a tile its neighbours judge, and the comparison of two tiles. Runs in workers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.holes import Ground, hole_records
from seamlabel.geometry import Box
from seamlabel.kernels.local import HOLE, LocalTile, View, describe
from seamlabel.kernels.pieces import cut_to
from seamlabel.kernels.relabel import renaming, run_starts
from seamlabel.kernels.seams import border_steps, link_rows, overlap_rows, touching_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Tile, TileGrid
    from seamlabel.plan import Plan
    from seamlabel.spec import MergeSpec


@dataclass(frozen=True)
class SeamFinder:
    """Knows what to compare where tiles meet, and compares it.

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
    linked : int or None
        Axis of planes that are segmented one by one and linked.
    fill : bool
        Whether holes of objects are filled.
    asked : ndarray of bool, shape (n_tiles,), optional
        Which tiles are segmented; others say nothing. All by default.
    """

    grid: TileGrid
    joined: tuple[bool, ...]
    merge: MergeSpec
    radius: int | None = None
    linked: int | None = None
    fill: bool = False
    asked: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, plan: Plan) -> SeamFinder:
        """Return the finder that a plan asks for."""
        spec = plan.spec
        asked = None if plan.region.whole else plan.wanted
        return cls(plan.grid, plan.joined, spec.merge, plan.radius, plan.linked, spec.fill_holes, asked)

    @property
    def overlapping(self) -> bool:
        """Whether the voxels that two tiles have both segmented are compared."""
        return self.merge.overlapping

    def trusted(self, tile: Tile) -> Box:
        """Return where a tile's labels are those of the whole image, up to their names.

        Where the backend says how far a cut reaches (`radius` r) and the overlap is more than that,
        it is the read box less r at the faces that are not the image's, whatever lies outside. Else
        the whole read box, for want of better.
        """
        reach = self._distrusted
        if reach is None:
            return tile.read
        start = (a + r if a else a for a, r in zip(tile.read.start, reach, strict=True))
        ends = zip(tile.read.stop, reach, self.grid.shape, strict=True)
        return Box(tuple(start), tuple(b - r if b < n else b for b, r, n in ends))

    @cached_property
    def _distrusted(self) -> tuple[int, ...] | None:
        """Voxels per axis from a cut that are not trusted; None if there are none."""
        axes = zip(self.grid.overlap, self.grid.counts, self.joined, strict=True)
        cut = [overlap for overlap, count, joined in axes if joined and count > 1]
        if not self.radius or not cut or min(cut) <= self.radius:
            return None
        return tuple(self.radius if joined else 0 for joined in self.joined)

    def describe(self, tile: Tile, labels: NDArray[Any]) -> tuple[NDArray[Any], LocalTile]:
        """Return a tile's labels, cut to what can be trusted, and their description.

        Parameters
        ----------
        tile : Tile
            The tile.
        labels : ndarray of integers, not negative
            Labels over its read box, numbered in any way.
        """
        trusted = self.trusted(tile)
        if trusted != tile.read:
            part = trusted.relative_to(tile.read)
            space = [axis for axis, joined in enumerate(self.joined) if joined]
            flat = _compact(labels).reshape([labels.shape[axis] for axis in space])
            zone = tuple(part.slices[axis] for axis in space)
            labels = cut_to(flat, zone, self.merge.connectivity).reshape(labels.shape)
        if self.fill:
            return self._ground(tile, trusted).describe(_compact(labels))
        return labels, describe(labels, self.view(tile, trusted))

    def describe_empty(self, tile: Tile) -> LocalTile | None:
        """Return the description of a tile that has no labels, None if there is nothing to tell."""
        return self._ground(tile, self.trusted(tile)).empty(tile.read.shape) if self.fill else None

    def _ground(self, tile: Tile, trusted: Box) -> Ground:
        """Return where a tile looks for holes: its core and a voxel around it, as far as that is trusted.

        A voxel is enough to follow background from core to core, and the farther from cuts the better:
        a method whose reach nobody declared sees openings near them that are not there. Towards tiles that
        are not segmented it ends with the core, and what reaches that end is no hole.
        """
        axes = range(self.grid.ndim)
        unknown = [(self._unasked(tile, axis, -1), self._unasked(tile, axis, 1)) for axis in axes]
        reach = [int(joined and self.overlapping) for joined in self.joined]
        more = zip(tile.core.start, tile.core.stop, reach, unknown, strict=True)
        spans = [(a - r * (not low), b + r * (not high)) for a, b, r, (low, high) in more]
        box = trusted.intersect(Box(*zip(*spans, strict=True)))
        ends = zip(box.start, box.stop, self.grid.shape, self.joined, unknown, strict=True)
        return Ground(
            view=self.view(tile, trusted),
            part=box.relative_to(tile.read).slices,
            border=tuple(
                (joined and (low or a == 0), joined and (high or b == n))
                for a, b, n, joined, (low, high) in ends
            ),
            space=tuple(axis for axis, joined in enumerate(self.joined) if joined),
            settles=not self._several_planes,  # these are linked by their objects without holes
        )

    def view(self, tile: Tile, trusted: Box) -> View:
        """Return the tile's boxes as the kernels want them."""
        ends = list(zip(tile.read.start, tile.read.stop, self.grid.shape, self.joined, strict=True))
        return View(
            tile=tile.number,
            origin=tile.read.start,
            core=tile.core.relative_to(tile.read).slices,
            trusted=trusted.relative_to(tile.read).slices,
            alone=self._alone(tile).relative_to(tile.read).slices,
            cut=tuple((a > 0 and joined, b < n and joined) for a, b, n, joined in ends),
            border=tuple((a == 0 and joined, b == n and joined) for a, b, n, joined in ends),
            overlap=self.grid.overlap,
            whole=self.overlapping,
        )

    def _alone(self, tile: Tile) -> Box:
        """Return the part of the core that no neighbour looks at."""
        start, stop = list(tile.core.start), list(tile.core.stop)
        for axis, joined in enumerate(self.joined):
            for side in (-1, 1):
                near = self._beside(tile, axis, side) if joined or axis == self.linked else None
                if near is None:
                    continue
                part = self.part(tile, near)
                if side < 0:
                    start[axis] = max(start[axis], part.stop[axis])
                else:
                    stop[axis] = min(stop[axis], part.start[axis])
        return Box(tuple(start), tuple(map(max, start, stop)))

    def _beside(self, tile: Tile, axis: int, side: int) -> Tile | None:
        index = list(tile.index)
        index[axis] += side
        if not 0 <= index[axis] < self.grid.counts[axis]:
            return None
        return self.grid[self.grid.number(tuple(index))]

    def _unasked(self, tile: Tile, axis: int, side: int) -> bool:
        """Return whether the neighbour on a side is not segmented."""
        near = None if self.asked is None else self._beside(tile, axis, side)
        return self.asked is not None and near is not None and not self.asked[near.number]

    def others(self, tile: Tile) -> list[int]:
        """Return the neighbours that this tile is compared with."""
        others = self.grid.neighbours(tile.number)
        if self.asked is not None:
            others = filter(self.asked.__getitem__, others)
        return [n for n in others if self._meet(tile, self.grid[n])]

    def _meet(self, one: Tile, two: Tile) -> bool:
        """Return whether labels are joined or linked along the axes on which the tiles differ."""
        differs = [axis for axis, (a, b) in enumerate(zip(one.index, two.index, strict=True)) if a != b]
        if differs == [self.linked]:
            return True
        return all(self.joined[axis] for axis in differs) and (len(differs) == 1 or self.merge.rule != "face")

    @property
    def _several_planes(self) -> bool:
        return self.linked is not None and self.grid.counts[self.linked] > 1

    def _links(self, one: Tile, two: Tile) -> bool:
        return self.linked is not None and one.index[self.linked] != two.index[self.linked]

    def same_voxels(self, one: Tile, two: Tile) -> bool:
        """Return whether the parts of two tiles that are compared are the same voxels of the image."""
        return self.overlapping and not self._links(one, two)

    def part(self, tile: Tile, other: Tile) -> Box:
        """Return the voxels of `tile` that are compared with `other`."""
        if self._links(tile, other):
            return tile.core
        if self.overlapping:
            return self.trusted(tile).intersect(self.trusted(other))
        reach = tuple(int(joined) for joined in self.joined)
        return tile.core.intersect(other.core.grow(reach))

    def compare_ground(
        self,
        one: Tile,
        two: Tile,
        strips: tuple[NDArray[Any] | None, NDArray[Any] | None],
        matter: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> NDArray[Any]:
        """Return what two neighbours know of each other's holes, as records of `HOLE`."""
        differ = sum(a != b for a, b in zip(one.index, two.index, strict=True))
        if not self.fill or self._links(one, two) or (differ > 1 and not self.overlapping):
            return np.zeros(0, HOLE)
        if self.overlapping:  # tiles know their background up to a voxel beyond their core
            near = self.border(one, two).slices
            strips = (_part(strips[0], near), _part(strips[1], near))
        return hole_records((one.number, two.number), strips, matter)

    def compare(
        self,
        one: Tile,
        two: Tile,
        labels: tuple[NDArray[Any], NDArray[Any]],
        matter: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> tuple[NDArray[Any], bool]:
        """Compare two neighbours.

        Parameters
        ----------
        one, two : Tile
            The tiles, the lower number first.
        labels : tuple of two ndarrays of int32
            Staged labels of `part` of each.
        matter : tuple of two ndarrays of bool
            For each, which labels take part, indexed by label.

        Returns
        -------
        ndarray of `ROW`
            With plain labels in place of keys.
        bool
            Whether both agree where their cores meet, about all labels that take part.
        """
        if self._links(one, two):
            return link_rows(*labels), True
        if not self.overlapping and self.merge.rule == "touching":
            difference = tuple(b - a for a, b in zip(one.index, two.index, strict=True))
            steps = border_steps(difference, self.joined, self.merge.connectivity)
            return touching_rows(*labels, self.part(one, two), self.part(two, one), steps), True
        space = [axis for axis, joined in enumerate(self.joined) if joined]
        one_flat, two_flat = (part.reshape([part.shape[axis] for axis in space]) for part in labels)

        def border() -> tuple[slice, ...]:
            return tuple(self.border(one, two).slices[axis] for axis in space)

        found, clean = overlap_rows(one_flat, two_flat, *matter, border)
        return found, clean or not self.overlapping

    def border(self, one: Tile, two: Tile) -> Box:
        """Return the voxels on both sides of the border between two cores, in `part` of them."""
        part = self.part(one, two)
        reach = (1,) * self.grid.ndim
        return one.core.grow(reach).intersect(two.core.grow(reach)).intersect(part).relative_to(part)


def _part(strip: NDArray[Any] | None, part: tuple[slice, ...]) -> NDArray[Any] | None:
    return None if strip is None else strip[part]


def _compact(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels whose largest number is not out of proportion."""
    if int(labels.max(initial=0)) <= max(4 * labels.size, 1 << 16):
        return labels
    flat = labels.ravel()
    values = flat[run_starts(flat)]
    rename, _ = renaming(values[values > 0], np.zeros(int((values > 0).sum()), bool))
    return rename(labels)
