"""`Activity`: napari's activity dock shows a run, and closing its window asks first.

Knows napari's and Qt's ways of both; nothing of events or of how a run is carried out.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from napari.utils import cancelable_progress
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QMessageBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

SECONDS = 1.0
"""Between two changes in the activity dock: each one handles all of the window's events."""


class _Shown(cancelable_progress):
    """A line in the activity dock; its Cancel button does what the dock's own does."""

    def cancel(self) -> None:
        """Ask for the end of the run."""
        self.cancel_callback()


class Activity(QObject):
    """Tells napari of one run at a time.

    Parameters
    ----------
    inside : QWidget
        A widget of the window that is to ask.
    cancel : callable
        What a click on Cancel in the activity dock does.
    """

    def __init__(self, inside: QWidget, cancel: Callable[[], None]) -> None:
        super().__init__(inside)
        self._inside, self._cancel = inside, cancel
        self._shown: _Shown | None = None
        self._window: QMainWindow | None = None
        self._loss: Callable[[], str] = str
        self._told = 0.0
        self._busy = self._name = ""

    def begin(self, name: str, total: int, loss: Callable[[], str]) -> None:
        """Show that a run of so many tiles has begun; `loss()` is what is to be known before it is left."""
        self._name, self._loss, self._told = name, loss, monotonic()
        self._shown = _Shown(total=total, desc=f"Seamlabel: {name}", cancel_callback=self._cancel)
        self._window = _main_window(self._inside)
        if self._window is not None:
            self._window.installEventFilter(self)

    def tell(self, done: int, total: int, doing: str) -> None:
        """Show how far it is, not too often."""
        shown = self._shown
        if shown is None or shown.disable or self._busy or monotonic() - self._told < SECONDS:
            return
        self._busy = doing  # napari handles events meanwhile, also those that lead here
        with suppress(RuntimeError):  # one of the windows that showed it is gone
            if shown.total != total and total:
                shown.total = total
            text = f"Seamlabel: {self._name}, {doing}"
            if shown.desc != f"{text}: ":
                shown.set_description(text)
            if done != shown.n:
                shown.update(done - shown.n)
        self._busy, self._told = "", monotonic()

    def end(self) -> None:
        """Show that it is over; the window may be gone."""
        shown, self._shown = self._shown, None
        window, self._window = self._window, None
        with suppress(RuntimeError):
            if shown is not None:
                shown.close()
        with suppress(RuntimeError):
            if window is not None:
                window.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask before the window of a run is closed, however the user does that; not where a script does."""
        if event.type() != QEvent.Type.Close or watched is not self._window or not _by_user(self._window):
            return False
        if self._leave():
            return False
        event.ignore()
        return True

    def _leave(self) -> bool:
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("A run is under way")
        box.setText(f"Seamlabel is still working on '{self._name}'.")
        box.setInformativeText(self._loss())
        box.addButton("Keep running", QMessageBox.ButtonRole.RejectRole)
        leave = box.addButton("Stop and close", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.buttons()[0] if box.buttons()[0] is not leave else box.buttons()[1])
        box.exec()
        left = box.clickedButton() is leave
        box.deleteLater()
        return left


def _main_window(widget: QWidget) -> QMainWindow | None:
    """Return the window that a widget is docked in, also while its dock floats."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parentWidget()
    return parent


def _by_user(window: QMainWindow) -> bool:
    """Return whether a window that is closed was not taken apart before: ``viewer.close()`` does that."""
    layout = window.centralWidget().layout() if window.centralWidget() is not None else None
    first = layout.itemAt(0) if layout is not None else None
    return window.isVisible() and (first is None or not first.widget().isHidden())
