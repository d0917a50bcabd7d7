"""What tiles report, gathered until the merge: labels, pairs, counts, and ids to show meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.records import pairs_of
from seamlabel.engine.rules import seam_rule
from seamlabel.kernels.relabel import ProvisionalUnions
from seamlabel.kernels.seams import ROW
from seamlabel.kernels.solve import MergeInput
from seamlabel.staged import LABEL_BITS, LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from numpy.typing import NDArray

    from seamlabel.engine.front import Arrival
    from seamlabel.geometry import TileGrid
    from seamlabel.kernels.solve import Records
    from seamlabel.protocols import SeamRule
    from seamlabel.spec import MergeSpec
    from seamlabel.staged import ObjectFilter

    class RecordSink(Records, Protocol):
        """Records that more can be added to."""

        def append(self, records: NDArray[Any]) -> None:
            """Add records."""
            ...


_SIDES = {"rows": ("a", "b"), "holes": ("piece", "beside"), "unclean": ("", "")}
"""Fields of records that name two tiles, or their labels."""


class MemoryRecords:
    """Records in memory."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []

    def append(self, records: NDArray[Any]) -> None:
        """Add records."""
        if records.size:
            self._parts.append(records)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield them as they were added."""
        return iter(self._parts)


class Gathered:
    """Everything that the merge needs, and provisional ids that are consistent across seams.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    merge : MergeSpec
        How objects are judged.
    nodes, rows : RecordSink
        Where labels and pairs are kept.
    rule : SeamRule, optional
        Used instead of the one that `merge` names.
    holes : RecordSink, optional
        Where records of `HOLE` are kept, if holes are filled.
    unclean : RecordSink, optional
        Where pairs of tiles that differ are kept, as plain numbers; in memory if not given.
    """

    def __init__(
        self,
        grid: TileGrid,
        merge: MergeSpec,
        nodes: RecordSink,
        rows: RecordSink,
        rule: SeamRule | None = None,
        holes: RecordSink | None = None,
        unclean: RecordSink | None = None,
    ) -> None:
        self._grid, self._merge = grid, merge
        self._nodes, self._rows, self._holes = nodes, rows, holes
        self._rule = rule or seam_rule(merge)
        self._interior = np.zeros(len(grid), np.int64)
        self._n_core = np.zeros(len(grid), np.int64)
        self._first = np.full(len(grid), -1, np.int64)  # -1: not here yet
        self._unclean = unclean or MemoryRecords()
        self._waiting: dict[int, list[tuple[str, NDArray[Any]]]] = {}
        self._fresh: NDArray[Any] = np.zeros(0, ROW)
        self._unions = ProvisionalUnions()

    @property
    def n_joined(self) -> int:
        """Unions across seams so far."""
        return self._unions.n_joined

    @property
    def any_here(self) -> bool:
        """Whether any tile was taken in."""
        return bool((self._first >= 0).any())

    def take(self, arrival: Arrival) -> int:
        """Take in a tile; return its first provisional id, less one.

        What it has in common with a tile that was faster in the comparison, and is not here yet, waits
        for that tile: so records of a tile never speak of one that comes later.
        """
        self._nodes.append(arrival.nodes)
        self._interior[arrival.tile] = arrival.interior
        self._n_core[arrival.tile] = arrival.n_core
        self._first[arrival.tile] = self._unions.add(arrival.n_core)
        parts = [("rows", arrival.rows), ("holes", arrival.holes), ("unclean", arrival.unclean)]
        fresh = [np.zeros(0, ROW)]
        for kind, part in [*parts, *self._waiting.pop(arrival.tile, [])]:
            ready = self._ready(kind, part)
            if kind == "rows":
                self._rows.append(ready)
                fresh.append(ready)
            elif kind == "unclean":
                self._unclean.append(ready.ravel())
            elif self._holes is not None:
                self._holes.append(ready)
        self._fresh = fresh[1] if len(fresh) == 2 else np.concatenate(fresh)
        return int(self._first[arrival.tile])

    def _ready(self, kind: str, part: NDArray[Any]) -> NDArray[Any]:
        """Return those of these records whose tiles are both here; let the others wait."""
        if not part.size:
            return part
        one, other = _SIDES[kind]
        tiles = part if kind == "unclean" else np.stack([part[one], part[other]], axis=1) >> LABEL_BITS
        missing = np.where(self._first[tiles] < 0, tiles, -1).max(axis=1)
        for tile in np.unique(missing[missing >= 0]).tolist():
            self._waiting.setdefault(tile, []).append((kind, part[missing == tile]))
        ready: NDArray[Any] = part[missing < 0]
        return ready

    def recall(self, tiles: NDArray[Any]) -> NDArray[np.int64]:
        """Take in tiles whose records are kept already; return their first provisional ids, less one.

        Parameters
        ----------
        tiles : ndarray of `records.TILE`
            In the order in which they came.
        """
        before = self._unions.add(int(tiles["n_core"].sum()))
        firsts: NDArray[np.int64] = before + np.cumsum(tiles["n_core"]) - tiles["n_core"]
        for target, values in (
            (self._interior, tiles["interior"]),
            (self._n_core, tiles["n_core"]),
            (self._first, firsts),
        ):
            target[tiles["tile"]] = values
        return firsts

    def joins(self, rows: NDArray[Any] | None = None) -> tuple[tuple[int, int], ...]:
        """Return the provisional ids (gone, kept) that are one object by the last tile, or by these rows."""
        rows = self._fresh if rows is None else rows
        rows = rows[rows["mutual"] == 1]
        if not rows.size:
            return ()
        counts = (rows[name].astype(np.int64) for name in ("common", "one", "other"))
        rows = rows[self._rule(*counts)]
        pairs = zip(self._provisional(rows["a"]), self._provisional(rows["b"]), strict=True)
        unions = (self._unions.union(one, other) for one, other in pairs if one and other)
        return tuple(union for union in unions if union)

    def _provisional(self, keys: NDArray[np.int64]) -> list[int]:
        """Return provisional ids, 0 for labels outside their tile's core."""
        tile, label = keys >> LABEL_BITS, keys & LOCAL
        shown = label <= self._n_core[tile]
        return np.where(shown, self._first[tile] + label, 0).tolist()  # type: ignore[no-any-return]

    def problem(self, keep: ObjectFilter, asked: NDArray[np.bool_] | None = None) -> MergeInput:
        """Return what is to be merged, all tiles being here, or all that are `asked` for."""
        return MergeInput(
            grid=self._grid,
            nodes=self._nodes,
            rows=self._rows,
            unclean=pairs_of(self._unclean),
            interior=self._interior,
            rule=self._rule,
            whole=self._merge.overlapping,
            z_link=self._merge.z_link,
            keep=keep,
            holes=self._holes,
            asked=asked,
        )
