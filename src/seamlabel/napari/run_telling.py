"""`RunTelling`: what run bar, log and activity dock say of a run, while it goes and at its end.

Knows its events and its plan; not how it is carried out, nor what is asked of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seamlabel.errors import SeamlabelError, TileError
from seamlabel.events import Event, RunStarted, StageStarted, TileFailed, WorkersReduced
from seamlabel.napari.activity import Activity
from seamlabel.napari.progress import Progress, many, summary

if TYPE_CHECKING:
    from seamlabel.napari.canvas import Canvas
    from seamlabel.napari.run_bar import RunBar
    from seamlabel.plan import Plan

STAGES = {"merge": "Joining objects across seams", "paint": "Writing labels"}
"""What the log says of stages that begin."""
DOING = {"segment": "segmenting", "merge": "joining", "paint": "writing"}
"""What the activity dock says of them."""


class RunTelling:
    """Tells of one run at a time.

    Parameters
    ----------
    canvas : Canvas
        Where tiles and labels are shown.
    bar : RunBar
        Where progress, log and result are shown.
    """

    plan: Plan

    def __init__(self, canvas: Canvas, bar: RunBar) -> None:
        self._canvas, self._bar = canvas, bar
        self.activity = Activity(bar, self.cancel)
        self.progress = Progress()
        self.run_dir = ""
        self._saved = self._showing = self._was_paused = False
        self._known: set[str] = set()

    def cancel(self) -> None:
        """Ask for the end of the run."""
        raise NotImplementedError

    def reason(self, tile: int) -> str:
        """Return why a tile of the last run failed, "" if it did not."""
        return self.progress.failures.get(tile, ("", ""))[0].split("\n")[0][:80]

    # -- while it goes --------------------------------------------------------------------------

    def _tell_begin(self) -> None:
        self._bar.begin()
        self._known, self._was_paused = set(), False
        self.activity.begin(self.plan.spec.name, len(self.plan.grid), self._loss)

    def _note(self, events: list[Event]) -> None:
        """Write down in the log what is worth it."""
        log = self._bar.log
        for event in events:
            if isinstance(event, RunStarted) and not self._showing:
                how = f"{many(event.total, 'tile')}, {self.plan.workers} at once"
                log.add(f"'{self.plan.spec.name}' began: {self.plan.spec.backend}, {how}")
            elif isinstance(event, StageStarted) and event.stage in STAGES:
                log.add(STAGES[event.stage])
            elif isinstance(event, WorkersReduced):
                at_once = many(event.workers, "tile")
                log.add(f"Memory ran out: {at_once} at a time from now on ({event.reason.splitlines()[0]})")
            elif isinstance(event, TileFailed):
                first = event.reason.split("\n")[0]
                new = event.detail if first not in self._known else ""
                self._known.add(first)
                log.add(f"Tile {self._place(event.tile)} failed: {first}", detail=new)

    def _tell(self) -> None:
        """Show how far it is; the last of all, since napari may handle other events in it."""
        progress, bar = self.progress, self._bar
        if not bar.cancel_button.isEnabled():
            return  # "Stopping" stays to be read
        bar.steer(progress.wish, self._can_pause())
        bar.show_progress(progress.fraction, progress.text())
        if progress.paused != self._was_paused:
            self._was_paused = progress.paused
            bar.log.add(f"Paused at {progress.done:,}/{progress.total:,}" if progress.paused else "Resumed")
        if progress.workers:
            bar.memory.say(f"Memory ran out: {many(progress.workers, 'tile')} at a time from now on")
        doing = "paused" if progress.paused else DOING.get(progress.stage or "", "starting")
        self.activity.tell(progress.done, progress.total, doing)

    def _can_pause(self) -> bool:
        return not self._showing and self.progress.stage in (None, "segment")

    def _loss(self) -> str:
        """Return what is to be known before the window is closed."""
        done = f"{self._of_how_many()} are done. "
        if self._showing:
            return "Nothing is lost: it only shows an unfinished run."
        if self.plan.run_dir is None:
            return f"{done}The labels of this run are not saved: they would be lost."
        return f"{done}They are kept: open the image again and press Resume to go on."

    # -- at its end -----------------------------------------------------------------------------

    def _tell_result(self) -> None:
        result = self.progress.result
        if result is not None and not result.failed:
            self._end(f"{summary(self.progress)} · {self._where(result.path)}", "good")
        elif result is not None:
            self._end(f"{summary(self.progress)} · nothing was written", "problem")
            self._list_failures()

    def _end(self, text: str, kind: str) -> None:
        self._bar.end(text, kind)
        if text:
            self._bar.log.add(text)

    def _where(self, path: str) -> str:
        if not self._saved:
            return "temporary, not saved"
        return f"saved in …/{'/'.join(Path(path).parts[-3:])}"

    def _place(self, tile: int) -> str:
        return f"({', '.join(map(str, self.plan.grid.index(tile)))})"

    def _of_how_many(self) -> str:
        counts = self.progress.states
        return f"{counts['done'] + counts['empty']:,} of {many(len(self.plan.grid), 'tile')}"

    def _end_shown(self, cancelled: bool) -> None:
        self._canvas.drop_stream(keep=True)
        what = "Cancelled" if cancelled else "Shown"
        self._end(f"{what}: {self._of_how_many()} · nothing was run", "muted")

    def _end_cancelled(self) -> None:
        counts = self.progress.states
        self._canvas.drop_stream(keep=bool(counts["done"]))
        done = counts["done"] + counts["empty"]
        if not self.progress.began and self.plan.asked is not None:  # it went on with another
            self._end("Cancelled before any tile was begun · finished tiles are kept", "warning")
            return
        kept = f"nothing was written · finished tiles are in {self.run_dir}"
        if self.plan.run_dir is not None:  # one can go on with it
            kept = "they are kept: Resume goes on"
        after = kept if done else "nothing was written"
        self._end(f"Cancelled after {self._of_how_many()} · {after}", "warning")

    def _end_in_error(self, error: BaseException, detail: str) -> None:
        self._canvas.drop_stream(keep=bool(self.progress.states["done"]))
        if isinstance(error, TileError):  # the first tiles all failed, and there were no more tries
            self._end(f"Stopped: {_clauses(error.hint or error.reason)}", "problem")
            self._list_failures(error)
            return
        self._bar.end("", "problem")
        known = isinstance(error, SeamlabelError)
        what = str(error) if known else f"The run stopped: {type(error).__name__}: {error}"
        fix = error.hint if known else "The log says where; nothing was written"
        self._bar.show_error(what[:1].upper() + what[1:], fix)
        self._bar.log.add(what[:1].upper() + what[1:], detail=detail)

    def _list_failures(self, last: TileError | None = None) -> None:
        listed = [(self._place(tile), reason) for tile, (reason, _) in self.progress.failures.items()]
        if last is not None and all(reason == last.reason for _, reason in listed):
            self._bar.show_error(last.reason.split("\n")[0], "")
        else:
            self._bar.show_failures(listed)


def _clauses(text: str) -> str:
    """Return clauses between semicolons as sentences, to follow a colon."""
    first, *others = text.rstrip(".").split("; ")
    return ". ".join([first[:1].lower() + first[1:], *(other.capitalize() for other in others)]) + "."
