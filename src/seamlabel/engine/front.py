"""The front of a run: what finished tiles keep ready for neighbours that are still to come.

Each pair of neighbours is compared once, by whichever comes second, in its own worker. Only the voxels
that will be compared are kept, and only until then; beyond a budget they are read back from staging.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.holes import without_pieces
from seamlabel.kernels.local import HOLE, node_dtype
from seamlabel.kernels.seams import ROW
from seamlabel.staged import LABEL_BITS, NODE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.engine.seams import SeamFinder
    from seamlabel.geometry import Tile
    from seamlabel.kernels.local import LocalTile
    from seamlabel.protocols import LabelStore
    from seamlabel.staged import ObjectFilter, StagedTile

BUDGET_BYTES = 64_000_000
_EMPTY = np.zeros(1, bool)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the merge is told of a tile.

    Parameters
    ----------
    tile : int
        Its number.
    n_core : int
        Labels with voxels in its core.
    interior : int
        Objects that it has alone and that are kept.
    nodes : ndarray of `node_dtype`
        Labels that neighbours may see.
    rows : ndarray of `ROW`
        What they have in common with labels of neighbours that came before, named by keys.
    unclean : ndarray of int64, shape (n, 2)
        Pairs of tiles, lower first, that differ in labels that take part.
    holes : ndarray of `HOLE`
        What the tile and neighbours that came before know of its holes; and it of theirs.
    """

    tile: int
    n_core: int
    interior: int
    nodes: NDArray[Any]
    rows: NDArray[Any]
    unclean: NDArray[np.int64]
    holes: NDArray[Any]


