"""`remerge`: the merge of a kept run done again, with other settings or edits, or with tiles run again.

Nothing is segmented but the tiles that are asked for; of all others, labels and records are only read.
The former labels stay until the new ones are whole.
"""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seamlabel.engine.again import segment_again, tiles_again
from seamlabel.engine.compared import Compared, read_records
from seamlabel.engine.edits import EDITS, Edit, edits_of, to_json
from seamlabel.engine.executors import SerialExecutor, make_executor
from seamlabel.engine.keeping import save_report, save_settings
from seamlabel.engine.locate import locate
from seamlabel.engine.reopen import reopen
from seamlabel.engine.rules import seam_rule
from seamlabel.engine.seams import SeamFinder
from seamlabel.engine.segment import NoStore, TileJob
from seamlabel.engine.stages import Stages
from seamlabel.engine.stored import read_stored
from seamlabel.engine.table import ObjectTable, table_again
from seamlabel.engine.tasks import TaskQueue
from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.events import Event, RunFinished, RunStarted
from seamlabel.io.generations import settle
from seamlabel.io.journal import RunDirectory
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.staging import open_staging
from seamlabel.kernels.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from seamlabel.engine.locate import Located
    from seamlabel.engine.records import RunRecords
    from seamlabel.engine.stored import StoredRun
    from seamlabel.engine.table import Table
    from seamlabel.kernels.report import MergeReport
    from seamlabel.kernels.solution import Solution
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelSink, SeamRule, Segmenter

BATCH = 64
"""Staged tiles whose objects one task counts."""


def remerge(  # noqa: PLR0913 - one call for everything, all but one by name
    run_dir: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    edits: Sequence[Edit] = (),
    forget: bool = False,
    again: Sequence[int] | Literal["missing"] = (),
    image: Any = None,
    segmenter: Segmenter | None = None,
    rule: SeamRule | None = None,
    on_table: Callable[[Table], None] | None = None,
    hold: Callable[[], bool] | None = None,
) -> Generator[Event, None, None]:
    """Do the merge of a kept run again, telling what happens.

    A result depends on the staged tiles, the edits and the settings, and on nothing else. Closing the
    generator cancels: the former labels stay.

    Parameters
    ----------
    run_dir : str or path
        The run directory.
    changes : mapping, optional
        Fields of the `RunSpec` that no tile depends on: `merge` (or a mapping with some of its
        fields), `min_size`, `max_size`, `drop_border`, `name`, `output`, `overwrite`, `table`. What is not
        given is as it was in the run. The labels of the run are replaced; others only with
        `overwrite`. Labels of another name or store get no `table` that is not given.
    edits : sequence of Edit
        Added to those made before.
    forget : bool
        Forget the edits made before.
    again : sequence of int, or "missing"
        Tiles to segment again first; or all that failed or were never reached.
    image : array-like, str or path, optional
        To segment tiles again, where the run was of an array, or where the image is elsewhere now.
    segmenter : callable, optional
        To segment tiles again with, instead of the run's method.
    rule : callable, optional
        Judges pairs, where the settings name a function that has no file or module.
    on_table : callable, optional
        Called with the table of objects (columns by name) once the labels are visible.
    hold : callable, optional
        While ``hold()`` is true no tile is begun, as in `run`.

    Yields
    ------
    Event
        As `run` does; no stage "segment" if no tile is segmented.

    Raises
    ------
    SpecError
        If a setting or an edit cannot be carried out.
    OutputError
        If there is no such run, tiles of it are missing, or labels cannot be written.
    TileError
        If the tiles that are segmented all fail.
    """
    path = Path(os.path.abspath(Path(run_dir).expanduser()))
    stored = read_stored(path)
    plan = stored.plan(changes or {}, segments=False)
    judge = seam_rule(plan.spec.merge, rule)
    sink = _sink(plan, stored)
    table = table_again(plan, image, on_table)
    folder, pool = RunDirectory(path, None), None
    try:
        pool = make_executor(plan.executor, plan.workers)
        queue = TaskQueue(pool, 1 if isinstance(pool, SerialExecutor) else 2 * plan.workers)
        records = _records(path, plan)
        tiles = tiles_again(path, records, plan, again)
        yield RunStarted(0, len(tiles), str(path))
        if tiles:
            job = _job(stored, image, segmenter)
            failed = yield from segment_again(job, tiles, folder, records, queue, sink, judge, hold)
            if failed is not None:
                yield failed
                return
            records = _records(path, plan)
        decided = list(dict.fromkeys([*([] if forget else edits_of(path)), *edits]))
        with closing(_Merging(plan, folder, sink, queue, table)) as merging:
            yield from merging.events(stored, Compared.of(records, len(plan.grid)), judge, decided)
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        folder.close(keep=True)


