"""`run`: carries a plan out as a generator of events, from the start or from where it stopped.

What its stages do is in `Segmenting` and `Stages`; this puts them in order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seamlabel.engine.again import recalling
from seamlabel.engine.claim import claim
from seamlabel.engine.hands import OwnHands
from seamlabel.engine.identity import identity
from seamlabel.engine.keeping import portable, save_plan, save_report
from seamlabel.engine.pools import Pools
from seamlabel.engine.records import RunRecords
from seamlabel.engine.recover import recover
from seamlabel.engine.rules import seam_rule
from seamlabel.engine.segment import NoStore, TileJob
from seamlabel.engine.segmenting import Segmenting
from seamlabel.engine.table import ObjectTable
from seamlabel.events import Event, Heartbeat, RunStarted
from seamlabel.io.generations import records_folder
from seamlabel.io.journal import RunDirectory
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.sources import open_source
from seamlabel.io.staging import StagingStore, create_staging, staging_folder
from seamlabel.io.temporary import temporary_folder
from seamlabel.kernels.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from seamlabel.engine.table import Table
    from seamlabel.kernels.report import MergeReport
    from seamlabel.kernels.solution import Solution
    from seamlabel.plan import Plan
    from seamlabel.protocols import ImageSource, SeamRule, Segmenter


def run(  # noqa: PLR0913 - one call for everything, all but one by name
    plan: Plan,
    *,
    image: ImageSource | None = None,
    segmenter: Segmenter | None = None,
    executor: Callable[[], Executor] | None = None,
    scheduler: Any = None,
    keep: bool = False,
    rule: SeamRule | None = None,
    mask: Any = None,
    on_table: Callable[[Table], None] | None = None,
    order: Iterable[int] | None = None,
    unfinished: Literal["refuse", "resume", "restart"] = "refuse",
    retry: bool = False,
    accept_changes: bool = False,
    hold: Callable[[], bool] | None = None,
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
        Makes the `concurrent.futures.Executor` (of threads) to use instead of the plan's.
    scheduler : distributed.Client or cluster, optional
        For the executor "dask", instead of the address in the plan.
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
    unfinished : {"refuse", "resume", "restart"}
        What to do with a run that did not reach its end in ``plan.run_dir``: refuse to touch it, go
        on with it, or remove it.
    retry : bool
        When going on, segment tiles that failed, too.
    accept_changes : bool
        Go on although the method's code changed: finished tiles keep what the former code gave.
    hold : callable, optional
        While ``hold()`` is true no tile is begun: those under way end and are told, heartbeats go on, and
        the run stays in the stage "segment". It does not hold the merge or the writing of labels.

    Yields
    ------
    Event
        `RunStarted` first, `RunFinished` last; at least one every 0.2 s, but with the executor "serial".

    Raises
    ------
    TileError
        If the first tiles all fail. A single failing tile is an event, and the run ends without
        writing labels.
    ImageError, OutputError
        If the image cannot be read, the labels cannot be written, or there is an unfinished run that
        was of another request, image or method.
    SpecError
        If the rule or the mask cannot be used.
    """
    plan = portable(plan)
    judge = seam_rule(plan.spec.merge, rule)
    target = plan.output or str(temporary_folder() / "labels.zarr")
    sink = open_sink(plan, target)
    sink.check()
    job, told = _job(plan, image, segmenter, mask, on_table)
    folder = RunDirectory(Path(plan.run_dir) if plan.run_dir else temporary_folder() / plan.spec.name)
    fresh, pools, coordinator = False, None, None
    try:
        failed = claim(folder, plan, told, unfinished, accept_changes)
        fresh = failed is None
        save_plan(folder, plan, target, told, keep)
        pools = Pools(plan, executor, scheduler)
        records, done = yield from _recovered(folder, job, pools, fresh)
        given = plan.spec.image if image is None else image
        hands = yield from _beating(pools.hands(job, given, folder), plan)
        coordinator = _Run(job, sink, folder, pools.queue, records, judge, hands)
        coordinator.begun, coordinator.hold = (done, {} if retry else failed or {}), hold
        yield from coordinator.events(order or plan.order(), keep, pools.end_workers)
    finally:
        _end(coordinator, pools, job)
        committed = coordinator is not None and coordinator.committed
        folder.close(keep=_worth(coordinator, keep, fresh), done=committed)


