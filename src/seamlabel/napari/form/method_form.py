"""The "Method" section: which backend, and its parameters."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QBrush, QPalette
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from seamlabel import registry
from seamlabel.errors import Problem
from seamlabel.napari.form.function_fields import EXAMPLE, FunctionFields, load_button
from seamlabel.napari.form.params import ParamsForm
from seamlabel.napari.form.presets import PresetsButton
from seamlabel.napari.form.rows import Note, Section, combo_box

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seamlabel.registry import Backend

FIRST = "watershed"
"""Chosen at the start where it is installed: right for most dense tissue."""
SIZE = "diameter"
"""The parameter that methods share, if they have it: it is a matter of the objects, not of the method."""

VALUES = "Any function of your own: fn(tile) -> values, one or several per voxel."


class MethodForm(Section):
    """Backend and parameters; the parameters of each backend are kept while another one is looked at.

    Parameters
    ----------
    maps : bool
        Of backends that give predictions, without parameters that count for labels only.
    """

    rebuilt = Signal()
    """There are other rows now."""
    measure_requested = Signal(bool)
    """A line is to be drawn over an object, or no longer; `set_diameter` is due then."""

    def __init__(self, parent: QWidget | None = None, maps: bool = False) -> None:
        super().__init__("Model" if maps else "Method", parent)
        self._maps = maps
        known = [b for b in registry.backends().values() if (predicts(b) if maps else b.kind == "labels")]
        self._backends = {b.name: b for b in sorted(known, key=lambda b: bool(b.missing))}
        self._kept: dict[str, dict[str, Any]] = {}
        self._size: float | None = None  # as it was entered last, for any method
        self.combo = combo_box()
        self.presets = PresetsButton(lambda: self.values()["params"])
        self.install = _Install()
        self.about, self.hint = Note("muted", self), Note("good", self)
        self.measure: QPushButton | None = None
        self.params: ParamsForm | None = None
        self.arguments: FunctionFields | None = None
        self.add("backend", "", _row(self.combo, self.presets), "What tiles are given to")
        self.rows.itemAt(0).widget().setAccessibleName("Method")
        self.combo.setAccessibleName("Method")
        self.rows.addRow(self.install)
        self.rows.addRow(self.about)
        self.rows.addRow(self.hint)
        self._fill()
        self.combo.currentIndexChanged.connect(self._switched)
        self.presets.picked.connect(self._picked)
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
        merge = record.rule if record else "iou"
        return {"backend": self.name(), "params": self._shown(self.name()), "merge": merge}

    def _shown(self, backend: str) -> dict[str, Any]:
        """Return the parameters of the backend whose rows are shown, and what it has no rows for."""
        params = {**self._kept.get(backend, {}), **(self.params.value() if self.params else {})}
        if self.arguments is not None:
            params.pop("keywords", None)
            keywords = self.arguments.value()
            params |= {"keywords": keywords} if keywords else {}
        return params

    def kept(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of all backends that were looked at."""
        return {**self._kept, self.name(): self.values()["params"]}

    def restore(self, backend: Any, kept: Mapping[str, Any]) -> None:
        """Show what was kept on another day; leave out what does not fit any more."""
        for name, values in kept.items():
            if isinstance(values, dict):
                self._kept[name] = self._valid(name, values)
        known = backend in self._backends and not self._backends[backend].missing
        name = backend if known else self.name()
        self.set_values(name, self._kept.get(name, {}))

    def reset(self) -> None:
        """Have the defaults of all methods, and the method of the start."""
        self._kept, self._size = {}, None
        first = self._backends.get(FIRST)
        self._rebuild(FIRST if first is not None and not first.missing else self.name())

    def set_values(self, backend: str, params: dict[str, Any]) -> None:
        """Show a backend and its parameters; an unknown one leaves the section as it is."""
        if self.combo.findData(backend) < 0:
            return
        self._kept[backend] = self._valid(backend, params)
        size = self._kept[backend].get(SIZE)
        self._size = size if size is not None else self._size
        self._rebuild(backend)

    def set_diameter(self, size: float) -> None:
        """Show the diameter of an object, in voxels of the level that is segmented, and tell so."""
        if self.params is not None and SIZE in self.params.value():
            fits = self._valid(self.name(), {SIZE: round(size, 1)})
            self.params.setValue(fits)
            if not fits:
                self.params.show_error(
                    f"{size:.1f} voxels are out of range: draw over one object", "params." + SIZE
                )

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of the fields that problems are about."""
        parts = [part for part in (self.params, self.arguments) if part is not None]
        return super().titles(problems) + [title for part in parts for title in part.titles(problems)]

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of this section; return the others."""
        record = self.record()
        if self.name() == "function" and not self.values()["params"].get("target"):
            said = Problem("params.target", f"Name your function: {EXAMPLE}")
            problems = [said if p.field == said.field else p for p in problems]
        if record is not None and record.missing:
            said = Problem("backend", f"{record.title} is not installed here")
            problems = [said if p.field == said.field else p for p in problems]
        if self.arguments is not None:
            problems = self.arguments.show_problems([*problems, *self.arguments.wrong()])
        rest = super().show_problems(problems)
        return self.params.show_problems(rest) if self.params else rest

    def _valid(self, backend: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those parameters that the backend takes; all, if it is unknown here."""
        record = self._backends.get(backend)
        if record is None:
            return dict(values)
        return {
            name: value
            for name, value in values.items()
            if all(p.field != f"params.{name}" for p in record.parse({name: value})[1])
        }

    def _fill(self) -> None:
        """List all methods; those that are missing are grey, and say what installs them when chosen."""
        grey = QBrush(self.palette().color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text))
        for name, record in self._backends.items():
            if not record.missing:
                self.combo.addItem(record.title, name)
                continue
            self.combo.addItem(f"{record.title} – not installed", name)
            row = self.combo.count() - 1
            self.combo.setItemData(row, grey, Qt.ItemDataRole.ForegroundRole)
            tip = f"Not installed. To install: {record.install}"
            self.combo.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        self.combo.setCurrentIndex(max(0, self.combo.findData(FIRST)))

    def _rebuild(self, backend: str) -> None:
        """Show a backend as it is kept, whatever is shown now."""
        self.combo.blockSignals(True)
        self.combo.setCurrentIndex(self.combo.findData(backend))
        self.combo.blockSignals(False)
        self._drop_params()
        self._show(backend)

    def _switched(self) -> None:
        if self.params is not None:
            last = self.params.objectName()
            self._kept[last] = self._shown(last)
        self._drop_params()
        self._show(self.name())
        self.changed.emit()

    def _picked(self, params: dict[str, Any]) -> None:
        name = self.name()
        self.set_values(name, {**self.values()["params"], **self._valid(name, params)})
        self.changed.emit()

    def _drop_params(self) -> None:
        if self.params is not None:
            self.measure_requested.emit(False)
            if self.arguments is not None:
                self.rows.removeRow(self.arguments)
            self.rows.removeRow(self.params)
            self.params = self.measure = self.arguments = None

    def _show(self, name: str) -> None:
        """Show the rows of a backend's parameters, with the values they had last."""
        record = self._backends.get(name)
        self.presets.set_backend(name)
        self.install.say(record.install if record is not None and record.missing else "")
        about = record.description if record is not None else ""
        self.about.say(VALUES if self._maps and name == "function" else about)
        if record is not None and not record.missing:
            self._add_params(record)
        self.rebuilt.emit()

    def _add_params(self, record: Backend) -> None:
        kind, beside = record.params_type(), {}
        if record.name == "function":
            beside["target"] = load_button()
        if SIZE in {field.name for field in fields(kind)}:
            self.measure = beside[SIZE] = _measure_button()
            self.measure.toggled.connect(self.measure_requested)
        self.params = ParamsForm(kind, beside=beside, unless_set=record.whole_object, labels=not self._maps)
        self.params.setObjectName(record.name)
        self.params.setValue(self._kept.get(record.name, {}))
        if self._size is not None:
            self.params.setValue(self._valid(record.name, {SIZE: self._size}))
        self.params.changed.connect(self._params_changed)
        self.rows.addRow(self.params)
        if record.name == "function":
            keywords = self._kept.get(record.name, {}).get("keywords", {})
            self.arguments = FunctionFields(self.params.widget("target"), beside["target"], keywords)
            self.arguments.changed.connect(self._params_changed)
            self.arguments.rebuilt.connect(self.rebuilt)
            self.rows.addRow(self.arguments)

    def _params_changed(self) -> None:
        size = self.params.value().get(SIZE)
        self._size = size if size is not None else self._size
        self.changed.emit()


def predicts(record: Backend) -> bool:
    """Return whether a backend gives predictions, or is the user's own function, which may."""
    return bool(record.maps) or record.name == "function"


class _Install(QWidget):
    """The line that installs a method, to be copied; hidden if there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = QLineEdit()
        self.line.setReadOnly(True)
        self.line.setAccessibleName("Command that installs this method")
        self.line.setToolTip("Type this into the terminal that napari was started from, then start it anew")
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("Copy the line that installs this method")
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.line.text()))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        row.addWidget(self.copy)
        self.hide()

    def say(self, text: str) -> None:
        self.line.setText(text)
        self.line.setCursorPosition(0)
        self.setVisible(bool(text))


def _row(*parts: QWidget) -> QWidget:
    both = QWidget()
    row = QHBoxLayout(both)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    for number, part in enumerate(parts):
        row.addWidget(part, number == 0)
    return both


def _measure_button() -> QPushButton:
    button = QPushButton("Measure")
    button.setCheckable(True)
    button.setToolTip("Draw a line over one object in the image; Escape ends it")
    button.setAccessibleName("Measure the diameter on the image")
    return button
