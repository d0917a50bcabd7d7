"""`TableModel`: the columns of a table for Qt, sorted and filtered; no value is copied.

Rows are places in the table as it is; positions are those on the screen. Knows columns, no layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.napari.result.table_columns import Column

ROLES = Qt.ItemDataRole
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
ASCENDING = Qt.SortOrder.AscendingOrder


class TableModel(QAbstractTableModel):
    """Shows columns; a view resets its selection whenever order or filter change."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: tuple[Column, ...] = ()
        self._shown = np.zeros(0, np.intp)
        self._match: NDArray[np.bool_] | None = None
        self._sorted_by: tuple[str, Qt.SortOrder] | None = None

    @property
    def total(self) -> int:
        """Rows of the table, filtered or not."""
        return self.columns[0].values.size if self.columns else 0

    @property
    def shown(self) -> NDArray[np.intp]:
        """Which row is at each position."""
        return self._shown

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show another table, unfiltered, in the order that was chosen if it has that column."""
        self.beginResetModel()
        self.columns, self._match = tuple(columns), None
        self._arrange()
        self.endResetModel()

    def set_match(self, match: NDArray[np.bool_] | None) -> None:
        """Show only rows that match; None for all."""
        self.beginResetModel()
        self._match = match
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = ASCENDING) -> None:
        """Sort by a column; what is no number comes last either way. A negative one: as it was."""
        self.beginResetModel()
        self._sorted_by = (self.columns[column].name, order) if 0 <= column < len(self.columns) else None
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        rows = np.arange(self.total) if self._match is None else np.flatnonzero(self._match)
        name, order = self._sorted_by or ("", ASCENDING)
        column = next((one for one in self.columns if one.name == name), None)
        if column is not None:
            values = column.values[rows]
            by = np.argsort(values, kind="stable")
            if order != ASCENDING:
                nans = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
                numbers = by[: by.size - nans]
                by = np.concatenate([numbers[::-1], by[by.size - nans :]])
            rows = rows[by]
        self._shown = rows

    def positions(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return where rows are shown, ascending; those that do not match are nowhere."""
        wanted = np.zeros(self.total, bool)
        wanted[rows] = True
        return np.flatnonzero(wanted[self._shown])

    # -- what Qt asks --------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of rows that match."""
        return 0 if parent is not None and parent.isValid() else self._shown.size

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def data(self, index: QModelIndex, role: int = ROLES.DisplayRole) -> Any:
        """Return a value as text, or how it is set."""
        if role == ROLES.DisplayRole:
            return self.columns[index.column()].text(int(self._shown[index.row()]))
        if role == ROLES.TextAlignmentRole:
            return RIGHT
        if role == ROLES.ToolTipRole:
            value = self.columns[index.column()].values[self._shown[index.row()]]
            return str(value) if isinstance(value, np.floating) else None
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = ROLES.DisplayRole) -> Any:
        """Return the title of a column, or what it means."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == ROLES.DisplayRole:
            return column.title
        return column.tip if role == ROLES.ToolTipRole else None

    def text(self, positions: NDArray[np.intp]) -> str:
        """Return rows as text with tabs between values, titles first: exact, for a spreadsheet."""
        rows = self._shown[positions]
        lines = ["\t".join(column.title for column in self.columns)]
        values = [column.values[rows].tolist() for column in self.columns]
        lines += ["\t".join(map(str, row)) for row in zip(*values, strict=True)]
        return "\n".join(lines) + "\n"
