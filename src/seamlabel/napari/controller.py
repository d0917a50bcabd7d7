"""`Controller`: between form, canvas and run. A plain object, so that it outlives closed windows.

The form's spec and the image make a plan or problems; a plan makes a run; a run's events go to the
canvas and the run bar. Knows no pixels.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from seamlabel.errors import ImageError, SeamlabelError, SpecError
from seamlabel.io.sources import image_info
from seamlabel.napari.form.measuring import Measuring
from seamlabel.napari.form.rows import sentence
from seamlabel.napari.image_choice import ImageChoice
from seamlabel.napari.layers.canvas import Canvas
from seamlabel.napari.layers.layer_watch import LayerWatch
from seamlabel.napari.result.control import ResultControl
from seamlabel.napari.result.mending import Mender
from seamlabel.napari.result.reopening import Reopener
from seamlabel.napari.run.launcher import Launcher
from seamlabel.napari.run.run_control import RunControl
from seamlabel.napari.tiles.tile_work import TileWork
from seamlabel.napari.tiles.view import frame
from seamlabel.plan import resolve

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from seamlabel.axes import ImageInfo
    from seamlabel.napari.form.form import Form
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec


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
        self.tiles = TileWork(viewer, form, bar, self.canvas, self.run)
        self.grid, self.trial, self.scope = self.tiles.grid, self.tiles.trial, self.tiles.scope
        self.results = ResultControl(viewer, self.canvas, self.run)
        self.launch = Launcher(form, bar, self.grid, self.canvas, self.run, self._run_begins)
        self.mender = Mender(viewer, form, self.launch, self.grid, self.results)
        self.reopener = Reopener(viewer, form, self.grid, self.results, self.mender.choose_image)
        self._measuring = Measuring(viewer, form)
        self.plan: Plan | None = None
        self._store: ImageInfo | None = None
        self._seen: Image | None = None
        self._closed = False
        self._look = QTimer(form)
        self._look.setSingleShot(True)
        self.image = ImageChoice(viewer, form.image, lambda: self.run.active, lambda: self._look.start(0))
        self.choose, self.open = self.image.choose, self.image.open
        self.mender.choose = self.choose
        self._watch = LayerWatch(self.grid.stay, self._image_is_other, form)
        self._connect()
        self.image.look()

    def close(self) -> None:
        """End a run and let go of the viewer; safe to call after the widgets are gone."""
        if self._closed:
            return
        self._closed = True
        self._measuring.end()
        self._form.memory.write()
        self.run.close()
        self.results.close()
        self.launch.finder.stop()
        self._viewer.dims.events.current_step.disconnect(self._tell_frame)
        self.image.close()
        self._watch.follow(None)
        self.tiles.close()

    def leave(self) -> None:
        """Close, and clear up in a viewer that stays."""
        self.results.put_back()
        self.close()
        if self.run.active:
            self.canvas.drop_stream(keep=bool(self.run.progress.states["done"]))
        self.canvas.forget()

    def start(self) -> None:
        """Do what the button Run says."""
        self.launch.start()

    def left_behind(self) -> str:
        """Return what is to be told where the dock of a run is closed, "" if nothing runs."""
        return self.run.left_behind()

    # -- from the viewer and the form ----------------------------------------------------------

    def _connect(self) -> None:
        form = self._form
        form.valueChanged.connect(self._value_changed)
        form.invalid.connect(self._show_problems)
        form.image.image_changed.connect(self._image_changed)
        form.save.output_changed.connect(self._output_changed)
        self._look.timeout.connect(self.grid.layers_changed)  # removed together, they go one by one
        self._bar.run_requested.connect(self.launch.start)
        self.launch.finder.found.connect(form.image.changed)
        self._bar.pause_requested.connect(self.run.pause)
        self._bar.cancel_requested.connect(self.run.cancel)
        self.run.on_begin = self._run_begins
        self.run.on_end = self._run_ended
        self._viewer.dims.events.current_step.connect(self._tell_frame)

    def _image_is_other(self) -> None:
        """Look again at the chosen layer, which got other pixels, or another place."""
        if not self.run.active:  # afterwards it is looked at anyway
            self._form.image.look_again()

    def _image_changed(self) -> None:
        """Look at the chosen layer and show what it is."""
        self._store = None
        layer = self._form.image.layer()
        self._watch.follow(layer)
        if layer is None:
            self._no_plan()
            self._form.set_picture(None)
            if not self.run.active:
                self.canvas.forget()
            return
        if layer is not self._seen and not self.run.active:
            self._bar.clear()
        self._seen = layer
        try:
            picture = self.image.picture()
        except ImageError as error:
            self._no_plan()
            self._form.image.show_error(f"{error}. {error.hint}", "axes")
            return
        self._form.set_picture(picture)
        self._tell_frame()
        self._output_changed()

    def _tell_frame(self, _event: Any = None) -> None:
        """Tell the form which time point is looked at."""
        picture = self._form.image.picture
        if picture is not None and "t" in picture.info.names and picture.layer in self._viewer.layers:
            self._form.image.set_step("t", frame(self._viewer, picture.layer, picture.info.names))

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
            self._form.show_plan(self.plan)
        except SpecError as error:
            self._show_problems(error)
            return
        except SeamlabelError as error:
            self._no_plan()
            self._bar.set_ready(False, str(error))
            return
        self._bar.set_ready(True)
        self.grid.follow(self.plan, self._form.image.picture, self._form.image.level_index())
        if (missing := self._form.tiles.scope.missing()) is not None:
            self._form.show_problems([missing])  # with the tiles drawn, so that one can be picked
            self._bar.set_ready(False, f"To mend above: {', '.join(self._form.titles([missing]))}")
            self.plan = self.launch.follow(None)

    def _show_problems(self, error: SpecError) -> None:
        self._no_plan()
        rest = self._form.show_problems(list(error.problems))
        titles = self._form.titles(list(error.problems))
        marked = [f"To mend above: {', '.join(titles)}"] if titles else []
        self._bar.set_ready(False, "\n".join([*marked, *map(sentence, rest)]))

    def _no_plan(self) -> None:
        self.plan = None
        self.grid.stay()
        if not self.run.active:
            self._form.clear_plan()
            self.grid.hide()
            self._bar.set_ready(False)
            self.launch.follow(None)

    # -- the run -------------------------------------------------------------------------------

    def _run_begins(self) -> None:
        self._form.memory.write()
        self.tiles.run_begins()
        self._enable(False)
        self.results.set_busy(True)

    def _run_ended(self) -> None:
        """Give the form back; names may be taken now that were free."""
        self._enable(True)
        self.tiles.run_ended()
        self.results.set_busy(False)
        self._seen = self._form.image.layer()  # what came of the run stays to be read
        self._image_changed()
        if self.plan is not None and self._seen is self.canvas.image:
            self.grid.stay()  # the states of the run stay to be seen until a value changes

    def _enable(self, enabled: bool) -> None:
        for section in (self._form.image, self._form.method, self._form.objects, self._form.save):
            section.setEnabled(enabled)
        self._form.tiles.lock(not enabled)
