"""`RunLog`: a drawer with what happened when, and the tracebacks. Shows lines; knows no events."""

from __future__ import annotations

from datetime import datetime

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QApplication, QHBoxLayout, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

LINES = 2000
"""That are kept; older ones go."""
MOST = 100
"""Tracebacks that are not written twice."""
LONGEST = 4000
"""Letters of a traceback that are kept, its end."""


class RunLog(QWidget):
    """A line that opens a drawer of text; hidden until there is something in it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._details: set[str] = set()
        self.button = QToolButton()
        self.button.setCheckable(True)
        self.button.setAutoRaise(True)
        self.button.setToolTip("Show what happened when, with full errors to copy into a report")
        self.copy = QToolButton()
        self.copy.setText("Copy")
        self.copy.setAccessibleName("Copy the log")
        self.copy.setToolTip("Copy all of it to the clipboard")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName("Log")
        self.text.setMaximumBlockCount(LINES)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setFixedHeight(120)
        top = QHBoxLayout()
        top.addWidget(self.button)
        top.addStretch(1)
        top.addWidget(self.copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.text)
        self.button.toggled.connect(self._turn)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.text.toPlainText()))
        self._turn(False)
        self.hide()

    def add(self, *lines: str, detail: str = "") -> None:
        """Write down what happened now; `detail` is a traceback, which goes below, indented.

        Many lines are written at once, since a text that is seen is laid out anew each time.
        """
        detail = detail[-LONGEST:].strip()
        if detail in self._details:
            detail = "As above"
        elif detail:
            self._details = {*self._details, detail} if len(self._details) < MOST else {detail}
        now = f"{datetime.now():%H:%M:%S}"
        below = [f"    {line}" for line in detail.splitlines()]
        text = [f"{now}  {line}" for line in lines] + below
        if text:
            self.text.appendPlainText("\n".join(text))
            self.show()

    def _turn(self, shown: bool) -> None:
        self.button.setText("Log")
        self.button.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.text.setVisible(shown)
        self.copy.setVisible(shown)
