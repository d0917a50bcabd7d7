"""`TableDock`: the table at the bottom of a viewer, and its rows linked with the objects on the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, Qt, QTimer

from seamlabel.napari.form.rows import style
from seamlabel.napari.result.object_link import ObjectLink
from seamlabel.napari.result.table_view import TableView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

    from seamlabel.napari.layers.lazy_labels import LazyArray
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.table_columns import Column

NAME = "Objects"
HEIGHT = 260
"""Of the dock when it is opened, in pixels."""


class TableDock(TableView):
    """The table of one viewer, while it is open.

    Parameters
    ----------
    control : ResultControl
        Says which run is shown, and in which viewer.
    """

    def __init__(self, control: ResultControl) -> None:
        super().__init__()
        self._control = control
        self._viewer: Viewer = control.viewer
        self.link = ObjectLink(control.viewer, self._clicked)
        self._from_canvas = False
        self.selected.connect(self._rows_selected)
        self.entered.connect(self.link.go_to)
        self._viewer.events.theme.connect(self._theme)
        self._theme()
        self._end = _End(self._viewer, self._theme, self.link)
        self.destroyed.connect(self._end)

    def show_table(self, columns: Sequence[Column], levels: Sequence[LazyArray]) -> None:
        """Show the objects of the run that is shown now; without columns, wait for them."""
        control = self._control
        self.setEnabled(bool(columns))
        if not columns:
            self.link.forget()
        elif control.shown is not None and control.table is not None:
            self.link.follow(control.layer if levels else None, levels, control.shown.plan, control.table)
            self.set_columns(columns)

    def event(self, event: QEvent) -> bool:
        """Notice when the dock is closed: napari only takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            QTimer.singleShot(0, self._left_alone)
        return super().event(event)

    def _left_alone(self) -> None:
        if self.parent() is None:
            self._end()
            self.deleteLater()

    def _rows_selected(self) -> None:
        self.link.highlight(self.selected_rows())
        row = self.current_row()
        if row is not None and not self._from_canvas:
            self.link.go_to(row)

    def _clicked(self, label: int, add: bool) -> None:
        table = self._control.table
        if table is None:
            return
        row = int(np.searchsorted(table["id"], label))
        if row < table["id"].size and table["id"][row] == label:
            self._from_canvas = True
            self.select(row, add)
            self._from_canvas = False

    def _theme(self, _event: object = None) -> None:
        self.setStyleSheet(style("light" if get_theme(self._viewer.theme).type == "light" else "dark"))


class _End:
    """Lets go of the viewer when the table is gone; holds nothing that belongs to the widget itself."""

    def __init__(self, viewer: Viewer, theme: Any, link: ObjectLink) -> None:
        self._viewer, self._theme, self._link = viewer, theme, link
        self._done = False

    def __call__(self, *_: object) -> None:
        if not self._done:
            self._done = True
            self._viewer.events.theme.disconnect(self._theme)
            self._link.close()


def open_table(control: ResultControl) -> TableDock:
    """Return a new table in the viewer, in place of the one that another dock had opened there."""
    window = control.viewer.window
    other = window.dock_widgets.get(NAME)
    if other is not None:
        window.remove_dock_widget(other)
    table = TableDock(control)
    docked = window.add_dock_widget(table, name=NAME, area="bottom", add_vertical_stretch=False)
    main = docked.parent()
    main.resizeDocks([docked], [min(HEIGHT, main.height() // 3)], Qt.Orientation.Vertical)
    return table
