"""Small parts that all sections of the form share: notes, headed sections, colours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

    from seamlabel.errors import Problem

INKS = {
    "dark": {
        "problem": "#ff8a80",
        "warning": "#e8bf4d",
        "muted": "#a9afb8",
        "good": "#7bd88f",
        "dim": "#6d737c",
    },
    "light": {
        "problem": "#b3121d",
        "warning": "#735600",
        "muted": "#5a5f66",
        "good": "#1c6b30",
        "dim": "#9a9590",
    },
}
"""Text colours by theme type; all have a contrast above 4.5 on napari's backgrounds."""


LABEL_WIDTH = 90
"""Of all rows, so that the fields of all sections begin at one line."""


def style(theme_type: str) -> str:
    """Return the style sheet of the dock for a ``"dark"`` or ``"light"`` theme."""
    inks = INKS[theme_type]
    rules = []
    for kind, ink in inks.items():
        rules.append(f'QLabel[kind="{kind}"] {{ color: {ink}; }}')
    rules += [
        'QSpinBox[axis="true"] { min-width: 40px; padding: 1px 0px 1px 3px; }',
        f'QLabel[kind="muted"]:disabled {{ color: {inks["dim"]}; }}',
        'QLabel[kind="header"] { font-weight: bold; padding-top: 6px; }',
        f'*[wrong="true"] {{ border: 1px solid {inks["problem"]}; }}',
        "QScrollArea { border: none; }",
        'QToolButton[legend="true"] { padding: 1px 3px; border-radius: 3px; text-align: left; }',
        f'QToolButton[legend="true"]:checked {{ border: 1px solid {inks["muted"]}; }}',
        f'QFrame[kind="unfinished"] {{ border: 1px solid {inks["dim"]}; border-radius: 3px; }}',
    ]
    return "\n".join(rules)


ELSEWHERE = {
    r" ?\(--[\w-]+\)": "",
    r"overwrite=True": "tick Overwrite",
    r"output='[^']*'": "another place under Where",
    r"See: seamlabel backends.*": "",
}
"""What hints say to those who write Python or commands, and what it is in the dock."""

INPUTS = (QLineEdit, QAbstractSpinBox, QComboBox)


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


def tool_button(text: str, tip: str) -> QPushButton:
    """Return a button with a tooltip."""
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def restyle(widget: QWidget) -> None:
    """Apply the style sheet anew, after a property that it asks for has changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def mark(widget: QWidget, wrong: bool) -> None:
    """Draw a field as wrong, or no longer; of a row of several parts, those with text."""
    layout = widget.layout()
    if layout is not None and not isinstance(widget, INPUTS):
        parts = [layout.itemAt(i).widget() for i in range(layout.count())]
        for part in parts:
            if isinstance(part, INPUTS):
                mark(part, wrong)
    elif bool(widget.property("wrong")) != wrong:
        widget.setProperty("wrong", wrong)
        restyle(widget)


def sentence(problem: Problem) -> str:
    """Return what is wrong and how to mend it in the dock, without the field's name."""
    text, fix = problem.message[:1].upper() + problem.message[1:], problem.fix
    for pattern, here in ELSEWHERE.items():
        fix = re.sub(pattern, here, fix)
    return f"{text}. {fix}" if fix else text


def combo_box() -> QComboBox:
    """Return a combo that may be narrower than its items."""
    combo = QComboBox()
    combo.setMinimumContentsLength(10)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def whole_parts(text: str, longest: int = 28) -> str:
    """Return text whose short parts between dots are not broken at the end of a line."""
    parts = text.split(" · ")
    return " · ".join(p.replace(" ", "\u00a0") if len(p) <= longest else p for p in parts)


class Section(QWidget):
    """A headed part of the form whose rows can carry problems.

    Parameters
    ----------
    title : str
        The header.
    """

    changed = Signal()
    """A value in this section is another one now."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        header = QLabel(title)
        header.setProperty("kind", "header")
        header.setIndent(0)
        self.rows = QFormLayout()
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self.rows.setHorizontalSpacing(8)
        self.rows.setVerticalSpacing(4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(header)
        column.addLayout(self.rows)
        self._fields: dict[str, tuple[QWidget, Note]] = {}

    def add(self, field: str, text: str, widget: QWidget, tip: str = "") -> None:
        """Add a row for `field` of the spec, with a place for its problem under it."""
        note = Note("problem", self)
        widget.setToolTip(tip)
        if text:
            widget.setAccessibleName(text)
        if text:
            self.rows.addRow(text, widget)
        else:
            self.rows.addRow(widget)
        label = self.rows.labelForField(widget)
        if label is not None:
            label.setToolTip(tip)
            label.setMinimumWidth(LABEL_WIDTH)
            label.setIndent(0)
        self.rows.addRow(note)
        self._fields[field] = (widget, note)

    def show_row(self, field: str, visible: bool) -> None:
        """Show or hide a row."""
        self.rows.setRowVisible(self._fields[field][0], visible)

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of this section's fields, clear all others; return those of no field here."""
        said = dict.fromkeys(self._fields, "")
        rest = []
        for problem in problems:
            if problem.field in said:
                said[problem.field] = said[problem.field] or sentence(problem)
            else:
                rest.append(problem)
        for field, text in said.items():
            widget, note = self._fields[field]
            mark(widget, bool(text))
            note.say(text)
        return rest

    def show_error(self, text: str, field: str) -> None:
        """Show a text as the problem of a field, until problems are shown anew."""
        widget, note = self._fields[field]
        mark(widget, bool(text))
        note.say(text)

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of those fields of this section that problems are about."""
        fields = {problem.field for problem in problems}
        return [w.accessibleName() for field, (w, _) in self._fields.items() if field in fields]

    def problem(self, field: str) -> str:
        """Return the problem shown at a field, "" for none."""
        return self._fields[field][1].text()
