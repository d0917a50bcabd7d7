"""`Ending`: how a run ended, told on canvas and run bar. Knows no worker and no widget but the bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import SeamlabelError, TileError
from seamlabel.io.sources import open_labels
from seamlabel.napari.result.shown import Shown
from seamlabel.napari.run.progress import duration, many, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.events import RunFinished
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.layers.lazy_labels import LazyArray
    from seamlabel.napari.run.progress import Progress
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.plan import Plan


@dataclass
class Ending:
    """What is known when a run has ended.

    Parameters
    ----------
    canvas, bar : Canvas, RunBar
        Where it is told.
    plan, progress, run_dir : Plan, Progress, str
        The run.
    saved, showing : bool
        Whether the labels outlast the process; whether tiles were only shown.
    merged : Shown or None
        The run that was merged again.
    refused : callable or None
        Called with an error of a run that did not begin; returns whether it told it.
    array : array-like or None
        The image, where it has no path.
    levels : list of LazyArray or None
        The written labels, made ready to be shown while the run's thread was at it.
    """

    canvas: Canvas
    bar: RunBar
    plan: Plan
    progress: Progress
    run_dir: str
    saved: bool
    showing: bool
    merged: Shown | None
    refused: Callable[[BaseException], bool] | None
    array: Any
    levels: list[LazyArray] | None

    def tell(self, error: tuple[BaseException, str] | None, cancelled: bool) -> Shown | None:
        """Tell how it ended; return what the result panel is to show, None if that stays as it is."""
        result = self.progress.result
        if error is not None:
            return self._in_error(*error)
        if result is not None and not result.failed:
            return self._whole(result)
        if result is not None:
            return self._with_failures(result)
        if self.showing:
            self._shown_only(cancelled)
        elif cancelled and self.merged is not None:
            self.bar.end("Cancelled · the labels are as they were", "warning")
        elif cancelled:
            self._cancelled()
        return None

    def _whole(self, result: RunFinished) -> Shown:
        self.canvas.show_final(self.levels or open_labels(result.path), result.path, self.plan.spec.name)
        what = summary(self.progress)
        if self.merged is not None:
            what = f"{many(result.n_objects, 'object')} · merged again in {duration(result.seconds)}"
        self.bar.end(f"{what} · {self._where(result.path)}", "good")
        return self._for_panel(result)

    def _with_failures(self, result: RunFinished) -> Shown | None:
        if self.merged is not None:
            self.bar.end("Tiles failed again · the labels are as they were", "problem")
            return None
        self.canvas.drop_stream(keep=True)
        self.bar.end(f"{summary(self.progress)} · nothing was written", "problem")
        return self._for_panel(result)

    def _for_panel(self, result: RunFinished | None) -> Shown:
        progress = self.progress if self.merged is None else self.merged.progress
        run_dir = result.run_dir if result else self.run_dir
        return Shown(
            plan=self.plan,
            run_dir=run_dir if Path(run_dir).is_dir() else "",
            path=result.path if result else "",
            layer=self.canvas.labels_layer,
            progress=progress,
            report=result.report if result else None,
            array=self.array,
            saved=self.saved,
            n_objects=result.n_objects if result else 0,
            place=self.merged.place if self.merged else {},
        )

    def _where(self, path: str) -> str:
        if not self.saved:
            return "temporary, not saved"
        return f"saved in …/{'/'.join(Path(path).parts[-3:])}"

    def _of_how_many(self) -> str:
        counts = self.progress.states
        return f"{counts['done'] + counts['empty']:,} of {many(self.plan.n_tiles, 'tile')}"

    def _shown_only(self, cancelled: bool) -> None:
        self.canvas.drop_stream(keep=True)
        what = "Cancelled" if cancelled else "Shown"
        self.bar.end(f"{what}: {self._of_how_many()} · nothing was run", "muted")

    def _cancelled(self) -> None:
        counts = self.progress.states
        self.canvas.drop_stream(keep=bool(counts["done"]))
        done = counts["done"] + counts["empty"]
        if not self.progress.began and self.plan.asked is not None:  # it went on with another
            self.bar.end("Cancelled before any tile was begun · finished tiles are kept", "warning")
            return
        kept = f"nothing was written · finished tiles are in {self.run_dir}"
        if self.plan.run_dir is not None:  # one can go on with it
            kept = "they are kept: Resume goes on"
        after = kept if done else "nothing was written"
        self.bar.end(f"Cancelled after {self._of_how_many()} · {after}", "warning")

    def _in_error(self, error: BaseException, detail: str) -> Shown | None:
        if self.merged is None:
            self.canvas.drop_stream(keep=bool(self.progress.states["done"]))
        if self.refused is not None and self.refused(error):
            self.bar.end("", "problem")
            return None
        if isinstance(error, TileError):  # the first tiles all failed, and there were no more tries
            self.bar.end(f"Stopped: {_clauses(error.hint or error.reason)}", "problem")
            self.progress.failures.setdefault(error.tile, (error.reason, detail))
            return self._for_panel(None) if self.merged is None else None
        self.bar.end("", "problem")
        known = isinstance(error, SeamlabelError)
        what = str(error) if known else f"The run stopped: {type(error).__name__}: {error}"
        fix = error.hint if known else "The log says where; nothing was written"
        self.bar.show_error(what[:1].upper() + what[1:], fix, detail)
        return None


def _clauses(text: str) -> str:
    """Return clauses between semicolons as sentences, to follow a colon."""
    first, *others = text.rstrip(".").split("; ")
    return ". ".join([first[:1].lower() + first[1:], *(other.capitalize() for other in others)]) + "."
