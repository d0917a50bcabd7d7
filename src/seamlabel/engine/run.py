"""`run`: carries a plan out as a generator of events. The coordinator: order, retry, cancel.

Workers get small tasks (a tile, a tile's seams, a block) and hand back small records; pixels never
pass through here.
"""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.compose import Composer
from seamlabel.engine.executors import HEARTBEAT_SECONDS, SerialExecutor, TaskQueue, make_executor
from seamlabel.engine.gather import Gathered
from seamlabel.engine.paint import PaintJob, paint_layout
from seamlabel.engine.segment import NoStore, TileJob, TileRecord, describe_failure
from seamlabel.errors import OutputError, SeamlabelError, TileError
from seamlabel.events import (
    Event,
    Heartbeat,
    RunFinished,
    RunStarted,
    SeamsMerged,
    Stage,
    StageFinished,
    StageStarted,
    TileDone,
    TileFailed,
    TileSkipped,
)
from seamlabel.io.journal import RunDirectory
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.records import RecordFile
from seamlabel.io.sources import open_source
from seamlabel.io.staging import create_staging, temporary_folder
from seamlabel.kernels.local import node_dtype
from seamlabel.kernels.seams import ROW
from seamlabel.kernels.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Executor, Future

    from seamlabel.kernels.solution import Solution
    from seamlabel.plan import Plan
    from seamlabel.protocols import ImageSource, LabelSink, LabelStore, Segmenter

HOPELESS = 3
"""A run whose first so many tiles all fail is given up: the rest would fail too."""
SETTLE_SECONDS = 0.4
"""How long a cancelled run waits for tasks under way; longer ones are left to end unheard."""


