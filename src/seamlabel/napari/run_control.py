"""`RunControl`: one run at a time, from its start to its result on canvas and run bar."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from seamlabel.engine.retell import retell
from seamlabel.engine.run import run
from seamlabel.errors import SeamlabelError, TileError
from seamlabel.events import Event, Heartbeat, RunStarted, SeamsMerged, TileDone, TileFailed, TileSkipped
from seamlabel.io.sources import open_labels
from seamlabel.napari.progress import Progress, many, summary
from seamlabel.napari.worker import RunWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Literal

    from napari.components import ViewerModel

    from seamlabel.io.journal import Unfinished
    from seamlabel.napari.canvas import Canvas
    from seamlabel.napari.run_bar import RunBar
    from seamlabel.plan import Plan


class RunControl:
    """Starts runs, feeds their events to canvas and bar, and ends them.

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
        self.worker: RunWorker | None = None
        self.progress = Progress()
        self.plan: Plan | None = None
        self.run_dir = ""
        self._saved = self._showing = False
        self.on_end: Callable[[], None] = lambda: None
        self.on_states: Callable[[], None] = lambda: None
        self.on_refusal: Callable[[BaseException], bool] = lambda _error: False
        self._running: set[int] = set()
        self._error: tuple[BaseException, str] | None = None

    @property
    def active(self) -> bool:
        """Whether a run is under way."""
        return self.worker is not None

    def start(
        self,
        plan: Plan,
        array: Any,
        saved: bool,
        unfinished: Literal["resume", "restart"] = "resume",
        accept: bool = False,
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
        """
        self._saved, self._showing = saved, False
        how = {"unfinished": unfinished, "retry": True, "accept_changes": accept}
        self._begin(plan, lambda: run(plan, image=array, **how))

    def show(self, plan: Plan, unfinished: Unfinished) -> None:
        """Show the tiles of a run that did not reach its end, without going on with it."""
        self._showing = True
        self._begin(plan, lambda: retell(unfinished))

    def _begin(self, plan: Plan, events: Callable[[], Generator[Event, None, None]]) -> None:
        self.plan, self.progress, self._error = plan, Progress(plan.workers), None
        self._running, self.run_dir = set(), ""
        stream = self._canvas.begin_stream(plan)
        self.worker = RunWorker(events, stream.accept)
        self.worker.events.connect(self._take)
        self.worker.failed.connect(self._failed)
        self.worker.finished.connect(self._finished)
        self._bar.begin()
        self.worker.start()

    def cancel(self) -> None:
        """Ask the run to stop."""
        if self.worker is not None:
            self.worker.cancel()
            self._bar.cancelling()

    def close(self) -> None:
        """Cancel without telling anybody: the widgets may be gone."""
        if self.worker is not None:
            self.worker.cancel()  # first: of a window that is gone the signals may be gone as well
            with suppress(RuntimeError, TypeError):
                self.worker.events.disconnect(self._take)
                self.worker.failed.disconnect(self._failed)
                self.worker.finished.disconnect(self._finished)

    def reason(self, tile: int) -> str:
        """Return why a tile of the last run failed, "" if it did not."""
        return self.progress.failures.get(tile, ("", ""))[0].split("\n")[0][:80]

    def _take(self, events: list[Event]) -> None:
        """Show what happened since the last signal."""
        now, states, touched = monotonic(), {}, []
        for event in events:
            self.progress.accept(event, now)
            if isinstance(event, RunStarted):
                self.run_dir = event.run_dir
                self._canvas.show_stream(self.plan.spec.name, event.run_dir)
            elif isinstance(event, TileDone):
                states[event.tile] = "done" if event.n_labels else "empty"
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
        if not self._bar.cancel_button.isEnabled():
            return  # "Cancelling" stays to be read
        self._bar.show_progress(self.progress.fraction, self.progress.text())
        if self.progress.workers:
            at_once = many(self.progress.workers, "tile")
            self._bar.memory.say(f"Memory ran out: {at_once} at a time from now on")

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
        self.worker.join()
        self.worker = None
        self._canvas.set_states(self._running_states(set(), {}))
        result = self.progress.result
        if self._error is not None:
            self._end_in_error(*self._error)
        elif result is not None and not result.failed:
            self._canvas.show_final(open_labels(result.path), result.path, self.plan.spec.name)
            self._bar.end(f"{summary(self.progress)} · {self._where(result.path)}", "good")
        elif result is not None:
            self._canvas.drop_stream(keep=True)
            self._bar.end(f"{summary(self.progress)} · nothing was written", "problem")
            self._list_failures()
        elif self._showing:
            self._end_shown(cancelled)
        elif cancelled:
            self._end_cancelled()
        self._canvas.refresh()
        self.on_states()
        self.on_end()

    def _where(self, path: str) -> str:
        if not self._saved:
            return "temporary, not saved"
        return f"saved in …/{'/'.join(Path(path).parts[-3:])}"

    def _of_how_many(self) -> str:
        counts = self.progress.states
        return f"{counts['done'] + counts['empty']:,} of {many(len(self.plan.grid), 'tile')}"

    def _end_shown(self, cancelled: bool) -> None:
        self._canvas.drop_stream(keep=True)
        what = "Cancelled" if cancelled else "Shown"
        self._bar.end(f"{what}: {self._of_how_many()} · nothing was run", "muted")

    def _end_cancelled(self) -> None:
        counts = self.progress.states
        self._canvas.drop_stream(keep=bool(counts["done"]))
        done = counts["done"] + counts["empty"]
        if not self.progress.began and self.plan.asked is not None:  # it went on with another
            self._bar.end("Cancelled before any tile was begun · finished tiles are kept", "warning")
            return
        kept = f"nothing was written · finished tiles are in {self.run_dir}"
        if self.plan.run_dir is not None:  # one can go on with it
            kept = "they are kept: Resume goes on"
        after = kept if done else "nothing was written"
        self._bar.end(f"Cancelled after {self._of_how_many()} · {after}", "warning")

    def _end_in_error(self, error: BaseException, detail: str) -> None:
        self._canvas.drop_stream(keep=bool(self.progress.states["done"]))
        if not self.run_dir and self.on_refusal(error):
            self._bar.end("", "problem")
            return
        if isinstance(error, TileError):  # the first tiles all failed, and there were no more tries
            self._bar.end(f"Stopped: {_clauses(error.hint or error.reason)}", "problem")
            self._list_failures(error, detail)
            return
        self._bar.end("", "problem")
        known = isinstance(error, SeamlabelError)
        what = str(error) if known else f"The run stopped: {type(error).__name__}: {error}"
        fix = error.hint if known else "The details say where; nothing was written"
        self._bar.show_error(what[:1].upper() + what[1:], fix, detail)

    def _list_failures(self, last: TileError | None = None, detail: str = "") -> None:
        listed = [
            (f"({', '.join(map(str, self.plan.grid.index(tile)))})", reason, detail)
            for tile, (reason, detail) in self.progress.failures.items()
        ]
        if last is not None and all(reason == last.reason for _, reason, _ in listed):
            self._bar.show_error(last.reason.split("\n")[0], "", detail)
        else:
            self._bar.show_failures(listed)


def _clauses(text: str) -> str:
    """Return clauses between semicolons as sentences, to follow a colon."""
    first, *others = text.rstrip(".").split("; ")
    return ". ".join([first[:1].lower() + first[1:], *(other.capitalize() for other in others)]) + "."
