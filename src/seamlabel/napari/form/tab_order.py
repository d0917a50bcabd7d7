"""The order in which the Tab key goes through a form: that of its rows, whenever they were made."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterator


def set_tab_order(form: QWidget) -> None:
    """Have Tab follow the layouts of `form`, from its first input to its last."""
    for first, second in pairwise(list(_inputs(form))):
        QWidget.setTabOrder(first, second)


def _inputs(part: QWidget | QLayout) -> Iterator[QWidget]:
    if isinstance(part, QWidget) and part.focusPolicy() != Qt.FocusPolicy.NoFocus:
        yield part
        return
    layout = part.layout() if isinstance(part, QWidget) else part
    for place in range(layout.count() if layout is not None else 0):
        item = layout.itemAt(place)
        inner = item.widget() or item.layout()
        if inner is not None:
            yield from _inputs(inner)
