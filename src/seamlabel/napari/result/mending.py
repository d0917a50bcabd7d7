"""`Mender`: does what the result panel asks of form, launcher and viewer. Knows no widget of the panel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from seamlabel.napari.layers.pictures import ome_zarr_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.components import ViewerModel

    from seamlabel.napari.form.form import Form
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.shown import Shown
    from seamlabel.napari.run.launcher import Launcher
    from seamlabel.napari.tiles.grid_control import GridControl


class Mender:
    """Between the result panel and the form of one dock.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : Form
        What is asked for.
    launch : Launcher
        Begins runs.
    grid : GridControl
        Draws tiles.
    results : ResultControl
        Says which run is shown.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        form: Form,
        launch: Launcher,
        grid: GridControl,
        results: ResultControl,
    ) -> None:
        self._viewer, self._form, self._launch = viewer, form, launch
        self._grid, self._results = grid, results
        self.choose: Callable[[Any], None] = lambda _layer: None
        """Called with an image layer that is to be chosen."""
        results.form_wished.connect(self._change_form)
        results.tile_wished.connect(grid.pick)
        results.retry_wished.connect(self._retry)
        results.opened.connect(grid.refresh)
        form.tiles.pick_row.can_again = self._can_again
        form.tiles.pick_row.again.connect(self._again)

    def _change_form(self, fields: Mapping[str, Any], run: bool) -> None:
        """Enter numbers of tiles into the form, on the image of the result; and run if it is asked for."""
        shown = self._results.shown
        if shown is None or self._results.run.active:
            return
        self._go_to_image(shown)
        tiles = self._form.tiles
        if "tile_shape" in fields:
            tiles.shape.set_value(fields["tile_shape"])
        if "overlap" in fields:
            tiles.overlap.set_value(fields["overlap"])
        if run:
            self._launch.start()

    def _can_again(self) -> bool:
        """Return whether the tiles that are drawn are those of labels that can be merged again."""
        shown, states, picture = self._results.shown, self._results.canvas.states, self._form.image.picture
        if shown is None or states is None or picture is None or not self._results.can_merge:
            return False
        return states.grid == shown.plan.grid and _is_of(picture.layer, shown)

    def _again(self) -> None:
        """Segment the picked tile again and merge it in."""
        if self._grid.picked is not None and self._can_again():
            self._results.apply(again=[self._grid.picked])

    def _retry(self) -> None:
        """Try the tiles that failed again."""
        shown = self._results.shown
        if shown is None or self._results.run.active:
            return
        self._go_to_image(shown)
        if shown.plan.run_dir is None and Path(shown.run_dir).is_dir():
            self._launch.again(shown)
        elif self._launch.found:
            self._launch.resume()
        else:  # no tile was finished
            self._launch.start()

    def choose_image(self, shown: Shown) -> bool:
        """Have the form show the image of a run, if it is open; return whether it is."""
        picture = self._form.image.picture
        if picture is not None and _is_of(picture.layer, shown):
            return True
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and _is_of(layer, shown):
                self.choose(layer)
                return True
        return False

    def _go_to_image(self, shown: Shown) -> None:
        """Have the form show the image of a run, which is opened if need be, as it was asked for."""
        if not self.choose_image(shown) and shown.spec.image is not None:
            self._form.setValue(shown.spec)


def _is_of(layer: Image, shown: Shown) -> bool:
    """Return whether a layer shows the image of a run."""
    path = ome_zarr_path(layer)
    if shown.spec.image is not None:
        return path is not None and os.path.realpath(path) == os.path.realpath(shown.spec.image)
    levels = layer.data if layer.multiscale else [layer.data]
    return shown.array is not None and any(level is shown.array for level in levels)
