"""`run`: carries a plan out as a generator of events.

What its stages do is in `Segmenting` and `Stages`; this puts them in order.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.engine.executors import SerialExecutor, TaskQueue, make_executor
from seamlabel.engine.records import RunRecords
from seamlabel.engine.rules import seam_rule
from seamlabel.engine.segment import NoStore, TileJob
from seamlabel.engine.segmenting import Segmenting
from seamlabel.engine.stored import save_plan, save_report
from seamlabel.engine.table import ObjectTable
from seamlabel.events import Event, RunStarted, StageFinished, StageStarted
from seamlabel.io.generations import records_folder
from seamlabel.io.journal import RunDirectory
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.sources import open_source
from seamlabel.io.staging import create_staging, temporary_folder
from seamlabel.kernels.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Executor

    from seamlabel.engine.table import Table
    from seamlabel.plan import Plan
    from seamlabel.protocols import ImageSource, SeamRule, Segmenter


def run(  # noqa: PLR0913 - one call for everything, all but one by name
    plan: Plan,
    *,
    image: ImageSource | None = None,
    segmenter: Segmenter | None = None,
    executor: Callable[[], Executor] | None = None,
    keep: bool = False,
    rule: SeamRule | None = None,
    mask: Any = None,
    on_table: Callable[[Table], None] | None = None,
    order: Iterable[int] | None = None,
) -> Generator[Event, None, None]:
    """Carry out a plan, telling what happens.

    Closing the generator cancels within a second: nothing more is begun, finished tiles stay
    staged in the run directory, labels of that name stay as they were.

    Parameters
    ----------
    plan : Plan
        Made by `resolve`.
    image : array-like, optional
        The array to segment when the plan's image has no path; axes as in ``plan.info``.
    segmenter : callable, optional
        Used instead of the plan's backend.
    executor : callable, optional
        Makes the `concurrent.futures.Executor` to use instead of the plan's.
    keep : bool
        Keep the run directory when all is done.
    rule : callable, optional
        The function that judges seams, where the plan's rule is one that has no file or module.
    mask : array, optional
        What ``skip_empty="mask"`` means.
    on_table : callable, optional
        Called with the table of objects (columns by name) once the labels are visible.
    order : iterable of int, optional
        The tiles, each once, in the order to begin them; by default one that reads every chunk once.
        The labels do not depend on it.

    Yields
    ------
    Event
        `RunStarted` first, `RunFinished` last; at least one every 0.2 s on threads.

    Raises
    ------
    TileError
        If the first tiles all fail. A single failing tile is an event, and the run ends without
        writing labels.
    ImageError, OutputError
        If the image cannot be read or the labels cannot be written.
    SpecError
        If the rule or the mask cannot be used.
    """
    judge = seam_rule(plan.spec.merge, rule)
    target = plan.output or str(temporary_folder() / "labels.zarr")
    sink = open_sink(plan, target)
    sink.check()
    job = _job(plan, image, segmenter, mask, on_table)
    folder = RunDirectory(
        Path(plan.run_dir) if plan.run_dir else temporary_folder() / plan.spec.name, plan.spec.to_json()
    )
    pool, coordinator = None, None
    try:
        pool = make_executor(plan.executor, plan.workers, executor)
        save_plan(folder, plan, target)
        job.use(create_staging(folder.path, plan.grid.read_shape))
        limit = 1 if isinstance(pool, SerialExecutor) else 2 * plan.workers
        records = RunRecords(records_folder(folder.path), plan.grid.ndim)
        coordinator = _Run(job, sink, folder, TaskQueue(pool, limit), records, judge)
        yield from coordinator.events(order or plan.order(), keep)
    finally:
        try:
            if coordinator is not None:
                coordinator.close()
        finally:
            job.source.close()
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            folder.close(keep=coordinator is not None and coordinator.worth_keeping(keep))


def _job(
    plan: Plan,
    image: ImageSource | None,
    segmenter: Segmenter | None,
    mask: Any,
    on_table: Callable[[Table], None] | None,
) -> TileJob:
    """Return what segments tiles, once all that it needs is there."""
    source = open_source(
        plan.spec.image if image is None else image,
        plan.info,
        plan.spec.level,
        plan.channels,
        plan.cache_bytes,
    )
    table = ObjectTable(plan, source, on_table) if plan.spec.table or on_table else None
    job = TileJob(plan, source, NoStore(), segmenter, mask, table)
    job.prepare()
    return job


class _Run(Segmenting):
    """State of one run between two events."""

    def events(self, order: Iterable[int], keep: bool) -> Iterator[Event]:
        yield RunStarted(0, self.total, str(self.folder.path))
        yield from self.stage("segment", self.total, self.segment(order))
        if self.failed:
            yield self.finished(0, "")
            return
        start = time.perf_counter()
        yield StageStarted(0, 1, "merge")
        solution, report = solve(self.gathered.problem(self.plan.keep))
        yield StageFinished(1, 1, "merge", time.perf_counter() - start)
        yield from self.paint(solution)
        if keep:
            self.records.seal()
            save_report(self.folder, report)
        yield self.finished(solution.n_objects, self.sink.path, report)

    def worth_keeping(self, asked: bool) -> bool:
        """Return whether the run directory holds what somebody may want."""
        return self.gathered.any_here and (asked or not self.committed)
