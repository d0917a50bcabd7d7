"""`ObjectsControl`: from a threshold to objects in view, and to the dock that labels the whole map."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.compat import isalive
from qtpy.QtCore import QTimer

from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.maps.preview import ThresholdPreview
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image

    from seamlabel.napari.maps.objects_box import ObjectsBox
    from seamlabel.napari.widget import SeamlabelWidget

WAIT_MS = 20
"""Between a move of the slider and what it shows."""
TOO_MUCH = "Too much in view to be labelled while you look: zoom in, or make labels"
FROM_AFAR = ", as seen from afar: some may touch that do not at full size"


class ObjectsControl:
    """Makes objects of maps.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    box : ObjectsBox
        What is asked for.
    images : callable
        Returns the image layers that may be maps.
    dock : callable
        Opens the dock Seamlabel, or brings it to the front, and returns it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        box: ObjectsBox,
        images: Callable[[], list[Image]],
        dock: Callable[[], SeamlabelWidget],
    ) -> None:
        self._viewer, self._box, self._images, self._dock = viewer, box, images, dock
        self.preview = ThresholdPreview(viewer, self._tell)
        self._touched = False
        self._soon = QTimer(box)
        self._soon.setSingleShot(True)
        self._soon.setInterval(WAIT_MS)
        self._soon.timeout.connect(self._show)
        box.map_changed.connect(self._other_map)
        box.threshold.valueChanged.connect(self._touch)
        box.value_changed.connect(self._value_changed)
        box.labels_requested.connect(self.make)
        self.look()

    def look(self) -> None:
        """Offer the layers there are now: what was predicted first, then the latest."""
        images = [layer for layer in self._images() if not layer.rgb]
        chosen = self._box.layer()
        if chosen not in images:
            chosen = images[-1] if images else None
        self._box.set_layers(images, chosen)
        if self.preview.source is not None and self.preview.source not in images:
            self.preview.hide()
        if self.preview.layer is not None and self.preview.layer not in self._viewer.layers:
            self._box.preview.setChecked(False)  # the user has removed it

    def layer(self) -> Image | None:
        """Return the chosen map."""
        return self._box.layer()

    def choose(self, layer: Image) -> None:
        """Choose a map that is being made."""
        self._touched = False
        self._box.set_layers([one for one in self._images() if not one.rgb], layer)

    def follow(self, low: float, high: float) -> None:
        """Take in that the chosen map has these values by now."""
        if low < inf and high > low:
            value = self._box.threshold.value() if self._touched else start(low, high)
            self._box.set_range(low, high, min(max(value, low), high))
        self.drawn()

    def drawn(self) -> None:
        """Draw objects anew: there is more of the map."""
        if self._box.preview.isChecked():
            self._soon.start()

    def close(self, stays: bool) -> None:
        """Let go; in a viewer that stays, take the preview away."""
        if stays:
            self.preview.hide()

    def make(self) -> None:
        """Have the whole map labelled, in the dock that does that with tiles."""
        layer, value = self._box.layer(), self._box.threshold.value()
        if layer is None:
            return
        if "unfinished" in layer.metadata.get(OWN, {}):
            show_info("This map is not finished yet: labels can be made once it is")
            return
        dock = self._dock()
        if dock.controller.run.active:
            show_info("Seamlabel is at work: make labels once it has ended")
            return
        dock.choose(layer)
        way, params = self._box.way.currentData(), {"value": value, "smoothing": 0.0}
        dock.form.memory.pass_by(way, params)
        dock.form.method.set_values(way, params)
        dock.form.method.changed.emit()
        self._box.preview.setChecked(False)
        if dock.bar.run_button.isEnabled():
            dock.bar.run_button.click()

    def _other_map(self) -> None:
        layer = self._box.layer()
        self.preview.hide()
        self._box.found.say("")
        if layer is None:
            return
        self._touched = False
        made = "unfinished" not in layer.metadata.get(OWN, {})
        low, high = map(float, layer.contrast_limits_range) if made else (0.0, 1.0)
        self._box.set_range(low, high, start(*layer.contrast_limits) if made else 0.5)
        self.drawn()

    def _touch(self, _value: float) -> None:
        self._touched = True

    def _value_changed(self) -> None:
        if self._box.preview.isChecked():
            self._soon.start()
        else:
            self._soon.stop()
            self.preview.hide()
            self._box.found.say("")

    def _show(self) -> None:
        layer = self._box.layer()
        if layer is None or layer not in self._viewer.layers or not self._box.preview.isChecked():
            return
        self.preview.show(layer, self._box.threshold.value())

    def _tell(self) -> None:
        """Tell of the objects that are looked at."""
        if not isalive(self._box):  # the layer stays where the viewer is closed
            return
        found = self.preview.count
        layer = self.preview.layer
        far = layer is not None and layer.multiscale and layer.data_level > 0
        told = f"{many(found or 0, 'object')} in view{FROM_AFAR if far else ''}"
        self._box.found.say(TOO_MUCH if found is None else told)


def start(low: float, high: float) -> float:
    """Return where a threshold begins: the middle of probabilities, 0 of logits, else halfway."""
    if low >= 0 and high <= 1 and low < 0.5 < high:
        return 0.5
    return 0.0 if low < 0 < high else (low + high) / 2
