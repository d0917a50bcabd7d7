"""`SeamlabelWidget`: the dock. Form that scrolls, run bar that does not."""

from __future__ import annotations

import napari.viewer  # noqa: TC002  napari hands over the viewer by the annotation
from qtpy.QtCore import QPoint, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from seamlabel.napari.controller import Controller
from seamlabel.napari.dock import RUN_FILE, Dock
from seamlabel.napari.form.form import Form
from seamlabel.napari.result.panel import ResultPanel
from seamlabel.napari.result.parts import make_parts
from seamlabel.napari.run.run_bar import RunBar

ARRIVE_MS = 500
"""For so many milliseconds the dock keeps a result in sight that has just come."""


class SeamlabelWidget(Dock):
    """The dock widget of one viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer; napari hands it over.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self.form, self.bar = Form(), RunBar()
        super().__init__(viewer, self._body(), self.bar)
        self.setObjectName("seamlabel")
        self._shortcuts()
        self.controller = Controller(self._viewer, self.form, self.bar)
        self.result = ResultPanel(self.controller.results, make_parts(), self)
        self._under_form.addWidget(self.result)
        self._arriving = QTimer(self)
        self._arriving.setSingleShot(True)
        self._arriving.setInterval(ARRIVE_MS)
        self.controller.results.came.connect(self._arrive)
        self.scroll.verticalScrollBar().rangeChanged.connect(self._to_result)
        self.work(self.controller)

    def _body(self) -> QWidget:
        """Return what scrolls: the form, and a place for the result under it."""
        body = QWidget()
        self._under_form = QVBoxLayout()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.form)
        column.addLayout(self._under_form)
        column.addStretch(1)
        return body

    def _arrive(self) -> None:
        """Scroll to the result, now and while its parts find their places."""
        self._arriving.start()
        self._to_result()

    def _to_result(self, *_: int) -> None:
        """Scroll so that the result that has just come begins at the top, as far as there is that much."""
        if not self._arriving.isActive():
            return
        place = self.result.mapTo(self.scroll.widget(), QPoint(0, 0))
        self.scroll.verticalScrollBar().setValue(place.y())

    def take(self, path: str) -> None:
        """Open a folder, an address or a run file."""
        load = self.form.load if path.endswith(RUN_FILE) else self.controller.open
        load(path)

    def _shortcuts(self) -> None:
        for keys, button in (
            ("Ctrl+Return", self.bar.run_button),
            ("Ctrl+Enter", self.bar.run_button),
            ("Ctrl+P", self.bar.pause_button),
            ("Ctrl+.", self.bar.cancel_button),
        ):
            self.press(keys, button)