def run(
    plan: Plan,
    *,
    image: ImageSource | None = None,
    segmenter: Segmenter | None = None,
    executor: Callable[[], Executor] | None = None,
    keep: bool = False,
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
    """
    source = open_source(
        plan.spec.image if image is None else image, plan.info, plan.spec.level, plan.channels
    )
    sink = open_sink(plan, plan.output or str(temporary_folder() / "labels.zarr"))
    sink.check()
    job = TileJob(plan, source, NoStore(), segmenter)
    job.prepare()
    folder = RunDirectory(
        Path(plan.run_dir) if plan.run_dir else temporary_folder() / plan.spec.name, plan.spec.to_json()
    )
    pool, coordinator = None, None
    try:
        pool = make_executor(plan.executor, plan.workers, executor)
        job.use(create_staging(folder.path, plan.grid.read_shape))
        limit = 1 if isinstance(pool, SerialExecutor) else 2 * plan.workers
        coordinator = _Run(job, sink, folder, TaskQueue(pool, limit))
        yield from coordinator.events()
    finally:
        try:
            if coordinator is not None:
                coordinator.close()
        finally:
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            folder.close(keep=coordinator is not None and coordinator.worth_keeping(keep))


class _Run:
    """State of one run between two events."""

    def __init__(self, job: TileJob, sink: LabelSink, folder: RunDirectory, queue: TaskQueue) -> None:
        self.job, self.sink, self.folder, self.queue = job, sink, folder, queue
        self.plan: Plan = job.plan
        self.store: LabelStore = job.store
        self.total = len(self.plan.grid)
        self.done = 0
        nodes = RecordFile(folder.path / "nodes.bin", node_dtype(self.plan.grid.ndim))
        rows = RecordFile(folder.path / "rows.bin", ROW)
        self.records = nodes, rows
        self.gathered = Gathered(self.plan.grid, self.plan.spec.merge, nodes, rows)
        self.failed: dict[int, str] = {}
        self.attempts: dict[int, int] = {}
        self.cause: BaseException | None = None
        self.painting = False
        self.committed = False
        self.started = self.last_event = time.perf_counter()

    def events(self) -> Iterator[Event]:
        yield RunStarted(0, self.total, str(self.folder.path))
        yield from self._stage("segment", self.total, self._segment())
        if self.failed:
            yield self._finished(0, "")
            return
        solution = yield from self._merge()
        yield from self._paint(solution)
        yield self._finished(solution.n_objects, self.sink.path)

    def worth_keeping(self, asked: bool) -> bool:
        """Return whether the run directory holds what somebody may want."""
        return self.gathered.any_here and (asked or not self.committed)

    def close(self) -> None:
        """Let go of all work under way; take back labels that were not committed."""
        self.job.stop.set()
        self.queue.settle(SETTLE_SECONDS)
        for records in self.records:
            records.close()
        if self.painting and not self.committed:
            self.sink.abort()

    def _finished(self, n_objects: int, path: str) -> RunFinished:
        return RunFinished(
            done=self.total - len(self.failed),
            total=self.total,
            n_objects=n_objects,
            n_joined=self.gathered.n_joined,
            path=path,
            failed=dict(self.failed),
            seconds=time.perf_counter() - self.started,
            run_dir=str(self.folder.path),
        )

    def _stage(self, stage: Stage, total: int, events: Iterator[Event | None]) -> Iterator[Event]:
        """Wrap a stage's events; None asks for a heartbeat where one is due."""
        start = time.perf_counter()
        yield StageStarted(0, total, stage)
        self.last_event = start
        for event in events:
            now = time.perf_counter()
            if event is None and now - self.last_event < 0.9 * HEARTBEAT_SECONDS:
                continue
            self.last_event = now
            yield event or Heartbeat(self.done, total, stage, self._running())
        yield StageFinished(self.done, total, stage, time.perf_counter() - start)

    def _running(self) -> tuple[int, ...]:
        return tuple(number for kind, number in self.queue.running() if kind == "tile")

    def _segment(self) -> Iterator[Event | None]:
        tasks = ((("tile", n), self.job.segment, (n,)) for n in self.plan.order())
        for ended in self.queue.drain(tasks):
            if ended is None:
                yield None
                continue
            (_, number), future = ended
            yield from self._tile_ended(number, future)
            if not self.done and len(self.failed) >= min(HOPELESS, self.total):
                self._give_up()

    def _tile_ended(self, number: int, future: Future[TileRecord]) -> Iterator[Event | None]:
        error = future.exception()
        if isinstance(error, OutputError) or not isinstance(error, Exception | SystemExit | None):
            raise error  # a full disk, Ctrl-C: nothing that another try or another tile would mend
        if error is not None:
            yield self._tile_failed(number, error)
            return
        record = future.result()
        self.done += 1
        arrival = record.arrival
        first = self.gathered.take(arrival)
        self.folder.record(tile=number, n_core=arrival.n_core, seconds=record.seconds)
        if record.skipped:
            yield TileSkipped(self.done, self.total, number, record.skipped)
        else:
            yield TileDone(self.done, self.total, number, arrival.n_core, first, record.seconds)
        if joined := self.gathered.joins(arrival):
            yield SeamsMerged(self.done, self.total, number, joined)

    def _tile_failed(self, number: int, error: BaseException) -> Event | None:
        """Try again, or record the failure."""
        self.attempts[number] = self.attempts.get(number, 0) + 1
        same_again = isinstance(error, SeamlabelError)
        if self.attempts[number] <= self.plan.spec.retries and not same_again:
            self.queue.add(("tile", number), self.job.segment, number)
            return None
        reason = describe_failure(error)
        self.failed[number] = reason
        self.cause = self.cause or error
        self.folder.record(tile=number, failed=reason)
        detail = "".join(traceback.format_exception(error))
        return TileFailed(self.done, self.total, number, reason, detail)

    def _give_up(self) -> None:
        number, reason = next(iter(self.failed.items()))
        tried = (
            "The only tile failed" if self.total == 1 else f"The first {len(self.failed)} tiles all failed"
        )
        raise TileError(number, reason, f"{tried}; nothing was written") from self.cause

    def _merge(self) -> Generator[Event, None, Solution]:
        start = time.perf_counter()
        yield StageStarted(0, 1, "merge")
        solution, _ = solve(self.gathered.problem(self.plan.keep))
        yield StageFinished(1, 1, "merge", time.perf_counter() - start)
        return solution

    def _paint(self, solution: Solution) -> Iterator[Event]:
        layout = paint_layout(self.sink.shapes, self.plan.joined)
        self.painting = True
        self.sink.begin(solution.dtype, layout.chunks)
        composer = Composer(self.plan.grid, self.store, solution)
        job = PaintJob(composer, self.sink, layout, self.job.stop)
        passes = layout.passes()
        self.done = 0
        total = sum(int(np.prod(layout.counts(levels[0]))) for levels in passes)
        yield from self._stage("paint", total, self._blocks(job, passes))
        self.sink.commit()
        self.committed = True

    def _blocks(self, job: PaintJob, passes: list[list[int]]) -> Iterator[Event | None]:
        for levels in passes:
            tasks: Iterator[Any] = (
                (("block", index), job.paint, (levels, index)) for index in job.blocks(levels[0])
            )
            for ended in self.queue.drain(tasks):
                if ended is not None:
                    ended[1].result()
                    self.done += 1
                yield None
