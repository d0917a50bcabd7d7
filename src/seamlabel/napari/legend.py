"""The legend of the tile grid: a swatch per state, with its pattern, and how many tiles are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from seamlabel.napari.rows import Note
from seamlabel.napari.tile_states import COLORS, STATES

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

PATTERNS = {
    "running": Qt.BrushStyle.BDiagPattern,
    "failed": Qt.BrushStyle.DiagCrossPattern,
    "empty": Qt.BrushStyle.Dense6Pattern,
}
SIDE = 12
COLUMNS = 3


class _Swatch(QWidget):
    """A small square in the colour and pattern of a state, on black like the canvas."""

    def __init__(self, state: str) -> None:
        super().__init__()
        self._state = state
        self.setFixedSize(QSize(SIDE + 2, SIDE + 2))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the square."""
        painter = QPainter(self)
        square = QRect(1, 1, SIDE - 1, SIDE - 1)
        painter.fillRect(square, QColor(20, 20, 20))
        color = QColor.fromRgbF(*COLORS[STATES.index(self._state) + 1][:3])
        if self._state in PATTERNS:
            painter.setBrush(color)
            brush = painter.brush()
            brush.setStyle(PATTERNS[self._state])
            painter.fillRect(square, brush)
        pen = QPen(color if self._state != "waiting" else QColor(170, 170, 170))
        pen.setWidth(2 if self._state == "done" else 1)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(square)
        painter.end()


class Legend(QWidget):
    """All states with their counts, and a line about the tile under the pointer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._labels: dict[str, QLabel] = {}
        self._table = QWidget(self)
        grid = QGridLayout(self._table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(2)
        for place, state in enumerate(STATES):
            row, column = divmod(place, COLUMNS)
            self._labels[state] = QLabel(state)
            grid.addWidget(_Swatch(state), row, 2 * column)
            grid.addWidget(self._labels[state], row, 2 * column + 1)
            grid.setColumnStretch(2 * column + 1, 1)
        self.pointed = Note("muted", self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._table)
        column.addWidget(self.pointed)
        self.clear()

    def show_counts(self, counts: dict[str, int]) -> None:
        """Show how many tiles are in each state."""
        for state, label in self._labels.items():
            label.setText(f"{counts[state]:,} {state}")
        self._table.show()

    def text(self, state: str) -> str:
        """Return what the legend says of a state."""
        return self._labels[state].text()

    def clear(self) -> None:
        """Show nothing."""
        self._table.hide()
        self.pointed.say("")
