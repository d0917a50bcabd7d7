"""A worker: one process of its own, how it starts, and how it ends with its coordinator.

It does not know what a worker is told (see `calls`), nor of futures.

Processes are spawned, never forked: a fork copies the locks of Qt's and everybody else's threads in
whatever state they are in.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from io import TextIOWrapper
from multiprocessing import connection, parent_process, spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REAP_SECONDS = 0.25
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_patching = threading.Lock()


class Nursery:
    """All processes of one executor: it starts none after `kill`, and forgets those that ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = True
        self._processes: list[SpawnProcess] = []

    def start(self, process: SpawnProcess) -> None:
        """Start a process; OSError when closed."""
        with self._lock:
            if not self._open:
                raise OSError("the processes of this executor were stopped")
            _spawn(process)
            self._processes = [p for p in self._processes if p.exitcode is None]
            self._processes.append(process)

    def pids(self) -> list[int]:
        """Return the numbers of the processes that live."""
        with self._lock:
            return [p.pid for p in self._processes if p.pid is not None and p.exitcode is None]

    def kill(self) -> None:
        """End all processes at once, whatever they do, and reap them."""
        with self._lock:
            self._open = False
            for process in self._processes:
                process.kill()
            until = time.monotonic() + REAP_SECONDS
            for process in self._processes:
                process.join(max(0.0, until - time.monotonic()))


class _NoLock:
    """The lock of a pipe that has one process at its end.

    The real one is a named semaphore: it needs shared memory, which containers may lack, and is left
    behind, with a warning, if the coordinator is killed.
    """

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return True

    def release(self) -> None: ...


class OneProcess(SpawnContext):
    """A spawning context, as pebble's pool asks for, that starts one process and never another.

    A pool that has a single process and is dropped with it shares its pipe with nobody:
    a process that dies half-way through a message harms nobody else.
    """

    def __init__(self, nursery: Nursery) -> None:
        super().__init__()
        self._nursery = nursery
        self.worker: Worker | None = None

    def Process(self, **kwargs: Any) -> Worker:  # type: ignore[override]  # noqa: D102 - pebble calls it so
        return Worker(self, **kwargs)

    def RLock(self) -> _NoLock:  # type: ignore[override]  # noqa: D102 - as above
        return _NoLock()

    def start(self, worker: Worker) -> None:
        """Start the process, the first time."""
        if self.worker is not None:
            raise OSError("the process of this pool has ended")
        self._nursery.start(worker)
        self.worker = worker

    def alive(self) -> bool:
        """Whether the process was started, and has not ended."""
        return self.worker is not None and self.worker.is_alive()

    def exit_code(self) -> int | None:
        """Return how a dead process ended, None if that cannot be known."""
        if self.worker is None:
            return None
        self.worker.join(REAP_SECONDS)
        return self.worker.exitcode

    def kill(self) -> None:
        """End the process, whatever it does."""
        if self.worker is not None:
            self.worker.kill()


class Worker(SpawnProcess):
    """A spawned process that dies with its parent, is deaf to Ctrl-C and does not import `__main__`."""

    def __init__(self, context: OneProcess, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._context: OneProcess | None = context
        self._coordinator = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the coordinator."""
        return {**self.__dict__, "_context": None}

    def start(self) -> None:
        """Start the process, unless the executor was stopped."""
        assert self._context is not None
        self._context.start(self)

    def terminate(self) -> None:
        """Kill: a process that hangs in C never sees a polite signal."""
        self.kill()

    def run(self) -> None:
        """Do what the pool wants, in the new process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        die_with(self._coordinator)
        with contextlib.suppress(OSError):  # a windowed program on Windows has no standard error
            os.dup2(2, 1)  # what tiles print is not the run's answer, such as events in JSON
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(line_buffering=True)  # a worker that is killed flushes nothing
        super().run()


def _spawn(process: SpawnProcess) -> None:
    """Start a process with Ctrl-C blocked: it goes to the whole group, and would end it in an import."""
    with without_main(), contextlib.ExitStack() as after:
        if sys.platform != "win32":
            from multiprocessing import resource_tracker

            with _unwarned():
                resource_tracker.ensure_running()  # it unblocks the signal if it has to start first
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            after.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        SpawnProcess.start(process)


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Have the tracker of semaphores tidy up in silence, if it starts now.

    Libraries make some when they are imported, and a worker that is killed leaves those behind.
    """
    name = "PYTHONWARNINGS"
    before = os.environ.get(name)
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ[name] = f"{before},{quiet}" if before else quiet
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Keep processes that this thread spawns from importing the script that runs.

    A script without ``if __name__ == "__main__"`` would run once more in every worker. multiprocessing
    has no switch for it, so the function that says what a child imports is replaced meanwhile; what
    other threads spawn is left as it is.
    """
    thread = threading.get_ident()
    with _patching:
        original = spawn.get_preparation_data

        def preparation(name: str) -> dict[str, Any]:
            data: dict[str, Any] = original(name)
            if threading.get_ident() == thread:
                data.pop("init_main_from_name", None)
                data.pop("init_main_from_path", None)
            return data

        spawn.get_preparation_data = preparation
        try:
            yield
        finally:
            spawn.get_preparation_data = original


def die_with(coordinator: int) -> None:
    """End this process when the coordinator ends, even if it is killed.

    On Linux the kernel does it, also while a task hangs in C. The signal comes when the *thread* that
    spawned this process ends, so that thread has to live as long as the worker may.

    Parameters
    ----------
    coordinator : int
        Process number of the parent.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != coordinator:  # it ended before the kernel was asked
            os._exit(1)
    else:
        threading.Thread(target=_watch_parent, name="seamlabel-parent", daemon=True).start()


def _watch_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
