"""How far a run is, as a fraction and a line of text. Pure: events and times in, words out."""

from __future__ import annotations

from collections import Counter, deque
from statistics import median
from typing import TYPE_CHECKING, Literal

from seamlabel.events import (
    Event,
    Heartbeat,
    RunFinished,
    RunStarted,
    SeamsMerged,
    Stage,
    StageStarted,
    TileDone,
    TileFailed,
    TileSkipped,
    WorkersReduced,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Wish = Literal["go", "pause", "cancel"]
"""What the user wants of a run under way."""
LEAST = 3
"""Tiles before a time is guessed from them."""
WINDOW = 24
"""Batches of tiles that the guess is made from: late ones tell more than early ones."""
SHARES: dict[Stage, tuple[float, float]] = {
    "segment": (0.0, 0.85),
    "merge": (0.85, 0.9),
    "paint": (0.9, 1.0),
}
"""Where each stage lies on the bar."""


class Progress:
    """Sums up the events of one run.

    A run that goes on tells first of tiles that are done; they took no time of this one.

    Parameters
    ----------
    workers : int
        Tiles at once; no time is guessed before so many are done.
    passes : sequence of (list of int, int)
        Levels that every pass over the labels writes, and in how many blocks.
    """

    def __init__(self, workers: int = 1, passes: Sequence[tuple[list[int], int]] = ()) -> None:
        self.wish: Wish = "go"
        self.running: tuple[int, ...] = ()
        """Tiles that were being worked on when that was told last."""
        self._heard = True
        self._passes = passes
        self.began = False
        """Whether tiles are segmented by now."""
        self.workers = 0
        """Tiles at once since memory ran out; 0 if it did not."""
        self.stage: Stage | None = None
        self.done = self.total = self.objects = 0
        self.states: Counter[str] = Counter()
        self.failures: dict[int, tuple[str, str]] = {}
        self.result: RunFinished | None = None
        self._least = max(LEAST, workers)
        self._batches: deque[tuple[float, int]] = deque(maxlen=WINDOW + 1)

    def accept(self, event: Event, now: float) -> None:
        """Take in an event that came at `now`, in seconds of a steady clock."""
        if isinstance(event, StageStarted):
            self._batches.clear()
            self._batches.append((now, 0))
            self.began = True
        if isinstance(event, StageStarted | Heartbeat):
            self.stage = event.stage
            self.running = event.running if isinstance(event, Heartbeat) else ()
            self._heard = True
        elif isinstance(event, TileDone | TileSkipped | TileFailed):
            self._tile(event)
        elif isinstance(event, SeamsMerged):
            self.objects -= len(event.joined)
        elif isinstance(event, RunFinished):
            self.result = event
        elif isinstance(event, WorkersReduced):
            self.workers = event.workers
        if isinstance(event, TileDone | TileFailed):
            self._count(now)
        if isinstance(event, RunStarted | StageStarted | Heartbeat | TileDone | TileSkipped | TileFailed):
            self.done, self.total = event.done, event.total

    def _tile(self, event: TileDone | TileSkipped | TileFailed) -> None:
        if isinstance(event, TileDone):
            self.states["done"] += 1
            self.objects += event.n_labels
        elif isinstance(event, TileSkipped):
            self.states["empty"] += 1
        else:
            self.states["failed"] += 1
            self.failures[event.tile] = (event.reason, event.detail)

    def ask(self, wish: Wish, now: float) -> None:
        """Take in what the user wants; a time without work tells nothing of the pace."""
        if self.wish == "pause" and self._batches:
            self._batches.clear()
            self._batches.append((now, 0))
        self.wish, self._heard = wish, False

    @property
    def paused(self) -> bool:
        """Whether nothing is worked on because the user wants so."""
        return self.wish == "pause" and self.stage == "segment" and self._heard and not self.running

    def _count(self, now: float) -> None:
        """Count a tile; many come in one batch, at one time."""
        if self._batches and self._batches[-1][0] == now:
            self._batches[-1] = (now, self._batches[-1][1] + 1)
        else:
            self._batches.append((now, 1))

    @property
    def seconds_per_tile(self) -> float | None:
        """Median over the last batches; None before 3 tiles, or as many as run at once.

        Tiles that run at once end together, so that every time is taken over as many as that.
        """
        paces, batches = [], list(self._batches)
        for last in range(len(batches) - 1, 0, -1):
            tiles, first = 0, last
            while first and tiles < self._least:
                tiles, first = tiles + batches[first][1], first - 1
            if tiles < self._least:
                break
            paces.append((batches[last][0] - batches[first][0]) / tiles)
        return median(paces) if paces else None

    @property
    def fraction(self) -> float:
        """Position on the bar, 0 to 1."""
        if self.stage is None:
            return 0.0
        low, high = SHARES[self.stage]
        return low + (high - low) * (self.done / self.total if self.total else 0.0)

    def text(self) -> str:
        """Return the line beside the bar."""
        if self.wish == "cancel":
            return self._cancelling()
        if self.stage is None:
            return f"Reading {many(self.done, 'finished tile')}" if self.done else "Starting"
        if not self.began:
            return "Looking at finished tiles" if not self.done else f"{many(self.done, 'tile')} are done"
        if self.stage == "merge":
            return "Joining objects across seams"
        if self.stage == "paint":
            return f"Writing {self._level()}{100 * self.done // max(1, self.total)} %"
        if self.wish == "pause":
            after = f" after {many(len(self.running), 'tile')}" if self.running else ""
            return f"Paused at {self.done:,}/{self.total:,}" if self.paused else f"Pausing{after}…"
        return " · ".join(
            [
                f"Segmenting {self.done:,}/{self.total:,}",
                *self._pace(),
                many(max(0, self.objects), "object"),
            ]
        )

    def _cancelling(self) -> str:
        if self.stage == "segment" and self.running:
            return f"Cancelling after {many(len(self.running), 'tile')}… press again to stop at once"
        return "Cancelling…"

    def _level(self) -> str:
        """Return which of the levels are written, where there are several."""
        blocks = 0
        for levels, count in self._passes:
            blocks += count
            if self.done < blocks or levels is self._passes[-1][0]:
                n_levels = self._passes[-1][0][-1] + 1
                if n_levels == 1:
                    return ""
                if len(levels) == 1:
                    return f"level {levels[0] + 1}/{n_levels} · "
                if len(levels) == n_levels:
                    return f"{n_levels} levels · "
                return f"levels {levels[0] + 1} to {levels[-1] + 1} of {n_levels} · "
        return ""

    def _pace(self) -> list[str]:
        each = self.seconds_per_tile
        if each is None:
            return ["– left"]
        left = f"{duration(each * (self.total - self.done))} left"
        if each <= 0:
            return [left]
        return [f"{1 / each:.1f} tiles/s" if each < 2 else f"{duration(each)} per tile", left]


def duration(seconds: float) -> str:
    """Return a time for people: ``"0.4 s"``, ``"11 s"``, ``"1 min 12 s"``, ``"2 h 05 min"``."""
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def summary(progress: Progress) -> str:
    """Return the line that tells the result of a finished run."""
    result = progress.result
    if result is None:
        return ""
    tiles = f"{many(progress.states['done'], 'tile')} done"
    rest = f"{progress.states['empty']:,} empty, {progress.states['failed']:,} failed"
    parts = [f"{tiles}, {rest}", duration(result.seconds)]
    if not result.failed:
        objects = many(result.n_objects, "object")
        parts = [objects, f"{result.n_joined:,} joined across seams", *parts]
    return " · ".join(parts)


def many(number: int, noun: str) -> str:
    """Return a number with its noun: ``"1 tile"``, ``"1,024 tiles"``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shorten(reason: str, longest: int = 120) -> str:
    """Return the first line of a reason, cut if it is long."""
    line = reason.strip().split("\n")[0]
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
