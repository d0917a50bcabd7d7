"""`Dock`: the frame of a dock. A body that scrolls, a bar that does not; theme, drops, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari.utils.notifications import show_info
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QApplication, QScrollArea, QShortcut, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import style

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent
    from qtpy.QtWidgets import QAbstractButton

RUN_FILE = ".json"
WIDTH = 330
"""Least width of a dock in pixels."""


class _Works(Protocol):
    """What a dock is the face of."""

    def left_behind(self) -> str:
        """Return what is to be told where the dock is closed while it works, "" otherwise."""

    def leave(self) -> None:
        """End, and clear up in a viewer that stays."""

    def close(self) -> None:
        """End; the widgets may be gone."""

    def open(self, path: str) -> None:
        """Open an image."""

    def choose(self, layer: object) -> None:
        """Choose an image layer; anything else leaves the choice as it is."""


class Dock(QWidget):
    """A dock widget of one viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer; napari hands it over.
    body : QWidget
        Scrolls.
    bar : QWidget
        Is pinned under it.
    """

    def __init__(self, viewer: napari.viewer.Viewer, body: QWidget, bar: QWidget) -> None:
        super().__init__()
        # Plugins get a proxy that wraps all it returns, so that no layer is itself any more.
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        self.setMinimumWidth(WIDTH)
        self.setAcceptDrops(True)
        self.scroll = QScrollArea()
        self.scroll.setWidget(body)
        self.scroll.setWidgetResizable(True)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.scroll, 1)
        column.addWidget(bar)
        self._theme()

    def work(self, controller: _Works) -> None:
        """Be the face of a controller from now on, which ends with this dock."""
        self._works = controller
        self._viewer.events.theme.connect(self._theme)
        # Closing the viewer deletes docks without a close event; the controller has to hear of it.
        self._close = _Closer(controller, self._viewer, self._theme)
        self.destroyed.connect(self._close)
        QApplication.instance().aboutToQuit.connect(self._close)

    def event(self, event: QEvent) -> bool:
        """Notice when the dock is closed: napari only takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            QTimer.singleShot(0, self._left_alone)  # a widget that moves has a parent again by then
        return super().event(event)

    def _left_alone(self) -> None:
        if self.parent() is None:
            told = self._works.left_behind()
            self._close.leave()
            if told:
                show_info(told)

    def choose(self, layer: object) -> None:
        """Choose an image layer; anything else leaves the choice as it is."""
        self._works.choose(layer)

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
            self.take(path)

    def take(self, path: str) -> None:
        """Open a folder, an address or a run file."""
        self._works.open(path)

    def press(self, keys: str, button: QAbstractButton) -> None:
        """Have keys press a button, wherever in the window they are typed."""
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(button.click)

    def _theme(self, _event: object = None) -> None:
        self.setStyleSheet(style("light" if get_theme(self._viewer.theme).type == "light" else "dark"))


class _Closer:
    """Ends the controller of a dock that is gone; holds nothing that belongs to the dock itself."""

    def __init__(self, controller: _Works, viewer: napari.viewer.Viewer, theme: object) -> None:
        self._held: tuple[_Works, napari.viewer.Viewer, object] | None = (controller, viewer, theme)

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
