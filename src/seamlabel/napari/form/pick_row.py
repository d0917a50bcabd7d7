"""The row about the picked tile: where it is, how it went, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import Note
from seamlabel.napari.run.progress import duration, many

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.geometry import Box

KEYS = "Arrow keys: another tile · Enter: {what} · N: next failed · Esc: none"


@dataclass(frozen=True)
class Facts:
    """What is known of a tile.

    Parameters
    ----------
    index : tuple of int
        Its place in the grid.
    state : str
        Its state.
    names : str
        Letters of the axes.
    core : Box
        The voxels that it owns.
    reason : str
        Why it failed, "" if it did not.
    objects : int or None
        Objects found in it, None if that is not known.
    seconds : float or None
        How long it took, None if that is not known.
    """

    index: tuple[int, ...]
    state: str
    names: str
    core: Box
    reason: str = ""
    objects: int | None = None
    seconds: float | None = None

    def title(self) -> str:
        """Return its place and state in a line: ``"Tile (2, 5) · failed"``."""
        return f"Tile ({', '.join(map(str, self.index))}) · {self.state}"

    def status(self) -> str:
        """Return the same for the status bar, with the reason: ``"tile (2,5) · failed: out of memory"``."""
        place = f"tile ({','.join(map(str, self.index))}) · {self.state}"
        return f"{place}: {self.reason}" if self.reason else place

    def more(self) -> str:
        """Return objects, time and voxels in a line."""
        parts = [] if self.objects is None else [many(self.objects, "object")]
        if self.seconds is not None:
            parts.append(duration(self.seconds))
        spans = zip(self.names, self.core.start, self.core.stop, strict=True)
        parts.append(", ".join(f"{n} {a:,}–{b - 1:,}" if b - a > 1 else f"{n} {a:,}" for n, a, b in spans))
        return " · ".join(parts)


class PickRow(QFrame):
    """Facts and buttons of the picked tile; hidden while there is none."""

    asked = Signal()
    """The tile is to be tried; or, while a run goes on, to come next."""
    again = Signal()
    """The tile is to be segmented again, and to take its former place in the labels."""
    left = Signal()
    """No tile is to be picked any more."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "unfinished")
        self.title = Note("plain", self)
        self.more = Note("muted", self)
        self.reason = Note("problem", self, selectable=True)
        self.hint = Note("muted", self)
        self.ask_button = QPushButton()
        self.again_button = QPushButton("Segment again")
        tip = "Segment this tile anew, as its run did, and merge it in; the former labels stay until then"
        self.again_button.setToolTip(tip)
        self.again_button.hide()
        self.can_again: Callable[[], bool] = lambda: False
        """Whether there are labels into which a tile can be merged again."""
        self.leave_button = QPushButton("Unpick")
        self.leave_button.setToolTip("Have no tile picked (Esc on the image)")
        self.ask_button.clicked.connect(self.asked)
        self.again_button.clicked.connect(self.again)
        self.leave_button.clicked.connect(self.left)
        buttons = QHBoxLayout()
        buttons.addWidget(self.ask_button, 2)
        buttons.addWidget(self.again_button, 2)
        buttons.addWidget(self.leave_button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(4)
        for note in (self.title, self.more, self.reason):
            column.addWidget(note)
        column.addLayout(buttons)
        column.addWidget(self.hint)
        self.tell(None)

    def tell(self, facts: Facts | None, what: str = "", tip: str = "", why_not: str = "") -> None:
        """Show what is known of a tile.

        Parameters
        ----------
        facts : Facts or None
            What is known; None hides the row.
        what, tip : str
            Text and tip of the button.
        why_not : str
            Why there is nothing to be done with it; "" if there is.
        """
        self.setVisible(facts is not None)
        if facts is None:
            return
        self.title.say(facts.title())
        self.more.say(facts.more())
        self.reason.say(facts.reason)
        self.ask_button.setText(what)
        self.ask_button.setToolTip(why_not or tip)
        self.ask_button.setEnabled(not why_not)
        self.again_button.setVisible(self.can_again())
        self.hint.say(KEYS.format(what=what.lower()))
