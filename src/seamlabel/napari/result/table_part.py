"""`TablePart`: the part of the result panel about measurements: the table, colours by it, its export."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from seamlabel.errors import SeamlabelError
from seamlabel.napari.form.rows import Note, Section, combo_box
from seamlabel.napari.result.colour_by import ColourBy
from seamlabel.napari.result.lookup import written_levels
from seamlabel.napari.result.table_columns import make_columns
from seamlabel.napari.result.table_dock import open_table
from seamlabel.napari.result.table_work import TableWork
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.engine.table import Table
    from seamlabel.napari.layers.lazy_labels import LazyArray
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.shown import Shown
    from seamlabel.napari.result.table_columns import Column
    from seamlabel.napari.result.table_dock import TableDock

NONE = "None"
PLACES = ("position_", "centroid_", "bbox_", "id")
"""Columns that the status bar need not tell: the pointer is there."""


class TablePart(Section):
    """Measures when it is asked to: it takes reading image and labels once more."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Measurements", parent)
        self.work = TableWork()
        self.table_button = QPushButton("Measure objects")
        self.export_button = QPushButton("Export…")
        self.export_button.setToolTip("Save what was measured of all objects, as CSV or Parquet")
        self.colour = combo_box()
        self.colour.setPlaceholderText("Measure objects first")
        self.note = Note("muted", self)
        self._control: ResultControl | None = None
        self._columns: tuple[Column, ...] = ()
        self._levels: Sequence[LazyArray] = ()
        self._colours: ColourBy | None = None
        self._view: TableDock | None = None
        self._then_open = False
        self._lay_out()
        self.table_button.clicked.connect(self._table_clicked)
        self.export_button.clicked.connect(self._ask_where)
        self.colour.activated.connect(self._colour_chosen)
        self.work.progressed.connect(self._progressed)
        self.work.measured.connect(self._measured)
        self.work.written.connect(self._written)
        self.work.failed.connect(lambda text: self.note.say(text, "problem"))
        self.work.ended.connect(self._show_state)
        self.destroyed.connect(self.work.close)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.setSpacing(6)
        buttons.addWidget(self.table_button, 1)
        buttons.addWidget(self.export_button)
        row = QWidget()
        row.setLayout(buttons)
        self.add("table", "Table", row)
        self.add("colour", "Colour by", self.colour)
        self.layout().addWidget(self.note)

    # -- what is shown -------------------------------------------------------------------------

    def show_result(self, control: ResultControl) -> None:
        """Follow another run, or other labels of the same one: these are measured again if it matters."""
        if self._control is None:
            self._control = control
            self._colours = ColourBy(control.viewer, self._colour_gone)
            self._closing = _Closing(control, self._colours)
            self.destroyed.connect(self._closing)
            control.measured.connect(self._take)
            control.busy_changed.connect(self._busy)
        self.work.cancel()
        self.note.say("")
        shown = control.shown
        self.setVisible(shown is not None and bool(shown.path))
        self._take()
        if control.table is None and shown is not None and shown.path and (self._open or self._coloured):
            self._measure()

    @property
    def _open(self) -> bool:
        return self._view is not None

    @property
    def _coloured(self) -> bool:
        return self.colour.currentIndex() > 0

    def _take(self) -> None:
        """Show the table that there is now, or that there is none."""
        control = self._control
        assert control is not None
        assert self._colours is not None
        shown, table = control.shown, control.table
        self._columns = (
            make_columns(table, shown.plan.axes) if shown is not None and table is not None else ()
        )
        self._levels = self._read_levels() if self._columns else ()
        if self._view is not None:
            self._view.show_table(self._columns, self._levels)
        if control.layer is not None:
            control.layer.features = self._features()
        elif not self._columns:
            self._colours.drop()
        if self._columns:
            self._fill_colours()
            self._show_colours()
        else:
            self._colours.empty()
        self._show_state()

    def _read_levels(self) -> Sequence[LazyArray]:
        """Return the labels that the table is about; nothing if they are gone or not shown."""
        assert self._control is not None
        shown, layer = self._control.shown, self._control.layer
        if shown is None or layer is None:
            return ()
        try:
            return written_levels(shown.path, shown.plan, layer)
        except SeamlabelError as error:
            self.note.say(str(error), "problem")
            return ()

    def _features(self) -> pd.DataFrame:
        """Return what the status bar tells of the object under the pointer."""
        if not self._columns:
            return pd.DataFrame()
        told = [one for one in self._columns if not one.name.startswith(PLACES)]
        ids = next(one.values for one in self._columns if one.name == "id")
        return pd.DataFrame({"index": ids} | {one.title: one.values for one in told}, copy=False)

    def _show_state(self) -> None:
        """Let the buttons say what they do now."""
        known, active = bool(self._columns), self.work.active
        if active:
            text, tip = "Cancel", "Stop measuring"
        elif known:
            text, tip = "Show table", "Show all objects and what was measured of them, at the bottom"
        else:
            text, tip = "Measure objects", "Measure size, place and brightness of every object"
        self.table_button.setText(text)
        self.table_button.setToolTip(tip)
        self.export_button.setEnabled(known and not active)
        self.colour.setEnabled(known)
        why = "Show objects in the colours of a measurement"
        self.colour.setToolTip(why if known else f"{why}; measure them first")

    def _busy(self, busy: bool) -> None:
        if busy:
            self.work.cancel()  # the labels are about to be replaced

    # -- measuring and the table ---------------------------------------------------------------

    def _table_clicked(self) -> None:
        if self.work.active:
            self.work.cancel()
        elif self._columns:
            self._open_table()
        else:
            self._measure(then_open=True)

    def _measure(self, then_open: bool = False) -> None:
        control = self._control
        if control is None or control.shown is None or self.work.active:
            return
        self._then_open = then_open
        self.note.say("Measuring…", "muted")
        self.work.measure(control.shown)
        self._show_state()

    def _progressed(self, done: int, total: int) -> None:
        self.note.say(f"Measuring… {done:,} of {many(total, 'tile')}", "muted")

    def _measured(self, shown: Shown, table: Table) -> None:
        control = self._control
        if control is None or control.shown is not shown:
            return
        self.note.say("")
        control.set_table(table)
        if self._then_open:
            self._open_table()

    def _open_table(self) -> None:
        assert self._control is not None
        if self._view is None:
            self._view = open_table(self._control)
            self._view.destroyed.connect(self._table_closed)
            self._closing.view = self._view
            self._view.show_table(self._columns, self._levels)
        self._view.parent().show()
        self._view.parent().raise_()
        self._view.table.setFocus()

    def _table_closed(self) -> None:
        self._view = self._closing.view = None

    # -- colours -------------------------------------------------------------------------------

    def _fill_colours(self) -> None:
        chosen = self.colour.currentText()
        self.colour.clear()
        self.colour.addItems([NONE, *(one.title for one in self._columns if one.name != "id")])
        self.colour.setCurrentIndex(max(0, self.colour.findText(chosen)))

    def _show_colours(self) -> None:
        assert self._control is not None
        assert self._colours is not None
        column = next((one for one in self._columns if one.title == self.colour.currentText()), None)
        layer, table = self._control.layer, self._control.table
        if column is None or layer is None or table is None or not self._levels:
            self._colours.drop()
        else:
            self._colours.show(layer, self._levels, table["id"], column)

    def _colour_chosen(self) -> None:
        self._show_colours()

    def _colour_gone(self) -> None:
        self.colour.setCurrentIndex(0)

    # -- export --------------------------------------------------------------------------------

    def _ask_where(self) -> None:
        """Ask for a file; the dialog asks before it is replaced."""
        assert self._control is not None
        shown = self._control.shown
        assert shown is not None
        dialog = QFileDialog(self, "Export table")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        kinds = ["CSV (*.csv)"] + (["Parquet (*.parquet)"] if find_spec("pyarrow") else [])
        dialog.setNameFilters(kinds)
        dialog.setDefaultSuffix("csv")
        dialog.filterSelected.connect(lambda kind: dialog.setDefaultSuffix(kind.split("*.")[1].rstrip(")")))
        folder = (
            Path(shown.plan.output).expanduser().parent if shown.plan.output and shown.saved else Path.home()
        )
        dialog.setDirectory(str(folder))
        dialog.selectFile(f"{shown.spec.name}.csv")
        dialog.fileSelected.connect(self._export)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _export(self, path: str) -> None:
        table = self._control.table if self._control is not None else None
        if path and table is not None and not self.work.active:
            self.note.say("Writing…", "muted")
            self.work.write(path, table)
            self._show_state()

    def _written(self, path: str, rows: int) -> None:
        self.note.say(f"Wrote {many(rows, 'row')} to …/{'/'.join(Path(path).parts[-2:])}", "good")


class _Closing:
    """Takes away what the panel opened, when it is gone; holds nothing that belongs to the widget itself."""

    def __init__(self, control: ResultControl, colours: ColourBy) -> None:
        self._control, self._colours = control, colours
        self.view: TableDock | None = None

    def __call__(self, *_: object) -> None:
        self._colours.close()
        view, self.view = self.view, None
        if view is not None:
            with suppress(RuntimeError, LookupError, AttributeError):  # the whole window is gone
                self._control.viewer.window.remove_dock_widget(view)
