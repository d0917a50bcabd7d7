"""`Controller`: between form, canvas and run. A plain object, so that it outlives closed windows.

The form's spec and the image make a plan or problems; a plan makes a run; a run's events go to the
canvas and the run bar. Knows no pixels.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QTimer

from seamlabel.errors import ImageError, Problem, SeamlabelError, SpecError
from seamlabel.io.sources import image_info
from seamlabel.napari.canvas import Canvas
from seamlabel.napari.launcher import Launcher
from seamlabel.napari.open_image import open_into
from seamlabel.napari.pictures import describe
from seamlabel.napari.result.control import ResultControl
from seamlabel.napari.rows import sentence
from seamlabel.napari.run_control import RunControl
from seamlabel.napari.sample_data import sample_path
from seamlabel.plan import resolve

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from seamlabel.axes import ImageInfo
    from seamlabel.napari.form import Form
    from seamlabel.napari.run_bar import RunBar
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec

PREVIEW_MS = 150
"""The grid follows the form after so many milliseconds without a change."""


class Controller:
    """Runs the dock of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : Form
        What is asked for.
    bar : RunBar
        Run, cancel, progress and result.
    """

    def __init__(self, viewer: ViewerModel, form: Form, bar: RunBar) -> None:
        self._viewer, self._form, self._bar = viewer, form, bar
        self.canvas = Canvas(viewer)
        self.run = RunControl(viewer, self.canvas, bar)
        self.results = ResultControl(viewer, self.canvas, self.run)
        self.launch = Launcher(form, bar, self.canvas, self.run, self._run_begins)
        self.plan: Plan | None = None
        self._store: ImageInfo | None = None
        self._seen: Image | None = None
        self._closed = False
        self._preview = QTimer(form)
        self._preview.setSingleShot(True)
        self._preview.setInterval(PREVIEW_MS)
        self._look = QTimer(form)
        self._look.setSingleShot(True)
        self._connect()
        self._layers_changed()

    def close(self) -> None:
        """End a run and let go of the viewer; safe to call after the widgets are gone."""
        if self._closed:
            return
        self._closed = True
        self.run.close()
        for emitter, slot in self._viewer_slots:
            emitter.disconnect(slot)
        if self._pointed in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._pointed)

    def leave(self) -> None:
        """Close, and clear up in a viewer that stays."""
        self.close()
        if self.run.active:
            self.canvas.drop_stream(keep=bool(self.run.progress.states["done"]))
        self.canvas.forget()

    def start(self) -> None:
        """Do what the button Run says."""
        self.launch.start()

    def choose(self, layer: Any) -> None:
        """Choose an image layer; anything else leaves the choice as it is."""
        images = self._images()
        own = next((image for image in images if image == layer), None)  # napari may hand over a proxy
        if own is not None and not self.run.active:
            self._form.image.set_layers(images, own)

    def open(self, path: str) -> None:
        """Open an OME-Zarr as layers, unless it is open, and choose it; "" takes a wrong path back."""
        try:
            layer = open_into(self._viewer, path) if path else None
        except (SeamlabelError, OSError) as error:
            self._form.image.refuse(Problem("path", str(error), getattr(error, "hint", "")))
            return
        self._form.image.refuse(None)
        if layer is not None:
            self._form.image.set_layers(self._images(), layer)

    def open_sample(self, name: str) -> None:
        """Open a sample image, written first if need be."""
        self.open(str(sample_path(name)))

    # -- from the viewer and the form ----------------------------------------------------------

    def _connect(self) -> None:
        form, layers = self._form, self._viewer.layers
        form.valueChanged.connect(self._value_changed)
        form.invalid.connect(self._show_problems)
        form.image.image_changed.connect(self._image_changed)
        form.image.open_requested.connect(self.open)
        form.image.sample_requested.connect(self.open_sample)
        form.save.output_changed.connect(self._output_changed)
        form.tiles.grid_toggled.connect(self._grid_toggled)
        self._preview.timeout.connect(self._show_grid)
        self._look.timeout.connect(self._layers_settled)
        self._bar.run_requested.connect(self.launch.start)
        self.launch.finder.found.connect(form.image.changed)
        self._bar.cancel_requested.connect(self.run.cancel)
        self.run.on_begin = self._run_begins
        self.run.on_end = self._run_ended
        self.run.on_states = self._show_counts
        self._viewer_slots: list[tuple[Any, Any]] = [
            (layers.events.inserted, self._layers_changed),
            (layers.events.removed, self._layers_changed),
            (layers.events.reordered, self._layers_changed),
            (self._viewer.dims.events.ndisplay, self._ndisplay_changed),
        ]
        for emitter, slot in self._viewer_slots:
            emitter.connect(slot)
        self._viewer.mouse_move_callbacks.append(self._pointed)

    def _images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _layers_changed(self, _event: Any = None) -> None:
        images = self._images()
        chosen = self._form.image.layer()
        if chosen not in images:
            active = self._viewer.layers.selection.active
            chosen = active if active in images else (images[-1] if images else None)
        self._form.image.set_layers(images, chosen)
        self._form.image.empty.tell(any(isinstance(layer, Labels) for layer in self._viewer.layers))
        self._look.start(0)  # layers that are removed together go one by one

    def _layers_settled(self) -> None:
        """Untick the box if the user took the tiles away and left their image."""
        layers, grid = self._viewer.layers, self.canvas.grid_layer
        if grid is not None and grid not in layers:
            self.canvas.grid_layer = None
            if self.canvas.image in layers:
                self._form.tiles.show_grid.setChecked(False)

    def _image_changed(self) -> None:
        """Look at the chosen layer and show what it is."""
        self._store = None
        layer = self._form.image.layer()
        if layer is None:
            self._no_plan()
            self._form.set_picture(None)
            if not self.run.active:
                self.canvas.forget()
            return
        if layer is not self._seen and not self.run.active:
            self._bar.clear()
        self._seen = layer
        axes = "".join(self._form.image.axes.text().split()).lower()
        try:
            picture = describe(layer, axes)
        except ImageError as error:
            self._no_plan()
            self._form.image.show_error(f"{error}. {error.hint}", "axes")
            return
        self._form.set_picture(picture)
        self._output_changed()

    def _output_changed(self) -> None:
        """Look at the store that is to get the labels: names may be taken there."""
        self._store = None
        if self._form.image.picture is not None:
            with suppress(SeamlabelError):  # told when it is planned with, right below
                self._form.save.set_target(self._target_info())
        self._form.image.changed.emit()

    def _target_info(self) -> ImageInfo:
        """Return the info to plan with: the image's, with names and rights of the labels' store."""
        image = self._form.image
        info, array, _ = image.picture.at(image.level_index())
        output = self._form.save.output()
        if output is None:
            return info
        if self._store is None:  # looked at once, not at every key that is pressed
            axes = None if array is None else info.names
            self._store = image_info(image.picture.path or array, axes=axes, output=output)
        return replace(info, labels=self._store.labels, writable=self._store.writable)

    def _value_changed(self, spec: RunSpec) -> None:
        if self.run.active:
            return
        try:
            self.plan = self.launch.follow(resolve(spec, self._target_info()))
        except SpecError as error:
            self._show_problems(error)
            return
        except SeamlabelError as error:
            self._no_plan()
            self._bar.set_ready(False, str(error))
            return
        self._form.show_plan(self.plan)
        self._bar.set_ready(True)
        self._preview.start()

    def _show_problems(self, error: SpecError) -> None:
        self._no_plan()
        rest = self._form.show_problems(list(error.problems))
        titles = self._form.titles(list(error.problems))
        marked = [f"To mend above: {', '.join(titles)}"] if titles else []
        self._bar.set_ready(False, "\n".join([*marked, *map(sentence, rest)]))

    def _no_plan(self) -> None:
        self.plan = None
        self._preview.stop()
        if not self.run.active:
            self._form.clear_plan()
            self.canvas.hide_grid()
            self._bar.set_ready(False)
            self.launch.follow(None)

    # -- the grid ------------------------------------------------------------------------------

    def _show_grid(self) -> None:
        picture = self._form.image.picture
        if self.plan is None or picture is None or self.run.active:
            return
        self.canvas.place(self.plan, picture, self._form.image.level_index())
        if self._form.tiles.show_grid.isChecked():
            self.canvas.show_grid()
        self._show_counts()

    def _show_counts(self) -> None:
        if self.canvas.states is not None:
            self._form.tiles.legend.show_counts(self.canvas.states.counts)

    def _grid_toggled(self, shown: bool) -> None:
        if shown and (self.run.active or self.plan is not None):
            self.canvas.show_grid()
        else:
            self.canvas.hide_grid()

    def _ndisplay_changed(self, _event: Any = None) -> None:
        """Hide the grid in 3D, where it would be a block around the image."""
        if self.canvas.grid_layer is not None:
            shown = self._form.tiles.show_grid.isChecked() and self._viewer.dims.ndisplay == 2
            self.canvas.grid_layer.visible = shown

    def _pointed(self, _viewer: Any, event: Any) -> None:
        """Tell of the tile under the pointer and show what it reads."""
        tile = self.canvas.tile_under(event.position)
        self.canvas.select(tile)
        if tile is None or self.canvas.states is None:
            self._form.tiles.legend.pointed.say("")
            return
        place = ", ".join(map(str, self.canvas.states.grid.index(tile)))
        reason = self.run.reason(tile)
        parts = [f"Tile ({place})", self.canvas.states.state(tile), reason]
        self._form.tiles.legend.pointed.say(" · ".join(part for part in parts if part))

    # -- the run -------------------------------------------------------------------------------

    def _run_begins(self) -> None:
        self._preview.stop()
        self._enable(False)
        self.results.set_busy(True)

    def _run_ended(self) -> None:
        """Give the form back; names may be taken now that were free."""
        self._enable(True)
        self.results.set_busy(False)
        self._seen = self._form.image.layer()  # what came of the run stays to be read
        self._image_changed()
        if self.plan is not None and self._seen is self.canvas.image:
            self._preview.stop()  # the states of the run stay to be seen until a value changes

    def _enable(self, enabled: bool) -> None:
        for section in (self._form.image, self._form.method, self._form.save):
            section.setEnabled(enabled)
        self._form.tiles.lock(not enabled)
