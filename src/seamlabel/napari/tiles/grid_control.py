"""`GridControl`: the tile grid between form, canvas and viewer: what is drawn, told and picked.

Knows plans and tile states; nothing of how a run or a try is carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer

from seamlabel.napari.form.pick_row import Facts
from seamlabel.napari.run.progress import shorten
from seamlabel.napari.tiles.grid_hand import GridHand
from seamlabel.napari.tiles.tile_states import STATES
from seamlabel.napari.tiles.view import camera

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from seamlabel.napari.form.tiles_form import TilesForm
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.layers.pictures import Picture
    from seamlabel.napari.run.run_control import RunControl
    from seamlabel.napari.tiles.tile_states import TileStates
    from seamlabel.napari.tiles.trying import Tried
    from seamlabel.plan import Plan

PREVIEW_MS = 150
"""The grid follows the form after so many milliseconds without a change."""
HINT = "Click a tile to pick it, double-click to try it"


class GridControl:
    """Shows the tiles of one dock.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    tiles : TilesForm
        The section with the legend and the box that shows the grid.
    canvas : Canvas
        Draws it.
    run : RunControl
        Knows why tiles failed.
    """

    def __init__(self, viewer: ViewerModel, tiles: TilesForm, canvas: Canvas, run: RunControl) -> None:
        self._viewer, self._tiles, self._canvas, self._run = viewer, tiles, canvas, run
        self._next: tuple[Plan, Picture, int] | None = None
        self.plan: Plan | None = None
        """The plan whose tiles are drawn."""
        self._pointed_at: int | None = None
        self.picked: int | None = None
        """The tile that is picked; None for none."""
        self.on_pick: Callable[[], None] = lambda: None
        self.on_try: Callable[[int], None] = lambda _tile: None
        self.on_next: Callable[[int], None] = lambda _tile: None
        self.tried: Callable[[int], Tried | None] = lambda _tile: None
        self.why_no_try: Callable[[], str] = lambda: ""
        self._preview = QTimer(tiles)
        self._preview.setSingleShot(True)
        self._preview.setInterval(PREVIEW_MS)
        self._preview.timeout.connect(self._show)
        self._hand = GridHand(
            viewer, canvas.tile_under, self.pick, self.ask, self._step, self.pick_next_failed
        )
        tiles.grid_toggled.connect(self._toggled)
        tiles.legend.filtered.connect(canvas.show_only)
        tiles.pick_row.asked.connect(self.ask)
        tiles.pick_row.left.connect(lambda: self.pick(None))
        run.on_states = self.refresh
        viewer.dims.events.ndisplay.connect(self._ndisplay_changed)
        viewer.events.status.connect(self._status_changed)
        viewer.mouse_move_callbacks.append(self._pointed)

    def close(self) -> None:
        """Let go of the viewer; safe to call after the widgets are gone."""
        self._hand.close()
        self._viewer.events.status.disconnect(self._status_changed)
        self._viewer.dims.events.ndisplay.disconnect(self._ndisplay_changed)
        if self._pointed in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._pointed)

    # -- what is drawn -------------------------------------------------------------------------

    def follow(self, plan: Plan, picture: Picture, level: int) -> None:
        """Draw the tiles of a plan soon, unless another one comes before."""
        self._next = plan, picture, level
        self._preview.start()

    def flush(self) -> None:
        """Draw at once what is to be drawn soon."""
        if self._preview.isActive():
            self._preview.stop()
            self._show()

    def stay(self) -> None:
        """Leave what is drawn as it is until there is another plan."""
        self._preview.stop()

    def hide(self) -> None:
        """Draw no tiles: there is no plan."""
        self._next = None
        self.stay()
        self._set_picked(None)
        self._canvas.hide_grid()

    def place(self, plan: Plan, picture: Picture, level: int) -> None:
        """Draw the tiles of a plan now, all of them waiting; what is picked stays where it is."""
        before = self._canvas.states
        self.plan = plan
        self._canvas.place(plan, picture, level)
        self._put(before)

    def _show(self) -> None:
        if self._next is None or self._run.active:
            return
        plan, picture, level = self._next
        before, states = self.plan, self._canvas.states
        same = before is not None and states is not None and self._canvas.lies_on(picture, level)
        if same and states.grid == plan.grid and plan.spec.replace(region=before.spec.region) == before.spec:
            self.plan = plan  # another part of the image: what is known of the tiles stays true
            self._put(states)
        else:
            self.place(*self._next)

    def put_back(self, states: TileStates) -> None:
        """Draw tiles as they were."""
        before, self._canvas.states = self._canvas.states, states
        self._put(before)

    def _put(self, before: TileStates | None) -> None:
        """Draw the tiles that the canvas has now, with the pick and the filter of those before."""
        states = self._canvas.states
        if self.picked is not None:
            self.picked = _same_place(self.picked, before, states)
        if states is not None:
            states.only = self._tiles.legend.only
            whole = self.plan is None or self.plan.region.whole
            states.within = None if whole else self.plan.region.tiles
            states.picked = states.selected = self.picked
        if self._tiles.show_grid.isChecked():
            self._canvas.show_grid()
        self.refresh()
        self.on_pick()

    def layers_changed(self) -> None:
        """Untick the box if the user took the tiles away and left their image."""
        layers, grid = self._viewer.layers, self._canvas.grid_layer
        if grid is not None and grid not in layers:
            self._canvas.grid_layer = None
            if self._canvas.image in layers:
                self._tiles.show_grid.setChecked(False)

    def _toggled(self, shown: bool) -> None:
        if shown and (self._run.active or self._next is not None):
            self._canvas.show_grid()
        else:
            self._canvas.hide_grid()
        if not shown:
            self.pick(None)

    def _ndisplay_changed(self, _event: Any = None) -> None:
        """Hide the grid in 3D, where it would be a block around the image."""
        if self._canvas.grid_layer is not None:
            shown = self._tiles.show_grid.isChecked() and self._viewer.dims.ndisplay == 2
            self._canvas.grid_layer.visible = shown

    # -- what is told --------------------------------------------------------------------------

    def refresh(self) -> None:
        """Tell of the tiles as they are now."""
        states = self._canvas.states
        if states is None:
            return
        self._tiles.legend.show_counts(states.counts)
        self._hand.listen(picked=self.picked is not None, failed=states.counts["failed"] > 0)
        self._tell_picked()
        self._tell_pointed()

    def facts(self, tile: int) -> Facts:
        """Return what is known of a tile."""
        states = self._canvas.states
        assert states is not None
        index, core, state = states.grid.index(tile), states.grid[tile].core, states.state(tile)
        found = self._run.facts.get(tile, (None, None)) if state in ("done", "empty") else (None, None)
        reason = self._run.reason(tile) if state == "failed" else ""
        tried = self.tried(tile) if state == "waiting" else None
        if tried is not None:
            found, reason = (tried.objects, tried.seconds), shorten(tried.reason)
            state = "tried, failed" if reason else "tried"
            found = (None, None) if reason else found
        names = "".join(axis.name for axis in self.plan.axes) if self.plan else ""
        return Facts(index, state, names, core, reason, *found)

    def _tell_picked(self) -> None:
        if self.picked is None:
            self._tiles.pick_row.tell(None)
            return
        facts = self.facts(self.picked)
        if self._run.active:
            why_not = "" if facts.state == "waiting" else f"This tile is {facts.state}"
            tip = "Segment this tile before all others"
            self._tiles.pick_row.tell(facts, "Do next", tip, why_not)
        else:
            tip = "Segment this tile alone, now; nothing is saved"
            again = "Try again" if facts.state.startswith("tried") else "Try"
            self._tiles.pick_row.tell(facts, again, tip, self.why_no_try())

    def _tell_pointed(self) -> None:
        tile, pointed = self._pointed_at, self._tiles.legend.pointed
        if tile is None:
            pointed.say(HINT if self._tiles.show_grid.isChecked() and self.picked is None else "")
            return
        facts = self.facts(tile)
        pointed.say(f"{facts.title()} · {facts.reason}" if facts.reason else facts.title())

    def _pointed(self, _viewer: Any, event: Any) -> None:
        """Tell of the tile under the pointer and show what it reads."""
        self._pointed_at = self._canvas.tile_under(event.position)
        self._canvas.mark(self._pointed_at, self.picked)
        if self._canvas.states is not None:
            self._tell_pointed()

    def _status_changed(self, event: Any) -> None:
        """Add the tile to what napari's status bar tells of the place under the pointer."""
        if self._pointed_at is None or self._canvas.states is None:
            return
        text, status = self.facts(self._pointed_at).status(), event.value
        told = status if isinstance(status, str) else status["coordinates"]
        if text in told:
            return
        told = f"{told} · {text}" if told and told != "Ready" else text
        self._viewer.status = told if isinstance(status, str) else {**status, "coordinates": told}

    # -- what is picked ------------------------------------------------------------------------

    def pick(self, tile: int | None) -> None:
        """Have a tile picked, or none."""
        if tile == self.picked:
            return
        self._set_picked(tile)
        self.refresh()
        self.on_pick()

    def ask(self) -> None:
        """Try the picked tile; while a run goes on, have it come next."""
        if self.picked is None or not self._tiles.pick_row.ask_button.isEnabled():
            return
        (self.on_next if self._run.active else self.on_try)(self.picked)

    def pick_next_failed(self) -> None:
        """Pick the failed tile after the one that is picked, and look at it."""
        states = self._canvas.states
        failed = [] if states is None else np.flatnonzero(states.states == STATES.index("failed"))
        if len(failed):
            after = 0 if self.picked is None else np.searchsorted(failed, self.picked, side="right")
            self.pick(int(failed[after % len(failed)]))
            self.look_at(self.picked)

    def look_at(self, tile: int) -> None:
        """Move the view so that the middle of a tile is in its middle."""
        states, where = self._canvas.states, self._canvas.where
        if states is not None and where is not None:
            core = states.grid[tile].core
            where.look_at(np.add(core.start, core.stop) / 2 - 0.5, camera(self._viewer))

    def _set_picked(self, tile: int | None) -> None:
        self.picked = tile
        self._canvas.mark(self._pointed_at, tile)

    def _step(self, axis: int, step: int) -> None:
        """Pick the tile beside the picked one, and look at it if it is out of sight."""
        states, where = self._canvas.states, self._canvas.where
        shown = where.shown_axes() if where is not None else []
        if self.picked is None or states is None or -axis > len(shown):
            return
        axis, index = shown[axis], list(states.grid.index(self.picked))
        index[axis] = min(max(index[axis] + step, 0), states.grid.counts[axis] - 1)
        self.pick(states.grid.number(tuple(index)))
        view = where.view()
        if view is not None and not view.intersect(states.grid[self.picked].core).size:
            self.look_at(self.picked)


def _same_place(tile: int, before: TileStates | None, now: TileStates | None) -> int | None:
    """Return the tile of another grid that has the middle of a tile."""
    if before is None or now is None or before.grid.ndim != now.grid.ndim or tile >= len(before.grid):
        return None
    core = before.grid[tile].core
    ratio = np.divide(now.grid.shape, before.grid.shape)
    middle = [int((a + b) / 2 * r) for a, b, r in zip(core.start, core.stop, ratio, strict=True)]
    return now.tile_at(middle)
