"""The legend of the tile grid: a button per state, with its pattern, and how many tiles are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QGridLayout, QToolButton, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import Note
from seamlabel.napari.run.progress import many
from seamlabel.napari.tiles.tile_states import COLORS, STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

PATTERNS = {
    "running": Qt.BrushStyle.BDiagPattern,
    "failed": Qt.BrushStyle.DiagCrossPattern,
    "empty": Qt.BrushStyle.Dense6Pattern,
}
SIDE = 14
COLUMNS = 3


class Legend(QWidget):
    """All states with their counts, and a line about the tile under the pointer."""

    filtered = Signal(object)
    """Only tiles in this state are to be drawn; None: all."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QToolButton] = {}
        self._table = QWidget(self)
        grid = QGridLayout(self._table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(2)
        for place, state in enumerate(STATES):
            self.buttons[state] = self._button(state)
            grid.addWidget(self.buttons[state], *divmod(place, COLUMNS), Qt.AlignmentFlag.AlignLeft)
        for column in range(COLUMNS):
            grid.setColumnStretch(column, 1)
        self.pointed = Note("muted", self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._table)
        column.addWidget(self.pointed)
        self.clear()

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Show how many tiles are in each state."""
        for state, button in self.buttons.items():
            button.setText(f"{counts[state]:,} {state}")
            button.setAccessibleName(f"{many(counts[state], 'tile')} {state}")
        self._table.show()

    def text(self, state: str) -> str:
        """Return what the legend says of a state."""
        return self.buttons[state].text()

    @property
    def only(self) -> str | None:
        """The state whose tiles alone are to be drawn; None for all."""
        return next((state for state, button in self.buttons.items() if button.isChecked()), None)

    def clear(self) -> None:
        """Show nothing."""
        self._table.hide()
        self.pointed.say("")

    def _button(self, state: str) -> QToolButton:
        button = QToolButton()
        button.setCheckable(True)
        button.setAutoRaise(True)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setProperty("legend", True)
        button.setIcon(QIcon(_swatch(state)))
        button.setIconSize(QSize(SIDE, SIDE))
        button.setToolTip(f"Click to show only tiles that are {state}, again to show all")
        button.clicked.connect(lambda checked: self._clicked(state, checked))
        return button

    def _clicked(self, state: str, checked: bool) -> None:
        for other, button in self.buttons.items():
            button.setChecked(checked and other == state)
        self.filtered.emit(self.only)


def _swatch(state: str) -> QPixmap:
    """Return a small square in the colour and pattern of a state, on black like the canvas."""
    picture = QPixmap(SIDE, SIDE)
    picture.fill(QColor(20, 20, 20))
    painter = QPainter(picture)
    square = QRect(0, 0, SIDE - 1, SIDE - 1)
    color = QColor.fromRgbF(*COLORS[STATES.index(state) + 1][:3])
    if state in PATTERNS:
        painter.setBrush(color)
        brush = painter.brush()
        brush.setStyle(PATTERNS[state])
        painter.fillRect(square, brush)
    pen = QPen(color if state != "waiting" else QColor(170, 170, 170))
    pen.setWidth(3 if state == "done" else 1)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(square)
    painter.end()
    return picture
