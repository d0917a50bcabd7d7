"""Final labels of a box from staged tiles: each object as the tile shows it that sees it best.

Where tiles agree, which is everywhere for a method that a cut does not change, a tile's own labels are
painted through a table and no neighbour is read. Knows tables and boxes, not how they were found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from seamlabel.geometry import Box, Tile, TileGrid
    from seamlabel.kernels.solution import Solution
    from seamlabel.protocols import LabelStore
    from seamlabel.region import Region
    from seamlabel.staged import StagedTile


@dataclass(frozen=True)
class Composer:
    """Makes final labels; shared by all threads.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    store : LabelStore
        Their labels.
    solution : Solution
        Whose label is what.
    region : Region, optional
        Which tiles are segmented; all by default.
    """

    grid: TileGrid
    store: LabelStore
    solution: Solution
    region: Region | None = None

    @property
    def n_objects(self) -> int:
        """Objects that there are, once all labels were asked for."""
        return self.solution.n_objects

    def labels(self, box: Box) -> NDArray[Any] | None:
        """Return the final labels of a box of the level that was segmented; None if there are none."""
        out: NDArray[Any] | None = None
        for number in self.grid.touching(box):
            tile = self.grid[number]
            part = tile.core.intersect(box)
            found = self._part(tile, part)
            if found is None:
                continue
            if part == box:
                return found
            if out is None:
                out = np.zeros(box.shape, self.solution.dtype)
            out[part.relative_to(box).slices] = found
        return out

    def staged(self, number: int) -> StagedTile | None:
        """Return what is staged of a tile, None if it has no labels.

        Raises
        ------
        OutputError
            If it has labels and they are gone: they are not background.
        """
        found = self.store.read(number)
        if found is None and self.solution.has_labels(number):
            msg = f"the staged labels of tile {number} are gone"
            raise OutputError(msg, "Resume the run: that tile is segmented again")
        return found

    def _part(self, tile: Tile, part: Box) -> NDArray[Any] | None:
        """Return the final labels of a part of a tile's core."""
        if self.region is not None and not self.region.tiles[tile.number]:
            return self._beyond(tile, part, self.region)
        staged = self.staged(tile.number)
        differing = self.solution.differing(tile.number)
        if staged is None and not differing.size:
            return None
        if not differing.size and staged is not None:
            table = self.solution.table(tile.number, staged)
            if not table.any():
                return None
            return staged.painted(table)[part.relative_to(tile.read).slices]
        whole = self._disputed(tile, staged, differing.tolist())
        return whole[part.relative_to(tile.core).slices]

    def _beyond(self, tile: Tile, part: Box, region: Region) -> NDArray[Any] | None:
        """Return what tiles of the region see of the core of a tile that is not segmented."""
        if not region.shown[tile.number]:
            return None
        out = np.zeros(part.shape, self.solution.dtype)
        near = self.grid.touching(part.grow(self.grid.read_shape))
        for other in self._nearest(tile, [number for number in near if region.tiles[number]]):
            self._add(out, part, other, self._own)
        return out if out.any() else None

    def _own(self, number: int, staged: StagedTile) -> NDArray[Any]:
        """Return the final ids of a tile's labels, without those whose version another tile has."""
        table = self.solution.table(number, staged)[: staged.n_all + 1]  # holes are known in the core only
        return np.where(self.solution.followers(number, staged.n_all) >= 0, table.dtype.type(0), table)

    def _disputed(self, tile: Tile, staged: StagedTile | None, neighbours: list[int]) -> NDArray[Any]:
        """Return the final labels of a core that other tiles show differently.

        Of the whole core, whatever part is wanted: what agrees by half must not depend on the part.

        First come the tile's own labels that are the object or that no other version replaces; then,
        where nothing is, the neighbours' whole objects; then the tile's own labels that are cut, for a
        whole object is the better evidence; then what is left of those that agree with the object they
        belong to.
        """
        part, dtype = tile.core, self.solution.dtype
        out, own, follows = np.zeros(part.shape, dtype), None, None
        if staged is not None:
            table = self.solution.table(tile.number, staged)
            follows = self.solution.followers(tile.number, staged.n_all + staged.n_pieces) >= 0
            own = staged.labels(pieces=True)[part.relative_to(tile.read).slices]
            stitched = self.solution.stitched(tile.number, staged.n_all + staged.n_pieces)
            out = np.take(np.where(follows | stitched, table.dtype.type(0), table), own)
        for other in self._nearest(tile, neighbours):
            self._add(out, part, other, self.solution.wholes)
        if own is not None:
            np.copyto(out, np.take(np.where(stitched, table, table.dtype.type(0)), own), where=out == 0)
        if own is not None and follows is not None and follows.any():
            _add_agreeing(out, own, table, follows)
        return out

    def _nearest(self, tile: Tile, neighbours: list[int]) -> list[Tile]:
        tiles = [self.grid[number] for number in neighbours]

        def distance(other: Tile) -> tuple[int, int]:
            steps = zip(tile.index, other.index, strict=True)
            return sum(abs(a - b) for a, b in steps), other.number

        return sorted(tiles, key=distance)

    def _add(
        self,
        out: NDArray[Any],
        part: Box,
        other: Tile,
        table: Callable[[int, StagedTile], NDArray[Any]],
    ) -> None:
        """Paint those of another tile's labels that a table has ids of, where nothing is yet."""
        seen = part.intersect(other.read)
        staged = self.staged(other.number) if seen.size else None
        if staged is None:
            return
        ids = staged.painted(table(other.number, staged))[seen.relative_to(other.read).slices]
        place = out[seen.relative_to(part).slices]
        np.copyto(place, ids, where=place == 0)


def _add_agreeing(
    out: NDArray[Any], own: NDArray[Any], table: NDArray[Any], follows: NDArray[np.bool_]
) -> None:
    """Paint what is left of labels that lie in the object they belong to by half."""
    mine = np.where(np.take(follows, own), own, 0)
    flat, ids = mine.ravel(), out.ravel()
    total = np.bincount(flat, minlength=follows.size)
    inside = np.bincount(flat[ids == table[flat]], minlength=follows.size)
    agrees = follows & (2 * inside >= total)
    left = (out == 0) & np.take(agrees, own)
    out[left] = table[own[left]]
