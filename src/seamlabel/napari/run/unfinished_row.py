"""`UnfinishedRow`: tells of a run that did not reach its end, and what can be done with it.

Shows what it is told; knows no runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import Note
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from collections.abc import Collection


class UnfinishedRow(QFrame):
    """Two lines of text and the buttons under them."""

    resume_requested = Signal()
    start_over_requested = Signal()
    """The second click on "Start over" was made."""
    show_requested = Signal()
    accept_requested = Signal()
    """Go on, and keep what the method's former code gave."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "unfinished")
        self._done = 0
        self._offers: tuple[QPushButton, ...] = ()
        self.text = Note("warning", self, selectable=True)
        self.more = Note("muted", self, selectable=True)
        self.resume = _button("Resume", "Go on with it as it was asked for; finished tiles stay")
        self.accept = _button("Retry, keep finished tiles", "Go on; finished tiles stay as they are")
        self.start_over = _button("Start over", "Remove its finished tiles and run what the form says")
        self.show_tiles = _button("Show", "Show its finished tiles, without running anything")
        self.sure = _button("Remove them", "Remove the finished tiles and run what the form says")
        self.keep = _button("Keep them", "Leave the finished tiles as they are")
        self._lay_out()
        self.resume.clicked.connect(self.resume_requested)
        self.accept.clicked.connect(self.accept_requested)
        self.show_tiles.clicked.connect(self.show_requested)
        self.start_over.clicked.connect(self._ask)
        self.sure.clicked.connect(self._start_over)
        self.keep.clicked.connect(lambda: self._offer(*self._offers))
        self.hide()

    def tell(self, text: str, more: str, done: int, offers: Collection[str]) -> None:
        """Tell of a run.

        Parameters
        ----------
        text : str
            What was found.
        more : str
            What else is to be known, "" for nothing.
        done : int
            Tiles that are finished.
        offers : collection of str
            What can be done: ``"resume"``, ``"retry"``, ``"accept"``, ``"start over"``, ``"show"``.
        """
        self._done, self._said = done, (text, more)
        self.resume.setText("Retry failed" if "retry" in offers else "Resume")
        buttons = {
            "resume": self.resume,
            "retry": self.resume,
            "accept": self.accept,
            "start over": self.start_over,
            "show": self.show_tiles,
        }
        self._offers = tuple(buttons[name] for name in offers)
        self._offer(*self._offers)
        self.show()

    def _offer(self, *buttons: QPushButton) -> None:
        text, more = self._said
        self.text.say(text)
        self.more.say(more)
        for button in (self.resume, self.accept, self.start_over, self.show_tiles, self.sure, self.keep):
            button.setVisible(button in buttons)

    def _ask(self) -> None:
        """Ask again before tiles are removed."""
        self._offer(self.sure, self.keep)
        self.text.say(f"Start over removes {many(self._done, 'finished tile')}")
        self.more.say("")
        self.keep.setFocus()

    def _start_over(self) -> None:
        self.hide()
        self.start_over_requested.emit()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.resume, self.start_over, self.show_tiles, self.sure, self.keep):
            buttons.addWidget(button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(4)
        column.addWidget(self.text)
        column.addWidget(self.more)
        column.addWidget(self.accept)
        column.addLayout(buttons)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setMinimumWidth(10)
    return button
