"""Rows for where tiles are segmented: threads, processes or dask, and how long one may take."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QWidget

from seamlabel.errors import Problem
from seamlabel.napari.preferences import preferences
from seamlabel.napari.rows import Section, combo_box

PLACES = {"auto": "Threads", "processes": "Processes", "dask": "Dask"}
TIPS = {
    "auto": "In this process: right for most",
    "processes": "In processes of their own: for methods that hold up others, or may crash or hang",
    "dask": "On workers of dask, also of other machines",
}
NEEDS = {"dask": ("distributed", "pip install 'seamlabel[dask]'")}
"""Module that a place needs, and what installs it."""
SERIAL = "One at a time"


class RunOnForm(Section):
    """Where tiles are segmented, the scheduler's address, and the time limit; part of another section."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.layout().itemAt(0).widget().hide()  # no header
        self.place = combo_box()
        for kind, text in PLACES.items():
            self.place.addItem(text, kind)
            self.place.setItemData(self.place.count() - 1, TIPS[kind], Qt.ItemDataRole.ToolTipRole)
            self._grey_out(kind)
        self.scheduler = QLineEdit()
        self.scheduler.setPlaceholderText("workers of its own")
        self.limit = QLineEdit()
        self.limit.setPlaceholderText("none")
        self.add(
            "executor", "Run on", self.place, "Where tiles are segmented; labels are the same everywhere"
        )
        self.add("scheduler", "Scheduler", self.scheduler, "Address of a dask scheduler: tcp://host:8786")
        self.add(
            "timeout",
            "Time limit (s)",
            self.limit,
            "Seconds that a tile may take; it fails if it takes longer",
        )
        self.place.currentIndexChanged.connect(self._switched)
        self.scheduler.editingFinished.connect(self.changed)
        self.limit.editingFinished.connect(self.changed)
        self.set_values(self._preferred(), None, None)

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that these rows decide."""
        place, limit = self.place.currentData(), self.limit.text().strip()
        address = self.scheduler.text().strip() if place == "dask" else ""
        return {"executor": place, "scheduler": address or None, "timeout": _number(limit)}

    def set_values(self, executor: str, scheduler: str | None, timeout: float | None) -> None:
        """Show these values."""
        self.place.blockSignals(True)
        if executor not in ("processes", "dask"):
            self.place.setItemData(0, executor)
            self.place.setItemText(0, SERIAL if executor == "serial" else PLACES["auto"])
            self.place.setCurrentIndex(0)
        else:
            self.place.setCurrentIndex(self.place.findData(executor))
        self.place.blockSignals(False)
        self.scheduler.setText(scheduler or "")
        self.limit.setText("" if timeout is None else f"{timeout:.12g}")
        self.show_row("scheduler", executor == "dask")

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of these rows; return the others."""
        limit = self.limit.text().strip()
        said = Problem("timeout", f"'{limit}' is no time limit", "Give seconds, above 0")
        wrong = not isinstance(_number(limit), float | None)
        return super().show_problems([said if wrong and p.field == said.field else p for p in problems])

    def _preferred(self) -> str:
        """Return the place that the preferences name, if it can be chosen."""
        row = self.place.findData(preferences().work_in)
        return self.place.itemData(row) if self.place.model().item(row).isEnabled() else "auto"

    def _grey_out(self, kind: str) -> None:
        module, install = NEEDS.get(kind, ("", ""))
        if module and find_spec(module) is None:
            row = self.place.count() - 1
            self.place.model().item(row).setEnabled(False)
            tip = f"Not installed. To install: {install}"
            self.place.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)

    def _switched(self) -> None:
        self.show_row("scheduler", self.place.currentData() == "dask")
        self.changed.emit()


def _number(text: str) -> float | str | None:
    """Return what was typed as a number, None for nothing; what is none as it is, to be refused."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
