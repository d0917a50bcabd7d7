"""`MatchSlider`: a share from 0.01 to 1 as a slider and a number beside it.

Of Qt's own parts: superqt's sliders of floats take no keys.
"""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

STEPS = 100
"""Of the slider; the number beside it can be anything between."""
WIDTH = 58
"""Of the number, in pixels."""


class MatchSlider(QWidget):
    """A slider and a number that are the same value."""

    valueChanged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, STEPS)
        self.slider.setPageStep(STEPS // 10)
        self.number = QDoubleSpinBox()
        self.number.setRange(1 / STEPS, 1.0)
        self.number.setSingleStep(1 / STEPS)
        self.number.setDecimals(2)
        self.number.setKeyboardTracking(False)
        self.number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.number.setFixedWidth(WIDTH)
        self.setFocusProxy(self.slider)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)

    def value(self) -> float:
        """Return the value."""
        return round(self.number.value(), self.number.decimals())

    def setValue(self, value: float) -> None:
        """Show this value, with as many digits as it has."""
        digits = len(f"{value:.4f}".rstrip("0").partition(".")[2])
        self.number.setDecimals(max(2, digits))
        self.number.setValue(value)

    def setAccessibleName(self, name: str) -> None:
        """Name both parts."""
        super().setAccessibleName(name)
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(f"{name}, number")

    def _slid(self, step: int) -> None:
        self.number.setValue(step / STEPS)

    def _typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(value * STEPS))
        self.valueChanged.emit(value)
