"""The way to a dask scheduler: whichever of its names a user gives, a client that answers, or a clear error.

Knows nothing of tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seamlabel import __version__
from seamlabel.engine.cluster_host import kill_tree
from seamlabel.errors import Problem, SpecError, WorkerError

CONNECT_SECONDS = 10.0
START_SECONDS = 60.0
CHECK_SECONDS = 10.0
CLOSE_SECONDS = 5.0


class Host:
    """A scheduler and workers of our own on this machine (`cluster_host`), in a process group of theirs.

    Parameters
    ----------
    workers : int
        Number of worker processes, of one thread each.
    """

    def __init__(self, workers: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="seamlabel-dask-")
        module = "seamlabel.engine.cluster_host"
        command = [sys.executable, "-P", "-m", module, str(workers), self._folder]
        # The workers import what this process can import, its script's neighbours included.
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        env = {**os.environ, "PYTHONPATH": path, "DASK_LOGGING__DISTRIBUTED": "critical"}
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env, **options)
        self._lock = threading.Lock()

    def address(self) -> str:
        """Return the scheduler's address, once it listens.

        Raises
        ------
        WorkerError
            If it does not within a minute.
        """
        assert self._process.stdout is not None
        alarm = threading.Timer(START_SECONDS, self.kill)
        alarm.start()
        line: bytes = self._process.stdout.readline()
        alarm.cancel()
        if not line:
            self.kill()
            raise WorkerError("the dask cluster of this machine did not start", "See the messages above")
        return line.decode().strip()

    def kill(self) -> None:
        """End the scheduler and the workers at once, whatever they do."""
        with self._lock:
            if self._process.returncode is None:  # not reaped: nobody else has its number
                kill_tree(self._process.pid)
                self._process.wait()
                shutil.rmtree(self._folder, ignore_errors=True)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


def _worth_saying(record: logging.LogRecord) -> bool:
    """Return False for what a client logs when it is closed while it looks for its lost scheduler."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and not record.getMessage().startswith("Failed to reconnect")


@dataclass(frozen=True)
class Link:
    """A client, and what of it must be ended with the run."""

    client: Any
    address: str
    ours: bool
    host: Host | None = None

    def close(self) -> None:
        """Close the client and end the workers, where they are ours."""
        try:
            if self.ours:
                logging.getLogger("distributed.client").addFilter(_worth_saying)
                with contextlib.suppress(OSError, TimeoutError, RuntimeError, AssertionError):
                    self.client.close(timeout=CLOSE_SECONDS)
        finally:
            if self.host is not None:
                self.host.kill()


def connect(scheduler: Any, workers: int) -> Link:
    """Return a client of the scheduler that was asked for.

    Parameters
    ----------
    scheduler : str, path, Client, cluster or None
        An address, a scheduler file, a client or a cluster of dask; None starts one on this machine.
    workers : int
        How many workers to start, where we start them.

    Raises
    ------
    SpecError
        If distributed is not installed, or nothing answers within 10 s.
    WorkerError
        If no cluster could be started on this machine.
    """
    if importlib.util.find_spec("distributed") is None:
        fix = "Install: pip install 'seamlabel[dask]'"
        raise SpecError([Problem("executor", "dask needs the package distributed", fix)])
    if scheduler is None:
        host = Host(workers)  # starts while this process imports distributed
        try:
            from distributed import Security

            address = host.address()
            client = _client(address, security=Security(require_encryption=False))
            return Link(client, address, ours=True, host=host)
        except BaseException:
            host.kill()
            raise
    from distributed import Client

    if isinstance(scheduler, Client):
        if scheduler.asynchronous or scheduler.status != "running":
            kind = "asynchronous" if scheduler.status == "running" else scheduler.status
            raise _unusable(f"the dask client is {kind}", "Give a client that is open and not asynchronous")
        return Link(scheduler, str(scheduler.scheduler.address), ours=False)
    if hasattr(scheduler, "scheduler_address"):
        address = str(scheduler.scheduler_address)
        return Link(_client(address, security=scheduler.security), address, ours=True)
    return _by_name(os.fspath(scheduler))


def _by_name(name: str) -> Link:
    if name.endswith(".json") or Path(name).is_file():
        if not Path(name).is_file():
            raise _unusable(f"there is no scheduler file {name}", "Start the scheduler with --scheduler-file")
        return Link(_client(name, scheduler_file=name), name, ours=True)
    return Link(_client(name), name, ours=True)


def _unusable(message: str, fix: str) -> SpecError:
    return SpecError([Problem("scheduler", message, fix)])


def _client(name: str, **options: Any) -> Any:
    from distributed import Client

    where = {} if "scheduler_file" in options else {"address": name}
    try:
        return Client(**where, **options, timeout=CONNECT_SECONDS, set_as_default=False, name="seamlabel")
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        message = f"no dask scheduler answers at {name} ({type(error).__name__}: {error})"
        fix = "Start one there (dask scheduler), or mend the address; for tls:// see docs/clusters.md"
        raise _unusable(message, fix) from error


def check_workers(client: Any) -> None:
    """Refuse a cluster whose workers have another version of seamlabel, or none.

    A worker that does not answer within 10 s is busy with something else, and judged by its first tile.

    Raises
    ------
    SpecError
        Naming the worker.
    """
    from seamlabel.engine.cluster_worker import version

    async def ask() -> dict[str, Any]:
        asked = client.run(version, on_error="return")
        answers = await asyncio.wait_for(asked, CHECK_SECONDS)
        return dict(answers)

    try:
        answers = client.sync(ask)
    except TimeoutError:
        return
    for address, answer in answers.items():
        if isinstance(answer, OSError):  # gone between two messages
            continue
        if answer != __version__:
            has = (
                f"seamlabel {answer}" if isinstance(answer, str) else f"no seamlabel {__version__} ({answer})"
            )
            fix = f"Install seamlabel {__version__} where the workers run"
            raise _unusable(f"the dask worker at {address} has {has}", fix)
