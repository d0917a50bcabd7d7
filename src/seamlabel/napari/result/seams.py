"""`SeamsBox`: doubtful places at seams, looked at one after another and decided by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QShortcut, QVBoxLayout, QWidget

from seamlabel.errors import SeamlabelError
from seamlabel.kernels.report import MOST
from seamlabel.napari.form.rows import Note, tool_button
from seamlabel.napari.result.look import look_at, place_of

if TYPE_CHECKING:
    from seamlabel.engine.edits import Edit
    from seamlabel.engine.review import Review
    from seamlabel.engine.review_places import Place, Pointer
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.highlight import Highlight

PIXELS = 200
"""Of the screen that both objects together get."""
OUTLINES = "Orange and blue: one object as each of two tiles sees it. White: where both see it."


class SeamsBox(QWidget):
    """Hidden where no place is doubtful.

    Parameters
    ----------
    highlight : Highlight
        Outlines the objects.
    """

    def __init__(self, highlight: Highlight, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._highlight = highlight
        self._control: ResultControl | None = None
        self._run = ""
        self._review: Review | None = None
        self.places: list[Place] = []
        self.at = 0
        self._decided: dict[tuple[int, ...], Edit] = {}
        self._known: tuple[Pointer | None, dict[Edit, tuple[int, ...]]] = (None, {})
        self.count = QLabel()
        self.review = QPushButton("Review")
        self.review.setCheckable(True)
        self.review.setToolTip("Look at them one by one and decide: one object, or two")
        self.where = QLabel()
        self.question = Note("muted")
        self.question.setToolTip(OUTLINES)
        self.refused = Note("warning")
        self.previous = tool_button("Previous", "Look at the one before (key: comma)")
        self.next = tool_button("Next", "Leave this one as it is and look at the next (key: period)")
        self.one = tool_button("One object: J", "Both outlines are one object; goes on to the next (key: J)")
        self.two = tool_button("Two objects: K", "They are two objects; goes on to the next (key: K)")
        self.open_again = tool_button("Undecided", "Take your decision on this place back")
        for button in (self.one, self.two):
            button.setCheckable(True)
        for label in (self.count, self.where):
            label.setIndent(0)
        self._lay_out()
        self._shortcuts = self._keys()
        self._connect()
        self._turn(False)
        self.hide()

    def show_result(self, control: ResultControl) -> None:
        """Show how many places are doubtful; go on with reviewing if the same run was merged again."""
        if self._control is None:
            self._control = control
            control.wished.connect(self._wished)
            control.on_close.append(self._highlight.hide)
        shown = control.shown
        number = shown.report.doubtful.size if shown and shown.report and shown.path else 0
        run = shown.run_dir if shown and number and shown.run_dir else ""
        same, self._run, self._review = run == self._run, run, None
        self._known = (None, {})
        more = "+" if number == MOST else ""
        self.count.setText(f"{number:,}{more} doubtful place{'s' * (number != 1)}")
        self.setVisible(bool(run))
        if not self.review.isChecked():
            return
        if same and run:
            keys = self.places[self.at].keys if self.places else ()
            self._open(keys)
        else:
            self.review.setChecked(False)

    # -- reviewing --------------------------------------------------------------------------------

    def _toggled(self, reviewing: bool) -> None:
        if reviewing:
            self._highlight.take(lambda: self.review.setChecked(False))
            self._open()
        else:
            self._highlight.hide()
        self._turn(reviewing and bool(self.places))

    def _open(self, keys: tuple[int, ...] = ()) -> None:
        """Find the places, and look at the one of these labels, or at the first."""
        try:
            self._review = self._control.review()
            self.places = self._review.places(self._control.shown.report.doubtful) if self._review else []
        except SeamlabelError as error:
            self.places = []
            self.refused.say(f"{error}. {error.hint}")
        at = [i for i, place in enumerate(self.places) if place.keys == keys]
        self._decide_known()
        if self.places:
            self.look(at[0] if at else 0)

    def look(self, at: int) -> None:
        """Look at a place."""
        self.at = at % len(self.places)
        self.refused.say("")
        place, here = self.places[self.at], place_of(self._control)
        if here is not None:
            look_at(self._control.viewer, here, place.box, PIXELS)
            self._highlight.show(self._control.viewer, here, self._review, place.keys)
        self._tell()

    def decide(self, kind: Literal["join", "cut"]) -> None:
        """Say that what is looked at is one object, or two; and go on."""
        place = self.places[self.at]
        edit = self._pointer().edit(kind, place)
        if edit is None:
            what = "one tile sees a single object here" if kind == "cut" else "they share their voxels"
            self.refused.say(f"This cannot be decided by hand: {what}", "warning")
            self._tell()
            return
        others = [other for other in self._control.wish.edits if self._keys_of(other) != place.keys]
        self._control.set_edits([*others, edit])
        if len(self.places) > 1:
            self.look(self.at + 1)

    def undecide(self) -> None:
        """Take back what was decided of the place that is looked at."""
        keys = self.places[self.at].keys
        self._control.set_edits([edit for edit in self._control.wish.edits if self._keys_of(edit) != keys])

    # -- what was decided ------------------------------------------------------------------------

    def _pointer(self) -> Pointer:
        return self._review.pointer(self._control.wish.settings)

    def _keys_of(self, edit: Edit) -> tuple[int, ...]:
        """Return the labels that an edit means, () where it means none now."""
        pointer = self._pointer()
        if self._known[0] is not pointer:
            self._known = pointer, {}
        known = self._known[1]
        if edit not in known:
            found = pointer.keys(edit)
            known[edit] = found if isinstance(found, tuple) else ()
        return known[edit]

    def _decide_known(self) -> None:
        """Find which places the edits that are wished decide."""
        pairs = [edit for edit in self._control.wish.edits if edit.kind in ("join", "cut")]
        self._decided = {self._keys_of(edit): edit for edit in pairs} if self._review else {}

    def _wished(self) -> None:
        if self.review.isChecked() and self.places and self._review is not None:
            self._decide_known()
            self._tell()

    def _tell(self) -> None:
        place = self.places[self.at]
        edit = self._decided.get(place.keys)
        decided = sum(one.keys in self._decided for one in self.places)
        self.where.setText(f"{self.at + 1:,} of {len(self.places):,} · {decided:,} decided")
        for button, kind in ((self.one, "join"), (self.two, "cut")):
            button.setChecked(edit is not None and edit.kind == kind)
        now = "joined" if place.joined else "not joined"
        state = f"You decided: {'one object' if edit.kind == 'join' else 'two objects'}" if edit else ""
        text = f"These two agree by {place.iou:.0%} (match {place.iou:.2f}); by the rule they are {now}"
        self.question.say(f"{text}. {state}" if state else text)
        self.open_again.setEnabled(edit is not None)

    # -- widgets ------------------------------------------------------------------------------------

    def _turn(self, on: bool) -> None:
        self._controls.setVisible(on)
        self.review.setText("End review" if self.review.isChecked() else "Review")
        for shortcut in self._shortcuts:
            shortcut.setEnabled(on)
        if not on:
            self.question.say("")
            self.refused.say("")

    def _keys(self) -> list[QShortcut]:
        """Return the shortcuts; they are on only while places are reviewed."""
        shortcuts = []
        for key, button in (("J", self.one), ("K", self.two), (",", self.previous), (".", self.next)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(button.click)
            shortcuts.append(shortcut)
        end = QShortcut(QKeySequence("Escape"), self)
        end.setContext(Qt.ShortcutContext.WindowShortcut)
        end.activated.connect(lambda: self.review.setChecked(False))
        return [*shortcuts, end]

    def _connect(self) -> None:
        self.review.toggled.connect(self._toggled)
        self.previous.clicked.connect(lambda: self.look(self.at - 1))
        self.next.clicked.connect(lambda: self.look(self.at + 1))
        self.one.clicked.connect(lambda: self.decide("join"))
        self.two.clicked.connect(lambda: self.decide("cut"))
        self.open_again.clicked.connect(self.undecide)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(self.count, 1)
        top.addWidget(self.review)
        self._controls = QWidget(self)
        steps, choices = QHBoxLayout(), QHBoxLayout()
        for row, widgets in (
            (steps, (self.previous, self.next)),
            (choices, (self.one, self.two, self.open_again)),
        ):
            row.setSpacing(6)
            for widget in widgets:
                row.addWidget(widget, 1)
        inner = QVBoxLayout(self._controls)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(4)
        inner.addWidget(self.where)
        inner.addLayout(steps)
        inner.addWidget(self.question)
        inner.addLayout(choices)
        inner.addWidget(self.refused)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self._controls)
