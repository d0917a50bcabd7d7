"""`RunWorker`: a run in a thread of its own, told to Qt as lists of events.

Every exception ends as a signal (napari's generator workers drop RuntimeErrors), and the run is
closed in the thread that iterates it. Knows nothing of widgets or layers.
"""

from __future__ import annotations

import traceback
from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from seamlabel.events import Heartbeat, RunStarted, StageStarted
from seamlabel.napari.run.priority import give_way

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from seamlabel.events import Event

INTERVAL = 0.1
"""Seconds from what one signal had drawn to the next signal, at least: each costs the window some work."""
DRAW_MS = 20
"""Milliseconds until the window has drawn what changed: Qt waits for 5 before it begins."""
PATIENCE = 1.0
"""Seconds that a run waits at most until the window has shown that it began."""


class RunWorker(QObject):
    """Iterates a run and reports it; holds, finishes or cancels it when asked.

    Parameters
    ----------
    start : callable
        Makes the generator of events; called in the thread.
    on_event : callable, optional
        Called with every event in the thread, before it is reported.
    interval : float
        Seconds between the end of what one signal caused and the next signal, at least.
    """

    events = Signal(list)
    """Events since the last signal, in order; however long the window was busy, one list tells all."""
    failed = Signal(object, str)
    """The exception that ended the run, and its traceback."""
    finished = Signal(bool)
    """The last signal of all; whether the run was cancelled."""
    _waiting = Signal()

    def __init__(
        self,
        start: Callable[[], Generator[Event, None, None]],
        on_event: Callable[[Event], None] | None = None,
        interval: float = INTERVAL,
    ) -> None:
        super().__init__()
        self._start = start
        self._on_event = on_event
        self._interval = interval
        self._cancel, self._finish, self._hold = Flag(), Flag(), Flag()
        self._batch: list[Event] = []
        self._lock = Lock()
        self._taken = Flag()
        self._taken.set()
        self._took = 0.0
        self._waiting.connect(self._take)
        self._thread = Thread(target=self._run, name="seamlabel-run")

    def start(self) -> None:
        """Begin the run."""
        self._thread.start()

    def hold(self) -> bool:
        """Return whether no tile is to be begun now; what the run is given to ask."""
        return self._hold.is_set()

    def pause(self, paused: bool) -> None:
        """Have no tile begun from now on, or go on; those under way are finished."""
        if paused or self._finish.is_set():
            self._hold.set()
        else:
            self._hold.clear()

    def finish(self) -> None:
        """Ask the run to stop once tiles under way are finished."""
        self._hold.set()
        self._finish.set()

    def cancel(self) -> None:
        """Ask the run to stop at once; `finished` tells when it has."""
        self._cancel.set()

    def stopping(self) -> bool:
        """Return whether the run was asked to stop at once."""
        return self._cancel.is_set()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the thread; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def look(self) -> None:
        """Tell what happened by now; for runs that may be silent for long, whose last event would wait."""
        if self._batch:
            self._take()

    def _run(self) -> None:
        give_way()
        try:
            self._iterate()
        except BaseException as error:  # noqa: BLE001  the border: nothing may vanish in a thread
            self._flush()
            self._tell("failed", error, traceback.format_exc())
        self._tell("finished", self._cancel.is_set())

    def _iterate(self) -> None:
        run = self._start()
        del self._start  # it may hold this worker, which is to go when nobody needs it any more
        try:
            for event in run:
                if self._on_event is not None:
                    self._on_event(event)
                with self._lock:
                    self._batch.append(event)
                if self._taken.is_set() and monotonic() - self._took >= self._interval:
                    self._flush()
                if isinstance(event, RunStarted):  # layers are added best before tiles take the cores
                    self._wait()
                    self._flush()
                    self._wait()
                if self._finish.is_set() and _can_end(event):
                    self._cancel.set()
                if self._cancel.is_set():
                    break
        finally:
            run.close()
        self._flush()

    def _wait(self) -> None:
        """Wait for the window to have shown what it was told."""
        end = monotonic() + PATIENCE
        while monotonic() < end and not self._cancel.is_set() and not self._taken.wait(0.05):
            pass

    def _flush(self) -> None:
        """Have the window take the events."""
        self._taken.clear()
        self._tell("_waiting")

    def _take(self) -> None:
        """Tell all events that wait; in the window's thread."""
        with self._lock:
            batch, self._batch = self._batch, []
        try:
            if batch:
                self.events.emit(batch)
        finally:
            QTimer.singleShot(DRAW_MS, self._drawn)

    def _drawn(self) -> None:
        self._took = monotonic()
        self._taken.set()

    def _tell(self, signal: str, *values: object) -> None:
        try:
            getattr(self, signal).emit(*values)
        except RuntimeError:  # the application, and with it this QObject, is gone already
            return


def _can_end(event: Event) -> bool:
    """Return whether a run can end here without losing a tile that is under way."""
    if isinstance(event, Heartbeat):
        return event.stage != "segment" or not event.running
    return isinstance(event, StageStarted) and event.stage != "segment"
