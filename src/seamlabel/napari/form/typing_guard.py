"""`TypingGuard`: what is typed into a number box is taken as typed, or not at all.

Qt leaves out every key that does not fit and keeps the rest: 5000 becomes 500, -5 becomes 5, and 1,5
becomes 15. Knows number boxes; nothing of what the numbers are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QLocale, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QApplication, QDoubleSpinBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QSpinBox

KEYS = Qt.KeyboardModifier
WIDE = 2**31 - 1
"""Where a whole number may end while it is typed."""


class TypingGuard(QObject):
    """Watches the keys of one number box.

    Limits do not hold while a number is typed. A number that is too small then stays to be seen, and
    whoever reads it says that it is wrong; so does one that is too large, unless it is `lowered`.

    Parameters
    ----------
    box : QSpinBox or QDoubleSpinBox
        The box; it keeps the guard alive.
    lowered : bool
        Make a number that is too large the largest one, once it is entered.
    """

    def __init__(self, box: QSpinBox | QDoubleSpinBox, lowered: bool = False) -> None:
        super().__init__(box)
        self._box, self._lowered = box, lowered
        self._decimals = isinstance(box, QDoubleSpinBox)
        self._ignoring = False
        self.limits = (box.minimum(), box.maximum())
        locale = QLocale.c()
        locale.setNumberOptions(
            QLocale.NumberOption.RejectGroupSeparator | QLocale.NumberOption.OmitGroupSeparator
        )
        box.setLocale(locale)
        box.installEventFilter(self)
        box.lineEdit().installEventFilter(self)
        box.editingFinished.connect(self._entered)

    def set_limits(self, low: float, high: float) -> None:
        """Have other limits from now on; a number that is too large is lowered."""
        self.limits = (low, high)
        self._box.setRange(low, high)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let limits go while keys are typed, and leave out what follows a key that does not fit."""
        if event.type() != QEvent.Type.KeyPress:
            return False
        text = event.text()
        command = event.modifiers() & (KEYS.ControlModifier | KEYS.AltModifier | KEYS.MetaModifier)
        if command or not text.isprintable() or not text.strip():
            self._ignoring = False
            return False
        if self._ignoring:
            return True
        self._widen()
        if text in ".," and self._decimals:
            if text == ",":
                point = QKeyEvent(event.type(), ord("."), event.modifiers(), ".")
                QApplication.sendEvent(watched, point)
            return text == ","
        self._ignoring = not (text.isdigit() or text in "+-")
        return self._ignoring

    def _widen(self) -> None:
        wide = 1e12 if self._decimals else WIDE
        if self._box.minimum() > -wide:
            self._box.setRange(-wide, wide)

    def _entered(self) -> None:
        self._ignoring = False
        low, high = self.limits
        value = self._box.value()
        if value >= low and (value <= high or self._lowered):
            self._box.setRange(low, high)
