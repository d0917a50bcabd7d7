"""What a merge of a kept run starts from: what its tiles told of each other, from disk or in memory.

Shared by a merge that is done again and by previews. Only read; decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.compose import Composer
from seamlabel.engine.records import RunRecords
from seamlabel.engine.seams import SeamFinder
from seamlabel.errors import OutputError
from seamlabel.io.staging import staging_folder
from seamlabel.kernels.solve import MergeInput, solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.geometry import TileGrid
    from seamlabel.kernels.solve import Records
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelStore, SeamRule
    from seamlabel.staged import ObjectFilter

HELD_BYTES = 1_000_000_000
"""Records are kept in memory if all of them take no more; else they are read from disk every time."""


class Stopped(Exception):
    """Nobody wants the answer any more."""


@dataclass(frozen=True)
class Compared:
    """What the tiles of a run told of each other.

    Parameters
    ----------
    nodes, rows, holes : Records
        Labels that neighbours may see, what they have in common, and pieces of background.
    unclean : ndarray of int64, shape (n, 2)
        Pairs of tiles that differ.
    interior : ndarray of int64, shape (n_tiles,)
        Objects that each tile has alone and that the run kept.
    """

    nodes: Records
    rows: Records
    holes: Records
    unclean: NDArray[np.int64]
    interior: NDArray[np.int64]

    @classmethod
    def of(cls, records: RunRecords, n_tiles: int) -> Compared:
        """Return what the records of a run say."""
        interior = np.zeros(n_tiles, np.int64)
        tiles = records.all_tiles()
        interior[tiles["tile"]] = tiles["interior"]
        return cls(records.nodes, records.rows, records.holes, records.all_unclean(), interior)

    def held(self, most: int = HELD_BYTES) -> Compared:
        """Return the same in memory, sorted by label, if that takes no more than `most` bytes."""
        found: dict[str, Any] = {}
        for name, order in (("nodes", "key"), ("rows", "a"), ("holes", "piece")):
            parts = []
            for chunk in getattr(self, name).chunks():
                parts.append(chunk)
                most -= chunk.nbytes
                if most < 0:
                    return self
            found[name] = _Held(parts, order)
        return replace(self, **found)

    def until(self, stop: Callable[[], bool]) -> Compared:
        """Return the same, with `Stopped` raised while records are read once `stop` returns True."""
        parts: dict[str, Any] = {
            name: _Watched(getattr(self, name), stop) for name in ("nodes", "rows", "holes")
        }
        return replace(self, **parts)

    def given(self, plan: Plan, rule: SeamRule) -> MergeInput:
        """Return what is merged, without edits and with all objects kept."""
        return MergeInput(
            grid=plan.grid,
            nodes=self.nodes,
            rows=self.rows,
            unclean=self.unclean,
            interior=self.interior,
            rule=rule,
            whole=plan.spec.merge.overlapping,
            z_link=plan.spec.merge.z_link,
            holes=self.holes if SeamFinder.of(plan).fill else None,
            asked=plan.wanted,
        )

    def unedited(
        self, plan: Plan, rule: SeamRule, counted: ObjectFilter, store: LabelStore
    ) -> Composer | None:
        """Return what paints the labels without any edit; None where all tiles show the same.

        Parameters
        ----------
        plan : Plan
            What is done.
        rule : SeamRule
            Judges pairs.
        counted : ObjectFilter
            Objects that are kept, as they were in the run.
        store : LabelStore
            Staged tiles.
        """
        if not self.unclean.size:
            return None
        solution, _ = solve(replace(self.given(plan, rule), keep=counted))
        return Composer(plan.grid, store, solution, plan.region)


class _Held:
    """Records in memory, in order: what is looked up for them lies together then."""

    PART = 1 << 17

    def __init__(self, parts: list[NDArray[Any]], order: str) -> None:
        self._all = np.concatenate(parts) if parts else None
        if self._all is not None:
            self._all = self._all[np.argsort(self._all[order], kind="stable")]

    def chunks(self) -> Iterator[NDArray[Any]]:
        if self._all is not None:
            for start in range(0, self._all.size, self.PART):
                yield self._all[start : start + self.PART]


class _Watched:
    """Records that are read no further once nobody wants them."""

    def __init__(self, records: Records, stop: Callable[[], bool]) -> None:
        self._records, self._stop = records, stop

    def chunks(self) -> Iterator[NDArray[Any]]:
        if self._stop():
            raise Stopped
        for chunk in self._records.chunks():
            yield chunk
            if self._stop():
                raise Stopped


def read_records(path: Path, folder: Path, grid: TileGrid) -> RunRecords:
    """Return the records of a run directory, to be read, if nothing of the run was lost.

    Parameters
    ----------
    path : Path
        The run directory.
    folder : Path
        Those of its records that count.
    grid : TileGrid
        The tiles.

    Raises
    ------
    OutputError
        If something is gone or damaged.
    """
    if not staging_folder(path).is_dir():
        msg = f"the staged tiles of {path} are gone"
        raise OutputError(msg, "Put them back from a copy, or segment again")
    records = RunRecords(folder, grid.ndim, readonly=True)
    records.close()
    records.check()
    records.check_tiles(len(grid))
    return records
