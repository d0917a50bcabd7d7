"""`Note`: a line of text that is as high as its lines are, and hidden while it has nothing to say.

Knows labels; nothing of forms. Its colours come from the style sheet of the dock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent


class Note(QLabel):
    """A line of text under a field, hidden while it has nothing to say."""

    def __init__(self, kind: str = "muted", parent: QWidget | None = None, selectable: bool = False) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        if selectable:
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setIndent(0)
        self._said = ""
        self._kind(kind)
        self.hide()

    def say(self, text: str, kind: str | None = None) -> None:
        """Show `text`, or hide if it is empty; `kind` names a colour."""
        if kind is not None and kind != self.property("kind"):
            self._kind(kind)
        self._said = text
        self.setText(whole_parts(text))
        self._fit(self.width() if self.isVisible() or not self.parent() else self.parent().width())
        self.setVisible(bool(text))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Be as high as the lines of the text are at this width."""
        super().resizeEvent(event)
        self._fit(event.size().width())

    def _fit(self, width: int) -> None:
        # QFormLayout asks for the height before it knows the width: the text would lie over other rows.
        if self._said:
            self.setMinimumHeight(0)  # or it would count as part of the text's height
            self.setFixedHeight(self.heightForWidth(max(1, width)))

    def text(self) -> str:
        """Return what was said, with the spaces that it was said with."""
        return self._said

    def _kind(self, kind: str) -> None:
        self.setProperty("kind", kind)
        restyle(self)


def restyle(widget: QWidget) -> None:
    """Apply the style sheet anew, after a property that it asks for has changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def whole_parts(text: str, longest: int = 28) -> str:
    """Return text whose short parts between dots are not broken at the end of a line."""
    parts = text.split(" · ")
    return " · ".join(p.replace(" ", "\u00a0") if len(p) <= longest else p for p in parts)
