"""Tasks on dask.distributed: an executor whose tasks are numbers and whose workers may come and go.

Knows nothing of what a task does. distributed is imported when an executor is made.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import Executor, Future, InvalidStateError
from concurrent.futures import wait as wait_for_all
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import cloudpickle

from seamlabel.engine.cluster_clock import Clock
from seamlabel.engine.cluster_link import Link, check_workers, connect
from seamlabel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_IN_FLIGHT = 4
LOOK_SECONDS = 1.0
REGISTER_SECONDS = 60.0
LEAVE_SECONDS = 0.4
ANSWER_SECONDS = 10.0
GONE = "scheduler-connection-lost"


class TileFuture(Future[Any]):
    """A task on the cluster.

    `running` is exact where tasks tell when they begin (with a time-out); else the oldest tasks, as many
    as the cluster has threads, count as begun.
    """

    def __init__(self, owner: DaskExecutor, number: int, key: str) -> None:
        super().__init__()
        self.number, self.key = number, key
        self.handle: Any = None
        self._owner = owner

    def running(self) -> bool:
        """Return whether a worker is at it, as far as is known."""
        return not self.done() and self._owner.has_begun(self)

    def cancel(self) -> bool:
        """Drop the task unless it runs; return whether it was dropped."""
        return self.cancelled() or (not self.running() and self.abandon())

    def abandon(self) -> bool:
        """Drop the task, begun or not; return whether it had no result yet."""
        dropped = super().cancel()
        if dropped:
            with suppress(InvalidStateError, RuntimeError):
                self.set_running_or_notify_cancel()  # `concurrent.futures.wait` waits for this
            self._owner.forget(self)
        return dropped


class DaskExecutor(Executor):
    """Runs ``fn(job, *args)`` on the workers of a dask cluster; `job` is what `install` made there.

    Parameters
    ----------
    scheduler : str, path, Client, cluster or None
        An address, a scheduler file, a client or a cluster; None starts workers on this machine.
    workers : int
        How many to start on this machine.
    payload : bytes
        Goes to every worker once, those that join later included.
    install : callable
        Turns the payload into the job, on each worker before its first task.
    timeout : float, optional
        Seconds a task may take from its begin on; then it fails and its worker is restarted.

    Raises
    ------
    SpecError
        If distributed is not installed, the scheduler does not answer, or workers have no seamlabel
        of this version.
    WorkerError
        If no cluster could be started on this machine, or it lost its scheduler at once.
    """

    def __init__(
        self,
        scheduler: Any,
        workers: int,
        payload: bytes,
        install: Callable[[bytes], Any],
        timeout: float | None = None,
    ) -> None:
        self._link: Link = connect(scheduler, workers)
        self._client = self._link.client
        self._loop = self._client.loop
        self._run = f"seamlabel-{self._client.id}-{id(self):x}"
        self._clock: Clock | None = None
        self._numbers = itertools.count()
        self._open: dict[str, TileFuture] = {}
        self._lock = threading.Lock()
        self._threads = self._ended = 0
        self._gone = self._closed = False
        try:
            self._settle_in(payload, install, timeout)
        except BaseException:
            self._link.close()
            raise
        self._loop.add_callback(self._look)

    def _settle_in(self, payload: bytes, install: Callable[[bytes], Any], timeout: float | None) -> None:
        """Check the workers, and leave the payload with the scheduler for all that come."""
        from seamlabel.engine.cluster_worker import Payload, carry_out

        self._carry_out = carry_out
        if self._link.host is None:
            check_workers(self._client)
        plugin = Payload(payload, install, timeout is not None)

        async def register() -> None:
            await self._client.register_plugin(plugin, name=self._run)
            self._threads = sum((await self._client.nthreads()).values())

        try:
            self._client.sync(register, callback_timeout=REGISTER_SECONDS)
        except OSError as error:
            message = f"the workers of the dask scheduler at {self._link.address} do not answer"
            raise WorkerError(message, "Restart those that hang", fatal=True) from error
        if timeout is not None:
            here = self._link.host is not None
            self._clock = Clock(self._client, self._run, timeout, here, self._expire)

    @property
    def in_flight(self) -> int:
        """How many tasks to keep submitted now: twice the threads that the cluster has."""
        return max(LEAST_IN_FLIGHT, 2 * self._threads)

    def has_begun(self, future: TileFuture) -> bool:
        """Return whether a task has begun, as far as is known."""
        if self._clock is not None:
            return self._clock.has_begun(future.key)
        return future.number < self._ended + self._threads

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task; its future fails with a `WorkerError` where the cluster is at fault.

        Raises
        ------
        WorkerError
            If the executor was shut down.
        """
        if self._closed:
            raise WorkerError("no task can be added: the executor was shut down", fatal=True)
        number = next(self._numbers)
        future = TileFuture(self, number, f"{self._run}-{number}")
        if self._gone:
            future.set_exception(self._loss())
            return future
        task = cloudpickle.dumps((fn, args, kwargs))
        self._open[future.key] = future
        try:
            future.handle = self._client.submit(
                self._carry_out, self._run, future.key, task, key=future.key, pure=False, retries=0
            )
            self._loop.add_callback(self._fetch, future)
        except Exception:  # noqa: BLE001 - a client that is closing raises errors of many kinds
            self._lose()
        return future

    async def _fetch(self, future: TileFuture) -> None:
        """Wait for a task, take its result from the cluster and hand it on."""
        handle = future.handle
        while handle is not None and not future.done():
            try:
                found = await self._client.gather([handle], errors="skip", asynchronous=True)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - whatever breaks when a client ends
                self._lose()
                return
            if found:
                self._hand_on(future, found[0])
            elif handle.status == "error":
                self._end(future, self._failure(handle, await handle.exception()))
            elif handle.status == "cancelled" and not future.done():
                self._dropped(future, handle)

    def _hand_on(self, future: TileFuture, packed: bytes) -> None:
        try:
            good, value, trace = cloudpickle.loads(packed)
        except Exception as error:  # noqa: BLE001 - an unpickled result raises anything
            good, trace = False, ""
            value = WorkerError(f"the result cannot be read here: {type(error).__name__}: {error}")
        if not good and trace:
            value.add_note(f"On the dask worker:\n{trace}")
        self._end(future, None if good else value, value)

    def _failure(self, handle: Any, error: BaseException) -> BaseException:
        """Return what to say of a task that dask itself gave up."""
        if type(error).__name__ != "KilledWorker":
            return WorkerError(f"dask could not run it: {type(error).__name__}: {error}")
        tries = getattr(error, "allowed_failures", 3) + 1
        address = getattr(getattr(error, "last_worker", None), "address", "unknown")
        message = f"{tries} dask workers died while they had it, the last at {address}"
        hint = "See the worker's log: it crashed, or its memory ran out; smaller tiles need less"
        return WorkerError(message, hint, memory=self._link.host is not None)

    def _dropped(self, future: TileFuture, handle: Any) -> None:
        """Tell a scheduler that is lost from one that was restarted or a task that somebody cancelled."""
        reason = getattr(getattr(handle, "_state", None), "exception", None)
        if self._client.status != "running" or getattr(reason, "reason", "") == GONE:
            self._lose()
        else:
            self._end(future, WorkerError("the dask scheduler dropped it: it was restarted or cancelled"))

    def _end(self, future: TileFuture, error: BaseException | None, value: Any = None) -> None:
        """Hand a result or an error over, and leave nothing of it on the cluster."""
        self.forget(future)
        with suppress(InvalidStateError):  # cancelled meanwhile
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

    def forget(self, future: TileFuture) -> None:
        """Leave nothing of a task here or on the cluster."""
        handle, future.handle = future.handle, None
        if self._open.pop(future.key, None) is not None:
            self._ended += 1
        if self._clock is not None:
            self._clock.stop(future.key)
        if handle is not None:
            with suppress(RuntimeError):  # the client's loop is closed
                handle.release()

    def _loss(self) -> WorkerError:
        message = f"the dask scheduler at {self._link.address} is gone"
        return WorkerError(message, "What was finished is kept: start a scheduler, then resume", fatal=True)

    def _lose(self) -> None:
        """Fail all that is under way: the scheduler is lost, or the client was closed."""
        with self._lock:
            first, self._gone = not self._gone, True
        for future in list(self._open.values()):
            self._end(future, self._loss())
        if first and self._link.ours:  # ends its attempts to connect again
            threading.Thread(target=self._link.close, daemon=True).start()

    async def _look(self) -> None:
        """Count the cluster's threads now and then, and see whether its scheduler is there."""
        while not (self._closed or self._gone):
            if self._client.status != "running":
                self._lose()
                return
            with suppress(OSError, asyncio.CancelledError):
                threads = await asyncio.wait_for(self._client.nthreads(), ANSWER_SECONDS)
                self._threads = sum(threads.values())
            await asyncio.sleep(LOOK_SECONDS)

    def _expire(self, key: str, error: WorkerError) -> bool:
        future = self._open.get(key)
        if future is None or future.done():
            return False
        self._end(future, error)
        return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End our part of the cluster; a cluster of the user stays, with what runs on it.

        Parameters
        ----------
        wait : bool
            Wait for the tasks, else return within half a second.
        cancel_futures : bool
            Drop tasks that have not begun; without `wait`, those that have too, and kill our own workers.
        """
        with self._lock:
            first, self._closed = not self._closed, True
        futures = list(self._open.values())
        if cancel_futures:
            for future in futures:
                _ = future.cancel() if wait else future.abandon()
        if not first:
            return
        leave = threading.Thread(target=self._leave, args=(futures,), daemon=True)
        leave.start()
        leave.join(None if wait else LEAVE_SECONDS)
        if cancel_futures and self._link.host is not None:
            self._link.host.kill()

    def _leave(self, futures: list[TileFuture]) -> None:
        wait_for_all(futures)
        if not self._gone and self._link.host is None:
            with suppress(OSError, ValueError, RuntimeError):  # what is unreachable needs no tidying
                if self._clock is not None:
                    self._clock.close()
                self._client.sync(self._client.unregister_worker_plugin, self._run, callback_timeout=5)
        self._link.close()
