"""`TableView`: the table of objects with a filter line, a count, and rows that can be selected and copied.

Knows columns and rows; nothing of layers or runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QShortcut,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from seamlabel.napari.form.rows import Note, mark
from seamlabel.napari.result.table_filter import FilterError, matches
from seamlabel.napari.result.table_model import TableModel
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.napari.result.table_columns import Column

MOST_COPIED = 200_000
"""Rows that are copied at once."""
MOST_RUNS = 1000
"""Stretches of rows that are selected again after the order has changed."""
ROW_HEIGHT = 22


class TableView(QWidget):
    """Shows a table, once it has `set_columns`."""

    selected = Signal()
    """Other rows are selected; see `selected_rows` and `current_row`."""
    entered = Signal(int)
    """A row was double-clicked, or Enter pressed on it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = TableModel()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter, such as area > 100 and not at border")
        self.filter.setAccessibleName("Filter")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMinimumWidth(120)
        self.count = QLabel()
        self.count.setProperty("kind", "muted")
        self.count.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the selected rows, to paste them into a spreadsheet (Ctrl+C)")
        self.note = Note("problem", self)
        self.table = self._made_table()
        self._kept: NDArray[np.intp] | None = None
        self._lay_out()
        self._connect()

    def _made_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setAccessibleName("Objects")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setWordWrap(False)
        table.setMinimumHeight(5 * ROW_HEIGHT)
        table.setTabKeyNavigation(False)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        rows, header = table.verticalHeader(), table.horizontalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        rows.hide()
        # With many rows selected, headers ask for seconds whether whole columns are.
        for one in (rows, header):
            one.setSelectionModel(QItemSelectionModel(self.model, table))
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        table.setSortingEnabled(True)
        return table

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.filter, 1)
        line.addWidget(self.count)
        line.addWidget(self.copy_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self.note)
        column.addWidget(self.table, 1)

    def _connect(self) -> None:
        self.filter.textChanged.connect(lambda: self._filter(typing=True))
        self.filter.editingFinished.connect(lambda: self._filter(typing=False))
        self.copy_button.clicked.connect(self.copy)
        self.table.doubleClicked.connect(lambda _index: self._enter())
        self.table.selectionModel().selectionChanged.connect(self._selection_changed)
        self.model.modelAboutToBeReset.connect(self._keep_selection)
        self.model.modelReset.connect(self._select_again)
        for widget in (self.table, self.filter):
            widget.installEventFilter(self)
        search = QShortcut(QKeySequence.StandardKey.Find, self)
        search.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        search.activated.connect(self.filter.setFocus)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys of table and filter before Qt copies a single cell, or napari has them."""
        if event.type() not in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride):
            return False
        slot = self._slot(watched, event)
        if slot is not None and event.type() == QEvent.Type.KeyPress:
            slot()
        elif slot is not None:
            event.accept()
        return slot is not None

    def _slot(self, watched: QObject, event: QKeyEvent) -> Callable[[], None] | None:
        if watched is self.filter:
            return self.filter.clear if event.key() == Qt.Key.Key_Escape else None
        if event.matches(QKeySequence.StandardKey.Copy):
            return self.copy
        return self._enter if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) else None

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show another table; the filter stays, the selection does not."""
        self.table.clearSelection()
        same = [one.title for one in columns] == [one.title for one in self.model.columns]
        self.model.set_columns(columns)
        if not same:
            width = self.table.horizontalHeader().fontMetrics().horizontalAdvance
            for at, column in enumerate(columns):
                self.table.setColumnWidth(at, max(width(column.title) + 34, width("000,000.0") + 16))
        words = ", ".join(dict.fromkeys(column.words[0] for column in columns))
        self.filter.setToolTip(
            f"Show only some objects: compare with < > = and join with and, or, not.\nColumns: {words}"
        )
        self._filter(typing=False)

    # -- selection -----------------------------------------------------------------------------

    def selected_rows(self) -> NDArray[np.intp]:
        """Return the rows that are selected, in the order in which they are shown."""
        return self.model.shown[self._positions()]

    def current_row(self) -> int | None:
        """Return the row that was selected last, None if it is not selected any more."""
        index = self.table.currentIndex()
        selected = index.isValid() and self.table.selectionModel().isRowSelected(index.row(), QModelIndex())
        return int(self.model.shown[index.row()]) if selected else None

    def select(self, row: int, add: bool = False) -> None:
        """Select a row and scroll to it; `add` it to what is selected, or take it out."""
        found = self.model.positions(np.array([row]))
        if not found.size:
            self.note.say(f"Object {self.model.columns[0].text(row)} is hidden by the filter", "warning")
            return
        self.note.say("")
        flag = QItemSelectionModel.SelectionFlag
        how = (flag.Toggle if add else flag.ClearAndSelect) | flag.Rows
        index = self.model.index(int(found[0]), max(0, self.table.currentIndex().column()))
        self.table.selectionModel().setCurrentIndex(index, how)
        self.table.scrollTo(index)

    def _positions(self) -> NDArray[np.intp]:
        chosen = np.zeros(self.model.shown.size, bool)
        for one in self.table.selectionModel().selection():
            chosen[one.top() : one.bottom() + 1] = True
        return np.flatnonzero(chosen)

    def _selection_changed(self) -> None:
        self._tell_count()
        self.selected.emit()

    def _keep_selection(self) -> None:
        self._kept = self.selected_rows()

    def _select_again(self) -> None:
        """Select the rows that were selected before their order changed."""
        rows, self._kept = self._kept, None
        if rows is None or not rows.size or int(rows.max()) >= self.model.total:
            self._selection_changed()
            return
        found = self.model.positions(rows)
        begins = found[np.diff(found, prepend=-2) > 1]
        ends = found[np.diff(found, append=found[-1:] + 2) > 1]
        chosen, last = QItemSelection(), len(self.model.columns) - 1
        if begins.size <= MOST_RUNS:
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
                chosen.select(self.model.index(begin, 0), self.model.index(end, last))
        self.table.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if begins.size:
            self.table.scrollTo(self.model.index(int(begins[0]), 0))
        self._selection_changed()

    def _enter(self) -> None:
        row = self.current_row()
        if row is not None:
            self.entered.emit(row)

    # -- filter, count, copy -------------------------------------------------------------------

    def _filter(self, typing: bool) -> None:
        """Show what matches; while it is typed, what cannot be understood yet changes nothing."""
        try:
            match = matches(self.filter.text(), self.model.columns) if self.model.columns else None
        except FilterError as error:
            if not typing:
                mark(self.filter, True)
                self.note.say(str(error), "problem")
            return
        mark(self.filter, False)
        self.note.say("")
        self.model.set_match(match)
        self._tell_count()

    def _tell_count(self) -> None:
        shown, total, chosen = self.model.shown.size, self.model.total, self._positions().size
        text = many(total, "object") if shown == total else f"{shown:,} of {many(total, 'object')}"
        self.count.setText(f"{text} · {chosen:,} selected" if chosen else text)
        self.copy_button.setEnabled(chosen > 0)

    def copy(self) -> None:
        """Copy the selected rows."""
        positions = self._positions()
        if positions.size > MOST_COPIED:
            self.note.say(f"More than {MOST_COPIED:,} rows: use Export table in the dock instead", "warning")
        elif positions.size:
            QApplication.clipboard().setText(self.model.text(positions))
            self.note.say(f"Copied {many(positions.size, 'row')}", "muted")
