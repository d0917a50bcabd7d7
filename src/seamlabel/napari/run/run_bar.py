"""`RunBar`: pinned under the form. Run, Pause, Cancel, progress, log, the last run, unfinished runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import Note
from seamlabel.napari.run.run_log import RunLog
from seamlabel.napari.run.unfinished_row import UnfinishedRow

if TYPE_CHECKING:
    from seamlabel.napari.run.progress import Wish

STEPS = 1000
"""Steps of the progress bar."""


class RunBar(QWidget):
    """Buttons, bar and texts; the controller says what they show.

    Parameters
    ----------
    what : str
        What Run does.
    """

    run_requested = Signal()
    pause_requested = Signal()
    """Pause or go on, whichever the button says."""
    cancel_requested = Signal()

    def __init__(self, what: str = "Segment the whole image", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._what = what
        self.status = Note("muted", self)
        self.memory = Note("warning", self)
        self.bar = QProgressBar()
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setAccessibleName("Progress")
        self.result = Note("good", self, selectable=True)
        self.failures = Note("problem", self, selectable=True)
        self.behind = Note("warning", self)
        self.log = RunLog(self)
        self.unfinished = UnfinishedRow(self)
        self.run_button = QPushButton()
        self.offer_resume(False)
        self.pause_button = QPushButton()
        self.cancel_button = QPushButton()
        self._lay_out()
        self.run_button.clicked.connect(self.run_requested)
        self.pause_button.clicked.connect(self.pause_requested)
        self.cancel_button.clicked.connect(self.cancel_requested)
        self.clear()
        self.set_ready(False)
        self.steer("go", can_pause=False)
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
        what = "Go on with the unfinished run" if going_on else self._what
        self.run_button.setToolTip(f"{what} (Ctrl+Enter)")

    def begin(self) -> None:
        """Show that a run has started."""
        self.clear()
        self.bar.setValue(0)
        self.bar.show()
        self.status.say("Starting", "muted")
        self.offer_resume(False)  # else two buttons could say "Resume"
        self.run_button.setEnabled(False)
        self.cancel_button.setEnabled(True)

    def show_progress(self, fraction: float, text: str) -> None:
        """Show how far the run is."""
        self.setUpdatesEnabled(False)  # else a bar is drawn at once, and the text once more
        self.bar.setValue(round(STEPS * fraction))
        self.status.say(text, "muted")
        self.setUpdatesEnabled(True)

    def steer(self, wish: Wish, can_pause: bool) -> None:
        """Say on the buttons what they do, after the user asked for something."""
        going_on = wish == "pause"
        self.pause_button.setText("Resume" if going_on else "Pause")
        tip = "Go on with the run" if going_on else "Begin no more tiles until you go on"
        self.pause_button.setToolTip(f"{tip} (Ctrl+P)")
        self.pause_button.setEnabled(can_pause and wish != "cancel")
        self.cancel_button.setText("Stop now" if wish == "cancel" else "Cancel")
        tip = "Stop the run after the tiles under way; finished tiles are kept"
        if wish == "cancel":
            tip = "Stop at once; the tiles under way are lost, finished tiles are kept"
        self.cancel_button.setToolTip(f"{tip} (Ctrl+.)")

    def stopping(self) -> None:
        """Show that the run was asked to stop at once."""
        self.cancel_button.setEnabled(False)
        self.status.say("Stopping…", "muted")

    def end(self, text: str, kind: str) -> None:
        """Show that the run is over; `text` is its result in a line."""
        self.bar.hide()
        self.status.say("")
        self.steer("go", can_pause=False)
        self.cancel_button.setEnabled(False)
        self.result.say(text, kind)
        if text:
            self.log.add(text)

    def show_error(self, what: str, fix: str, detail: str) -> None:
        """Show what went wrong and how to mend it; the traceback goes into the log."""
        end = "" if what.endswith((".", "?", "!")) else "."
        self.failures.say(f"{what}{end} {fix}" if fix else what)
        self.log.add(what, detail=detail)

    def clear(self) -> None:
        """Show nothing of any run."""
        self.bar.hide()
        self.memory.say("")
        self.result.say("")
        self.failures.say("")

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.pause_button, 1)
        buttons.addWidget(self.cancel_button, 1)
        for button in (self.pause_button, self.cancel_button):
            button.setMinimumWidth(10)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        for widget in (self.status, self.memory, self.bar, self.result, self.failures, self.behind):
            column.addWidget(widget)
        column.addWidget(self.log)
        column.addWidget(self.unfinished)
        column.addLayout(buttons)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