class _Merging(Stages):
    """State of a merge between two events."""

    def __init__(
        self,
        plan: Plan,
        folder: RunDirectory,
        sink: LabelSink,
        queue: TaskQueue,
        table: ObjectTable | None,
    ) -> None:
        super().__init__(plan, open_staging(folder.path), sink, queue, threading.Event())
        self.folder = folder
        self.found: tuple[Solution, MergeReport] | None = None
        self.table = table

    def events(
        self, stored: StoredRun, compared: Compared, rule: SeamRule, edits: list[Edit]
    ) -> Iterator[Event]:
        counted = stored.keep
        painted = compared.unedited(self.plan, rule, counted, self.store) if edits else None
        located = locate(edits, self.plan, SeamFinder.of(self.plan), self.store, painted)
        n_tiles = self.plan.n_tiles
        batches = 0 if counted == self.plan.keep else -(-len(self.plan.grid) // BATCH)
        yield from self.stage("merge", batches + 1, self._merge(batches, compared, rule, located))
        assert self.found is not None
        solution, report = self.found
        yield from self.paint(solution, self.folder.check)
        self.folder.save(EDITS, to_json(edits))
        save_report(self.folder, report)
        if stored.replaced_by(self.plan.spec):
            save_settings(self.folder, self.plan.spec)
        seconds = self.seconds
        path = self.sink.path
        yield RunFinished(
            n_tiles,
            n_tiles,
            self.n_objects,
            report.n_joined,
            path,
            {},
            seconds,
            str(self.folder.path),
            report,
        )

    def _merge(
        self, batches: int, compared: Compared, rule: SeamRule, located: Located
    ) -> Iterator[Event | None]:
        interior = compared.interior.copy()
        if batches:
            yield from self._count(batches, interior)
        given = located.into(replace(compared.given(self.plan, rule), interior=interior))
        self.found = yield from self.queue.call(solve, replace(given, keep=self.plan.keep))
        self.done += 1

    def _count(self, batches: int, interior: NDArray[np.int64]) -> Iterator[None]:
        """Count what tiles have alone and what is kept, from their staged tables."""
        tasks: Iterator[Any] = (
            (("batch", n), self._kept, (n * BATCH, min((n + 1) * BATCH, interior.size)))
            for n in range(batches)
        )
        for ended in self.queue.drain(tasks):
            if ended is not None:
                (_, n), future = ended
                counts = future.result()
                interior[n * BATCH : n * BATCH + counts.size] = counts
                self.done += 1
            yield None

    def _kept(self, first: int, stop: int) -> NDArray[np.int64]:
        wanted = self.plan.wanted
        staged = (self.store.read(number) if wanted[number] else None for number in range(first, stop))
        keep = self.plan.keep
        return np.array([0 if s is None else int(keep.interior(s).sum()) for s in staged], np.int64)


def _sink(plan: Plan, stored: StoredRun) -> LabelSink:
    """Return the writer of the labels, if they can be written."""
    if plan.spec.output is None and plan.spec.image is not None and not Path(stored.output).exists():
        msg = f"{stored.output} is gone, where the labels are to go"
        raise OutputError(msg, "Put it back, or give another store for them (output=, --output)")
    sink = open_sink(plan, plan.spec.output or stored.output)
    sink.check()
    return sink


def _records(path: Path, plan: Plan) -> RunRecords:
    """Return the records that count, to be read, if nothing of the run was lost."""
    return read_records(path, settle(path), plan.grid)


def _job(stored: StoredRun, image: Any, segmenter: Segmenter | None) -> TileJob:
    """Return what segments a tile as the run did, or with another function."""
    plan = stored.plan({}, segments=True)
    source = reopen(plan, image)
    if source is None:
        raise SpecError([Problem("image", "the run was of an array", "Give the array again, as image")])
    job = TileJob(plan, source, NoStore(), segmenter)
    job.prepare()
    return job
