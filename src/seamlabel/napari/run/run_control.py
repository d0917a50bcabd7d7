"""`RunControl`: one run at a time, from its start to its result on canvas and run bar."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from time import monotonic
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from seamlabel.engine.executors import ThreadExecutor
from seamlabel.engine.paint import paint_layout
from seamlabel.engine.remerge import remerge
from seamlabel.engine.retell import retell
from seamlabel.engine.run import run
from seamlabel.events import (
    Event,
    Heartbeat,
    RunStarted,
    SeamsMerged,
    TileDone,
    TileFailed,
    TileSkipped,
)
from seamlabel.napari.layers.levels import FinalLevels
from seamlabel.napari.run.behind import Behind
from seamlabel.napari.run.ending import Ending
from seamlabel.napari.run.progress import Progress
from seamlabel.napari.run.telling import Telling
from seamlabel.napari.run.worker import DRAW_MS, RunWorker
from seamlabel.order import view_first

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Literal

    from napari.components import ViewerModel

    from seamlabel.io.journal import Unfinished
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.result.shown import Shown
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.plan import Plan


class RunControl:
    """Starts runs, feeds their events to canvas and bar, holds and ends them.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    canvas : Canvas
        Where tiles and labels are shown.
    bar : RunBar
        Where progress and result are shown.
    """

    def __init__(self, viewer: ViewerModel, canvas: Canvas, bar: RunBar) -> None:
        self._viewer, self._canvas, self._bar = viewer, canvas, bar
        self.telling = Telling(bar, self.cancel)
        self.behind = Behind(bar)
        self.worker: RunWorker | None = None
        self._threads: ThreadExecutor | None = None
        self._closed = self._leaving = False
        self.progress = self._former = Progress()
        self.plan: Plan | None = None
        self.run_dir = ""
        self.ended: Shown | None = None
        """The run that ended last, whole or not, until somebody has taken it."""
        self._saved = self._showing = False
        self._merged: Shown | None = None  # what is merged again, if that is what goes on
        self._array: Any = None
        self._levels = FinalLevels()
        self.first: Callable[[], tuple[int, ...]] = tuple
        """Returns the tiles that are wanted before others at the moment; asked from the run's thread."""
        self.on_begin: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        self.on_states: Callable[[], None] = lambda: None
        self.on_refusal: Callable[[BaseException], bool] = lambda _error: False
        self.facts: dict[int, tuple[int, float]] = {}
        """Objects and seconds of the tiles that are done."""
        self._running: set[int] = set()
        self._error: tuple[BaseException, str] | None = None

    @property
    def active(self) -> bool:
        """Whether a run is under way."""
        return self.worker is not None or self._leaving

    def start(
        self,
        plan: Plan,
        array: Any,
        saved: bool,
        unfinished: Literal["resume", "restart"] = "resume",
        accept: bool = False,
        mask: Any = None,
        keep: bool = True,
    ) -> None:
        """Begin a run in a thread of its own.

        Parameters
        ----------
        plan : Plan
            What to do.
        array : array-like or None
            The image, where the plan has no path.
        saved : bool
            Whether the labels outlast the process; only told to the user.
        unfinished : {"resume", "restart"}
            Go on with an unfinished run in the folder of the plan, or remove it.
        accept : bool
            Go on although the method changed: finished tiles stay as they are.
        mask : array, optional
            The mask, where the plan has no path of one.
        keep : bool
            Leave finished tiles on the disk, for the result to be merged and mended.
        """
        self._saved, self._showing, self._merged, self._array = saved, False, None, array
        how: dict[str, Any] = {
            "unfinished": unfinished,
            "retry": True,
            "accept_changes": accept,
            "keep": keep,
            "mask": mask,
            "order": view_first(plan.order(), self.first),
        }
        if plan.executor == "threads":
            how["executor"] = lambda: self._made_threads(plan.workers)
        self._begin(plan, lambda hold: run(plan, image=array, hold=hold, **how))

    def _made_threads(self, workers: int) -> ThreadExecutor:
        """Return threads that can be asked what they do when their run is over."""
        self._threads = ThreadExecutor(workers)
        return self._threads

    def show(self, plan: Plan, unfinished: Unfinished) -> None:
        """Show the tiles of a run that did not reach its end, without going on with it."""
        self._showing, self._merged = True, None
        self._begin(plan, lambda _hold: retell(unfinished))

    def merge_again(self, shown: Shown, **asked: Any) -> None:
        """Merge the tiles of a kept run again; `asked` is for `seamlabel.engine.remerge.remerge`."""
        self._saved, self._showing, self._merged, self._array = shown.saved, False, shown, shown.array
        image = shown.array
        self._begin(
            shown.plan,
            lambda hold: remerge(shown.run_dir, image=image, hold=hold, **asked),
            streams=False,
        )
        self._canvas.labels_layer = shown.layer
        self.on_begin()

    def _begin(
        self,
        plan: Plan,
        events: Callable[[Callable[[], bool]], Generator[Event, None, None]],
        streams: bool = True,
    ) -> None:
        if self.run_dir:
            self._former = self.progress  # its tiles are shown again if this run is refused
        self.plan, self.progress, self._error = plan, Progress(plan.workers, _passes(plan)), None
        self._running, self.run_dir, self.facts, self._threads = set(), "", {}, None
        accept = self._canvas.begin_stream(plan).accept if streams else None
        self._levels = levels = FinalLevels(accept)
        self.worker = worker = RunWorker(lambda: events(worker.hold), levels.hear, self._canvas.pause)
        levels.stop = worker.stopping
        self.worker.events.connect(self._take)
        self.worker.failed.connect(self._failed)
        self.worker.finished.connect(self._finished)
        self.telling.begin(plan, self.progress, segments=streams and not self._showing)
        self.worker.start()

    def pause(self) -> None:
        """Have no more tiles begun, or go on if that was asked for before."""
        if self.worker is not None and self.progress.wish != "cancel" and self.telling.can_pause:
            pause = self.progress.wish != "pause"
            self.worker.pause(pause)
            self.progress.ask("pause" if pause else "go", monotonic())
            self.telling.tell()

    def cancel(self) -> None:
        """Ask the run to stop once the tiles under way are finished; asked again, at once."""
        if self.worker is None:
            return
        if self.progress.wish == "cancel" or self._showing:
            self.worker.cancel()
            self._bar.stopping()
            return
        self.worker.finish()
        self.progress.ask("cancel", monotonic())
        self._bar.log.add("Cancel was pressed")
        self.telling.tell()

    def close(self) -> None:
        """Cancel without telling anybody: the widgets may be gone."""
        self._closed = True  # signals that were under way come still
        self.telling.activity.end()
        if self.worker is not None:
            self.worker.cancel()  # first: of a window that is gone the signals may be gone as well
            with suppress(RuntimeError, TypeError):
                self.worker.events.disconnect(self._take)
                self.worker.failed.disconnect(self._failed)
                self.worker.finished.disconnect(self._finished)

    def left_behind(self) -> str:
        """Return what is to be told where the dock of a run is closed, "" if nothing runs."""
        return "" if self.worker is None else self.telling.stopped()

    def reason(self, tile: int) -> str:
        """Return why a tile of the last run that began failed, "" if it did not."""
        failures = self.progress.failures if self.run_dir else self._former.failures
        return failures.get(tile, ("", ""))[0].split("\n")[0][:80]

    def _take(self, events: list[Event]) -> None:
        """Show what happened since the last signal."""
        if self._closed:
            return
        now, states, touched = monotonic(), {}, []
        for event in events:
            self.progress.accept(event, now)
            if isinstance(event, RunStarted):
                self._started(event.run_dir)
            elif isinstance(event, TileDone):
                states[event.tile] = "done" if event.n_labels else "empty"
                self.facts[event.tile] = (event.n_labels, event.seconds)
                touched.append(event.tile)
            elif isinstance(event, TileSkipped):
                states[event.tile] = "empty"
            elif isinstance(event, TileFailed):
                states[event.tile] = "failed"
            elif isinstance(event, SeamsMerged):
                touched += [event.tile, *self.plan.grid.neighbours(event.tile)]
            elif isinstance(event, Heartbeat) and event.stage == "segment":
                states |= self._running_states(set(event.running), states)
        self._canvas.set_states(states)
        self._canvas.touch(touched)
        self._canvas.refresh()
        self.on_states()
        self.telling.note(events)
        self.telling.tell()

    def _started(self, run_dir: str) -> None:
        self.run_dir = run_dir
        if self._merged is None:
            self._canvas.show_stream(self.plan.spec.name, run_dir)

    def _running_states(self, running: set[int], known: dict[int, str]) -> dict[int, str]:
        """Return the states of tiles that run now, and of those that ran and wait for a retry."""
        states = self._canvas.states
        changes = dict.fromkeys(running, "running")
        if states is not None:
            for tile in self._running - running - set(known):
                if states.state(tile) == "running":
                    changes[tile] = "waiting"
        self._running = running
        return changes

    def _failed(self, error: BaseException, detail: str) -> None:
        self._error = (error, detail)

    def _finished(self, cancelled: bool) -> None:
        """Show the result, whatever it is."""
        if self._closed:
            return
        self.worker.join()
        self.worker = None
        self.telling.activity.end()
        self._canvas.set_states(self._running_states(set(), {}))
        self.ended = self._ending().tell(self._error, cancelled)
        self.behind.follow(self._threads)
        self._canvas.refresh()
        self._leaving = True
        QTimer.singleShot(DRAW_MS, self._leave)  # the window draws, and hears its user, in between

    def _leave(self) -> None:
        """Have others take the end of the run in."""
        self._leaving = False
        if not self._closed:
            self.on_states()
            self.on_end()

    def _ending(self) -> Ending:
        refused = self.on_refusal if not self.run_dir else None
        how = {"saved": self._saved, "showing": self._showing, "merged": self._merged, "refused": refused}
        how |= {"array": self._array, "levels": self._levels.found}
        return Ending(self._canvas, self._bar, self.plan, self.progress, self.run_dir, **how)


def _passes(plan: Plan) -> list[tuple[list[int], int]]:
    """Return the levels that each pass over the labels writes, and in how many blocks."""
    layout = paint_layout(plan.level_shapes, plan.joined)
    return [(levels, prod(layout.counts(levels[0]))) for levels in layout.passes()]
