"""`MapWidget`: the dock "Predict a map". Form and objects scroll, the run bar does not."""

from __future__ import annotations

import napari.viewer  # noqa: TC002  napari hands over the viewer by the annotation
from qtpy.QtWidgets import QVBoxLayout, QWidget

from seamlabel.napari.commands import dock_of
from seamlabel.napari.dock import Dock
from seamlabel.napari.maps.map_control import MapControl
from seamlabel.napari.maps.map_form import MapForm, line
from seamlabel.napari.maps.objects_box import ObjectsBox
from seamlabel.napari.run.run_bar import RunBar


class MapWidget(Dock):
    """The dock widget of one viewer that predicts maps and makes objects of them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer; napari hands it over.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self.form, self.objects, self.bar = MapForm(), ObjectsBox(), RunBar("Predict the whole image")
        super().__init__(viewer, self._body(), self.bar)
        self.setObjectName("seamlabel-map")
        self.bar.pause_button.hide()
        self.controller = MapControl(
            self._viewer, self.form, self.objects, self.bar, lambda: dock_of(self._viewer, tabify=True)
        )
        # no shortcuts: keys that two docks of a window know press neither button
        self.work(self.controller)

    def _body(self) -> QWidget:
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.form)
        inner = QVBoxLayout()
        inner.setContentsMargins(8, 0, 8, 8)
        inner.setSpacing(4)
        inner.addWidget(line())
        inner.addWidget(self.objects)
        column.addLayout(inner)
        column.addStretch(1)
        return body
