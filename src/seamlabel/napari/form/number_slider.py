"""`NumberSlider`: a number as a slider, and as a box beside it.

Of Qt's own parts: superqt's sliders of floats take no keys.
"""

from __future__ import annotations

from math import ceil, floor, log10

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

STEPS = 100
"""Of the slider, at least; the number beside it can be anything between."""
WIDTH = 58
"""Of the number, in pixels."""


class NumberSlider(QWidget):
    """A slider and a number that are the same value; a share from 0.01 to 1 unless another range is set."""

    valueChanged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.number = QDoubleSpinBox()
        self._step = 1 / STEPS
        self.set_range(1 / STEPS, 1.0)
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

    def set_range(self, low: float, high: float) -> None:
        """Have the slider go from `low` to `high`, in steps that are round numbers."""
        self._step = 10.0 ** floor(log10(max(high - low, 1e-12) / STEPS) + 0.02)
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setRange(ceil(low / self._step - 1e-9), floor(high / self._step + 1e-9))
            self.slider.setPageStep(max(1, (self.slider.maximum() - self.slider.minimum()) // 10))
            self.number.setDecimals(max(0, -round(log10(self._step))))
            self.number.setRange(low, high)
            self.number.setSingleStep(self._step)
            self.slider.setValue(round(self.number.value() / self._step))

    def nearest(self, value: float) -> float:
        """Return the round number beside a value that the slider stops at."""
        low, high = self.number.minimum(), self.number.maximum()
        return min(max(round(value / self._step) * self._step, low), high)

    def value(self) -> float:
        """Return the value."""
        return round(self.number.value(), self.number.decimals())

    def setValue(self, value: float) -> None:
        """Show this value, with as many digits as it has."""
        digits = len(f"{value:.4f}".rstrip("0").partition(".")[2])
        self.number.setDecimals(max(self.number.decimals(), digits))
        self.number.setValue(value)

    def setAccessibleName(self, name: str) -> None:
        """Name both parts."""
        super().setAccessibleName(name)
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(f"{name}, number")

    def _slid(self, step: int) -> None:
        self.number.setValue(step * self._step)

    def _typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(value / self._step))
        self.valueChanged.emit(value)
