"""`ResultControl`: which run the result panel is about, what is wished of its merge, and doing it.

Parts of the panel read `shown` and `wish`, and say what they wish with `set_settings` and `set_edits`;
what is wished is shown as a preview, and written by `apply`. Knows no widget.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from seamlabel.engine.review import Review
from seamlabel.napari.result.preview import Previewer
from seamlabel.napari.result.shown import Shown, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels

    from seamlabel.engine.edits import Edit
    from seamlabel.engine.table import Table
    from seamlabel.errors import Problem
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.run.run_control import RunControl


class ResultControl(QObject):
    """Holds the run that is shown, and its wish with all former ones for undo.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    canvas : Canvas
        Shows tiles and labels.
    run : RunControl
        Carries out runs and merges.
    """

    opened = Signal()
    """Another run is shown, or none, or the same one after it was merged again."""
    came = Signal()
    """A run has ended, and its result is what is shown."""
    wished = Signal()
    """`wish` is another one."""
    measured = Signal()
    """`table` is another one."""
    busy_changed = Signal(bool)
    """Whether a run or merge is under way."""
    form_wished = Signal(dict, bool)
    """Fields of the spec that the form is to show, and whether they are to be run at once."""
    retry_wished = Signal()
    """The tiles that failed are to be tried again."""
    tile_wished = Signal(int)
    """A tile is to be looked at."""
    problems_changed = Signal()
    """`problems` are others."""

    def __init__(self, viewer: ViewerModel, canvas: Canvas, run: RunControl) -> None:
        super().__init__()
        self.viewer, self.canvas, self.run = viewer, canvas, run
        self.shown: Shown | None = None
        self.table: Table | None = None
        """What is known of every object that is shown, by column; None until it is measured."""
        self.wish = Wish()
        self._before: list[Wish] = []
        self._after: list[Wish] = []
        self._asked: Wish | None = None
        self._review: Review | None = None
        self._opening = Lock()
        self.problems: tuple[Problem, ...] = ()
        """Why the wish cannot be carried out; its `field` is the edit where one is meant."""
        self.on_close: list[Callable[[], None]] = []
        """What is to be let go of when the dock is gone, other than widgets."""
        self.preview = Previewer(self)

    def close(self) -> None:
        """Let go of the viewer and of what runs in the background; the widgets may be gone."""
        self.preview.close()
        while self.on_close:
            self.on_close.pop()()
        self._forget_review()

    # -- which run ------------------------------------------------------------------------------

    def open(self, shown: Shown | None) -> None:
        """Show a run, or none; after a merge with `apply` its wish is what is written."""
        if shown is not None and self._asked is not None:
            shown = replace(shown, written=self._asked)
        self.shown, self._asked = shown, None
        self.table = None
        self.wish = shown.written if shown else Wish()
        self._before, self._after = [], []
        self._forget_review()
        self.problems = ()
        self.opened.emit()
        self.wished.emit()

    def set_table(self, table: Table) -> None:
        """Take what was measured of the objects that are shown."""
        self.table = table
        self.measured.emit()

    @property
    def layer(self) -> Labels | None:
        """The layer that shows the labels; None if the user took it away."""
        layer = self.shown.layer if self.shown else None
        return layer if layer is not None and layer in self.viewer.layers else None

    @property
    def can_merge(self) -> bool:
        """Whether the tiles are there to be merged again, and nothing is under way."""
        shown = self.shown
        return shown is not None and bool(shown.run_dir and shown.path) and not self.run.active

    def review(self) -> Review | None:
        """Return the run opened for reading, once for all; None if its tiles are gone. Of any thread.

        Raises
        ------
        OutputError, SpecError
            If it cannot be read.
        """
        shown = self.shown
        if shown is None or not (shown.run_dir and shown.path):
            return None
        with self._opening:
            if self._review is None:
                self._review = Review(shown.run_dir)
            return self._review

    def _forget_review(self) -> None:
        with self._opening:
            review, self._review = self._review, None
        if review is not None:
            review.close()

    # -- what is wished ---------------------------------------------------------------------------

    @property
    def differs(self) -> bool:
        """Whether something else is wished than what is written."""
        return self.shown is not None and self.wish != self.shown.written

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Wish other settings; several in a row are one step of undo."""
        self._wish(replace(self.wish, settings=dict(settings)), merge_steps=True)

    def set_edits(self, edits: Iterable[Edit]) -> None:
        """Wish other edits: all of them, those made before too."""
        self._wish(replace(self.wish, edits=tuple(dict.fromkeys(edits))))

    def add_edits(self, edits: Sequence[Edit]) -> None:
        """Wish some more edits, as one step of undo."""
        self.set_edits([*self.wish.edits, *edits])

    def undo(self) -> None:
        """Take the last step back."""
        if self._before:
            self._after.append(self.wish)
            self.wish = self._before.pop()
            self.wished.emit()

    def redo(self) -> None:
        """Do again what was taken back."""
        if self._after:
            self._before.append(self.wish)
            self.wish = self._after.pop()
            self.wished.emit()

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Say why the wish cannot be carried out; nothing if it can."""
        problems = tuple(problems)
        if problems != self.problems:
            self.problems = problems
            self.problems_changed.emit()

    def want(self, wish: Wish) -> None:
        """Wish this; can be undone."""
        self._wish(wish)

    def put_back(self) -> None:
        """Wish what is written; can be undone."""
        if self.shown is not None:
            self._wish(self.shown.written)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._after)

    def _wish(self, wish: Wish, merge_steps: bool = False) -> None:
        if wish == self.wish:
            return
        same_edits = self._before and self._before[-1].edits == self.wish.edits == wish.edits
        if not (merge_steps and same_edits):
            self._before.append(self.wish)
        self._after = []
        self.wish = wish
        self.wished.emit()

    # -- doing it -----------------------------------------------------------------------------------

    def apply(self, again: Sequence[int] = ()) -> None:
        """Write the labels as they are wished; the former ones stay until the new ones are whole.

        Parameters
        ----------
        again : sequence of int
            Tiles to segment again first.
        """
        if self.can_merge and self.shown is not None:
            self._write(self.shown, tuple(again))

    def save(self, store: str, name: str) -> None:
        """Write temporary labels, as they are wished, into a store where they stay.

        Parameters
        ----------
        store : str
            An OME-Zarr, made if it does not exist.
        name : str
            Name of the labels; one that is taken is refused.
        """
        if self.can_merge and self.shown is not None:
            place = {"output": store, "name": name}
            self._write(replace(self.shown, saved=True, place=place), ())

    def _write(self, shown: Shown, again: tuple[int, ...]) -> None:
        moves = {**shown.place, "overwrite": True} if shown.place and self.shown is shown else shown.place
        self._asked = self.wish
        self.run.merge_again(
            shown,
            changes={**self.wish.settings, **moves},
            edits=self.wish.edits,
            forget=True,  # the wish has those made before too
            again=again,
        )

    def set_busy(self, busy: bool) -> None:
        """Take note that a run begins or ended."""
        if not busy:
            ended = self.run.ended
            if ended is not None:
                self.run.ended, merged = None, self._asked is not None
                self.open(ended)
                if not merged:
                    self.came.emit()
            self._asked = None
        self.busy_changed.emit(busy)
