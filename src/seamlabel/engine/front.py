"""The front of a run: what finished tiles keep ready for neighbours that are still to come.

Each pair of neighbours is compared once, by whichever comes second, in its own worker. Only the voxels
that will be compared are kept, and only until then; beyond a budget they are read back from staging.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.compare import EMPTY, Compared, Comparer, Side, matter_of, together
from seamlabel.errors import WorkerError
from seamlabel.kernels.local import HOLE, node_dtype
from seamlabel.kernels.seams import ROW
from seamlabel.staged import NODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.engine.seams import SeamFinder
    from seamlabel.geometry import Tile
    from seamlabel.kernels.local import LocalTile
    from seamlabel.protocols import LabelStore
    from seamlabel.staged import ObjectFilter, StagedTile

BUDGET_BYTES = 64_000_000


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


def arrival_of(
    tile: int, local: LocalTile | None, compared: dict[int, Compared], keep: ObjectFilter, ndim: int
) -> Arrival:
    """Return what the merge is told of a tile, from its description and its comparisons."""
    own = [local.holes] if local else []
    differ = [(min(tile, other), max(tile, other)) for other, found in compared.items() if not found.clean]
    return Arrival(
        tile=tile,
        n_core=local.staged.n_core if local else 0,
        interior=int(keep.interior(local.staged).sum()) if local else 0,
        nodes=local.nodes if local else np.zeros(0, node_dtype(ndim)),
        rows=together([found.rows for found in compared.values()], ROW),
        unclean=np.array(differ, np.int64).reshape(-1, 2),
        holes=together([*own, *(found.holes for found in compared.values())], HOLE),
    )


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
        self._comparer = Comparer(finder)
        self._disowned: set[tuple[int, int]] = set()
        self._arriving: dict[int, list[int]] = {}

    def arrive(
        self, number: int, labels: NDArray[Any] | None, local: LocalTile | None, attempt: int = 0
    ) -> Arrival:
        """Take in a tile that is staged and compare it with the neighbours that are here.

        Parameters
        ----------
        number : int
            The tile.
        labels : ndarray of integers or None
            Its labels over the read box, as `local` describes them; None if there are none.
        local : LocalTile or None
            Their description.
        attempt : int
            Which attempt at the tile this is.

        Raises
        ------
        WorkerError
            If the attempt was disowned.
        """
        tile, grid = self._finder.grid[number], self._finder.grid
        others = self._finder.others(tile)
        strips = {other: self._comparer.strip(tile, other, labels, local) for other in others}
        matter = matter_of(local)
        with self._lock:
            if (number, attempt) in self._disowned:
                raise WorkerError("it took longer than allowed")
            before = self._arriving.get(number)
            theirs = {} if before is not None else self._enter(number, others, strips, matter)
        compared = {}
        for other in theirs if before is None else before:
            if before is None:
                strip, other_matter = theirs[other]
                side = Side(self._read_back(other, tile) if strip is EMPTY else strip, other_matter)
            else:  # it failed while it was compared, and is tried again
                side = self._comparer.staged_side(grid[other], tile, self._store.read(other))
            compared[other] = self._comparer.compare(tile, grid[other], Side(strips[other], matter), side)
        with self._lock:
            del self._arriving[number]
        return arrival_of(number, local, compared, self._keep, grid.ndim)

    def _enter(
        self,
        number: int,
        others: Sequence[int],
        strips: dict[int, NDArray[Any] | None],
        matter: NDArray[np.bool_],
    ) -> dict[int, tuple[NDArray[Any] | None, NDArray[np.bool_]]]:
        """Say that a tile is here, keep what later ones need, return what those before kept for it."""
        self._here[number] = True
        before = [other for other in others if self._here[other]]
        self._arriving[number] = before
        theirs = {other: self._take(other, number) for other in before}
        later = set(others).difference(before)
        if later and matter is not EMPTY:
            self._matter[number] = matter, later
        for other in later:
            self._hold(number, other, strips[other])
        return theirs

    def disown(self, number: int, attempt: int) -> bool:
        """Let nothing come of an attempt at a tile that takes too long; False if the tile is here already."""
        with self._lock:
            if self._here[number]:
                return False
            self._disowned.add((number, attempt))
            return True

    def disowned(self, number: int, attempt: int) -> bool:
        """Return whether nothing is to come of an attempt."""
        return (number, attempt) in self._disowned

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
            strip = EMPTY  # to be read back, outside the lock
        matter, later = self._matter.get(number, (EMPTY, set()))
        later.discard(other)
        if not later:
            self._matter.pop(number, None)
        return strip, matter

    def _read_back(self, number: int, other: Tile) -> NDArray[Any]:
        staged = self._store.read(number)
        assert staged is not None  # it kept a strip, so it has something
        return self._comparer.staged_strip(self._finder.grid[number], other, staged)
