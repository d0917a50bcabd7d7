"""`Review`: a kept run opened to be looked at, and merged in memory with other settings and edits.

Nothing is segmented, written or locked. Knows what `remerge` would write before it does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.again import tiles_again
from seamlabel.engine.compared import Compared, Stopped, read_records
from seamlabel.engine.compose import Composer
from seamlabel.engine.edits import edits_of
from seamlabel.engine.keeping import report_of, settings_of
from seamlabel.engine.locate import Search, locate
from seamlabel.engine.review_places import Pointer, places_of
from seamlabel.engine.review_tables import Tables, shown_ids
from seamlabel.engine.rules import seam_rule
from seamlabel.engine.seams import SeamFinder
from seamlabel.engine.stored import read_stored
from seamlabel.io.generations import is_settled, records_folder, settle
from seamlabel.io.journal import RunDirectory
from seamlabel.io.staging import open_staging
from seamlabel.kernels.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from seamlabel.engine.edits import Edit
    from seamlabel.engine.review_places import Place
    from seamlabel.geometry import Box
    from seamlabel.kernels.report import MergeReport
    from seamlabel.kernels.solution import Solution
    from seamlabel.plan import Plan
    from seamlabel.protocols import SeamRule


@dataclass(frozen=True)
class Preview:
    """What a merge would come to; nothing of it is written.

    Parameters
    ----------
    plan : Plan
        What would be done.
    edits : tuple of Edit
        What was decided by hand.
    solution : Solution
        Whose label is what.
    report : MergeReport
        What was joined, refused, dropped and doubtful.
    composer : Composer
        Paints it.
    tables : Tables
        Of the staged tiles.
    """

    plan: Plan
    edits: tuple[Edit, ...]
    solution: Solution
    report: MergeReport
    composer: Composer
    tables: Tables

    @property
    def n_objects(self) -> int:
        """Objects in the image; ids are 1..n_objects."""
        return self.solution.n_objects

    @property
    def n_joined(self) -> int:
        """Pairs of pieces that the rule takes for one object."""
        return self.report.n_joined

    def labels(self, box: Box) -> NDArray[Any]:
        """Return the labels of a box of the segmented level, exactly as they would be painted."""
        found = self.composer.labels(box)
        return np.zeros(box.shape, self.solution.dtype) if found is None else found

    def table(self, tile: int) -> NDArray[Any]:
        """Return the final ids of a tile's labels 0..n, 0 for what is not painted; reads no voxels."""
        staged = self.tables.of(tile)
        return np.zeros(1, self.solution.dtype) if staged is None else self.solution.table(tile, staged)

    def shown(self, first: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the final ids of provisional ids; see `shown_ids` for `first`."""
        labels = self.tables.all()
        assert labels is not None  # nothing stops it
        return shown_ids(labels, self.solution, first)


class Review:
    """A kept run directory, only read. Safe to use from many threads.

    Parameters
    ----------
    run_dir : str or path
        The run directory.
    rule : callable, optional
        Judges pairs, where the settings name a function that has no file or module.

    Raises
    ------
    OutputError
        If there is no such run, or tiles of it are missing.

    Attributes
    ----------
    path : Path
        The run directory.
    stored : StoredRun
        What it says of its run.
    plan : Plan
        As the labels were merged last.
    settings : dict of str to Any
        The fields `merge`, `min_size`, `max_size` and `drop_border` with which that was done.
    edits : list of Edit
        What was decided by hand so far.
    generation : str
        Another one once tiles were segmented again.
    """

    def __init__(self, run_dir: str | Path, rule: SeamRule | None = None) -> None:
        self.path = Path(os.path.abspath(Path(run_dir).expanduser()))
        self._rule = rule
        self.stored = read_stored(self.path)
        self.settings = settings_of(self.path, self.stored.spec)
        self.edits = edits_of(self.path)
        self.plan = self.stored.plan(self.settings, segments=False)
        if not is_settled(self.path):  # a crash in the middle of a replacement; as whoever opens a run
            held = RunDirectory(self.path)
            try:
                settle(self.path)
            finally:
                held.close(keep=True)
        folder = records_folder(self.path)
        self.generation = folder.name
        records = read_records(self.path, folder, self.plan.grid)
        tiles_again(self.path, records, self.plan, ())
        self._compared = Compared.of(records, len(self.plan.grid))
        self.store = open_staging(self.path)
        self.tables = Tables(self.store, len(self.plan.grid))
        self._lock = Lock()
        self._held: Compared | None = None
        self._pointers: dict[str, Pointer] = {}

    def close(self) -> None:
        """Let go of what is kept in memory; no file is open."""
        self._held = None
        self._pointers.clear()
        self.tables = Tables(self.store, len(self.plan.grid))

    @cached_property
    def report(self) -> MergeReport:
        """What happened at the seams when the labels were merged last."""
        return report_of(self.path) or self.preview(self.settings).report

    def preview(
        self,
        changes: Mapping[str, Any] | None = None,
        edits: Sequence[Edit] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Preview:
        """Return what `remerge` would write with these changes and exactly these edits.

        Parameters
        ----------
        changes : mapping, optional
            As for `remerge`; what is not given is as it was in the run.
        edits : sequence of Edit, optional
            All of them; those that the run directory keeps if None.
        stop : callable, optional
            Asked now and then; True ends it.

        Raises
        ------
        SpecError
            If a setting or an edit cannot be carried out.
        OutputError
            If a staged tile cannot be read.
        Stopped
            If `stop` returned True.
        """
        decided = tuple(dict.fromkeys(self.edits if edits is None else edits))
        plan = self.stored.plan(changes or {}, segments=False)
        rule = seam_rule(plan.spec.merge, self._rule)
        compared = self._in_memory()
        if stop is not None:
            compared = compared.until(stop)
        keep = self.stored.keep
        painted = compared.unedited(plan, rule, keep, self.store) if decided else None
        located = locate(decided, plan, SeamFinder.of(plan), self.store, painted)
        counts = compared.interior if plan.keep == keep else self._alone(plan, stop)
        given = replace(compared.given(plan, rule), interior=counts, keep=plan.keep)
        solution, report = solve(located.into(given))
        composer = Composer(plan.grid, self.store, solution, plan.region)
        return Preview(plan, decided, solution, report, composer, self.tables)

    def _in_memory(self) -> Compared:
        with self._lock:
            if self._held is None:
                self._held = self._compared.held()
            return self._held

    def _alone(self, plan: Plan, stop: Callable[[], bool] | None) -> NDArray[np.int64]:
        """Return how many objects that are kept each tile has alone."""
        labels = self.tables.all(stop or (lambda: False))
        if labels is None:
            raise Stopped
        return np.bincount(labels.tile[labels.alone(plan.keep)], minlength=len(plan.grid)).astype(np.int64)

    # -- places --------------------------------------------------------------------------------

    def places(self, pairs: NDArray[Any]) -> list[Place]:
        """Return where pairs of a report lie (`doubtful`, `refused`), in the same order; reads no voxels."""
        return places_of(pairs, self._in_memory().nodes)

    def pointer(self, changes: Mapping[str, Any] | None = None) -> Pointer:
        """Return what finds the voxels by which edits name labels.

        Parameters
        ----------
        changes : mapping, optional
            The settings with which the edits are to be carried out, as for `preview`; those of the
            labels as they are if None.
        """
        plan = self.plan if changes is None else self.stored.plan(changes, segments=False)
        name = plan.spec.merge.model_dump_json()
        with self._lock:
            known = self._pointers.get(name)
        if known is None:
            rule = seam_rule(plan.spec.merge, self._rule)
            painted = self._in_memory().unedited(plan, rule, self.stored.keep, self.store)
            known = Pointer(plan, self.store, Search(plan, SeamFinder.of(plan), self.store, painted))
            with self._lock:
                self._pointers = {name: known}
        return known
