"""A row of the form for the path of a folder: a line, a browse button."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget


class PathRow(QWidget):
    """A line for a path, with a browse button; folders and paths can be dropped on it."""

    chosen = Signal(str)
    """A path was entered, picked or dropped."""

    def __init__(self, placeholder: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self.line.setAcceptDrops(False)  # the row takes drops, as a whole path
        self.button = QPushButton()
        self.button.setText("…")
        self.button.setFixedWidth(30)
        self.button.setToolTip("Browse")
        self.button.setAccessibleName("Browse")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        self.line.editingFinished.connect(self._entered)
        self.button.clicked.connect(self._browse)
        self._last = ""

    def path(self) -> str:
        """Return the path, without the spaces around it."""
        return self.line.text().strip()

    def set_path(self, path: str) -> None:
        """Show a path without telling anybody."""
        self._last = path
        self.line.setText(path)
        self.line.setToolTip(path)

    def _entered(self) -> None:
        if self.path() != self._last:
            self._last = self.path()
            self.chosen.emit(self.path())

    def _browse(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self._title, self.path())
        if path:
            self.set_path(path)
            self.chosen.emit(path)
