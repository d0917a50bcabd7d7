"""Stages of a run: events with heartbeats around a queue of tasks, and the paint stage itself.

Shared by a run and by a merge that is done again. Knows no tiles' states and no decisions.
"""

from __future__ import annotations

import os
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from seamlabel.engine.label_steps import composer_of
from seamlabel.engine.paint import PaintJob, paint_layout
from seamlabel.engine.tasks import HEARTBEAT_SECONDS
from seamlabel.events import Event, Heartbeat, Stage, StageFinished, StageStarted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from seamlabel.engine.table import ObjectTable
    from seamlabel.engine.tasks import TaskQueue
    from seamlabel.kernels.solution import Solution
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelSink, LabelStore

LONG_SECONDS = 10.0
"""Labels of a run that took longer are on the disk, not only in its cache, before they count."""
SETTLE_SECONDS = 0.25
"""How long a cancelled run waits for tasks under way; longer ones are left to end unheard."""


class Stages:
    """State between two events of whatever paints labels in the end.

    Parameters
    ----------
    plan : Plan
        What to do.
    store : LabelStore
        Staged tiles.
    sink : LabelSink
        Where labels go.
    queue : TaskQueue
        Where tasks run.
    stop : threading.Event
        Set when nothing more is to be begun.
    """

    def __init__(
        self, plan: Plan, store: LabelStore, sink: LabelSink, queue: TaskQueue, stop: threading.Event
    ) -> None:
        self.plan, self.store, self.sink, self.queue, self.stop = plan, store, sink, queue, stop
        self.done = 0
        self.table: ObjectTable | None = None
        self.n_objects = 0
        self.painting = False
        self.committed = False
        self.started = self.last_event = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self.started

    def close(self) -> None:
        """Let go of all work under way; take back labels that were not committed."""
        self.stop.set()
        self.queue.settle(SETTLE_SECONDS)
        if self.painting and not self.committed:
            self.sink.abort()

    def stage(self, stage: Stage, total: int, events: Iterator[Event | None]) -> Iterator[Event]:
        """Wrap a stage's events; None asks for a heartbeat where one is due."""
        start = time.perf_counter()
        yield StageStarted(self.done, total, stage)
        self.last_event = start
        for event in events:
            now = time.perf_counter()
            if event is None and now - self.last_event < 0.9 * HEARTBEAT_SECONDS:
                continue
            self.last_event = now
            yield event or Heartbeat(self.done, total, stage, self._running())
        yield StageFinished(self.done, total, stage, time.perf_counter() - start)

    def _running(self) -> tuple[int, ...]:
        return tuple(key[1] for key in self.queue.running() if key[0] == "tile")

    def paint(self, solution: Solution, allowed: Callable[[], None]) -> Iterator[Event]:
        """Write the final labels and their pyramid; make them visible unless `allowed` raises."""
        layout = paint_layout(self.sink.shapes, self.plan.joined)
        self.painting = True
        self.sink.begin(solution.dtype, layout.chunks, layout.blocks)
        composer = composer_of(self.plan, self.store, solution)
        job = PaintJob(composer, self.sink, layout, self.stop, self.plan.region)
        passes = layout.passes()
        self.done = 0
        total = sum(1 for levels in passes for _ in job.blocks(levels))
        measured = self.table.fill(composer, self.queue) if self.table else ()
        yield from self.stage("paint", total, chain(self._blocks(job, passes), measured, self._synced()))
        self.n_objects = composer.n_objects
        allowed()
        self.sink.commit()
        self.committed = True
        if self.table:
            self.table.hand_over()

    def _synced(self) -> Iterator[None]:
        if self.seconds > LONG_SECONDS and hasattr(os, "sync"):
            yield from self.queue.call(os.sync)

    def _blocks(self, job: PaintJob, passes: list[list[int]]) -> Iterator[Event | None]:
        for levels in passes:
            tasks: Iterator[Any] = (
                (("block", index), job.paint, (levels, index)) for index in job.blocks(levels)
            )
            for ended in self.queue.drain(tasks):
                if ended is not None:
                    ended[1].result()
                    self.done += 1
                yield None
