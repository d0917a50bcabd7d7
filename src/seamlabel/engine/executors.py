"""Where tasks run in this process: in the caller's thread, or in threads that can be given up.

Executors are `concurrent.futures.Executor`; nothing here knows what a task does.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable


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
