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
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from seamlabel.napari.form.note import Note, restyle, whole_parts

if TYPE_CHECKING:
    from seamlabel.errors import Problem

__all__ = [
    "INKS", "INPUTS", "Note", "Section", "combo_box", "fold_button", "mark", "restyle", "sentence", "style",
    "tool_button", "whole_parts",
]  # fmt: skip

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
        'QToolButton[kind="fold"] { border: none; background: transparent; padding: 2px 0px; }',
        f'QFrame[kind="unfinished"] {{ border: 1px solid {inks["dim"]}; border-radius: 3px; }}',
    ]
    return "\n".join(rules)


ELSEWHERE = {
    r" ?\(--[\w-]+\)": "",
    r"(--overwrite, )?overwrite=True": "tick Overwrite",
    r"output='[^']*'": "another place under Where",
    r"See: seamlabel backends.*": "",
}
"""What hints say to those who write Python or commands, and what it is in the dock."""

INPUTS = (QLineEdit, QAbstractSpinBox, QComboBox)


def tool_button(text: str, tip: str) -> QPushButton:
    """Return a button with a tooltip."""
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def mark(widget: QWidget, wrong: bool) -> None:
    """Draw a field as wrong, or no longer; of a row of several parts, those with text."""
    layout = widget.layout()
    if layout is not None and not isinstance(widget, INPUTS):
        parts = [layout.itemAt(i).widget() for i in range(layout.count())]
        for part in parts:
            if part is not None:
                mark(part, wrong)
    elif isinstance(widget, INPUTS) and bool(widget.property("wrong")) != wrong:
        widget.setProperty("wrong", wrong)
        restyle(widget)


def sentence(problem: Problem) -> str:
    """Return what is wrong and how to mend it in the dock, without the field's name."""
    text, fix = problem.message[:1].upper() + problem.message[1:], here(problem.fix)
    return f"{text}. {fix}" if fix else text


def here(hint: str) -> str:
    """Return a hint as it is followed in the dock."""
    for pattern, instead in ELSEWHERE.items():
        hint = re.sub(pattern, instead, hint)
    return hint


def fold_button(text: str, tip: str) -> QToolButton:
    """Return a button with an arrow that shows whether what lies below it is open."""
    button = QToolButton()
    button.setText(text)
    button.setProperty("kind", "fold")
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setArrowType(Qt.ArrowType.RightArrow)
    button.setAutoRaise(True)
    button.setCheckable(True)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.setToolTip(tip)
    arrows = Qt.ArrowType.RightArrow, Qt.ArrowType.DownArrow
    button.toggled.connect(lambda shown: button.setArrowType(arrows[shown]))
    return button


def combo_box() -> QComboBox:
    """Return a combo that may be narrower than its items."""
    combo = QComboBox()
    combo.setMinimumContentsLength(10)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


class Section(QWidget):
    """A headed part of the form whose rows can carry problems; may have parts that are sections too.

    Parameters
    ----------
    title : str
        The header; "" for none.
    folded : bool
        The header is a button that opens and closes the rows; they are closed at first.
    """

    changed = Signal()
    """A value in this section is another one now."""

    def __init__(self, title: str, parent: QWidget | None = None, folded: bool = False) -> None:
        super().__init__(parent)
        self._title = title
        self.parts: list[Section] = []
        self._fields: dict[str, tuple[QWidget, Note]] = {}
        self.body = QWidget()
        self.rows = QFormLayout(self.body)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self.rows.setHorizontalSpacing(8)
        self.rows.setVerticalSpacing(4)
        self.header = self._head(folded) if title else None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        if self.header is not None:
            column.addWidget(self.header)
        column.addWidget(self.body)

    def _head(self, folded: bool) -> QLabel | QToolButton:
        if not folded:
            header = QLabel(self._title)
            header.setProperty("kind", "header")
            header.setIndent(0)
            return header
        button = fold_button(self._title, "Show or hide these rows")
        button.toggled.connect(self.body.setVisible)
        self.body.hide()
        return button

    def unfold(self, shown: bool = True) -> None:
        """Open or close the rows, if they can be folded."""
        if isinstance(self.header, QToolButton):
            self.header.setChecked(shown)

    def tell(self, text: str) -> None:
        """Say behind the title what is set in here, to be read while it is folded."""
        self.header.setText(f"{self._title} · {text}" if text else self._title)

    def add(self, field: str, text: str, widget: QWidget, tip: str = "") -> None:
        """Add a row for `field` of the spec, with a place for its problem under it."""
        note = Note("problem", self)
        widget.setToolTip(tip)
        if text:
            widget.setAccessibleName(text.replace("&", ""))
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

    def add_part(self, part: Section) -> None:
        """Add a section under the rows so far; its problems and changes are those of this one."""
        self.parts.append(part)
        self.rows.addRow(part)
        part.changed.connect(self.changed)

    def show_row(self, field: str, visible: bool) -> None:
        """Show or hide a row."""
        self.rows.setRowVisible(self._fields[field][0], visible)
        if not visible:
            self._fields[field][1].say("")

    def wrongs(self) -> list[Problem]:
        """Return what is wrong with values that could not even be part of a spec."""
        return [problem for part in self.parts for problem in part.wrongs()]

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
            self.show_error(text, field)
        for part in self.parts:
            rest = part.show_problems(rest)
        return rest

    def show_error(self, text: str, field: str) -> None:
        """Show a text as the problem of a field, until problems are shown anew."""
        widget, note = self._fields[field]
        mark(widget, bool(text))
        note.say(text)
        if text:
            self.unfold()

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of those fields of this section that problems are about."""
        fields = {problem.field for problem in problems}
        own = [w.accessibleName() for field, (w, _) in self._fields.items() if field in fields]
        return own + [title for part in self.parts for title in part.titles(problems)]

    def problem(self, field: str) -> str:
        """Return the problem shown at a field, "" for none."""
        return self._fields[field][1].text()
