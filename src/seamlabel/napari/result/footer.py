"""`Footer`: takes the run that is shown elsewhere, as Python, as a command or as a run file.

Knows a request and the clipboard, not what came out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from seamlabel.errors import SpecError
from seamlabel.io.run_files import save_run_file
from seamlabel.napari.form.rows import Note
from seamlabel.retelling import as_command, as_python

if TYPE_CHECKING:
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.spec import RunSpec

SAID_MS = 1500
"""How long a button says what it did."""


class Footer(QWidget):
    """A row of small buttons; hidden while there is no request."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spec: RunSpec | None = None
        self.python_button = _Button("Python", "Copy as Python", _PYTHON, self)
        self.command_button = _Button("Command", "Copy as command", _COMMAND, self)
        self.save_button = _Button("Run file…", "Save run file", _FILE, self)
        self.note = Note("problem", self)
        self.python_button.clicked.connect(self._copy_python)
        self.command_button.clicked.connect(self._copy_command)
        self.save_button.clicked.connect(self._save)
        row = QHBoxLayout()
        row.setSpacing(4)
        label = QLabel("Copy as")
        label.setIndent(0)
        row.addWidget(label)
        row.addWidget(self.python_button)
        row.addWidget(self.command_button)
        row.addStretch()
        row.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.note)
        self.set_spec(None)

    def show_result(self, control: ResultControl) -> None:
        """Take the request of the run that is shown."""
        self.set_spec(control.shown.spec if control.shown else None)

    def set_spec(self, spec: RunSpec | None) -> None:
        """Take a request; None hides the row."""
        self._spec = spec
        self.note.say("")
        self.setVisible(spec is not None)
        why = ""
        if spec is not None:
            try:
                as_command(spec)
            except SpecError as error:
                why = f"No command can do it: {error.problems[0]}"
        self.command_button.setEnabled(not why)
        self.command_button.setToolTip(why or _COMMAND)

    def _copy_python(self) -> None:
        if self._spec is not None:
            self._copy(as_python(self._spec), self.python_button)

    def _copy_command(self) -> None:
        if self._spec is not None:
            self._copy(as_command(self._spec), self.command_button)

    def _copy(self, text: str, button: _Button) -> None:
        QApplication.clipboard().setText(text)
        button.say("Copied")

    def _save(self) -> None:
        if self._spec is None:
            return
        place = self._spec.output or self._spec.image or ""
        proposed = str(Path(place).expanduser().parent / f"{self._spec.name}.json")
        path, _ = QFileDialog.getSaveFileName(self, "Save run file", proposed, "Run file (*.json)")
        if not path:
            return
        try:
            save_run_file(path, self._spec)
        except OSError as error:
            self.note.say(f"It could not be saved: {error.strerror or error}. Choose another folder.")
            return
        self.note.say("")
        self.save_button.say("Saved")


_PYTHON = "Copy the Python call that does the same"
_COMMAND = "Copy the command line that does the same, for a terminal or a cluster"
_FILE = "Save all settings; the dock opens them again, and so does: seamlabel segment --spec FILE"


class _Button(QPushButton):
    """A small button that says for a moment what it did."""

    def __init__(self, text: str, name: str, tip: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._text = text
        self.setText(text)
        self.setToolTip(tip)
        self.setAccessibleName(name)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._back)

    def say(self, text: str) -> None:
        """Show another text for a moment, in the same place."""
        self.setMinimumWidth(self.width())
        self.setText(text)
        self._timer.start(SAID_MS)

    def _back(self) -> None:
        self.setText(self._text)
        self.setMinimumWidth(0)
