"""The stage that segments tiles: what is tried again, what failed, what the merge is told.

Workers get a tile's number and hand back a small record; pixels never pass through here.
"""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any

from seamlabel.engine.failure import Failure
from seamlabel.engine.gather import Gathered
from seamlabel.engine.hands import OwnHands
from seamlabel.engine.records import Note, measured
from seamlabel.engine.segment import DURABLE_SECONDS
from seamlabel.engine.stages import Stages
from seamlabel.errors import TileError
from seamlabel.events import (
    Event,
    RunFinished,
    SeamsMerged,
    TileDone,
    TileFailed,
    TileSkipped,
    WorkersReduced,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from seamlabel.engine.hands import Hands
    from seamlabel.engine.records import RunRecords
    from seamlabel.engine.segment import TileJob, TileRecord
    from seamlabel.engine.tasks import TaskQueue
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
MOST_TEXT = 20_000
"""Letters of a reason or traceback that are kept."""
SYNC_SECONDS = 5.0
"""Records of tiles that take long are on the disk after so long, whatever its cache loses."""


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
        Where tasks run; after segmenting, if other `hands` do that.
    records : RunRecords
        What the merge is told.
    rule : SeamRule
        Judges pairs.
    hands : Hands, optional
        Who segments; threads of this process if not given.
    """

    def __init__(
        self,
        job: TileJob,
        sink: LabelSink,
        folder: RunDirectory,
        queue: TaskQueue,
        records: RunRecords,
        rule: SeamRule,
        hands: Hands | None = None,
    ) -> None:
        self.hands = hands or OwnHands(job, queue)
        super().__init__(job.plan, job.store, sink, self.hands.queue, job.stop)
        self.job, self.folder, self.records, self.after = job, folder, records, queue
        self.total = self.plan.n_tiles
        self.table = job.table
        if self.table and records.sums:
            self.table.use(records.sums)
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
        self.counted: dict[int, int] = {}
        self.at_once = 0
        self.hold: Callable[[], bool] | None = None
        self.synced = time.monotonic()

    def close(self) -> None:
        """Let go of all work under way; take back labels that were not committed."""
        super().close()
        self.records.close()

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

    def recall(self, tiles: NDArray[Any], failed: dict[int, str]) -> Iterator[Event]:
        """Take in tiles of an earlier session, done and failed, and tell them again.

        Parameters
        ----------
        tiles : ndarray of `TILE`
            Those that are done, in the order in which they came.
        failed : dict of int to str
            Those that failed and are not tried again, with reasons.
        """
        firsts = self.gathered.recall(tiles)
        if self.table and not measured(tiles).all():
            self.table.use(None)
        for tile, first in zip(tiles, firsts.tolist(), strict=True):
            number = int(tile["tile"])
            self.done += 1
            self.hands.is_done(number, (int(tile["bytes"]), int(tile["digest"])))
            if tile["skipped"]:
                yield TileSkipped(self.done, self.total, number, "empty")
            else:
                seconds = float(tile["seconds"])
                yield TileDone(self.done, self.total, number, int(tile["n_core"]), first, seconds)
        for rows in self.records.rows.chunks():
            if joined := self.gathered.joins(rows):
                yield SeamsMerged(self.done, self.total, int(tiles["tile"][-1]), joined)
        for number, reason in failed.items():
            self.failed[number] = reason
            yield TileFailed(self.done, self.total, number, reason, "")

    def segment(self, tiles: Iterable[int]) -> Iterator[Event | None]:
        """Segment these tiles, trying again those that fail; None where nothing happened for 0.2 s.

        While `hold` returns true, none is begun.

        Raises
        ------
        TileError
            If the first tiles all fail.
        """
        tasks = (self.hands.task(number, 0) for number in tiles)
        for ended in self.queue.drain(tasks, self.hold):
            if ended is None:
                yield None
                continue
            yield from self._ended(*ended)
            if not self.done and len(self.failed) >= min(HOPELESS, self.total):
                self._give_up()
        self.queue.run_here(False)
        self.queue = self.after
        self.queue.widen()
        self.job.source.close()  # painting needs the memory, and no pixels

    def _ended(self, key: Any, future: Future[Any]) -> Iterator[Event | None]:
        self.folder.check()  # before anything is added to records that may be another's by now
        number = key[1]
        record = self.hands.taken(key, future)
        if isinstance(record, Failure):
            yield from self._tile_failed(number, record)
        elif record is not None:
            yield from self._tile_done(number, record)

    def _tile_done(self, number: int, record: TileRecord) -> Iterator[Event | None]:
        self.done += 1
        self.queue.eased()
        self._choose_thread(record.seconds)
        arrival = record.arrival
        first = self.gathered.take(arrival)
        if self.table and record.sums is not None and self.records.sums:
            self.records.sums.append(record.sums)
        self._note(number, record)
        self.hands.is_done(number, record.stamp)
        if record.skipped:
            yield TileSkipped(self.done, self.total, number, record.skipped)
        else:
            yield TileDone(self.done, self.total, number, arrival.n_core, first, record.seconds)
        if joined := self.gathered.joins():
            yield SeamsMerged(self.done, self.total, number, joined)

    def _note(self, number: int, record: TileRecord) -> None:
        """Write down that a tile is done: from here on it is never segmented again."""
        arrival, (size, crc) = record.arrival, record.stamp
        skipped = int(bool(record.skipped))
        noted = Note(number, arrival.n_core, arrival.interior, record.seconds, skipped, size, crc)
        self.records.note(noted)
        told = {"tile": number, "n_core": arrival.n_core, "seconds": round(record.seconds, 4)}
        self.folder.record(**told, bytes=size, digest=f"{crc:08x}")
        if record.seconds >= DURABLE_SECONDS and time.monotonic() - self.synced > SYNC_SECONDS:
            self.sync()
            self.synced = time.monotonic()

    def sync(self) -> None:
        """Have the disk hold what is known of tiles that are done, whatever its cache loses."""
        self.records.sync()
        self.folder.sync()

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

    def _tile_failed(self, number: int, failure: Failure) -> Iterator[Event]:
        """Try again, or record the failure."""
        if failure.fatal is not None:
            raise failure.fatal
        self.attempts[number] = self.attempts.get(number, 0) + 1
        workers = self.queue.narrow() if failure.memory else 0
        if workers:  # it was not alone: that try does not count
            if workers != self.at_once:
                self.at_once = workers
                yield WorkersReduced(self.done, self.total, workers, failure.reason)
        else:
            self.counted[number] = self.counted.get(number, 0) + 1
        if workers or (failure.again and self.counted[number] <= self.plan.spec.retries):
            self.queue.add_again(*self.hands.task(number, self.attempts[number]))
            return
        self.failed[number] = failure.reason
        self.folder.record(tile=number, failed=failure.reason[:MOST_TEXT], detail=failure.detail[-MOST_TEXT:])
        yield TileFailed(self.done, self.total, number, failure.reason, failure.detail)

    def _give_up(self) -> None:
        number, reason = next(iter(self.failed.items()))
        tried = (
            "The only tile failed" if self.total == 1 else f"The first {len(self.failed)} tiles all failed"
        )
        raise TileError(number, reason, f"{tried}; nothing was written")
