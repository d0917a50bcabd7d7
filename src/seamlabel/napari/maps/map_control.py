"""`MapControl`: between the form, the run and the layers of a map. A plain object: it outlives windows."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QTimer

from seamlabel.blended import Blended, blend_steps
from seamlabel.engine.dense import MapStarted, MapTile
from seamlabel.errors import ImageError, SeamlabelError, SpecError
from seamlabel.napari.form.rows import here, sentence
from seamlabel.napari.image_choice import ImageChoice
from seamlabel.napari.layers.layer_watch import LayerWatch
from seamlabel.napari.maps.map_layers import MOST, MapLayers
from seamlabel.napari.maps.objects_control import ObjectsControl
from seamlabel.napari.maps.stream import MapStream
from seamlabel.napari.maps.telling import progress_text, stopped_text
from seamlabel.napari.preferences import preferences
from seamlabel.napari.run.activity import Activity
from seamlabel.napari.run.progress import duration, many
from seamlabel.napari.run.worker import RunWorker
from seamlabel.plan import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from seamlabel.napari.layers.pictures import Picture
    from seamlabel.napari.maps.map_form import MapForm
    from seamlabel.napari.maps.objects_box import ObjectsBox
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.napari.widget import SeamlabelWidget
    from seamlabel.plan import Plan


class MapControl:
    """Runs the dock of maps of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : MapForm
        What is asked for.
    objects : ObjectsBox
        What is made of maps.
    bar : RunBar
        Run, cancel, progress and result.
    dock : callable
        Opens the dock Seamlabel and returns it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        form: MapForm,
        objects: ObjectsBox,
        bar: RunBar,
        dock: Callable[[], SeamlabelWidget],
    ) -> None:
        self._viewer, self._form, self._bar = viewer, form, bar
        self.layers = MapLayers(viewer)
        self.plan: Plan | None = None
        self.worker: RunWorker | None = None
        self._stream: MapStream | None = None
        self._ran: tuple[Picture, Plan] | None = None
        """What is predicted, and how: its layer may be removed meanwhile."""
        self._closed = False
        self._began = 0.0
        self.progress = (0, 0)
        self.choice = ImageChoice(viewer, form.image, lambda: self.active, lambda: self.objects.look())
        self.objects = ObjectsControl(viewer, objects, self.choice.images, dock)
        objects.map_changed.connect(self._follow)
        self.open, self.choose = self.choice.open, self.choice.choose
        self.activity = Activity(bar, self.cancel)
        self._watch = LayerWatch(lambda: None, form.image.look_again, form)
        self._redraw = QTimer(form)
        self._redraw.timeout.connect(self._look)
        form.changed.connect(self._form_changed)
        form.image.image_changed.connect(self._image_changed)
        bar.run_requested.connect(self.start)
        bar.cancel_requested.connect(self.cancel)
        self.choice.look()
        self._image_changed()

    @property
    def active(self) -> bool:
        """Whether a map is being predicted."""
        return self.worker is not None

    def start(self) -> None:
        """Predict the map that the form asks for, or go on with it."""
        picture = self._form.image.picture
        if self.plan is None or picture is None or self.active:
            return
        self._ran = picture, self.plan
        self._form.remember()
        wishes = self._form.wishes()
        self._form.enable(False)
        self._bar.begin()
        self._began, self.progress = monotonic(), (0, 0)
        self.worker = RunWorker(lambda: blend_steps(**wishes), self._hear)  # type: ignore[arg-type]
        self.worker.events.connect(self._take)
        self.worker.failed.connect(self._failed)
        self.worker.finished.connect(self._finished)
        name = Path(wishes["output"]).name
        self.activity.begin(name, len(self.plan.grid), self._loss)
        self._bar.log.add(f"'{name}' began: {wishes['model']}")
        self.worker.start()
        self._redraw.start(round(1000 / preferences().redraws))

    def cancel(self) -> None:
        """Stop once the tiles under way are done; what is written stays, and Run goes on with it."""
        if self.worker is not None:
            self.worker.cancel()
            self._bar.stopping()

    def left_behind(self) -> str:
        """Return what is told where the dock is closed while it works."""
        if not self.active:
            return ""
        return "The map is not finished. Open this dock again and press Run with the same values to go on."

    def leave(self) -> None:
        """End in a viewer that stays."""
        self.objects.close(stays=True)
        if self.active:
            self.layers.cut_short()
        self.close()

    def close(self) -> None:
        """End, and let go of the viewer; the widgets may be gone."""
        if self._closed:
            return
        self._closed = True
        if isalive(self._redraw):
            self._redraw.stop()
        self._watch.follow(None)
        self.choice.close()
        self.objects.close(stays=False)
        self.activity.end()
        if self.worker is not None:
            self.worker.cancel()

    # -- planning -------------------------------------------------------------------------------

    def _image_changed(self) -> None:
        layer = self._form.image.layer()
        self._watch.follow(layer)
        if self.active:  # afterwards it is looked at anyway
            return
        if layer is None:
            self._form.set_picture(None)
            self._no_plan()
            return
        try:
            picture = self.choice.picture()
        except ImageError as error:
            self._no_plan()
            self._form.image.show_error(f"{error}. {error.hint}", "axes")
            return
        self._form.set_picture(picture)
        self._form_changed()

    def _form_changed(self) -> None:
        picture = self._form.image.picture
        if self.active or picture is None:
            return
        try:
            self.plan = resolve(self._form.spec(), picture.at(self._form.image.level_index())[0])
        except SpecError as error:
            problems = list(error.problems)
            rest = self._form.show_problems(problems)
            titles = self._form.titles(problems)
            told = [f"To mend above: {', '.join(titles)}"] if titles else []
            self._no_plan("\n".join([*told, *map(sentence, rest)]))
        except SeamlabelError as error:
            self._no_plan(str(error))
        else:
            self._form.show_plan(self.plan)
            self._bar.set_ready(True)

    def _no_plan(self, why: str = "") -> None:
        self.plan = None
        if not self.active:
            self._bar.set_ready(False, why)

    # -- the run --------------------------------------------------------------------------------

    def _hear(self, event: Any) -> None:
        """Take in an event in the thread of the run: a stream is to be there before the first block."""
        if isinstance(event, MapStarted):
            self._stream = MapStream(event.maps["mean"], MOST, event.blend)

    def _gone(self) -> bool:
        """Return whether the dock is; what a run tells comes later than its end, and before it is told."""
        return self._closed or not isalive(self._form)

    def _take(self, events: list[Any]) -> None:
        if self._gone():
            return
        for event in events:
            if isinstance(event, MapStarted):
                self._started(event)
            elif isinstance(event, MapTile):
                self.progress = event.done, event.total
            elif isinstance(event, Blended):
                self._ended(event)
        self._tell()

    def _started(self, event: MapStarted) -> None:
        stream = self._stream
        if self._ran is None or stream is None:
            return
        writer = event.maps["mean"]
        name = Path(writer.folder).name.removesuffix(".zarr")
        names = [name] if stream.total == 1 else [f"{name} {one}" for one in writer.channels]
        if stream.total > stream.count:
            self._bar.memory.say(f"The first {stream.count} of {stream.total} channels are shown")
        self.layers.begin(stream, *self._ran, names, str(writer.folder))
        likely = [layer for layer in self.layers.layers if "prob" in layer.name.lower()]
        self.objects.choose((likely or self.layers.layers)[0])
        self._draw()

    def _look(self) -> None:
        """Take what happened; a single tile may take minutes."""
        if self.worker is not None and not self._closed:
            self.worker.look()
            self._draw()

    def _draw(self) -> None:
        """Show what came since."""
        if not self._closed and self.layers.redraw():
            self._follow()

    def _follow(self) -> None:
        """Have the slider go over what there is of the map, if that is what it is for."""
        number = self.layers.number(self.objects.layer())
        if number is not None and self._stream is not None:
            self.objects.follow(*self._stream.limits[number])

    def _tell(self) -> None:
        if not self.active or not self._bar.cancel_button.isEnabled():
            return
        done, total = self.progress
        share = 0.95 * done / total if total else 0.0
        self._bar.show_progress(share, progress_text(done, total, monotonic() - self._began))
        self.activity.tell(done, total, "predicting")

    def _ended(self, found: Blended) -> None:
        """Show the finished map, and what it is."""
        self._redraw.stop()
        self._draw()
        self.layers.finish(found.path)
        text = f"Map {Path(found.path).name}: {many(len(found.grid), 'tile')} · {duration(found.seconds)}"
        self._bar.end(text, "good")
        self._follow()

    def _failed(self, error: BaseException, trace: str) -> None:
        if self._gone():
            return
        what, fix = str(error) or type(error).__name__, here(getattr(error, "hint", ""))
        if isinstance(error, SpecError):
            what, fix = "\n".join(map(sentence, error.problems)), ""
        self._bar.end("", "muted")
        self._bar.show_error(what, fix, "" if isinstance(error, SpecError) else trace)

    def _finished(self, cancelled: bool) -> None:
        self.worker = None
        if self._gone():
            return
        self._redraw.stop()
        self.activity.end()
        if self._gone():  # napari handled all events of the window for that
            return
        if cancelled:
            whole = self._stream is not None and self._stream.whole
            self._bar.end(stopped_text(*self.progress, whole), "muted")
        self.layers.cut_short()
        self._stream = self._ran = None
        self._form.enable(True)
        self._image_changed()

    def _loss(self) -> str:
        done, total = self.progress
        return f"{done:,} of {many(total, 'tile')} are done. What is written is kept: Run goes on with it."
