"""`SeamlabelWidget`: the dock. Form that scrolls, run bar that does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import napari.viewer  # noqa: TC002  napari hands over the viewer by the annotation
from napari.utils.notifications import show_info
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPoint, QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QApplication, QScrollArea, QShortcut, QVBoxLayout, QWidget

from seamlabel.napari.controller import Controller
from seamlabel.napari.form.form import Form
from seamlabel.napari.form.rows import style
from seamlabel.napari.result.panel import ResultPanel
from seamlabel.napari.result.parts import make_parts
from seamlabel.napari.run.run_bar import RunBar

if TYPE_CHECKING:
    from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent

RUN_FILE = ".json"
ARRIVE_MS = 500
"""For so many milliseconds the dock keeps a result in sight that has just come."""
WIDTH = 330
"""Least width of the dock in pixels."""


class SeamlabelWidget(QWidget):
    """The dock widget of one viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer; napari hands it over.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # Plugins get a proxy that wraps all it returns, so that no layer is itself any more.
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        self.setObjectName("seamlabel")
        self.setMinimumWidth(WIDTH)
        self.setAcceptDrops(True)
        self.form = Form()
        self.bar = RunBar()
        self.scroll = QScrollArea()
        self.scroll.setWidget(self._body())
        self.scroll.setWidgetResizable(True)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.scroll, 1)
        column.addWidget(self.bar)
        self._shortcuts()
        self._theme()
        self.controller = Controller(self._viewer, self.form, self.bar)
        self.result = ResultPanel(self.controller.results, make_parts(), self)
        self._under_form.addWidget(self.result)
        self._arriving = QTimer(self)
        self._arriving.setSingleShot(True)
        self._arriving.setInterval(ARRIVE_MS)
        self.controller.results.came.connect(self._arrive)
        self.scroll.verticalScrollBar().rangeChanged.connect(self._to_result)
        self._viewer.events.theme.connect(self._theme)
        # Closing the viewer deletes docks without a close event; the controller has to hear of it.
        self._close = _Closer(self.controller, self._viewer, self._theme)
        self.destroyed.connect(self._close)
        QApplication.instance().aboutToQuit.connect(self._close)

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

    def event(self, event: QEvent) -> bool:
        """Notice when the dock is closed: napari only takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            QTimer.singleShot(0, self._left_alone)  # a widget that moves has a parent again by then
        return super().event(event)

    def _left_alone(self) -> None:
        if self.parent() is None:
            told = self.controller.run.left_behind()
            self._close.leave()
            if told:
                show_info(told)

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

    def choose(self, layer: object) -> None:
        """Choose an image layer; anything else leaves the choice as it is."""
        self.controller.choose(layer)

    def sizeHint(self) -> QSize:
        """Return a width at which nothing is cut off."""
        return QSize(WIDTH + 40, 760)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep plain keys that nothing here had a use for: napari would hand them to its canvas."""
        plain = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        event.setAccepted(not event.modifiers() & ~plain)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take folders, addresses and run files, leave other files to napari."""
        if _dropped(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        path = _dropped(event)
        if path:
            event.acceptProposedAction()
            take = self.form.load if path.endswith(RUN_FILE) else self.controller.open
            take(path)

    def _shortcuts(self) -> None:
        for keys, slot in (
            ("Ctrl+Return", self.bar.run_button.click),
            ("Ctrl+Enter", self.bar.run_button.click),
            ("Ctrl+P", self.bar.pause_button.click),
            ("Ctrl+.", self.bar.cancel_button.click),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(slot)

    def _theme(self, _event: object = None) -> None:
        self.setStyleSheet(style("light" if get_theme(self._viewer.theme).type == "light" else "dark"))


class _Closer:
    """Ends the controller of a dock that is gone; holds nothing that belongs to the dock itself."""

    def __init__(self, controller: Controller, viewer: napari.viewer.Viewer, theme: object) -> None:
        self._held: tuple[Controller, napari.viewer.Viewer, object] | None = (controller, viewer, theme)

    def __call__(self, *_: object) -> None:
        self._end(stays=False)

    def leave(self) -> None:
        """End it in a viewer that stays."""
        self._end(stays=True)

    def _end(self, stays: bool) -> None:
        if self._held is None:
            return
        (controller, viewer, theme), self._held = (
            self._held,
            None,
        )  # the application knows this object for ever
        viewer.events.theme.disconnect(theme)
        if stays:
            controller.leave()
        else:
            controller.close()


def _dropped(event: QDropEvent) -> str:
    """Return the first folder, address or run file among what is dropped, "" if there is none."""
    for url in event.mimeData().urls():
        local = url.toLocalFile()
        if not local and url.scheme() in {"http", "https", "s3"}:
            return url.toString()
        if local and (Path(local).is_dir() or local.endswith(RUN_FILE)):
            return local
    return ""