class Front:
    """Compares every finished tile with its neighbours that finished before; safe in many threads.

    Parameters
    ----------
    finder : SeamFinder
        What to compare.
    store : LabelStore
        Staging; a tile is in it before it comes here.
    keep : ObjectFilter
        Which objects are kept.
    """

    def __init__(self, finder: SeamFinder, store: LabelStore, keep: ObjectFilter) -> None:
        self._finder = finder
        self._keep = keep
        self._store = store
        self._lock = Lock()
        self._here = np.zeros(len(finder.grid), bool)
        self._matter: dict[int, tuple[NDArray[np.bool_], set[int]]] = {}
        self._strips: dict[tuple[int, int], NDArray[Any]] = {}
        self._dropped: set[tuple[int, int]] = set()
        self._held = 0

    def arrive(self, number: int, labels: NDArray[Any] | None, local: LocalTile | None) -> Arrival:
        """Take in a tile that is staged and compare it with the neighbours that are here.

        Parameters
        ----------
        number : int
            The tile.
        labels : ndarray of integers or None
            Its labels over the read box, as `local` describes them; None if there are none.
        local : LocalTile or None
            Their description.
        """
        tile = self._finder.grid[number]
        others = self._finder.others(tile)
        strips = {other: self._strip(tile, other, labels, local) for other in others}
        matter = _matter(local)
        with self._lock:
            self._here[number] = True
            before = [other for other in others if self._here[other]]
            theirs = {other: self._take(other, number) for other in before}
            later = set(others).difference(before)
            if later and local is not None:
                self._matter[number] = matter, later
            for other in later:
                self._hold(number, other, strips[other])
        found, unclean, holes = [], [], [local.holes] if local else []
        for other in before:
            rows, clean, beside = self._compare(tile, other, (strips[other], matter), theirs[other])
            found.append(rows)
            holes.append(beside)
            if not clean:
                unclean.append((min(number, other), max(number, other)))
        return Arrival(
            tile=number,
            n_core=local.staged.n_core if local else 0,
            interior=int(self._keep.interior(local.staged).sum()) if local else 0,
            nodes=local.nodes if local else np.zeros(0, node_dtype(self._finder.grid.ndim)),
            rows=_together(found, ROW),
            unclean=np.array(unclean, np.int64).reshape(-1, 2),
            holes=_together(holes, HOLE),
        )

    def recall(self, number: int, staged: StagedTile | None, later: set[int]) -> None:
        """Take in a tile of an earlier run, to be compared with tiles that are segmented again.

        Parameters
        ----------
        number : int
            The tile.
        staged : StagedTile or None
            What is staged of it.
        later : set of int
            The tiles that it is compared with.
        """
        with self._lock:
            self._here[number] = True
            if staged is not None:
                self._matter[number] = np.append(False, (staged.flags & NODE) > 0), later
                self._dropped.update((number, other) for other in later)

    def _strip(
        self, tile: Tile, other: int, labels: NDArray[Any] | None, local: LocalTile | None
    ) -> NDArray[Any] | None:
        """Return a tile's voxels that are compared with another, None if there is nothing in them."""
        if local is None:
            return None
        box = self._finder.part(tile, self._finder.grid[other])
        return local.strip(labels, box.relative_to(tile.read).slices)

    def _hold(self, number: int, other: int, strip: NDArray[Any] | None) -> None:
        if strip is None:
            return
        narrow = strip.astype(np.uint16) if int(strip.max()) < 1 << 16 else strip
        self._strips[number, other] = narrow
        self._held += narrow.nbytes
        while self._held > BUDGET_BYTES:
            oldest = next(iter(self._strips))
            self._held -= self._strips.pop(oldest).nbytes
            self._dropped.add(oldest)

    def _take(self, number: int, other: int) -> tuple[NDArray[Any] | None, NDArray[np.bool_]]:
        """Return what `number` kept for `other`, and which of its labels take part."""
        strip = self._strips.pop((number, other), None)
        if strip is not None:
            self._held -= strip.nbytes
        elif (number, other) in self._dropped:
            self._dropped.remove((number, other))
            strip = _EMPTY  # to be read back, outside the lock
        matter, later = self._matter.get(number, (_EMPTY, set()))
        later.discard(other)
        if not later:
            self._matter.pop(number, None)
        return strip, matter

    def _compare(
        self,
        tile: Tile,
        other: int,
        mine: tuple[NDArray[Any] | None, NDArray[np.bool_]],
        theirs: tuple[NDArray[Any] | None, NDArray[np.bool_]],
    ) -> tuple[NDArray[Any], bool, NDArray[Any]]:
        two = self._finder.grid[other]
        if theirs[0] is _EMPTY:
            theirs = self._read_back(two, tile), theirs[1]
        sides = [(tile, *mine), (two, *theirs)]
        sides.sort(key=lambda side: side[0].number)
        (one, a, matter_a), (two, b, matter_b) = sides
        holes = self._finder.compare_ground(one, two, (a, b), (matter_a, matter_b))
        if self._finder.fill:
            a, b = without_pieces(a, matter_a.size - 1), without_pieces(b, matter_b.size - 1)
        if a is None or b is None:
            if (a is None and b is None) or not self._finder.same_voxels(one, two):
                return np.zeros(0, ROW), True, holes
            where = self._finder.border(one, two).slices
            one_sided = _shows(a, where, matter_a) or _shows(b, where, matter_b)
            return np.zeros(0, ROW), not one_sided, holes
        rows, clean = self._finder.compare(one, two, (a, b), (matter_a, matter_b))
        rows["a"] += np.int64(one.number) << LABEL_BITS
        rows["b"] += np.int64(two.number) << LABEL_BITS
        return rows, clean, holes

    def _read_back(self, tile: Tile, other: Tile) -> NDArray[Any]:
        staged = self._store.read(tile.number)
        assert staged is not None  # it kept a strip, so it has something
        return staged.labels(pieces=True)[self._finder.part(tile, other).relative_to(tile.read).slices]


def _together(parts: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return records one after the other; numpy takes long to join even none of them."""
    parts = [part for part in parts if part.size]
    if not parts:
        return np.zeros(0, dtype)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _matter(local: LocalTile | None) -> NDArray[np.bool_]:
    """Return which labels take part, indexed by label."""
    return _EMPTY if local is None else np.append(False, (local.staged.flags & NODE) > 0)


def _shows(strip: NDArray[Any] | None, where: tuple[slice, ...], matter: NDArray[np.bool_]) -> bool:
    return strip is not None and bool(matter[strip[where]].any())
