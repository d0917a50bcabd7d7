"""Where tasks run, and how many are under way: executors and the bounded queue before them.

Executors are `concurrent.futures.Executor`; nothing here knows what a task does.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SpecError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator

HEARTBEAT_SECONDS = 0.2
UNLIMITED = 1 << 30
EASED = 32
"""Tasks that have to go well before twice as many are under way again."""


class SerialExecutor(Executor):
    """Runs every task at once in the caller's thread; for debugging and tests."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the task; the future that is returned is done."""
        future: Future[Any] = Future()
        _carry_out(future, fn, args, kwargs)
        return future


class ThreadExecutor(Executor):
    """Threads that never keep the process alive.

    The standard pool joins its threads when the interpreter ends, so that one tile of ten minutes
    would hold a closed viewer for ten minutes.

    Parameters
    ----------
    workers : int
        Number of threads.
    """

    def __init__(self, workers: int) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[..., Any], Any, Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._begun: dict[Future[Any], tuple[float, threading.Thread]] = {}
        self._gone: set[threading.Thread] = set()
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        name = f"seamlabel-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a task."""
        future: Future[Any] = Future()
        self._tasks.put((future, fn, args, kwargs))
        return future

    def _work(self) -> None:
        thread = threading.current_thread()
        while thread not in self._gone and (task := self._tasks.get()) is not None:
            future, fn, args, kwargs = task
            if future.set_running_or_notify_cancel():
                self._begun[future] = time.monotonic(), thread
                _carry_out(future, fn, args, kwargs)
                self._begun.pop(future, None)
            del task, future, fn, args, kwargs  # hold no pixels while waiting

    def overdue(self, seconds: float) -> list[Future[Any]]:
        """Return the tasks that have been worked on for longer."""
        now = time.monotonic()
        return [future for future, (start, _) in list(self._begun.items()) if now - start > seconds]

    def abandon(self, future: Future[Any], error: BaseException) -> None:
        """Give a task up: it fails with this error, and another thread takes the place of its own.

        A thread cannot be ended: it goes on unheard until its task returns.
        """
        begun = self._begun.pop(future, None)
        if begun is not None:
            self._gone.add(begun[1])
            self._threads.remove(begun[1])
            self._start()
        with suppress(InvalidStateError):
            future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they are idle; with `cancel_futures` drop what is queued."""
        while cancel_futures:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is not None:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()


def make_executor(kind: str, workers: int, factory: Any = None) -> Executor:
    """Return an executor: the one that `factory` makes, else the one named.

    Raises
    ------
    SpecError
        If `factory` is an executor itself, or makes one of processes.
    """
    if factory is None:
        return SerialExecutor() if kind == "serial" else ThreadExecutor(workers)
    pool = factory() if callable(factory) else None
    if not isinstance(pool, Executor):
        fix = "Give a function that makes an executor: lambda: ThreadPoolExecutor(4)"
        raise SpecError([Problem("executor", f"{type(factory).__name__} cannot be called", fix)])
    if isinstance(pool, ProcessPoolExecutor):
        raise SpecError([Problem("executor", "tiles cannot be handed to processes", "Make one of threads")])
    return pool


def _carry_out(future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - a future hands on whatever a task raises
        with suppress(InvalidStateError):  # it was given up
            future.set_exception(error)
    else:
        with suppress(InvalidStateError):
            future.set_result(result)


class TaskQueue:
    """Hands tasks to an executor, never more than `limit` at once, and yields them when done.

    Parameters
    ----------
    pool : Executor
        Where tasks run; one that has a number `in_flight` says itself how many it wants.
    limit : int
        Tasks handed over and not yet finished.
    """

    def __init__(self, pool: Executor, limit: int) -> None:
        self._pool, self._limit = pool, limit
        self._threads = pool, limit
        self._timeout: float | None = None
        self._disown: Callable[[Any], bool] | None = None
        self._most, self._next_look, self._well = UNLIMITED, 0.0, 0
        self._beside: dict[Future[Any], int] = {}
        self._last = UNLIMITED
        self._urgent: deque[tuple[Hashable, Callable[..., Any], tuple[Any, ...]]] = deque()
        self._under_way: dict[Future[Any], Any] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()

    def add(self, key: Hashable, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Queue a task before all that `drain` was given."""
        self._urgent.append((key, fn, args))

    @property
    def here(self) -> bool:
        """Whether tasks run in the caller's thread."""
        return isinstance(self._pool, SerialExecutor)

    def run_here(self, here: bool) -> None:
        """Run what comes in the caller's thread, or hand it to the executor again.

        Tasks of a millisecond or two spend longer on passing the interpreter's lock between threads.
        An executor that is not of this module is always used, and so are threads that are timed.
        """
        if isinstance(self._threads[0], ThreadExecutor) and not self._timeout:
            self._pool, self._limit = (SerialExecutor(), 1) if here else self._threads

    def time(self, seconds: float | None, disown: Callable[[Any], bool]) -> None:
        """Give up tasks on threads that take longer; `disown(key)` is False where it is too late for that."""
        self._timeout, self._disown = seconds, disown

    def running(self) -> list[Any]:
        """Return the keys of the tasks that are being worked on."""
        return [key for future, key in self._under_way.items() if future.running()]

    def narrow(self) -> int:
        """Have fewer tasks under way from now on, as the one that `drain` gave last ran out of memory.

        Several that ran out of it together are answered once.

        Returns
        -------
        int
            How many; 0 if that task was alone, so that fewer will not help it.
        """
        if self._last <= 1:
            return 0
        if self._last <= self._most:
            workers = (self._wanted() + 1) // 2  # the others wait
            self._most, self._well = max(1, min(self._last, workers, len(self._under_way) + 1) // 2), 0
        return self._most

    def eased(self) -> None:
        """Take note of a task that went well: after some of them twice as many are tried again."""
        if self._most < UNLIMITED:
            self._well += 1
            if self._well >= EASED:
                self._well, self._most = 0, 2 * self._most
                if self._most >= self._wanted():
                    self._most = UNLIMITED

    def widen(self) -> None:
        """Have as many tasks under way as at first: others follow, that need little memory."""
        self._most = UNLIMITED

    def _wanted(self) -> int:
        wanted: int = getattr(self._pool, "in_flight", self._limit)
        return wanted

    def _room(self) -> int:
        return min(self._wanted(), self._most) - len(self._under_way)

    def drain(
        self, tasks: Iterator[tuple[Hashable, Callable[..., Any], tuple[Any, ...]]]
    ) -> Iterator[tuple[Any, Future[Any]] | None]:
        """Carry out all tasks; yield (key, future) as they end, None after 0.2 s without an end."""
        while True:
            while self._room() > 0:
                task = self._urgent.popleft() if self._urgent else next(tasks, None)
                if task is None:
                    break
                key, fn, args = task
                future = self._pool.submit(fn, *args)
                self._under_way[future] = key
                self._beside[future] = min(self._wanted(), self._most)
                future.add_done_callback(self._ended.put)
            if not self._under_way:
                return
            try:
                future = self._ended.get(timeout=HEARTBEAT_SECONDS)
            except Empty:
                yield None
            else:
                self._last = self._beside.pop(future)
                yield self._under_way.pop(future), future
            if self._timeout is not None and time.monotonic() > self._next_look:
                self._next_look = time.monotonic() + HEARTBEAT_SECONDS
                self._give_up_overdue()

    def _give_up_overdue(self) -> None:
        """Give up tasks on threads that take too long."""
        pool = self._threads[0]
        if not isinstance(pool, ThreadExecutor):
            return
        assert self._timeout is not None
        for future in pool.overdue(self._timeout):
            key = self._under_way.get(future)
            if key is not None and (self._disown is None or self._disown(key)):
                pool.abandon(future, too_long(self._timeout))

    def call(self, fn: Callable[..., Any], *args: Any) -> Generator[None, None, Any]:
        """Return what a function returns; yields every 0.2 s until then."""
        found = None
        for ended in self.drain(iter([(("call",), fn, args)])):
            if ended is None:
                yield
            else:
                found = ended[1].result()
        return found

    def settle(self, seconds: float) -> None:
        """Drop what has not begun, and wait at most so long for what has."""
        self._urgent.clear()
        begun = [future for future in self._under_way if not future.cancel()]
        wait(begun, seconds)


def too_long(seconds: float) -> WorkerError:
    """Return the error of a tile that exceeds its time."""
    return WorkerError(f"it took longer than {seconds:g} s", "Allow more time, or use smaller tiles")
