"""`Measuring`: the user draws a line over one object, and its length becomes the method's diameter.

Knows the viewer, the chosen image and the form's button; the layer of the line lasts as long as it is
being drawn.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Vectors
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel

    from seamlabel.napari.form.form import Form
    from seamlabel.napari.layers.pictures import Picture

NAME = "Draw a line over one object"
LEAST = 5.0
"""Pixels of the screen below which a line was a slip of the hand."""
WIDTH = 3.0
"""Of the line, in pixels of the screen."""


class Measuring(QObject):
    """Measures an object in the viewer of one dock.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the line is drawn.
    form : Form
        Asks for it, and takes the length.
    """

    def __init__(self, viewer: ViewerModel, form: Form) -> None:
        super().__init__(form)
        self._viewer, self._form = viewer, form
        self.layer: Vectors | None = None
        self._before: Any = None
        self._way: Any = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._take)
        self._escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), form)
        self._escape.setContext(Qt.ShortcutContext.WindowShortcut)
        self._escape.setEnabled(False)
        self._escape.activated.connect(self.end)
        form.method.measure_requested.connect(self._asked)
        form.image.image_changed.connect(self.end)

    def begin(self) -> None:
        """Add a layer to draw a line on."""
        picture = self._form.image.picture
        self.end()
        if picture is None:
            return
        self._viewer.dims.ndisplay = 2  # in 3D a line would have no certain place
        self._before = self._viewer.layers.selection.active
        # Shapes would be the layer for it, but software OpenGL crashes when one is added after another.
        self.layer = Vectors(
            np.zeros((1, 2, picture.layer.ndim)),
            name=NAME,
            edge_width=max(WIDTH * self._pixel(picture), 0.01),
            edge_color="#ff9f1c",
            vector_style="line",
            **{key: getattr(picture.layer, key) for key in _PLACE},
        )
        self._viewer.add_layer(self.layer)
        self._viewer.layers.selection.active = self.layer
        self.layer.mouse_pan = False
        self.layer.mouse_drag_callbacks.append(self._drag)
        self.layer.bind_key("Escape", lambda _layer: self.end())  # of the canvas; the shortcut: of the dock
        self._viewer.layers.events.removed.connect(self._removed)
        self._escape.setEnabled(True)
        self._tick(True)

    def end(self) -> None:
        """Take the layer away, if there is one; safe to call when the form is gone."""
        layer, self.layer = self.layer, None
        if layer is None:
            return
        self._viewer.layers.events.removed.disconnect(self._removed)
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        if self._before in self._viewer.layers:
            self._viewer.layers.selection.active = self._before
        with suppress(RuntimeError):  # the widgets may be gone
            self._escape.setEnabled(False)
            self._tick(False)

    def _asked(self, wanted: bool) -> None:
        if wanted:
            self.begin()
        else:
            self.end()

    def _tick(self, on: bool) -> None:
        button = self._form.method.measure
        self._form.method.hint.say(f"{NAME} in the image · Esc ends it" if on else "")
        if button is not None:
            button.blockSignals(True)
            button.setChecked(on)
            button.blockSignals(False)

    def _removed(self, event: Any) -> None:
        if event.value is self.layer or self._form.image.layer() is None:
            self.end()

    def _drag(self, layer: Vectors, event: Any) -> Generator[None, None, None]:
        """Draw the line after the mouse; napari sends one event a step, the last at release."""
        start = np.asarray(layer.world_to_data(event.position))
        self._way = np.zeros_like(start)
        yield
        while event.type == "mouse_move":
            self._way = np.asarray(layer.world_to_data(event.position)) - start
            layer.data = np.stack([start, self._way])[None]
            yield
        self._later.start(0)  # napari still works on the event

    def _take(self) -> None:
        """Take the length, unless it was but a click."""
        picture, way = self._form.image.picture, self._way
        if self.layer is None or picture is None:
            return
        if float(np.linalg.norm(way)) < LEAST * self._pixel(picture):
            return
        length = in_voxels(picture, self._form.image.level_index(), way)
        self.end()
        self._form.method.set_diameter(length)

    def _pixel(self, picture: Picture) -> float:
        """Return how many pixels of the image one pixel of the screen is."""
        return 1 / max(1e-9, self._viewer.camera.zoom * abs(float(picture.layer.scale[-1])))


_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def in_voxels(picture: Picture, level: int, way: Any) -> float:
    """Return the length of a way over an image, in voxels of the finest space axis of `level`.

    Parameters
    ----------
    picture : Picture
        The image.
    level : int
        The level that is segmented.
    way : array
        From end to end along the layer's axes, in pixels of its full resolution.
    """
    info = picture.info
    every = picture.layer.ndim == len(info.axes)
    axes = range(len(info.axes)) if every else info.label_axes
    full, wanted = picture.levels[0].scale, picture.levels[level].scale
    world = [float(w) * full[i] for w, i in zip(way, axes, strict=False)]
    return float(np.linalg.norm(world)) / min(s for s, a in zip(wanted, info.axes, strict=True) if a.tiled)
