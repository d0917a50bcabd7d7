"""`TryControl`: tries one tile at a time and shows it as a layer, until a run begins."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seamlabel.errors import SeamlabelError
from seamlabel.napari.layers.levels import display_shapes
from seamlabel.napari.run.progress import shorten
from seamlabel.napari.run.worker import RunWorker
from seamlabel.napari.tiles.trying import Attempt, Tried, TriedTiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.napari.tiles.estimate import Estimates
    from seamlabel.napari.tiles.grid_control import GridControl
    from seamlabel.plan import Plan


class TryControl:
    """Tries tiles of one dock.

    Parameters
    ----------
    canvas : Canvas
        Shows the labels.
    grid : GridControl
        Has the plan whose tiles are drawn, and tells of tiles.
    bar : RunBar
        Where errors are told.
    estimates : Estimates
        Gets to know how long tiles take.
    """

    def __init__(self, canvas: Canvas, grid: GridControl, bar: RunBar, estimates: Estimates) -> None:
        self._canvas, self._grid, self._bar, self._estimates = canvas, grid, bar, estimates
        self.worker: RunWorker | None = None
        self.on_end: Callable[[], None] = lambda: None
        self._attempt: Attempt | None = None
        self._before = "waiting"
        self._error: tuple[BaseException, str] | None = None
        self._told = False
        self._shown: TriedTiles | None = None
        self._image: Any = None
        self._found: dict[int, Tried] = {}

    @property
    def active(self) -> bool:
        """Whether a tile is tried now."""
        return self.worker is not None

    def start(self, plan: Plan, tile: int, image: Any) -> None:
        """Try a tile, in a thread of its own.

        Parameters
        ----------
        plan : Plan
            What would be run.
        tile : int
            The tile.
        image : array-like or None
            The image, where the plan has no path.
        """
        if self.active or self._canvas.states is None:
            return
        if self._told:
            self._bar.show_error("", "", "")
        self._attempt, self._error, self._told = Attempt(plan, tile, image), None, False
        self._before = self._canvas.states.state(tile)
        self.worker = RunWorker(self._attempt.events)
        self.worker.failed.connect(self._failed)
        self.worker.finished.connect(self._finished)
        self._bar.status.say(f"Trying tile {self._place(tile)}", "muted")
        self._mark("running")
        self.worker.start()

    def why_not(self) -> str:
        """Return why no tile can be tried, "" if one can."""
        return "A tile is being tried" if self.active else ""

    def facts(self, tile: int) -> Tried | None:
        """Return what came of trying a tile, None if it was not tried."""
        same = self._shown is not None and self._canvas.states is not None
        if same and self._shown.grid == self._canvas.states.grid and self._image is self._canvas.image:
            return self._found.get(tile)
        return None

    def stop(self) -> None:
        """End a try without telling anybody: the widgets may be gone."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.cancel()
            with suppress(RuntimeError, TypeError):
                worker.failed.disconnect(self._failed)
                worker.finished.disconnect(self._finished)

    def clear(self) -> None:
        """Have tried nothing: a run begins."""
        if self.active:
            self.stop()
            self._bar.status.say("")
            self._mark(self._before)
        self._forget()

    def _forget(self) -> None:
        self._canvas.remove_tried()
        self._shown, self._image, self._found = None, None, {}

    def _place(self, tile: int) -> str:
        return f"({', '.join(map(str, self._attempt.plan.grid.index(tile)))})"

    def _mark(self, state: str) -> None:
        """Show what the tile is now, if its grid is still drawn."""
        states = self._canvas.states
        if states is not None and self._attempt is not None and states.grid == self._attempt.plan.grid:
            self._canvas.set_states({self._attempt.tile: state})
            self._canvas.refresh()
        self._grid.refresh()

    def _failed(self, error: BaseException, detail: str) -> None:
        self._error = error, detail

    def _finished(self, cancelled: bool) -> None:
        worker, self.worker = self.worker, None
        worker.join()
        attempt = self._attempt
        self._bar.status.say("")
        if cancelled:
            self._mark(self._before)
            return
        found = attempt.found if self._error is None else self._error_found(*self._error)
        self._keep(attempt.plan, found)
        self._mark(self._before)
        if found.reason:
            self._told = True
            self._bar.show_error(f"Tile {self._place(found.tile)}: {shorten(found.reason)}", "", found.detail)
        elif found.seconds:
            self._estimates.tried(attempt.plan, found.seconds)
        self.on_end()

    def _error_found(self, error: BaseException, detail: str) -> Tried:
        known = isinstance(error, SeamlabelError)
        reason = getattr(error, "reason", "") or (str(error) if known else f"{type(error).__name__}: {error}")
        return Tried(self._attempt.tile, reason=reason, detail=detail)

    def _keep(self, plan: Plan, found: Tried) -> None:
        """Show what was found beside what was tried before, as long as the tiles are the same."""
        states = self._canvas.states
        if states is None or states.grid != plan.grid:
            return  # the form asks for other tiles by now
        if self._shown is None or self._shown.grid != plan.grid or self._image is not self._canvas.image:
            self._forget()
            self._shown = TriedTiles(plan.grid, display_shapes(plan.level_shapes))
            self._image = self._canvas.image
        self._found[found.tile] = found
        if not found.reason:
            self._shown.put(found)
            self._canvas.show_tried(self._shown, f"{plan.spec.name} (tried)")
