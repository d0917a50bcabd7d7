"""How many tasks are under way: the bounded queue before an executor, and what waits in it.

Knows executors and keys; nothing here knows what a task does.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import wait
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from seamlabel.engine.executors import SerialExecutor, ThreadExecutor
from seamlabel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator
    from concurrent.futures import Executor, Future

HEARTBEAT_SECONDS = 0.2
UNLIMITED = 1 << 30
EASED = 32
"""Tasks that have to go well before twice as many are under way again."""


class _Task(NamedTuple):
    """What is handed over; `begins` is False for what goes on with something that has begun."""

    key: Hashable
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    begins: bool = True


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
        self._urgent: deque[_Task] = deque()
        self._again: deque[_Task] = deque()
        self._under_way: dict[Future[Any], _Task] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()

    def add(self, key: Hashable, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Queue a task that goes on with one that ended, before all others; also where these are held."""
        self._urgent.append(_Task(key, fn, args, begins=False))

    def add_again(self, key: Hashable, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Queue a task that failed before all that `drain` was given."""
        self._again.append(_Task(key, fn, args))

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
        return [task.key for future, task in self._under_way.items() if future.running()]

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
        self,
        tasks: Iterator[tuple[Hashable, Callable[..., Any], tuple[Any, ...]]],
        hold: Callable[[], bool] | None = None,
    ) -> Iterator[tuple[Any, Future[Any]] | None]:
        """Carry out all tasks; yield (key, future) as they end, None after 0.2 s without an end.

        While `hold` returns true no task is begun, and those that wait in the executor are taken back.
        """
        while True:
            held = self._hand_over(tasks, hold)
            if not self._under_way and not held:
                return
            try:
                future = self._ended.get(timeout=HEARTBEAT_SECONDS)
            except Empty:
                yield None
            else:
                if future in self._under_way:  # else it was taken back
                    self._last = self._beside.pop(future)
                    yield self._under_way.pop(future).key, future
            if self._timeout is not None and time.monotonic() > self._next_look:
                self._next_look = time.monotonic() + HEARTBEAT_SECONDS
                self._give_up_overdue()

    def _hand_over(self, tasks: Iterator[Any], hold: Callable[[], bool] | None) -> bool:
        """Hand as many tasks to the executor as there is room for; return whether that is held."""
        while True:
            held = hold is not None and hold()
            if held:
                self._take_back()
            task = self._next(tasks, held) if self._room() > 0 else None
            if task is None:
                return held
            future = self._pool.submit(task.fn, *task.args)
            self._under_way[future] = task
            self._beside[future] = min(self._wanted(), self._most)
            future.add_done_callback(self._ended.put)

    def _next(self, tasks: Iterator[Any], held: bool) -> _Task | None:
        if self._urgent:
            return self._urgent.popleft()
        if held:
            return None
        if self._again:
            return self._again.popleft()
        task = next(tasks, None)
        return None if task is None else _Task(*task)

    def _take_back(self) -> None:
        """Have tasks that no worker has begun wait here instead of in the executor."""
        begin = [future for future, task in self._under_way.items() if task.begins]
        back = [future for future in begin if future.cancel()]
        self._again.extendleft([self._under_way.pop(future) for future in reversed(back)])
        for future in back:
            del self._beside[future]

    def _give_up_overdue(self) -> None:
        """Give up tasks on threads that take too long."""
        pool = self._threads[0]
        if not isinstance(pool, ThreadExecutor):
            return
        assert self._timeout is not None
        for future in pool.overdue(self._timeout):
            task = self._under_way.get(future)
            if task is not None and (self._disown is None or self._disown(task.key)):
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
        self._again.clear()
        begun = [future for future in self._under_way if not future.cancel()]
        wait(begun, seconds)


def too_long(seconds: float) -> WorkerError:
    """Return the error of a tile that exceeds its time."""
    return WorkerError(f"it took longer than {seconds:g} s", "Allow more time, or use smaller tiles")
