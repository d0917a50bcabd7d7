"""`Mender`: does what the result panel asks of form, launcher and viewer. Knows no widget of the panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.components import ViewerModel

    from seamlabel.napari.form import Form
    from seamlabel.napari.grid_control import GridControl
    from seamlabel.napari.launcher import Launcher
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.shown import Shown


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
        self._results = results
        self.choose: Callable[[Any], None] = lambda _layer: None
        """Called with an image layer that is to be chosen."""
        results.form_wished.connect(self._change_form)
        results.tile_wished.connect(grid.pick)
        results.retry_wished.connect(self._retry)

    def _change_form(self, fields: Mapping[str, Any], run: bool) -> None:
        """Enter numbers of tiles into the form, on the image of the result; and run if it is asked for."""
        shown = self._results.shown
        if shown is None or self._results.run.active:
            return
        self._choose_image(shown)
        tiles = self._form.tiles
        if "tile_shape" in fields:
            tiles.shape.set_value(fields["tile_shape"])
        if "overlap" in fields:
            tiles.overlap.set_value(fields["overlap"])
        if run:
            self._launch.start()

    def _retry(self) -> None:
        """Try the tiles that failed again."""
        shown = self._results.shown
        if shown is None or self._results.run.active:
            return
        self._choose_image(shown)
        if shown.plan.run_dir is None and Path(shown.run_dir).is_dir():
            self._launch.again(shown)
        elif self._launch.found:
            self._launch.resume()
        else:  # no tile was finished
            self._launch.start()

    def _choose_image(self, shown: Shown) -> None:
        """Have the form show the image of a run, if it shows another one."""
        picture = self._form.image.picture
        if shown.spec.image is not None:
            if picture is None or picture.path != shown.spec.image:
                self._form.setValue(shown.spec)
            return
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and _shows(layer, shown.array):
                self.choose(layer)


def _shows(layer: Image, array: Any) -> bool:
    return any(level is array for level in (layer.data if layer.multiscale else [layer.data]))
