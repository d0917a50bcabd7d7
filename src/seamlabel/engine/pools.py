"""Where the tiles of a run are segmented: the executor of the plan, ready to be used.

Knows which executors share memory with the coordinator; not what becomes of tasks.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from seamlabel import memory
from seamlabel.engine import remote
from seamlabel.engine.executors import SerialExecutor, ThreadExecutor, make_executor
from seamlabel.engine.hands import FarHands, OwnHands
from seamlabel.engine.tasks import TaskQueue
from seamlabel.io.shared import shared
from seamlabel.io.staging import staging_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor

    from seamlabel.engine.hands import Hands
    from seamlabel.engine.segment import TileJob
    from seamlabel.io.journal import RunDirectory
    from seamlabel.plan import Plan

MOST_THREADS = 8
"""Threads of the coordinator that look at staged tiles and paint, where tiles are segmented elsewhere."""


class Pools:
    """The executors of one run, ended together.

    Parameters
    ----------
    plan : Plan
        Says which.
    factory : callable, optional
        Makes an executor of threads to use instead.
    scheduler : optional
        A dask client or cluster to use instead of the scheduler that the plan names.
    """

    def __init__(self, plan: Plan, factory: Callable[[], Executor] | None, scheduler: Any = None) -> None:
        self._plan = plan
        self.far = factory is None and plan.executor in ("processes", "dask")
        self._scheduler = plan.spec.scheduler if scheduler is None else scheduler
        self._workers: Executor | None = None
        self._changing, self._closed = Lock(), False
        if self.far:
            threads = min(memory.cores(), MOST_THREADS)
            self._own: Executor = ThreadExecutor(threads)
        else:
            threads = plan.workers
            self._own = make_executor(plan.executor, threads, factory)
        self.queue = TaskQueue(self._own, 1 if isinstance(self._own, SerialExecutor) else 2 * threads)
        """Of tasks in this process."""

    def hands(self, job: TileJob, image: Any, folder: RunDirectory) -> Generator[None, None, Hands]:
        """Return what segments tiles; yields while that is made ready.

        Parameters
        ----------
        job : TileJob
            Segments a tile.
        image : str or array
            What workers in other processes are to open.
        folder : RunDirectory
            For what other processes need.

        Raises
        ------
        OutputError, SpecError
            If workers cannot be had.
        """
        plan = self._plan
        if not self.far:
            own = job.front.disown
            self.queue.time(plan.spec.timeout, lambda key: key[0] == "tile" and own(key[1], key[2]))
            return OwnHands(job, self.queue)
        image = yield from shared(image, folder.path / "image.npy")
        mask = None if job.mask is None else (yield from shared(job.mask, folder.path / "mask.npy"))
        cache = plan.cache_bytes // plan.workers
        given = remote.Payload(
            plan,
            image,
            job.segmenter,
            mask,
            str(staging_folder(folder.path)),
            job.table is not None,
            dict(job.known),
            cache,
            job.method,
        )
        workers = yield from self.queue.call(self._start, given.pack())
        return FarHands(job, TaskQueue(workers, 2 * plan.workers))

    def _start(self, payload: bytes) -> Executor:
        """Return the executor of other processes; at once ended if the run was, meanwhile."""
        made = self._made(payload)
        with self._changing:
            self._workers = made
        if self._closed:
            self.end_workers()
        return made

    def _made(self, payload: bytes) -> Executor:
        plan = self._plan
        if plan.executor == "processes":
            from seamlabel.engine.processes import ProcessExecutor

            return ProcessExecutor(plan.workers, payload, remote.install, plan.spec.timeout)
        from seamlabel.engine.cluster import DaskExecutor

        return DaskExecutor(self._scheduler, plan.workers, payload, remote.install, plan.spec.timeout)

    def end_workers(self) -> None:
        """End workers in other processes: what is left to do is done here."""
        with self._changing:
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End everything at once."""
        self._closed = True
        self.end_workers()
        self._own.shutdown(wait=False, cancel_futures=True)
