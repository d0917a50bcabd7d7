"""Tasks in processes that may crash, hang or be killed: an executor on pebble's pool.

Every worker is a pebble pool of one process that is dropped when the process ends, and has at most one
task: so it is always known which task a dead process worked on, and no other task is touched. One
thread of the executor takes all decisions, and starts all processes. It does not know what tasks do.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from seamlabel.engine.calls import carry_out, fate, opened, prepare
from seamlabel.engine.workers import Nursery, OneProcess
from seamlabel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

WATCH_SECONDS = 0.1
LOST_SECONDS = 1.0
ATTEMPTS = 5
CLEARING_SECONDS = 2.0


@dataclass(eq=False, slots=True)
class _Task:
    future: Future[Any]
    call: bytes
    announced: bool = False
    attempts: int = 0

    def begin(self) -> bool:
        """Return whether to carry it out: not if it was cancelled."""
        self.announced = self.announced or self.future.set_running_or_notify_cancel()
        return self.announced

    def end(self, result: Any, error: BaseException | None) -> None:
        """Tell how it ended, unless it was cancelled."""
        if self.begin():
            self.future.set_result(result) if error is None else self.future.set_exception(error)


@dataclass(eq=False, slots=True)
class _Place:
    """A worker and what it does: no task while it starts, and while it is idle."""

    pool: Any
    context: OneProcess
    idle: bool = False
    task: _Task | None = None
    began: float = field(default_factory=time.monotonic)
    late: bool = False
    dead_since: float | None = None


class ProcessExecutor(Executor):
    """Processes that never share a fate: a worker that dies or hangs fails its own task and is replaced.

    Parameters
    ----------
    workers : int
        Number of processes; each is started when there is a task for it.
    payload : bytes
        Sent once to each process.
    install : callable
        Function of a module, called with `payload` in each process before its first task. An error
        that it raises is the outcome of every task of that process.
    timeout : float, optional
        Seconds that a task may take from when a worker begins it, `install` not counted.
    """

    def __init__(
        self, workers: int, payload: bytes, install: Callable[[bytes], Any], timeout: float | None = None
    ) -> None:
        self._workers, self._timeout = workers, timeout
        self._setup = pickle.dumps(install), payload
        self._nursery = Nursery()
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: deque[_Task] = deque()
        self._places: list[_Place] = []
        self._clearing: list[threading.Thread] = []
        self._unborn = 0  # processes in a row that died before they were ready
        self._gate = threading.Lock()
        self._closed = self._draining = self._stopped = self._succeeded = False
        self._thread = threading.Thread(target=self._serve, name="seamlabel-processes", daemon=True)
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers that live."""
        return self._nursery.pids()

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:  # type: ignore[override]
        """Queue a task: a function of a module, and arguments that are small.

        Raises
        ------
        RuntimeError
            After `shutdown`, as all executors do.
        """
        future: Future[Any] = Future()
        try:
            task = _Task(future, pickle.dumps((fn, args), pickle.HIGHEST_PROTOCOL))
        except Exception as error:  # noqa: BLE001 - objects raise what they like when pickled
            future.set_running_or_notify_cancel()
            future.set_exception(error)
            return future
        with self._gate:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._events.put(partial(self._waiting.append, task))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and end the workers.

        Parameters
        ----------
        wait : bool
            Return when all is done.
        cancel_futures : bool
            Drop the tasks that have not begun. With ``wait=False`` those that have begun fail too:
            every worker is killed before this returns.
        """
        kill = cancel_futures and not wait
        with self._gate:
            self._closed = True
            self._events.put(partial(self._close, cancel_futures, kill))
        if kill:
            self._nursery.kill()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

    # Everything below runs in the executor's own thread. Workers die when that thread does (see
    # `workers.die_with`), so it ends last.

    def _serve(self) -> None:
        watched = time.monotonic()
        try:
            while not self._stopped and (not self._draining or self._waiting or self._busy()):
                self._give()
                resting = not self._waiting and all(place.idle for place in self._places)
                with contextlib.suppress(Empty):
                    self._events.get(timeout=None if resting else WATCH_SECONDS)()
                if time.monotonic() - watched > WATCH_SECONDS:
                    self._watch()
                    watched = time.monotonic()
        finally:
            self._end()

    def _busy(self) -> bool:
        return any(place.task for place in self._places)

    def _close(self, cancel: bool, kill: bool) -> None:
        self._draining = True
        self._stopped = self._stopped or kill
        for task in list(self._waiting) if cancel else ():
            if task.future.cancel():
                task.future.set_running_or_notify_cancel()
                self._waiting.remove(task)

    def _give(self) -> None:
        """Give tasks to idle workers, and start as many workers as there are tasks left."""
        idle = [place for place in self._places if place.idle]
        while idle and self._waiting:
            task = self._waiting.popleft()
            if task.begin():
                self._hand(task, idle.pop())
        starting = sum(not place.idle and place.task is None for place in self._places)
        while starting < len(self._waiting) and len(self._places) < self._workers:
            self._recruit()
            starting += 1

    def _hand(self, task: _Task, place: _Place) -> None:
        place.idle, place.task, place.began = False, task, time.monotonic()
        place.late, place.dead_since = False, None
        try:
            outcome = place.pool.schedule(carry_out, args=(task.call,))
        except (OSError, RuntimeError):  # it died while idle
            self._bury(place)
            self._waiting.appendleft(task)
        else:
            outcome.add_done_callback(partial(self._report, place))

    def _recruit(self) -> None:
        from pebble import ProcessPool

        context = OneProcess(self._nursery)
        place = _Place(ProcessPool(max_workers=1, context=context), context)
        self._places.append(place)
        try:
            outcome = place.pool.schedule(prepare, args=self._setup)
        except (OSError, RuntimeError) as error:
            self._lose(place, WorkerError(f"no process could be started: {error.__cause__ or error}"))
        else:
            outcome.add_done_callback(partial(self._report, place))

    def _report(self, place: _Place, outcome: Future[Any]) -> None:
        """Tell this executor's thread; called in one of pebble's."""
        self._events.put(partial(self._ended, place, outcome))

    def _ended(self, place: _Place, outcome: Future[Any]) -> None:
        from pebble import ProcessExpired

        if place not in self._places:
            return
        error = outcome.exception()
        if isinstance(error, ProcessExpired):
            self._died(place, begun=True)
        elif isinstance(error, BrokenProcessPool):
            self._died(place, begun=False)
        elif error is not None:
            self._lose(place, error)
        else:
            task, place.task, place.idle = place.task, None, True
            self._unborn, self._succeeded = 0, True
            if task is not None:
                task.end(*opened(outcome.result()))

    def _died(self, place: _Place, *, begun: bool) -> None:
        """Fail the task of a dead process; one that it had not begun is given to another.

        pebble does not tell of a process that ends with 0: that can only have been the task's doing.
        """
        task, code = place.task, place.context.exit_code()
        if task is None or begun or place.late or code in (None, 0) or task.attempts == ATTEMPTS:
            self._lose(place, fate(code, self._timeout if place.late else None))
            return
        task.attempts += 1
        self._waiting.appendleft(task)
        self._bury(place)

    def _lose(self, place: _Place, error: BaseException) -> None:
        """Fail the task of a place; one that waits if, time and again, no worker becomes ready.

        All that wait fail if none ever was ready, lest every one of 10^5 tiles costs a process.
        """
        tasks = [place.task] if place.task else []
        self._bury(place)
        if not tasks:
            self._unborn += 1
            if self._unborn >= ATTEMPTS and self._waiting:
                many = 1 if self._succeeded else len(self._waiting)
                tasks = [self._waiting.popleft() for _ in range(many)]
        for task in tasks:
            task.end(None, error)

    def _bury(self, place: _Place) -> None:
        """Drop a worker; pebble takes a moment to end its threads, so that is not waited for."""
        self._places.remove(place)
        thread = threading.Thread(target=_clear, args=(place,), name="seamlabel-clearing", daemon=True)
        thread.start()
        self._clearing = [*(t for t in self._clearing if t.is_alive()), thread]

    def _watch(self) -> None:
        """Kill what takes too long, and find the dead of which pebble has not told."""
        now = time.monotonic()
        for place in [place for place in self._places if not place.idle]:
            if place.task and self._timeout is not None and now - place.began > self._timeout:
                place.late = True
                place.context.kill()
            if not place.context.alive():
                place.dead_since = place.dead_since or now
                if now - place.dead_since > LOST_SECONDS:
                    self._died(place, begun=True)

    def _end(self) -> None:
        """Leave nothing behind: no process, no thread, nobody who waits for a task."""
        with self._gate:
            self._closed = True
        self._nursery.kill()
        with contextlib.suppress(Empty):
            while True:
                self._events.get_nowait()()
        for task in [*self._waiting, *(place.task for place in self._places)]:
            if task is not None:
                task.end(None, WorkerError("the run was stopped"))
        self._waiting.clear()
        for place in list(self._places):
            self._bury(place)
        for thread in self._clearing:
            thread.join(CLEARING_SECONDS)


def _clear(place: _Place) -> None:
    place.context.kill()
    place.pool.stop()
    with contextlib.suppress(OSError, RuntimeError):
        place.pool.join()
