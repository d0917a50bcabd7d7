"""`Telling`: what run bar, log and activity dock say of a run while it goes. `Ending` has the rest.

Knows events and plan of the run; not how it is carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamlabel.events import Event, RunStarted, StageStarted, TileFailed, WorkersReduced
from seamlabel.napari.run.activity import Activity
from seamlabel.napari.run.progress import Progress, many

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.plan import Plan

STAGES = {"merge": "Joining objects across seams", "paint": "Writing labels"}
"""What the log says of stages that begin."""
DOING = {"segment": "segmenting", "merge": "joining", "paint": "writing"}
"""What the activity dock says of them."""


class Telling:
    """Tells of one run at a time.

    Parameters
    ----------
    bar : RunBar
        Where progress and log are shown.
    cancel : callable
        What Cancel in the activity dock does.
    """

    def __init__(self, bar: RunBar, cancel: Callable[[], None]) -> None:
        self._bar = bar
        self.activity = Activity(bar, cancel)
        self._plan: Plan | None = None
        self._progress = Progress()
        self._segments = self._was_paused = False

    def begin(self, plan: Plan, progress: Progress, segments: bool) -> None:
        """Say that a run has begun.

        Parameters
        ----------
        plan, progress : Plan, Progress
            The run.
        segments : bool
            Whether tiles are segmented; else they are only shown, or merged again.
        """
        self._plan, self._progress, self._segments, self._was_paused = plan, progress, segments, False
        self._bar.begin()
        self.activity.begin(plan.spec.name, len(plan.grid), self._loss)

    def note(self, events: list[Event]) -> None:
        """Write down in the log what is worth it."""
        log, plan = self._bar.log, self._plan
        assert plan is not None
        for event in events:
            if isinstance(event, RunStarted):
                how = f"{plan.spec.backend}, {many(event.total, 'tile')}, {plan.workers} at once"
                log.add(
                    f"'{plan.spec.name}' began: {how}" if self._segments else f"'{plan.spec.name}' opened"
                )
            elif isinstance(event, StageStarted) and event.stage in STAGES:
                log.add(STAGES[event.stage])
            elif isinstance(event, WorkersReduced):
                why = event.reason.split("\n")[0]
                log.add(f"Memory ran out: {many(event.workers, 'tile')} at a time from now on ({why})")
            elif isinstance(event, TileFailed):
                place = ", ".join(map(str, plan.grid.index(event.tile)))
                log.add(f"Tile ({place}) failed: {event.reason.split(chr(10))[0]}", detail=event.detail)

    def tell(self) -> None:
        """Show how far it is. To be called last of all: napari may handle other events in it."""
        progress, bar = self._progress, self._bar
        if not bar.cancel_button.isEnabled():
            return  # "Stopping" stays to be read
        bar.steer(progress.wish, self.can_pause)
        bar.show_progress(progress.fraction, progress.text())
        if progress.paused != self._was_paused:
            self._was_paused = progress.paused
            bar.log.add(f"Paused at {progress.done:,}/{progress.total:,}" if progress.paused else "Going on")
        if progress.workers:
            bar.memory.say(f"Memory ran out: {many(progress.workers, 'tile')} at a time from now on")
        doing = "paused" if progress.paused else DOING.get(progress.stage or "", "starting")
        self.activity.tell(progress.done, progress.total, doing)

    @property
    def can_pause(self) -> bool:
        """Whether there are tiles that could be held."""
        return self._segments and self._progress.stage in (None, "segment")

    def stopped(self) -> str:
        """Return what is told when the dock was closed, which ended the run."""
        if not self._segments:
            return ""
        assert self._plan is not None
        what = f"The run of '{self._plan.spec.name}' was stopped, since its dock was closed. "
        if self._plan.run_dir is None:
            return f"{what}Its labels were not saved."
        return f"{what}Its finished tiles are kept: open Seamlabel again and press Resume to go on."

    def _loss(self) -> str:
        """Return what is to be known before the window is closed."""
        assert self._plan is not None
        if not self._segments:
            return "Nothing is lost: labels and tiles stay as they were."
        counts = self._progress.states
        total = self._progress.total or len(self._plan.grid)
        done = f"{counts['done'] + counts['empty']:,} of {many(total, 'tile')} are done. "
        if self._plan.run_dir is None:
            return f"{done}Labels of this run are not saved: they would be lost."
        return f"{done}They are kept: open the image again and press Resume to go on."
