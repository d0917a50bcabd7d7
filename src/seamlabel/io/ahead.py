"""Boxes loaded ahead of need by a thread of its own; knows boxes only, not what loading them means."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.geometry import Box


class ReadAhead:
    """Loads boxes one after another; its daemon thread lives only while there are any.

    Parameters
    ----------
    load : callable
        ``load(box)``; what it raises is dropped, as whoever needs the box will meet it again.
    """

    def __init__(self, load: Callable[[Box], None]) -> None:
        self._load = load
        self._wanted: dict[Box, None] = {}
        self._running = self._closed = False
        self._lock = Lock()

    def ask(self, box: Box) -> None:
        """Have a box loaded after those asked for before."""
        with self._lock:
            if self._closed:
                return
            self._wanted[box] = None
            if not self._running:
                self._running = True
                Thread(target=self._work, name="seamlabel-read-ahead", daemon=True).start()

    def forget(self, box: Box) -> None:
        """Do not load a box that is still waiting: somebody reads it now."""
        with self._lock:
            self._wanted.pop(box, None)

    def close(self) -> None:
        """Load no more; the thread ends after the box that it is at."""
        with self._lock:
            self._closed = True
            self._wanted.clear()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._running = False
                    return
                box = next(iter(self._wanted))
                del self._wanted[box]
            with suppress(Exception):
                self._load(box)
