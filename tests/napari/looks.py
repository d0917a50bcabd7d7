"""What can be told of looks without eyes: texts that are cut, widgets that overlap or stick out."""

from __future__ import annotations

from itertools import combinations

from qtpy.QtCore import QPoint, QRect
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QStyle,
    QStyleOptionComboBox,
    QWidget,
)

LEAVES = (QAbstractButton, QAbstractSpinBox, QComboBox, QLabel, QLineEdit, QPlainTextEdit, QSlider)
MARK = 22
"""Pixels of the box or arrow beside a text."""


def faults(root):
    """Return what is wrong with the looks of a widget that is shown, one line each."""
    leaves = [w for w in root.findChildren(QWidget) if isinstance(w, LEAVES) and w.isVisibleTo(root)]
    leaves = [w for w in leaves if not isinstance(w.parent(), QAbstractSpinBox | QComboBox)]
    found = [f"cut: {_name(w)}" for w in leaves if _cut(w)]
    found += [f"sticks out: {_name(w)}" for w in leaves if _place(w, root).right() > root.width()]
    seen = [(leaf, _seen(leaf, root)) for leaf in leaves]
    for (one, place), (other, there) in combinations(seen, 2):
        both = place.intersected(there)
        apart = not (one.isAncestorOf(other) or other.isAncestorOf(one))
        if both.width() > 2 and both.height() > 2 and apart:
            found.append(f"overlap: {_name(one)} and {_name(other)}")
    return found


def _place(widget, root):
    return QRect(widget.mapTo(root, QPoint(0, 0)), widget.size())


def _seen(widget, root):
    """Return the part that is not scrolled out of sight."""
    return widget.visibleRegion().boundingRect().translated(widget.mapTo(root, QPoint(0, 0)))


def _cut(widget):
    width = widget.fontMetrics().horizontalAdvance
    if isinstance(widget, QLabel) and widget.wordWrap():
        return bool(widget.text()) and widget.heightForWidth(widget.width()) > widget.height() + 1
    if isinstance(widget, QLabel):
        return max(map(width, widget.text().split("\n"))) > widget.width() + 1
    if isinstance(widget, QCheckBox):
        return width(_shown(widget.text())) + MARK > widget.width() + 1
    if isinstance(widget, QAbstractButton):
        return width(_shown(widget.text())) > widget.width() - 4
    if isinstance(widget, QComboBox):
        return width(widget.currentText()) > _room(widget)
    if isinstance(widget, QAbstractSpinBox):
        return width(widget.text()) > widget.lineEdit().width() + 1
    if isinstance(widget, QLineEdit):
        return not widget.text() and width(widget.placeholderText()) > widget.width() - 4
    return False


def _room(combo):
    """Return how many pixels a combo has for its text: not those of its arrow."""
    option = QStyleOptionComboBox()
    combo.initStyleOption(option)
    parts = QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, combo
    return combo.style().subControlRect(*parts).width()


def _shown(text):
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&")


def _name(widget):
    text = getattr(widget, "text", None) or getattr(widget, "currentText", str)
    return (
        f"{type(widget).__name__} {text()!r} {widget.accessibleName()!r} {widget.width()}x{widget.height()}"
    )
