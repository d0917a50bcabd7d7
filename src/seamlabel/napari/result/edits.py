"""`EditsBox`: objects joined, cut apart and deleted by clicks; what was decided so far, with undo."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from seamlabel.geometry import Box
from seamlabel.napari.form.rows import Note, tool_button
from seamlabel.napari.result.click_tool import ClickTool, plainly
from seamlabel.napari.result.look import look_at, place_of
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from seamlabel.engine.edits import Edit
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.highlight import Highlight

TOOLS = {
    "join": ("Join", "Click two objects that are one"),
    "cut": ("Cut", "Click two parts of an object that is really two"),
    "remove": ("Delete", "Click objects that are none"),
}
"""Names and explanations of the tools, by kind of edit."""
ROWS = 4
"""Edits that are seen at once."""
AROUND = 40
"""Voxels around an edit that are looked at."""


class EditsBox(QWidget):
    """Hidden where nothing can be merged again.

    Parameters
    ----------
    highlight : Highlight
        Outlines what is clicked.
    """

    def __init__(self, highlight: Highlight, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._highlight = highlight
        self._control: ResultControl | None = None
        self._tool: ClickTool | None = None
        self.tools = {kind: tool_button(*texts) for kind, texts in TOOLS.items()}
        self.undo = tool_button("Undo", "Take the last step back (Ctrl+Z)")
        self.redo = tool_button("Redo", "Do again what was taken back (Ctrl+Shift+Z)")
        self.hint = Note("muted")
        self.wrong = Note("warning")
        self.count = QLabel()
        self.count.setIndent(0)
        self.list = QListWidget()
        self.list.setAccessibleName("Edits")
        self.list.setToolTip("Double-click to look at one")
        self.remove = tool_button("Remove", "Take this edit back, whenever it was made")
        self.problem = Note("problem")
        self._lay_out()
        for kind, button in self.tools.items():
            button.setCheckable(True)
            button.clicked.connect(lambda on, kind=kind: self.choose(kind if on else ""))
        self.undo.clicked.connect(lambda: self._control.undo())
        self.redo.clicked.connect(lambda: self._control.redo())
        self.remove.clicked.connect(self._remove)
        self.list.itemSelectionChanged.connect(self._selected)
        self.list.itemDoubleClicked.connect(lambda _item: self._look())
        self._escape, *self._steps = (
            self._shortcut(key, slot)
            for key, slot in (
                ("Escape", lambda: self.choose("")),
                ("Ctrl+Z", self.undo.click),
                ("Ctrl+Shift+Z", self.redo.click),
            )
        )
        self.choose("")
        self.hide()

    def show_result(self, control: ResultControl) -> None:
        """Show what was decided by hand of this run."""
        if self._control is None:
            self._control = control
            self._tool = ClickTool(control, self._highlight, self._hint)
            control.on_close.append(self._tool.end)
            control.wished.connect(self._tell)
            control.problems_changed.connect(self._tell)
            for shortcut in self._steps:
                shortcut.setParent(self.parentWidget() or self)  # keys work in the whole panel
        shown = control.shown
        if shown is None or not (shown.run_dir and shown.path):
            self.choose("")
            self.hide()
            return
        self.show()
        self._tell()

    # -- tools ------------------------------------------------------------------------------------

    def choose(self, kind: str) -> None:
        """Turn a tool on, "" for none."""
        for name, button in self.tools.items():
            button.setChecked(name == kind)
        self._escape.setEnabled(bool(kind))
        everywhere, here = Qt.ShortcutContext.WindowShortcut, Qt.ShortcutContext.WidgetWithChildrenShortcut
        for shortcut in self._steps:
            shortcut.setContext(everywhere if kind else here)
        if self._tool is None:
            return
        if kind:
            self._highlight.take(self._leave)
            self._tool.begin(kind)
        elif self._tool.kind:
            self._tool.end()
            self._hint("", "")

    def _leave(self) -> None:
        self.choose("")

    def _hint(self, what: str, wrong: str) -> None:
        self.hint.say(f"{what} · Esc ends it" if what else "")
        self.wrong.say(wrong)

    # -- what was decided ----------------------------------------------------------------------------

    def _tell(self) -> None:
        control = self._control
        edits = control.wish.edits
        written = set(control.shown.written.edits) if control.shown else set()
        self.undo.setEnabled(control.can_undo)
        self.redo.setEnabled(control.can_redo)
        new = sum(edit not in written for edit in edits)
        gone = len(written - set(edits))
        self.count.setText(_counted(len(edits), new, gone))
        self._fill(edits, written)
        listed = bool(edits) or bool(gone)
        for widget in (self.count, self.list, self.remove):
            widget.setVisible(listed)
        self.problem.say("\n".join(self._bad_in_words(edits)[:ROWS]))
        self._selected()

    def _problems(self) -> dict[str, str]:
        """Return why edits cannot be carried out, by edit."""
        return {problem.field: plainly(problem) for problem in self._control.problems}

    def _bad_in_words(self, edits: tuple[Edit, ...]) -> list[str]:
        bad = self._problems()
        return [
            f"{at + 1}. {TOOLS[edit.kind][0]}: {bad[str(edit)]}"
            for at, edit in enumerate(edits)
            if str(edit) in bad
        ]

    def _fill(self, edits: tuple[Edit, ...], written: set[Edit]) -> None:
        bad, at = self._problems(), self.list.currentRow()
        self.list.blockSignals(True)
        self.list.clear()
        for number, edit in enumerate(edits, 1):
            where = " – ".join(f"({', '.join(map(str, point))})" for point in edit.points)
            state = "cannot be done" if str(edit) in bad else "" if edit in written else "new"
            text = f"{number}. {TOOLS[edit.kind][0]} {where}"
            item = QListWidgetItem(f"{text} · {state}" if state else text)
            item.setToolTip(bad.get(str(edit), "Double-click to look at it"))
            self.list.addItem(item)
        self.list.setCurrentRow(min(at, len(edits) - 1))
        self.list.blockSignals(False)
        height = self.list.sizeHintForRow(0) if edits else 0
        self.list.setFixedHeight(max(1, min(ROWS, len(edits))) * max(18, height) + 6)

    def _selected(self) -> None:
        self.remove.setEnabled(self.list.currentRow() >= 0)

    def _remove(self) -> None:
        at, edits = self.list.currentRow(), self._control.wish.edits
        self._control.set_edits([edit for i, edit in enumerate(edits) if i != at])

    def _look(self) -> None:
        place = place_of(self._control)
        edit = self._control.wish.edits[self.list.currentRow()]
        if place is not None:
            low, high = (tuple(map(f, zip(*edit.points, strict=True))) for f in (min, max))
            box = Box(tuple(a - AROUND for a in low), tuple(b + 1 + AROUND for b in high))
            look_at(self._control.viewer, place, box)

    # -- widgets ---------------------------------------------------------------------------------------

    def _shortcut(self, key: str, slot: object) -> QShortcut:
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.activated.connect(slot)
        return shortcut

    def _lay_out(self) -> None:
        title = QLabel("By click")
        title.setIndent(0)
        tools, below = QHBoxLayout(), QHBoxLayout()
        tools.addWidget(title)
        for row, widgets in ((tools, self.tools.values()), (below, (self.undo, self.redo, self.remove))):
            row.setSpacing(6)
            for widget in widgets:
                row.addWidget(widget, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(tools)
        column.addWidget(self.hint)
        column.addWidget(self.wrong)
        column.addWidget(self.count)
        column.addWidget(self.list)
        column.addWidget(self.problem)
        column.addLayout(below)


def _counted(number: int, new: int, gone: int) -> str:
    """Return how many edits there are, and whether they are written."""
    parts = [many(number, "edit")]
    if new or gone:
        kinds = Counter({"not written yet": new, "taken back, still written": gone})
        parts += [f"{n:,} {what}" if n != number else what for what, n in kinds.items() if n]
    return ", ".join(parts)
