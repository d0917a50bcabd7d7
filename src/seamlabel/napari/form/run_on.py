"""Rows for how tiles are worked on: in threads, processes or dask, how many, how often and how long."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QWidget

from seamlabel.errors import Problem
from seamlabel.napari.form.rows import Section, combo_box
from seamlabel.napari.preferences import preferences

PLACES = {"auto": "Threads", "processes": "Processes", "dask": "Dask"}
TIPS = {
    "auto": "In this process: right for most",
    "processes": "In processes of their own: for methods that hold up others, or may crash or hang",
    "dask": "On workers of dask, also of other machines",
}
NEEDS = {"dask": ("distributed", "pip install 'seamlabel[dask]'")}
"""Module that a place needs, and what installs it."""
SERIAL = "One at a time"
RETRIES = 1
"""How often a failing tile is tried again where nothing is said."""


class RunOnForm(Section):
    """Where tiles are segmented, how many at once, and when one has failed; folded part of a section."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("More", parent, folded=True)
        self.place = combo_box()
        for kind, text in PLACES.items():
            self.place.addItem(text, kind)
            self.place.setItemData(self.place.count() - 1, TIPS[kind], Qt.ItemDataRole.ToolTipRole)
            self._grey_out(kind)
        self.scheduler = _line("workers of its own")
        self.workers, self.retries, self.limit = _line("auto"), _line(str(RETRIES)), _line("none")
        tip = "Where tiles are segmented; labels are the same everywhere"
        self.add("executor", "Work in", self.place, tip)
        self.add("scheduler", "Scheduler", self.scheduler, "Address of a dask scheduler: tcp://host:8786")
        self.add("workers", "Tiles at once", self.workers, "auto: as many as cores and memory allow")
        self.add("retries", "Tries again", self.retries, "How often a tile that failed is tried again")
        tip = "Seconds that a tile may take; it fails if it takes longer"
        self.add("timeout", "Time limit (s)", self.limit, tip)
        self.place.currentIndexChanged.connect(self._edited)
        for line in (self.scheduler, self.workers, self.retries, self.limit):
            line.editingFinished.connect(self._edited)
        self.prefer()

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that these rows decide."""
        place = self.place.currentData()
        address = self.scheduler.text().strip() if place == "dask" else ""
        retries = _number(self.retries)
        return {
            "executor": place,
            "scheduler": address or None,
            "workers": _number(self.workers),
            "retries": RETRIES if retries is None else retries,
            "timeout": _number(self.limit),
        }

    def set_values(
        self,
        executor: str,
        scheduler: str | None,
        timeout: float | None,
        workers: int | None = None,
        retries: int = RETRIES,
    ) -> None:
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
        self.workers.setText("" if workers is None else str(workers))
        self.retries.setText("" if retries == RETRIES else str(retries))
        self.limit.setText("" if timeout is None else repr(timeout).removesuffix(".0"))
        self._show()

    def prefer(self) -> None:
        """Show what the preferences of this machine say."""
        wanted = preferences()
        row = self.place.findData(wanted.work_in)
        offered = row >= 0 and self.place.model().item(row).isEnabled()
        self.set_values(wanted.work_in if offered else "auto", None, None, wanted.tiles_at_once)

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of these rows; return the others."""
        lines = {"timeout": self.limit, "workers": self.workers, "retries": self.retries}
        return super().show_problems([_plain(p, lines[p.field]) if p.field in lines else p for p in problems])

    def _grey_out(self, kind: str) -> None:
        module, install = NEEDS.get(kind, ("", ""))
        if module and find_spec(module) is None:
            row = self.place.count() - 1
            self.place.model().item(row).setEnabled(False)
            tip = f"Not installed. To install: {install}"
            self.place.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)

    def _edited(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        place, workers, limit = (
            self.place.currentText(),
            self.workers.text().strip(),
            self.limit.text().strip(),
        )
        self.show_row("scheduler", self.place.currentData() == "dask")
        said = [
            place if self.place.currentData() != "auto" else "",
            f"{workers} at once" if workers else "",
            f"at most {limit} s" if limit else "",
        ]
        self.tell(", ".join(text for text in said if text))


def _line(placeholder: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(placeholder)
    return line


def _number(line: QLineEdit) -> float | str | None:
    """Return what was typed as a number, None for nothing; what is none as it is, to be refused."""
    text = line.text().strip()
    try:
        number = float(text) if text else None
    except ValueError:
        return text
    return int(number) if number is not None and number.is_integer() else number


def _plain(problem: Problem, line: QLineEdit) -> Problem:
    """Return a problem of a line in plain words, if what was typed is no number at all."""
    if not isinstance(_number(line), str):
        return problem
    what = "time limit" if problem.field == "timeout" else "number"
    fix = "Give seconds, above 0" if problem.field == "timeout" else problem.fix
    return Problem(problem.field, f"'{line.text().strip()}' is no {what}", fix)
