"""What happens on a dask worker: the run's job is made once, tasks are carried out and packed as bytes.

Imports distributed, so that only `cluster` imports it, and late. Knows nothing of the client.
"""

from __future__ import annotations

import os
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import cloudpickle
from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.utils import sync

from seamlabel import __version__
from seamlabel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

TELL_SECONDS = 5.0


class Payload(WorkerPlugin):  # type: ignore[misc]
    """Brings what a run needs to every worker, those that join later included.

    Parameters
    ----------
    payload : bytes
        What `install` turns into the job.
    install : callable
        Called before the first task of a worker.
    tell : bool
        Whether tasks tell when they begin.
    """

    def __init__(self, payload: bytes, install: Callable[[bytes], Any], tell: bool) -> None:
        self.payload, self.install, self.tell = payload, install, tell
        self.version = __version__
        self._job: list[Any] = []

    def setup(self, worker: Any) -> None:
        """Begin to serve a worker; makes nothing yet, so that a worker always joins quickly."""
        self._lock = threading.Lock()

    def job(self) -> Any:
        """Return what `install` made of the payload, the same for all tasks of the worker.

        Raises
        ------
        WorkerError
            If the worker has another version of seamlabel.
        """
        with self._lock:
            if self.version != __version__:
                message = f"a dask worker has seamlabel {__version__}, the run was started by {self.version}"
                raise WorkerError(message, "Install the same version on all machines", fatal=True)
            if not self._job:
                self._job.append(self.install(self.payload))
            return self._job[0]


def version() -> str:
    """Return the version of seamlabel that this process has."""
    return __version__


def carry_out(run: str, key: str, task: bytes) -> bytes:
    """Carry a task out; return (True, result, "") or (False, error, traceback), pickled.

    Errors travel as results: dask neither retries them nor has to unpickle them.
    """
    try:
        worker = get_worker()
        plugin = worker.plugins.get(run)
        if plugin is None:
            message = (
                "the dask worker does not know this run: the scheduler was restarted, or the run has ended"
            )
            raise WorkerError(message, "Resume the run", fatal=True)
        fn, args, kwargs = cloudpickle.loads(task)
        job = plugin.job()
        if plugin.tell:
            _tell(worker, run, key)
        return cloudpickle.dumps((True, fn(job, *args, **kwargs), ""))  # type: ignore[no-any-return]
    except BaseException as error:  # noqa: BLE001 - SystemExit would end the worker and its other tiles
        return _packed(error)


def _tell(worker: Any, run: str, key: str) -> None:
    """Tell the client that a task begins, and wait until the scheduler knows.

    A tile may hold the interpreter's lock from its first line on, and then nothing is sent any more.
    """
    message = {"key": key, "worker": worker.address, "pid": os.getpid(), "nanny": bool(worker.nanny)}
    with suppress(OSError, TimeoutError):
        sync(worker.loop, worker.scheduler.log_event, topic=run, msg=message, callback_timeout=TELL_SECONDS)


def _packed(error: BaseException) -> bytes:
    try:
        trace = "".join(traceback.format_exception(error))
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error that cannot even be printed
        trace, text = "", type(error).__name__
    with suppress(Exception):
        packed: bytes = cloudpickle.dumps((False, error, trace))
        if str(cloudpickle.loads(packed)[1]) == str(error):
            return packed
    return cloudpickle.dumps((False, WorkerError(text), trace))  # type: ignore[no-any-return]
