"""`OverlapRow`: the button that has the overlap measured, how far it is, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from seamlabel.napari.form.advice_box import AdviceBox
from seamlabel.napari.form.rows import Note, tool_button
from seamlabel.napari.form.tile_advice import measured_advice

if TYPE_CHECKING:
    from seamlabel.engine.needs import OverlapNeeds

MEASURE, CANCEL = "&Measure overlap", "Cancel measuring"
TIP = "Try the method at a few places of the image: how far a cut reaches, and whether any overlap will do"


class OverlapRow(QWidget):
    """A button, a line, and advice with numbers to take."""

    asked = Signal()
    """The button was pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = tool_button(MEASURE, TIP)
        self.button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.note = Note("muted", self)
        self.found = AdviceBox(self)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.note, 1)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.found)
        self.button.clicked.connect(self.asked)

    def show_progress(self, done: int, total: int) -> None:
        """Show how much is measured; the button cancels meanwhile."""
        self.button.setText(CANCEL)
        self.note.say(f"Measuring: {done * 100 // total} %")

    def show_needs(self, needs: OverlapNeeds, tile_shape: tuple[int, ...]) -> None:
        """Show what was found, for tiles of this shape over the space axes."""
        self.show_nothing()
        self.note.say("" if needs.normalises_per_tile else needs.headline)
        self.note.setToolTip(needs.summary())
        self.found.show_advice(measured_advice(needs, tile_shape))

    def show_error(self, text: str) -> None:
        """Show why nothing was found."""
        self.show_nothing()
        self.note.say(text, "problem")

    def show_nothing(self) -> None:
        """Have nothing measured."""
        self.button.setText(MEASURE)
        self.note.say("", "muted")
        self.note.setToolTip("")
        self.found.show_advice([])
