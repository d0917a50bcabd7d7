"""Warnings with a button each, where a number mends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.napari.form.tile_advice import Advice


class AdviceBox(QWidget):
    """Shows advice, and tells which is taken."""

    taken = Signal(object)
    """The `Advice` whose button was pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: list[Advice] = []
        self.notes: list[Note] = []
        self.buttons: list[QPushButton] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.hide()

    def show_advice(self, found: Sequence[Advice]) -> None:
        """Show this advice and no other."""
        if list(found) == self._shown:
            return
        self._shown = list(found)
        while self._column.count():
            self._column.takeAt(0).widget().deleteLater()
        self.notes, self.buttons = [], []
        for one in self._shown:
            self._column.addWidget(self._row(one))
        self.setVisible(bool(self._shown))

    def text(self) -> str:
        """Return all that is said, a line each."""
        return "\n".join(one.text for one in self._shown if one.text)

    def _row(self, one: Advice) -> QWidget:
        part = QWidget(self)
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        note = Note("warning", part)
        row.addWidget(note, 1)
        self.notes.append(note)
        if one.button:
            button = QPushButton(one.button)
            button.setToolTip("Set this number above")
            button.setAccessibleName(f"{one.button}: {one.text}" if one.text else one.button)
            button.clicked.connect(lambda: self.taken.emit(one))
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
            self.buttons.append(button)
        note.say(one.text)
        return part
