"""`TileWork`: grid, tries, the part of the image to run on and estimates of one dock, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamlabel.napari.tiles.estimate import Estimates
from seamlabel.napari.tiles.grid_control import GridControl
from seamlabel.napari.tiles.overlap_control import OverlapControl
from seamlabel.napari.tiles.scope_control import ScopeControl
from seamlabel.napari.tiles.try_control import TryControl

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from seamlabel.napari.form.form import Form
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.napari.run.run_control import RunControl


class TileWork:
    """What can be done with single tiles.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : Form
        What is asked for.
    bar : RunBar
        Where failing tries are told.
    canvas : Canvas
        Where tiles are drawn.
    run : RunControl
        Carries out runs; asks for the tiles that are wanted first.
    """

    def __init__(self, viewer: ViewerModel, form: Form, bar: RunBar, canvas: Canvas, run: RunControl) -> None:
        self._form, self._run = form, run
        self.estimates = Estimates()
        self.grid = GridControl(viewer, form.tiles, canvas, run)
        self.trial = TryControl(canvas, self.grid, bar, self.estimates)
        self.overlap = OverlapControl(form, self.grid)
        self.scope = ScopeControl(viewer, form.tiles.scope, canvas, self.grid)
        run.first = self.scope.first
        self.grid.on_pick, self.grid.on_next = self.scope.look, self.scope.want
        self.grid.on_try, self.trial.on_end = self._try, self._tried
        self.grid.tried, self.grid.why_no_try = self.trial.facts, self.trial.why_not
        form.tiles.estimate = self.estimates.text

    def close(self) -> None:
        """End a try and let go of the viewer; safe to call after the widgets are gone."""
        self.trial.stop()
        self.overlap.stop()
        self.scope.close()
        self.grid.close()

    def run_begins(self) -> None:
        """Take tried tiles away, and leave the grid as the run draws it."""
        self.grid.stay()
        self.trial.clear()
        self.overlap.forget()
        self.scope.begin()

    def run_ended(self) -> None:
        """Remember what tiles took."""
        self.estimates.ran(self._run.plan, (seconds for _, seconds in self._run.facts.values()))

    def _try(self, tile: int) -> None:
        """Try a tile of those that are drawn, with what the form says now."""
        self.grid.flush()
        image, plan = self._form.image, self.grid.plan
        if plan is not None and image.picture is not None and self.grid.picked == tile:
            self.trial.start(plan, tile, image.picture.at(image.level_index())[1])

    def _tried(self) -> None:
        if self.grid.plan is not None and not self._run.active:
            self._form.tiles.show_plan(self.grid.plan)
