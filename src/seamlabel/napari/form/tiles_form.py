"""The "Tiles" section: tile shape and overlap per axis, what the plan makes of them, the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSpinBox, QWidget

from seamlabel.napari.form.advice_box import AdviceBox
from seamlabel.napari.form.legend import Legend
from seamlabel.napari.form.overlap_row import OverlapRow
from seamlabel.napari.form.pick_row import PickRow
from seamlabel.napari.form.rows import Note, Section
from seamlabel.napari.form.run_on import RunOnForm
from seamlabel.napari.form.scope_form import ScopeForm
from seamlabel.napari.form.tile_advice import advice, problem_advice
from seamlabel.napari.form.typing_guard import TypingGuard
from seamlabel.napari.run.progress import many
from seamlabel.sizes import human

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.axes import ImageInfo
    from seamlabel.errors import Problem
    from seamlabel.napari.form.tile_advice import Advice
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec


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
        self._guards: list[TypingGuard] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addWidget(self.auto)
        self.auto.toggled.connect(self._toggled)

    def set_axes(self, names: str, sizes: tuple[int, ...]) -> None:
        """Have one box for each of these axes, none of which goes beyond its size.

        Numbers stay with their axes. Where an axis is new nobody has said anything: all are "auto" again.
        """
        if names != self._names:
            kept = {name: box.value() for name, box in zip(self._names, self.boxes, strict=True)}
            for box in self.boxes:
                self._row.removeWidget(box)
                box.hide()  # it is deleted later than others are laid out
                box.deleteLater()
            self.boxes = [self._box(name) for name in names]
            self._guards = [TypingGuard(box, lowered=True) for box in self.boxes]
            for place, box in enumerate(self.boxes):
                self._row.insertWidget(place, box, 1)
            self._names = names
            self.show_numbers(tuple(kept.get(name, self._least) for name in names))
            if not set(names) <= set(kept):
                self._show_auto(True)
        for box, guard, size in zip(self.boxes, self._guards, sizes, strict=True):
            box.blockSignals(True)
            guard.set_limits(self._least, max(self._least, size))
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
        self._show_auto(value == "auto")
        self.changed.emit()

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
        box.setRange(self._least, 2**31 - 1)
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        box.setProperty("axis", True)
        box.setEnabled(not self.auto.isChecked())
        box.setAccessibleName(f"along {name}")
        box.valueChanged.connect(self.changed)
        return box

    def _show_auto(self, auto: bool) -> None:
        self.auto.blockSignals(True)
        self.auto.setChecked(auto)
        self.auto.blockSignals(False)
        for box in self.boxes:
            box.setEnabled(not auto)

    def _toggled(self, auto: bool) -> None:
        self._show_auto(auto)
        self.changed.emit()


class TilesForm(Section):
    """Tile shape, overlap, where tiles run, the plan in a line, its warnings, and the legend of the grid."""

    grid_toggled = Signal(bool)
    """Whether the grid is to be drawn over the image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Tiles", parent)
        self.shape = AxisNumbers(1)
        self.overlap = AxisNumbers(0)
        self.measured = OverlapRow(self)
        self.run_on = RunOnForm(self)
        self.summary = Note("muted", self)
        self.scope = ScopeForm(self)
        self.warnings = AdviceBox(self)
        self.mend = AdviceBox(self)
        self.estimate: Callable[[Plan], str] = lambda _plan: ""
        self._info: tuple[Any, ...] = ()
        self.show_grid = QCheckBox("Show tiles over the image")
        self.show_grid.setChecked(True)
        self.show_grid.setToolTip("Draw the tiles and how far they are; in 2D")
        self.legend = Legend(self)
        self.pick_row = PickRow(self)
        self.add("tile_shape", "Tile shape", self.shape, "Pixels of each axis that a tile owns")
        tip = "Pixels that a tile reads past its border on every side: at least one object wide"
        self.add("overlap", "Overlap", self.overlap, tip)
        self.rows.addRow(self.measured)
        self.rows.addRow(self.mend)
        self.add_part(self.run_on)
        self.add_part(self.scope)
        for row in (self.summary, self.warnings, self.show_grid, self.legend, self.pick_row):
            self.rows.addRow(row)
        self.warnings.taken.connect(self._mend)
        self.mend.taken.connect(self._mend)
        self.measured.found.taken.connect(self._mend)
        self.shape.changed.connect(self.changed)
        self.overlap.changed.connect(self.changed)
        self.show_grid.toggled.connect(self.grid_toggled)

    def set_info(self, info: ImageInfo, level: int) -> None:
        """Have one box per space axis of the image."""
        names = "".join(axis.name for axis in info.axes if axis.tiled)
        sizes = tuple(n for n, a in zip(info.levels[level].shape, info.axes, strict=True) if a.tiled)
        self.shape.set_axes(names, sizes)
        self.overlap.set_axes(names, sizes)
        if self._info != (info.names, info.levels[level].shape):
            self._info = info.names, info.levels[level].shape
            self.scope.forget()

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that this section decides."""
        numbers = {"tile_shape": self.shape.value(), "overlap": self.overlap.value()}
        return {**numbers, "region": self.scope.boxes(), **self.run_on.values()}

    def set_values(self, tile_shape: Any, overlap: Any) -> None:
        """Show these values."""
        self.shape.set_value(tile_shape)
        self.overlap.set_value("auto" if overlap == "measure" else overlap)  # here there is a button for it

    def set_spec(self, spec: RunSpec) -> None:
        """Show all that a spec says of tiles."""
        self.run_on.set_values(spec.executor, spec.scheduler, spec.timeout, spec.workers, spec.retries)
        self.set_values(spec.tile_shape, spec.overlap)
        self.scope.set_values(spec.region)

    def lock(self, locked: bool) -> None:
        """Let nothing be changed but what is shown, as long as a run goes on."""
        for part in (self.shape, self.overlap, self.measured, self.run_on, self.scope, self.warnings):
            part.setEnabled(not locked)

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of this section; return the others."""
        found = [problem_advice(problem) for problem in problems if problem.field == "tile_shape"]
        self.mend.show_advice([one for one in found if one is not None])
        return super().show_problems(problems)

    def show_plan(self, plan: Plan) -> None:
        """Show what was decided, and the warnings."""
        for numbers, decided in ((self.shape, plan.grid.tile_shape), (self.overlap, plan.grid.overlap)):
            if numbers.value() == "auto":
                numbers.show_numbers(tuple(n for n, j in zip(decided, plan.joined, strict=True) if j))
        self.summary.say(" · ".join(filter(None, (describe(plan), self.estimate(plan)))))
        self.warnings.show_advice(advice(plan))

    def _mend(self, taken: Advice) -> None:
        """Set the numbers that a piece of advice names; one number stands for all axes."""
        numbers = self.shape if taken.field == "tile_shape" else self.overlap
        given = taken.numbers if len(taken.numbers) > 1 else taken.numbers * len(numbers.boxes)
        sizes = [box.maximum() for box in numbers.boxes]
        numbers.set_value(tuple(min(n, most) for n, most in zip(given, sizes, strict=True)))

    def clear_plan(self) -> None:
        """Show no plan."""
        self.summary.say("")
        self.warnings.show_advice([])
        self.legend.clear()


def describe(plan: Plan) -> str:
    """Return a plan in a line: ``"8 × 8 = 64 tiles · 5.6 MB each · 2 at once"``."""
    total = len(plan.grid)
    tiles = (
        f"{' × '.join(map(str, plan.grid.counts))} = {many(total, 'tile')}"
        if total > 1
        else "1 tile, no seams"
    )
    if plan.n_tiles < total:
        tiles = f"{plan.n_tiles:,} of {many(total, 'tile')}"
    return f"{tiles} · {human(plan.tile_bytes)} each · {plan.workers} at once"