def _end(coordinator: _Run | None, pools: Pools | None, job: TileJob) -> None:
    """Let go of everything, whatever fails meanwhile."""
    try:
        if pools is not None:
            pools.end_workers()
        if coordinator is not None:
            coordinator.close()
    finally:
        job.source.close()
        if pools is not None:
            pools.close()


def _worth(coordinator: _Run | None, asked: bool, fresh: bool) -> bool:
    """Return whether the run directory holds what somebody may want."""
    if coordinator is None or not coordinator.committed:
        return not fresh or (coordinator is not None and coordinator.gathered.any_here)
    return asked


def _job(
    plan: Plan,
    image: ImageSource | None,
    segmenter: Segmenter | None,
    mask: Any,
    on_table: Callable[[Table], None] | None,
) -> tuple[TileJob, dict[str, str]]:
    """Return what segments tiles, once all that it needs is there, and what tells image and method."""
    source = open_source(
        plan.spec.image if image is None else image,
        plan.info,
        plan.spec.level,
        plan.channels,
        plan.cache_bytes,
        plan.spec.axes,
    )
    table = ObjectTable(plan, source, on_table) if plan.spec.table or on_table else None
    job = TileJob(plan, source, NoStore(), segmenter, mask, table)
    job.prepare()
    told = identity(plan, source, segmenter, job.skipping.mask)
    job.method = "" if segmenter else told.get("method", "")
    return job, told


def _staging(folder: RunDirectory, plan: Plan, fresh: bool) -> StagingStore:
    """Return where tiles are staged; of a run that goes on what it has, if that is still there."""
    place = staging_folder(folder.path)
    if not fresh and place.is_dir():
        return StagingStore(place, plan.grid.read_shape)
    return create_staging(folder.path, plan.grid.read_shape)


def _recovered(
    folder: RunDirectory, job: TileJob, pools: Pools, fresh: bool
) -> Generator[Event, None, tuple[RunRecords, NDArray[Any]]]:
    """Say that the run begins; return its records, and the tiles that are done, after looking at each."""
    grid, sums = job.plan.grid, job.table.dtype if job.table else None
    store = _staging(folder, job.plan, fresh)
    job.use(store)
    yield RunStarted(0, job.plan.n_tiles, str(folder.path))
    if fresh:
        records = RunRecords(records_folder(folder.path), grid.ndim, sums)
        return records, records.all_tiles()
    looking = recover(folder.path, len(grid), grid.ndim, sums, store, pools.queue)
    found: tuple[RunRecords, NDArray[Any]] = yield from _beating(looking, job.plan)
    return found


def _beating(work: Generator[None, None, Any], plan: Plan) -> Generator[Event, None, Any]:
    """Return what some work before the first tile gives, with a heartbeat wherever it yields."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
        yield Heartbeat(0, plan.n_tiles, "segment", ())


class _Run(Segmenting):
    """State of one run between two events."""

    found: tuple[Solution, MergeReport]
    begun: tuple[NDArray[Any], dict[int, str]]
    """Tiles that an earlier session has done, and those that failed in it."""

    def events(self, order: Iterable[int], keep: bool, segmented: Callable[[], None]) -> Iterator[Event]:
        done, failed = self.begun
        left = self.plan.wanted.copy()
        left[done["tile"]] = False
        failed = {tile: why for tile, why in failed.items() if tile < left.size and left[tile]}
        left[list(failed)] = False
        yield from self.recall(done, failed)
        tiles: Iterator[int] = (number for number in order if left[number])
        if done.size and isinstance(self.hands, OwnHands):
            tiles = recalling(self.job, self.store, left, tiles)
        yield from self.stage("segment", self.total, self.segment(tiles))
        segmented()
        self.sync()
        if self.failed:
            yield self.finished(0, "")
            return
        self.done = 0
        yield from self.stage("merge", 1, self._merge())
        solution, report = self.found
        yield from self.paint(solution, self.folder.check)
        if keep:
            self.records.seal()
            save_report(self.folder, report)
        yield self.finished(self.n_objects, self.sink.path, report)

    def _merge(self) -> Iterator[None]:
        self.found = yield from self.queue.call(
            solve, self.gathered.problem(self.plan.keep, self.plan.wanted)
        )
        self.done += 1
