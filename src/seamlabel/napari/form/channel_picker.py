"""`ChannelPicker`: a button that names the chosen channels, and a list that ticks one or several.

Knows names and how many may be chosen; nothing of images or methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QAction, QKeyEvent, QMouseEvent, QResizeEvent

ROOM = 34
"""Pixels of the button that its text cannot have."""
LEAST = 80
"""Pixels of the button's width at least."""
TICKS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class _StayingMenu(QMenu):
    """A menu that stays open while its entries are ticked, unless only one can be."""

    staying = True

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Tick the entry under the pointer."""
        if not self._tick(self.actionAt(event.position().toPoint())):
            super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Tick the entry that the arrow keys have reached."""
        if (
            event.type() != QEvent.Type.KeyPress
            or event.key() not in TICKS
            or not self._tick(self.activeAction())
        ):
            super().keyPressEvent(event)

    def _tick(self, action: QAction | None) -> bool:
        if not self.staying or action is None or not action.isCheckable():
            return False
        if action.isEnabled():
            action.trigger()
        return True


class ChannelPicker(QPushButton):
    """Chosen channels, in the order in which they were chosen."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names: tuple[str, ...] = ()
        self._picked: tuple[int, ...] = ()
        self.limit: int | None = None
        self.list = _StayingMenu(self)
        self.list.setAccessibleName("Channels")
        self.setMenu(self.list)
        self.setStyleSheet("text-align: left; padding-left: 6px;")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def count(self) -> int:
        """Return how many channels there are."""
        return len(self.names)

    def set_channels(self, names: Sequence[str], picked: tuple[int, ...]) -> None:
        """Offer these channels with some of them chosen; tells nobody."""
        self.names = tuple(names)
        self._picked = picked
        self.list.clear()
        for number, name in enumerate(names):
            action = self.list.addAction(name.replace("&", "&&"))
            action.setCheckable(True)
            action.triggered.connect(lambda _=False, number=number: self._toggle(number))
        self._tell()

    def set_limit(self, limit: int | None) -> None:
        """Let as many be chosen, None for any number; the others stay chosen for when they may be."""
        self.limit = limit
        self._tell()

    def chosen(self) -> tuple[int, ...]:
        """Return the numbers of the chosen channels, as many as may be."""
        return self._picked[: self.limit] if self.limit else self._picked

    def left_out(self) -> int:
        """Return how many channels are chosen beyond the limit."""
        return len(self._picked) - len(self.chosen())

    def choose(self, *channels: int) -> None:
        """Choose these channels and tell so."""
        self._picked = channels
        self._tell()
        self.changed.emit()

    def _toggle(self, number: int) -> None:
        """Take a channel in or out; one channel always stays, and one alone is replaced."""
        now = self.chosen()
        if self.limit == 1 or (number in now and len(now) == 1):
            self.choose(number)
        elif number in now:
            self.choose(*(n for n in now if n != number))
        else:
            self.choose(*now, number)

    def _tell(self) -> None:
        chosen = self.chosen()
        full = self.limit is not None and 1 < self.limit <= len(chosen)
        self.list.staying = self.limit != 1
        for number, action in enumerate(self.list.actions()):
            action.setChecked(number in chosen)
            action.setEnabled(number in chosen or not full)
        self._fit()

    def _fit(self) -> None:
        """Show as much of the names as there is room for."""
        text = ", ".join(self.names[number] for number in self.chosen())
        room = max(40, self.width() - ROOM)
        self.setText(
            self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room).replace("&", "&&")
        )

    def sizeHint(self) -> QSize:
        """Return a width that does not follow the names."""
        return QSize(LEAST, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Return a width that does not follow the names."""
        return self.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the names into the new width."""
        super().resizeEvent(event)
        self._fit()
