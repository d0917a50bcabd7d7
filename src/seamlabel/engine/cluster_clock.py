"""The time-out of tasks on a dask cluster, counted from when a worker begins one.

Knows of workers that hang and how to restart them; nothing of results.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from seamlabel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

CANCEL_SECONDS = 0.05


class Clock:
    """Hears that tasks begin, ends those that take too long, and restarts their workers.

    Parameters
    ----------
    client : Client
        Of the cluster.
    topic : str
        Under which workers tell that a task begins.
    seconds : float
        How long a task may take.
    here : bool
        Whether the workers are processes of our own on this machine.
    expire : callable
        Given a task's key and an error, fails the task and drops it from the cluster; returns False
        where the task has ended.
    """

    def __init__(
        self, client: Any, topic: str, seconds: float, here: bool, expire: Callable[[str, WorkerError], bool]
    ) -> None:
        self._client, self._topic, self._seconds = client, topic, seconds
        self._here, self._expire = here, expire
        self._begun: dict[str, asyncio.TimerHandle] = {}
        self._late: set[str] = set()
        client.subscribe_topic(topic, self._on_begin)

    def has_begun(self, key: str) -> bool:
        """Return whether a worker has begun the task."""
        return key in self._begun

    def stop(self, key: str) -> None:
        """Forget a task that has ended."""
        timer = self._begun.pop(key, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Listen no longer."""
        self._client.unsubscribe_topic(self._topic)

    async def _on_begin(self, event: tuple[float, dict[str, Any]]) -> None:
        """Start the clock of a task that a worker begins, or begins again after another worker died."""
        message = event[1]
        key = message["key"]
        if key in self._late:  # dask gave it to another worker before it heard that it was dropped
            asyncio.ensure_future(self._restart(message))  # noqa: RUF006 - nobody waits for it
            return
        self.stop(key)
        self._begun[key] = asyncio.get_running_loop().call_later(
            self._seconds, lambda: asyncio.ensure_future(self._on_timeout(message))
        )

    async def _on_timeout(self, message: dict[str, Any]) -> None:
        with suppress(OSError):
            if message["worker"] not in await self._client.nthreads():
                return  # it died: the task begins again elsewhere
        hint = "Allow more time, or make the tiles smaller"
        if not message["nanny"]:
            hint += ". That worker has no nanny to restart it: start workers without --no-nanny"
        if not self._expire(message["key"], WorkerError(f"took longer than {self._seconds:g} s", hint)):
            self.stop(message["key"])
            return
        self._late.add(message["key"])
        await asyncio.sleep(CANCEL_SECONDS)  # dask forgets the task first, and gives it to no other worker
        await self._restart(message)

    async def _restart(self, message: dict[str, Any]) -> None:
        """Have a worker that hangs killed and started again; dask moves its other tasks."""
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            if self._here:
                psutil.Process(message["pid"]).kill()
            elif message["nanny"]:
                await self._client.restart_workers([message["worker"]], raise_for_error=False)
