"""The "Method" section: which backend, and its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QStyle

from seamlabel import registry
from seamlabel.errors import Problem
from seamlabel.napari.params import ParamsForm
from seamlabel.napari.rows import Note, Section, combo_box

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from seamlabel.registry import Backend

EXAMPLE = "/path/mine.py:cells"
"""How a function of one's own is named."""
FIRST = "watershed"
"""Chosen at the start where it is installed: right for most dense tissue."""


class MethodForm(Section):
    """Backend and parameters; the parameters of each backend are kept while another one is looked at."""

    rebuilt = Signal()
    """There are other rows now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Method", parent)
        known = [b for b in registry.backends().values() if b.kind == "labels"]
        self._backends = {b.name: b for b in sorted(known, key=lambda b: bool(b.missing))}
        self._kept: dict[str, dict[str, Any]] = {}
        self.combo = combo_box()
        self.about = Note("muted", self)
        self.params: ParamsForm | None = None
        self.add("backend", "", self.combo, "How tiles are segmented")
        self.combo.setAccessibleName("Method")
        self.rows.addRow(self.about)
        self._fill()
        self.combo.currentIndexChanged.connect(self._switched)
        self._show(self.name())

    def name(self) -> str:
        """Return the chosen backend's name."""
        return self.combo.currentData() or "threshold"

    def record(self) -> Backend | None:
        """Return the chosen backend."""
        return self._backends.get(self.name())

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that this section decides."""
        record = self.record()
        params = {**self._kept.get(self.name(), {}), **(self.params.value() if self.params else {})}
        merge = record.rule if record else "iou"
        return {"backend": self.name(), "params": params, "merge": merge}

    def set_values(self, backend: str, params: dict[str, Any]) -> None:
        """Show a backend and its parameters; an unknown one leaves the section as it is."""
        index = self.combo.findData(backend)
        if index < 0:
            return
        self._kept[backend] = dict(params)
        self.combo.blockSignals(True)
        self.combo.setCurrentIndex(index)
        self.combo.blockSignals(False)
        self._show(backend)

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of the fields that problems are about."""
        return super().titles(problems) + (self.params.titles(problems) if self.params else [])

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of this section; return the others."""
        params = self.values()["params"]
        if self.name() == "function" and not params.get("target"):
            said = Problem("params.target", f"Name your function: {EXAMPLE}")
            problems = [said if p.field == said.field else p for p in problems]
        rest = super().show_problems(problems)
        return self.params.show_problems(rest) if self.params else rest

    def _fill(self) -> None:
        for name, record in self._backends.items():
            if not record.missing:
                self.combo.addItem(record.title, name)
                continue
            self.combo.addItem(f"{record.title} – {record.install}", name)
            row = self.combo.count() - 1
            self.combo.model().item(row).setEnabled(False)
            tip = f"Not installed. To install: {record.install}"
            self.combo.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        self.combo.setCurrentIndex(max(0, self.combo.findData(FIRST)))

    def _switched(self) -> None:
        self._show(self.name())
        self.changed.emit()

    def _show(self, name: str) -> None:
        """Show the rows of a backend's parameters, with the values they had last."""
        if self.params is not None:
            self._kept[self.params.objectName()] = {
                **self._kept.get(self.params.objectName(), {}),
                **(self.params.value() if self.params.objectName() != name else {}),
            }
            self.rows.removeRow(self.params)
            self.params = None
        record = self._backends.get(name)
        if record is None:
            return
        self.about.say(record.description)
        self.params = ParamsForm(record.params_type())
        self.params.setObjectName(name)
        self.params.setValue(self._kept.get(name, {}))
        self.params.changed.connect(self.changed)
        self.rows.addRow(self.params)
        if name == "function":
            _offer_files(self.params.widget("target"))
        self.rebuilt.emit()


def _offer_files(line: QLineEdit) -> None:
    """Show how a function is named, and have a button to pick its file."""

    def browse() -> None:
        place, _, name = line.text().rpartition(":")
        path, _ = QFileDialog.getOpenFileName(line, "The file with your function", place, "Python (*.py)")
        if path:
            line.setText(f"{path}:{name or 'cells'}")
            line.editingFinished.emit()

    line.setPlaceholderText(EXAMPLE)
    icon = line.style().standardIcon(QStyle.StandardPixmap.SP_DirOpenIcon)
    action = line.addAction(icon, QLineEdit.ActionPosition.TrailingPosition)
    action.setToolTip("Browse")
    action.triggered.connect(browse)
