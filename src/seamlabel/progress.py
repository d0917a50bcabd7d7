"""A progress display that only listens to events: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from seamlabel.events import (
    Heartbeat,
    RunFinished,
    SeamsMerged,
    StageFinished,
    StageStarted,
    TileDone,
    TileFailed,
    TileSkipped,
    WorkersReduced,
)

if TYPE_CHECKING:
    from seamlabel.events import Event

TITLES = {"segment": "Segmenting", "merge": "Joining", "paint": "Writing"}
UNITS = {"segment": "tile", "merge": "step", "paint": "block"}
LOG_SECONDS = 60.0


class ProgressBar:
    """Shows a run's events; call it with each.

    Parameters
    ----------
    stream : text stream, optional
        Where to; stderr by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._bar: tqdm[None] | None = None
        self._objects = 0
        self._failed = 0
        self._title, self._next_line = "", 0.0

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, TileDone):
            self._objects += event.n_labels
        elif isinstance(event, SeamsMerged):
            self._objects -= len(event.joined)
        elif isinstance(event, WorkersReduced):
            at_once = f"{event.workers} tile{'s' * (event.workers != 1)} at a time from now on"
            self._print(f"memory ran out: at most {at_once} ({event.reason})")
        elif isinstance(event, TileFailed):
            self._failed += 1
            self._print(f"tile {event.tile} failed: {event.reason}")
        if isinstance(event, StageStarted) and event.stage != "merge":
            self._start(event)
        elif isinstance(event, StageFinished | RunFinished):
            self._end(event)
        elif isinstance(event, Heartbeat | TileDone | TileSkipped | TileFailed):
            self._move(event.done, event.total)

    def _start(self, event: StageStarted) -> None:
        self._title = TITLES[event.stage]
        self._next_line = time.monotonic() + LOG_SECONDS
        if self._terminal:
            self._bar = tqdm(
                total=event.total, initial=event.done, desc=self._title, unit=UNITS[event.stage],
                file=self._stream, leave=True, dynamic_ncols=True,
            )  # fmt: skip

    def _move(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._counts(), refresh=False)
            self._bar.update(done - self._bar.n)
        elif self._title and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LOG_SECONDS
            self._print(f"{self._title} {done:,} of {total:,}, {self._counts()}")

    def _counts(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._objects:,} objects{failed}"

    def _end(self, event: StageFinished | RunFinished) -> None:
        if self._bar is not None:
            if isinstance(event, StageFinished):
                self._move(event.done, event.total)
            self._bar.close()
            self._bar = None

    def _print(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the terminal in order, wherever the run stopped."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
