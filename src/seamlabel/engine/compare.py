"""Two neighbours' labels compared in the voxels that both have read.

Knows staged tiles and strips of labels; not which tiles are finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seamlabel.engine.holes import without_pieces
from seamlabel.kernels.seams import ROW
from seamlabel.staged import LABEL_BITS, NODE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.engine.seams import SeamFinder
    from seamlabel.geometry import Tile
    from seamlabel.kernels.local import LocalTile
    from seamlabel.staged import StagedTile

EMPTY = np.zeros(1, bool)
"""Which labels take part in a tile that has none."""


class Side(NamedTuple):
    """What a tile shows of itself to a neighbour: the strip that is compared, and which labels take part."""

    strip: NDArray[Any] | None
    matter: NDArray[np.bool_]


class Compared(NamedTuple):
    """What two tiles have in common, their labels named by keys; and whether they agree where it matters."""

    rows: NDArray[Any]
    clean: bool
    holes: NDArray[Any]


class Comparer:
    """Compares tiles of one run.

    Parameters
    ----------
    finder : SeamFinder
        What to compare.
    """

    def __init__(self, finder: SeamFinder) -> None:
        self._finder = finder

    def strip(
        self, tile: Tile, other: int, labels: NDArray[Any] | None, local: LocalTile | None
    ) -> NDArray[Any] | None:
        """Return a tile's voxels that are compared with another, None if there is nothing in them."""
        if local is None:
            return None
        box = self._finder.part(tile, self._finder.grid[other])
        return local.strip(labels, box.relative_to(tile.read).slices)

    def staged_side(self, tile: Tile, other: Tile, staged: StagedTile | None) -> Side:
        """Return what a staged tile shows to another."""
        if staged is None:
            return Side(None, EMPTY)
        return Side(self.staged_strip(tile, other, staged), np.append(False, (staged.flags & NODE) > 0))

    def staged_strip(self, tile: Tile, other: Tile, staged: StagedTile) -> NDArray[Any]:
        """Return a staged tile's voxels that are compared with another."""
        return staged.labels(pieces=True)[self._finder.part(tile, other).relative_to(tile.read).slices]

    def compare(self, tile: Tile, other: Tile, mine: Side, theirs: Side) -> Compared:
        """Return what two tiles have in common; their order is of no account."""
        finder = self._finder
        (one, first), (two, second) = sorted(((tile, mine), (other, theirs)), key=lambda side: side[0].number)
        (a, matter_a), (b, matter_b) = first, second
        holes = finder.compare_ground(one, two, (a, b), (matter_a, matter_b))
        if finder.fill:
            a, b = without_pieces(a, matter_a.size - 1), without_pieces(b, matter_b.size - 1)
        if a is None or b is None:
            if (a is None and b is None) or not finder.same_voxels(one, two):
                return Compared(np.zeros(0, ROW), True, holes)
            where = finder.border(one, two).slices
            one_sided = _shows(a, where, matter_a) or _shows(b, where, matter_b)
            return Compared(np.zeros(0, ROW), not one_sided, holes)
        rows, clean = finder.compare(one, two, (a, b), (matter_a, matter_b))
        rows["a"] += np.int64(one.number) << LABEL_BITS
        rows["b"] += np.int64(two.number) << LABEL_BITS
        return Compared(rows, clean, holes)


def together(parts: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return records one after the other; numpy takes long to join even none of them."""
    parts = [part for part in parts if part.size]
    if not parts:
        return np.zeros(0, dtype)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def matter_of(local: LocalTile | None) -> NDArray[np.bool_]:
    """Return which labels take part, indexed by label."""
    return EMPTY if local is None else np.append(False, (local.staged.flags & NODE) > 0)


def _shows(strip: NDArray[Any] | None, where: tuple[slice, ...], matter: NDArray[np.bool_]) -> bool:
    return strip is not None and bool(matter[strip[where]].any())
