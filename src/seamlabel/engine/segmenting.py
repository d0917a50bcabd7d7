"""The stage that segments tiles: what is tried again, what failed, what the merge is told.

Workers get a tile's number and hand back a small record; pixels never pass through here.
"""

from __future__ import annotations

import traceback
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any

from seamlabel.engine.gather import Gathered
from seamlabel.engine.segment import TileJob, TileRecord, describe_failure
from seamlabel.engine.stages import Stages
from seamlabel.errors import OutputError, SeamlabelError, TileError
from seamlabel.events import Event, RunFinished, SeamsMerged, TileDone, TileFailed, TileSkipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from seamlabel.engine.executors import TaskQueue
    from seamlabel.engine.records import RunRecords
    from seamlabel.io.journal import RunDirectory
    from seamlabel.kernels.report import MergeReport
    from seamlabel.protocols import LabelSink, SeamRule

QUICK_SECONDS = 0.004
"""Tiles that usually take less are segmented in the coordinator's own thread."""
TRIED, TRIED_AGAIN = 16, 512
"""Tiles that say what is usual, and how often it is tried whether such a thread is quicker."""
SLOW_SECONDS = 0.05
"""A tile that takes longer sends the next ones back to the workers, so that the run stays responsive."""
HOPELESS = 3
"""A run whose first so many tiles all fail is given up: the rest would fail too."""


class Segmenting(Stages):
    """State of a run between two events.

    Parameters
    ----------
    job : TileJob
        Segments a tile; has the plan and the staging store.
    sink : LabelSink
        Where labels go.
    folder : RunDirectory
        Whose journal tells which tiles are done.
    queue : TaskQueue
        Where tasks run.
    records : RunRecords
        What the merge is told.
    rule : SeamRule
        Judges pairs.
    """

    def __init__(
        self,
        job: TileJob,
        sink: LabelSink,
        folder: RunDirectory,
        queue: TaskQueue,
        records: RunRecords,
        rule: SeamRule,
    ) -> None:
        super().__init__(job.plan, job.store, sink, queue, job.stop)
        self.job, self.folder, self.records = job, folder, records
        self.total = len(self.plan.grid)
        self.table = job.table
        if self.table:
            self.table.open(records.folder)
        self.gathered = Gathered(
            self.plan.grid,
            self.plan.spec.merge,
            records.nodes,
            records.rows,
            rule,
            holes=records.holes if job.seams.fill else None,
            unclean=records.unclean,
        )
        self.took: deque[float] = deque(maxlen=TRIED)
        self.failed: dict[int, str] = {}
        self.attempts: dict[int, int] = {}
        self.cause: BaseException | None = None

    def close(self) -> None:
        """Let go of all work under way; take back labels that were not committed."""
        super().close()
        self.records.close()
        if self.table:
            self.table.close()

    def finished(self, n_objects: int, path: str, report: MergeReport | None = None) -> RunFinished:
        """Return the last event."""
        return RunFinished(
            done=self.total - len(self.failed),
            total=self.total,
            n_objects=n_objects,
            n_joined=self.gathered.n_joined,
            path=path,
            failed=dict(self.failed),
            seconds=self.seconds,
            run_dir=str(self.folder.path),
            report=report,
        )

    def segment(self, tiles: Iterable[int]) -> Iterator[Event | None]:
        """Segment these tiles, trying again those that fail; None where nothing happened for 0.2 s.

        Raises
        ------
        TileError
            If the first tiles all fail.
        """
        for ended in self.queue.drain(self._tasks(tiles)):
            if ended is None:
                yield None
                continue
            (_, number), future = ended
            yield from self._tile_ended(number, future)
            if not self.done and len(self.failed) >= min(HOPELESS, self.total):
                self._give_up()
        self.queue.run_here(False)
        self.job.source.close()  # painting needs the memory, and no pixels

    def _tasks(self, tiles: Iterable[int]) -> Iterator[tuple[Any, Any, Any]]:
        """Yield the tasks, and ask for a tile's pixels as soon as it is queued."""
        for number in tiles:
            if not self.queue.here:
                self.job.expect(number)
            yield ("tile", number), self.job.segment, (number,)

    def _tile_ended(self, number: int, future: Future[TileRecord]) -> Iterator[Event | None]:
        error = future.exception()
        if isinstance(error, OutputError) or not isinstance(error, Exception | SystemExit | None):
            raise error  # a full disk, Ctrl-C: nothing that another try or another tile would mend
        if error is not None:
            yield self._tile_failed(number, error)
            return
        record = future.result()
        self.done += 1
        self._choose_thread(record.seconds)
        arrival = record.arrival
        first = self.gathered.take(arrival)
        self.records.note(arrival)
        if self.table and record.sums is not None:
            self.table.append(record.sums)
        self.folder.record(tile=number, n_core=arrival.n_core, seconds=record.seconds)
        if record.skipped:
            yield TileSkipped(self.done, self.total, number, record.skipped)
        else:
            yield TileDone(self.done, self.total, number, arrival.n_core, first, record.seconds)
        if joined := self.gathered.joins(arrival):
            yield SeamsMerged(self.done, self.total, number, joined)

    def _choose_thread(self, seconds: float) -> None:
        """Segment in this thread while tiles take no longer than handing them over.

        Tiles that share the interpreter with others take longer than alone, so that it has to be tried.
        """
        self.took.append(seconds)
        if self.queue.here:
            tell = self.done % TRIED == 0 and median(self.took) > QUICK_SECONDS
            self.queue.run_here(not (tell or seconds > SLOW_SECONDS))
        elif self.done % TRIED_AGAIN == TRIED:
            self.queue.run_here(median(self.took) <= 4 * QUICK_SECONDS)

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
