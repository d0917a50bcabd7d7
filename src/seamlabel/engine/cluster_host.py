"""A process that holds a dask scheduler and its workers on this machine, for one run.

Run as ``python -m seamlabel.engine.cluster_host WORKERS FOLDER``; prints the scheduler's address, and
ends, with all that it started, when its standard input ends. In a process of its own the scheduler shares
no interpreter with the run or a viewer, a script needs no ``__main__`` guard, and one signal ends
everything. Knows nothing of tiles.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from typing import Any

NO_WORKER_SECONDS = 60.0
GIVEN_UP_SECONDS = 2.0

# 127.0.0.1 for dask's web server too, which listens to everybody else
LOCAL: dict[str, Any] = {"host": "127.0.0.1", "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}

CONFIG: dict[str, Any] = {
    # seamlabel plans memory itself: dask must not pause or kill tiles
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # a tile that keeps the interpreter's lock for long is slow, not lost
    "distributed.scheduler.worker-ttl": None,
    "distributed.comm.require-encryption": False,  # nothing leaves this machine
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.admin.low-level-log-length": 100,
}


def kill_tree(pid: int) -> None:
    """Kill a process that leads a group and all that it started, whatever they do."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS: EPERM when only zombies are left
            return
        return
    import psutil

    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]  # the parent first: it would start workers anew
    except psutil.NoSuchProcess:
        return
    for process in family[::-1] if pid == os.getpid() else family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main(workers: int, folder: str) -> None:
    """Hold a cluster of so many workers, with scratch space in a folder, until standard input ends."""
    answer = os.dup(1)
    with contextlib.suppress(OSError):  # a windowed program on Windows has no standard error
        os.dup2(2, 1)  # what tiles print is not an answer
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    import dask

    dask.config.set({**CONFIG, "temporary-directory": folder})
    asyncio.run(_hold(workers, answer))
    _end(folder)


async def _hold(workers: int, answer: int) -> None:
    """Start a scheduler, tell its address, and keep workers; dask's LocalCluster can lose some for good."""
    from distributed import Scheduler

    async with Scheduler(port=0, dashboard=False, **LOCAL) as scheduler:
        os.write(answer, f"{scheduler.address}\n".encode())
        os.close(answer)
        parent, seen = os.getppid(), time.monotonic()
        for name in range(workers):
            asyncio.create_task(_keep(scheduler.address, name))  # noqa: RUF006 - ends with the process
        while os.getppid() == parent and time.monotonic() - seen < NO_WORKER_SECONDS:
            if scheduler.workers:
                seen = time.monotonic()
            await asyncio.sleep(1)


async def _keep(address: str, name: int) -> None:
    """Keep one worker: its nanny restarts it, and is itself replaced where it gave up.

    A nanny does when its worker is killed while it starts.
    """
    from distributed import Nanny

    while True:
        nanny: Any = Nanny(address, name=name, nthreads=1, memory_limit=0, dashboard=False, **LOCAL)
        try:
            await nanny
            alive = time.monotonic()
            while time.monotonic() - alive < GIVEN_UP_SECONDS:
                if nanny.is_alive():
                    alive = time.monotonic()
                await asyncio.sleep(0.2)
        except Exception:  # noqa: BLE001 - whatever became of it, another takes its place
            await asyncio.sleep(1)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(nanny.close(), GIVEN_UP_SECONDS)


def _end_with_parent(folder: str) -> None:
    while os.read(0, 1024):
        pass
    _end(folder)


def _end(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    kill_tree(os.getpid())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
