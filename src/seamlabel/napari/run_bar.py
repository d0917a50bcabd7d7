"""`RunBar`: pinned under the form. Run, Cancel, progress, what came of the last run, unfinished runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from seamlabel.napari.progress import many
from seamlabel.napari.rows import Note
from seamlabel.napari.unfinished_row import UnfinishedRow

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 1000
"""Steps of the progress bar."""
SHOWN = 3
"""Causes that are listed before "and N more"."""


def shorten(reason: str, longest: int = 72) -> str:
    """Return the first line of a reason, cut if it is long."""
    line = reason.strip().split("\n")[0]
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


class RunBar(QWidget):
    """Buttons, bar and texts; the controller says what they show."""

    run_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status = Note("muted", self)
        self.memory = Note("warning", self)
        self.bar = QProgressBar()
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setAccessibleName("Progress")
        self.result = Note("good", self, selectable=True)
        self.failures = Note("problem", self, selectable=True)
        self.details_button = QToolButton()
        self.details_button.setCheckable(True)
        self.details_button.setToolTip("Show the full error, to copy into a report")
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.details.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.details.setFixedHeight(120)
        self.unfinished = UnfinishedRow(self)
        self.run_button = QPushButton()
        self.offer_resume(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the run; finished tiles are kept (Ctrl+.)")
        self._lay_out()
        self.run_button.clicked.connect(self.run_requested)
        self.cancel_button.clicked.connect(self.cancel_requested)
        self.details_button.toggled.connect(self.details.setVisible)
        self.details_button.toggled.connect(self._turn)
        self.clear()
        self.set_ready(False)
        self.cancel_button.setEnabled(False)

    def set_ready(self, ready: bool, why_not: str = "") -> None:
        """Say whether a run can be started, and if not, why."""
        self.run_button.setEnabled(ready)
        if why_not:
            self.status.say(why_not, "problem")
        elif self.status.property("kind") == "problem":
            self.status.say("")

    def offer_resume(self, going_on: bool) -> None:
        """Say whether Run goes on with an unfinished run."""
        self.run_button.setText("Resume" if going_on else "Run")
        what = "Go on with the unfinished run" if going_on else "Segment the whole image"
        self.run_button.setToolTip(f"{what} (Ctrl+Enter)")

    def begin(self) -> None:
        """Show that a run has started."""
        self.clear()
        self.bar.setValue(0)
        self.bar.show()
        self.status.say("Starting", "muted")
        self.run_button.setEnabled(False)
        self.cancel_button.setEnabled(True)

    def show_progress(self, fraction: float, text: str) -> None:
        """Show how far the run is."""
        self.bar.setValue(round(STEPS * fraction))
        self.status.say(text, "muted")

    def cancelling(self) -> None:
        """Show that the run was asked to stop."""
        self.cancel_button.setEnabled(False)
        self.status.say("Cancelling: tiles under way are given a moment", "muted")

    def end(self, text: str, kind: str) -> None:
        """Show that the run is over; `text` is its result in a line."""
        self.bar.hide()
        self.status.say("")
        self.cancel_button.setEnabled(False)
        self.result.say(text, kind)

    def show_error(self, what: str, fix: str, detail: str) -> None:
        """Show what went wrong and how to mend it; the traceback only on demand."""
        self.failures.say(f"{what}. {fix}" if fix else what)
        self._offer(detail)

    def show_failures(self, failures: Sequence[tuple[str, str, str]]) -> None:
        """List failed tiles: place, cause in a line, and traceback; equal causes in one line."""
        places: dict[str, list[str]] = {}
        for place, reason, _ in failures:
            places.setdefault(shorten(reason), []).append(place)
        lines = [
            f"{f'Tile {where[0]}' if len(where) == 1 else many(len(where), 'tile')}: {reason}"
            for reason, where in list(places.items())[:SHOWN]
        ]
        left = sum(len(where) for where in list(places.values())[SHOWN:])
        if left:
            lines.append(f"and {left:,} more, see the details")
        self.failures.say("\n".join(lines))
        self._offer("\n".join(f"Tile {place}: {reason}\n{detail}" for place, reason, detail in failures))

    def _offer(self, detail: str) -> None:
        self.details.setPlainText(detail)
        self.details_button.setVisible(bool(detail))

    def clear(self) -> None:
        """Show nothing of any run."""
        self.bar.hide()
        self.memory.say("")
        self.result.say("")
        self.failures.say("")
        self.details_button.setChecked(False)
        self._turn(False)
        self._offer("")
        self.details.hide()

    def _turn(self, shown: bool) -> None:
        self.details_button.setText("▾ Hide details" if shown else "▸ Details")

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        for widget in (self.status, self.memory, self.bar, self.result, self.failures):
            column.addWidget(widget)
        column.addWidget(self.details_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.details)
        column.addWidget(self.unfinished)
        column.addLayout(buttons)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
