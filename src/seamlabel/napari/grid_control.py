"""`GridControl`: the tile grid between form, canvas and viewer: when it is drawn, and what it tells.

Knows plans and tile states; nothing of how a run is carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from seamlabel.napari.canvas import Canvas
    from seamlabel.napari.pictures import Picture
    from seamlabel.napari.run_control import RunControl
    from seamlabel.napari.tiles_form import TilesForm
    from seamlabel.plan import Plan

PREVIEW_MS = 150
"""The grid follows the form after so many milliseconds without a change."""


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
        self._preview = QTimer(tiles)
        self._preview.setSingleShot(True)
        self._preview.setInterval(PREVIEW_MS)
        self._preview.timeout.connect(self._show)
        tiles.grid_toggled.connect(self._toggled)
        run.on_states = self.show_counts
        viewer.dims.events.ndisplay.connect(self._ndisplay_changed)
        viewer.mouse_move_callbacks.append(self._pointed)

    def close(self) -> None:
        """Let go of the viewer; safe to call after the widgets are gone."""
        self._viewer.dims.events.ndisplay.disconnect(self._ndisplay_changed)
        if self._pointed in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._pointed)

    # -- when it is drawn ----------------------------------------------------------------------

    def follow(self, plan: Plan, picture: Picture, level: int) -> None:
        """Draw the tiles of a plan soon, unless another one comes before."""
        self._next = plan, picture, level
        self._preview.start()

    def stay(self) -> None:
        """Leave what is drawn as it is until there is another plan."""
        self._preview.stop()

    def hide(self) -> None:
        """Draw no tiles: there is no plan."""
        self._next = None
        self.stay()
        self._canvas.hide_grid()

    def layers_changed(self) -> None:
        """Untick the box if the user took the tiles away and left their image."""
        layers, grid = self._viewer.layers, self._canvas.grid_layer
        if grid is not None and grid not in layers:
            self._canvas.grid_layer = None
            if self._canvas.image in layers:
                self._tiles.show_grid.setChecked(False)

    def _show(self) -> None:
        if self._next is None or self._run.active:
            return
        self._canvas.place(*self._next)
        if self._tiles.show_grid.isChecked():
            self._canvas.show_grid()
        self.show_counts()

    def _toggled(self, shown: bool) -> None:
        if shown and (self._run.active or self._next is not None):
            self._canvas.show_grid()
        else:
            self._canvas.hide_grid()

    def _ndisplay_changed(self, _event: Any = None) -> None:
        """Hide the grid in 3D, where it would be a block around the image."""
        if self._canvas.grid_layer is not None:
            shown = self._tiles.show_grid.isChecked() and self._viewer.dims.ndisplay == 2
            self._canvas.grid_layer.visible = shown

    # -- what it tells -------------------------------------------------------------------------

    def show_counts(self) -> None:
        """Show in the legend how many tiles are in each state."""
        if self._canvas.states is not None:
            self._tiles.legend.show_counts(self._canvas.states.counts)

    def _pointed(self, _viewer: Any, event: Any) -> None:
        """Tell of the tile under the pointer and show what it reads."""
        tile = self._canvas.tile_under(event.position)
        self._canvas.select(tile)
        if tile is None or self._canvas.states is None:
            self._tiles.legend.pointed.say("")
            return
        place = ", ".join(map(str, self._canvas.states.grid.index(tile)))
        reason = self._run.reason(tile)
        parts = [f"Tile ({place})", self._canvas.states.state(tile), reason]
        self._tiles.legend.pointed.say(" · ".join(part for part in parts if part))
