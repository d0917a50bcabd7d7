"""The "Tiles" section: tile shape and overlap per axis, what the plan makes of them, the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSpinBox, QWidget

from seamlabel.napari.legend import Legend
from seamlabel.napari.rows import Note, Section
from seamlabel.plan import human

if TYPE_CHECKING:
    from seamlabel.axes import ImageInfo
    from seamlabel.plan import Plan


class AxisNumbers(QWidget):
    """One number per space axis, or "auto", which shows the numbers that the plan has chosen."""

    changed = Signal()

    def __init__(self, least: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._least = least
        self._names = ""
        self.auto = QCheckBox("Auto")
        self.auto.setChecked(True)
        self.boxes: list[QSpinBox] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addWidget(self.auto)
        self.auto.toggled.connect(self._toggled)

    def set_axes(self, names: str, sizes: tuple[int, ...]) -> None:
        """Have one box for each of these axes, none of which goes beyond its size."""
        if names != self._names:
            for box in self.boxes:
                self._row.removeWidget(box)
                box.deleteLater()
            self.boxes = [self._box(name) for name in names]
            for place, box in enumerate(self.boxes):
                self._row.insertWidget(place, box, 1)
            self._names = names
        for box, size in zip(self.boxes, sizes, strict=True):
            box.blockSignals(True)
            box.setMaximum(max(self._least, size))
            box.blockSignals(False)

    def value(self) -> str | tuple[int, ...]:
        """Return "auto" or the numbers."""
        return "auto" if self.auto.isChecked() or not self.boxes else tuple(b.value() for b in self.boxes)

    def set_value(self, value: Any) -> None:
        """Show "auto", one number for all axes, one for each, or a mapping by axis."""
        if isinstance(value, dict):
            value = tuple(value.get(name, 0) for name in self._names)
        if value != "auto":
            self.show_numbers((value,) * len(self.boxes) if isinstance(value, int) else tuple(value))
        self.auto.blockSignals(True)
        self.auto.setChecked(value == "auto")
        self.auto.blockSignals(False)
        self._toggled(value == "auto")

    def show_numbers(self, numbers: tuple[int, ...]) -> None:
        """Show numbers without telling anybody."""
        if len(numbers) != len(self.boxes):
            return
        for box, number in zip(self.boxes, numbers, strict=True):
            box.blockSignals(True)
            box.setValue(number)
            box.blockSignals(False)

    def _box(self, name: str) -> QSpinBox:
        box = QSpinBox()
        box.setPrefix(f"{name} ")
        box.setMinimum(self._least)
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        box.setProperty("axis", True)
        box.setEnabled(not self.auto.isChecked())
        box.setAccessibleName(f"along {name}")
        box.valueChanged.connect(self.changed)
        return box

    def _toggled(self, auto: bool) -> None:
        for box in self.boxes:
            box.setEnabled(not auto)
        self.changed.emit()


class TilesForm(Section):
    """Tile shape, overlap, the plan in a line, its warnings, and the legend of the grid."""

    grid_toggled = Signal(bool)
    """Whether the grid is to be drawn over the image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Tiles", parent)
        self.shape = AxisNumbers(1)
        self.overlap = AxisNumbers(0)
        self.summary = Note("muted", self)
        self.warnings = Note("warning", self)
        self.show_grid = QCheckBox("Show tiles over the image")
        self.show_grid.setChecked(True)
        self.legend = Legend(self)
        self.add("tile_shape", "Tile shape", self.shape, "Pixels of each axis that a tile owns")
        tip = "Pixels that a tile reads past its border on every side: at least one object wide"
        self.add("overlap", "Overlap", self.overlap, tip)
        for row in (self.summary, self.warnings, self.show_grid, self.legend):
            self.rows.addRow(row)
        self.shape.changed.connect(self.changed)
        self.overlap.changed.connect(self.changed)
        self.show_grid.toggled.connect(self.grid_toggled)

    def set_info(self, info: ImageInfo, level: int) -> None:
        """Have one box per space axis of the image."""
        names = "".join(axis.name for axis in info.axes if axis.tiled)
        sizes = tuple(n for n, a in zip(info.levels[level].shape, info.axes, strict=True) if a.tiled)
        self.shape.set_axes(names, sizes)
        self.overlap.set_axes(names, sizes)

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that this section decides."""
        return {"tile_shape": self.shape.value(), "overlap": self.overlap.value()}

    def set_values(self, tile_shape: Any, overlap: Any) -> None:
        """Show these values."""
        self.shape.set_value(tile_shape)
        self.overlap.set_value(overlap)

    def show_plan(self, plan: Plan) -> None:
        """Show what was decided, and the warnings."""
        for numbers, decided in ((self.shape, plan.grid.tile_shape), (self.overlap, plan.grid.overlap)):
            if numbers.value() == "auto":
                numbers.show_numbers(tuple(n for n, j in zip(decided, plan.joined, strict=True) if j))
        self.summary.say(describe(plan))
        self.warnings.say("\n".join(_capital(text) for text in plan.warnings))

    def clear_plan(self) -> None:
        """Show no plan."""
        self.summary.say("")
        self.warnings.say("")
        self.legend.clear()


def describe(plan: Plan) -> str:
    """Return a plan in a line: ``"8 × 8 = 64 tiles · 5.6 MB each · 2 at once"``."""
    counts = " × ".join(map(str, plan.grid.counts))
    many = f"{counts} = {len(plan.grid):,} tiles" if len(plan.grid) > 1 else "1 tile, no seams"
    return f"{many} · {human(plan.tile_bytes)} each · {plan.workers} at once"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
