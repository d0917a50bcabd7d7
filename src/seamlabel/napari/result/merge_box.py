"""`MergeBox`: rule, threshold and filters of the merge, with a live count, and buttons that write it.

Turns what its rows show into a wish of `ResultControl` and back. Knows no merging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QSizePolicy, QSpinBox, QWidget

from seamlabel.napari.form.number_slider import NumberSlider
from seamlabel.napari.form.rows import Note, Section, combo_box
from seamlabel.napari.result.sizes import size_text, size_unit
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.plan import Plan

SETTLE_MS = 60
"""The preview follows the rows after so many milliseconds without a change."""
MOST_VOXELS = 2_000_000_000
RULES = {
    "iou": ("Same voxels", "Two tiles see the same place: objects that cover each other well enough are one"),
    "touching": ("Touching", "Objects that touch across the border of two tiles are one"),
    "face": ("Faces alike", "Objects whose faces at the border of two tiles are alike enough are one"),
}
HOW = "How it is judged whether two tiles show one object"
OWN_RULE = "Your own function judges which objects are one"
NO_THRESHOLD = "This rule has no threshold"
ONE_RULE = "Tiles were compared for this rule; for another one, run again"
MATCH = (
    "How well two tiles must agree on an object to join it: the part that both versions share, from 0 "
    "to 1. Lower joins more"
)


class MergeBox(Section):
    """A part of the result panel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Merge again", parent)
        self._control: ResultControl | None = None
        self._filling = False
        self.rule = combo_box()
        self.match, self.link = NumberSlider(), NumberSlider()
        self.smallest, self.largest = _size_box(), _size_box()
        self.border = QCheckBox("Remove objects at the border")
        self.sizes, self.count, self.state = Note(), Note(), Note("warning")
        self.apply_button, self.back_button = QPushButton("&Apply"), QPushButton("Put &back")
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self._tell)
        self._add_rows()
        self._connect()
        self.hide()

    def _add_rows(self) -> None:
        self.add("merge.rule", "Rule", self.rule)
        self.add("merge.iou", "Least match", self.match, MATCH)
        self.add("merge.z_link", "Plane match", self.link, "The same for objects of neighbouring planes")
        self.add("min_size", "Smallest", self.smallest, "Smaller objects are removed")
        self.add("max_size", "Largest", self.largest, "Larger objects are removed")
        self.rows.addRow(self.sizes)
        tip = "Objects that touch the border of the image are not whole"
        self.add("drop_border", "", self.border, tip)
        self.border.setAccessibleName("Remove objects at the border")
        self.apply_button.setToolTip("Write these labels in place of the former ones")
        self.back_button.setToolTip("Show the labels again as they are written")
        buttons = QHBoxLayout()
        buttons.addWidget(self.apply_button)
        buttons.addWidget(self.back_button)
        column = self.layout()
        column.addWidget(self.count)
        column.addWidget(self.state)
        column.addLayout(buttons)

    def _connect(self) -> None:
        self.rule.currentIndexChanged.connect(self._changed)
        for widget in (self.match, self.link, self.smallest, self.largest):
            widget.valueChanged.connect(self._changed)
        self.border.toggled.connect(self._changed)
        self.apply_button.clicked.connect(self._apply)
        self.back_button.clicked.connect(self._put_back)

    def show_result(self, control: ResultControl) -> None:
        """Show how the labels of a run are merged; hide if it cannot be merged again."""
        if self._control is None:
            self._control = control
            control.wished.connect(self._fill)
            control.preview.changed.connect(self._show_state)
        shown = control.shown
        self.setVisible(shown is not None and bool(shown.run_dir and shown.path))
        if shown is None:
            return
        self._offer(shown.plan)
        self._fill()

    # -- rows and wish -----------------------------------------------------------------------------

    def _offer(self, plan: Plan) -> None:
        """Offer what this run can be merged with."""
        self._filling = True
        merge = plan.spec.merge
        self.rule.clear()
        names = [merge.rule] if merge.rule == "iou" or not merge.overlapping else ["iou", merge.rule]
        for name in names:
            text, tip = RULES.get(name, (name.rpartition(":")[2], OWN_RULE))
            self.rule.addItem(text, name)
            self.rule.setItemData(self.rule.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.rule.setEnabled(len(names) > 1)
        self.rule.setToolTip(HOW if len(names) > 1 else ONE_RULE)
        self.show_row("merge.z_link", merge.z_link is not None)
        for box in (self.smallest, self.largest):
            box.setSuffix(f" {size_unit(plan)}")
        self._filling = False

    def _fill(self) -> None:
        """Show what is wished."""
        control = self._control
        if control is None or control.shown is None:
            return
        plan, settings = control.shown.plan, control.wish.settings
        merge = {**plan.spec.merge.model_dump(), **settings.get("merge", {})}
        if self._settled.isActive():  # a value is being entered: it will be told
            self._settled.stop()
            self._tell()
            return
        self._filling = True
        self.rule.setCurrentIndex(max(0, self.rule.findData(merge["rule"])))
        self.match.setValue(merge["iou"])
        self.link.setValue(merge["z_link"] or 1.0)
        self.smallest.setValue(_voxels(settings.get("min_size", plan.min_size), plan.min_size))
        self.largest.setValue(_voxels(settings.get("max_size", plan.max_size), plan.max_size))
        self.border.setChecked(bool(settings.get("drop_border", plan.spec.drop_border)))
        self._filling = False
        self._show_state()

    def settings(self) -> dict[str, Any]:
        """Return in what the rows differ from the settings of the run, for `remerge`."""
        plan = self._control.shown.plan
        own = plan.spec.merge
        rows: dict[str, Any] = {"rule": self.rule.currentData(), "iou": self.match.value()}
        if own.z_link is not None:
            rows["z_link"] = self.link.value()
        if rows["rule"] not in ("iou", "face"):
            del rows["iou"]
        merge = {name: value for name, value in rows.items() if value != getattr(own, name)}
        small, large = self.smallest.value(), self.largest.value()
        changes: dict[str, Any] = {"merge": merge} if merge else {}
        if small != plan.min_size:
            changes["min_size"] = small
        if large != plan.max_size:
            changes["max_size"] = large or None
        if self.border.isChecked() != plan.spec.drop_border:
            changes["drop_border"] = self.border.isChecked()
        return changes

    def _changed(self, *_: object) -> None:
        if not self._filling:
            self._settled.start()
            self._show_state()

    def _tell(self) -> None:
        if self._control is not None and self._control.shown is not None:
            self._control.set_settings(self.settings())

    def _apply(self) -> None:
        self._settle()
        self._control.apply()

    def _put_back(self) -> None:
        self._settled.stop()
        self._control.put_back()
        self._fill()

    def _settle(self) -> None:
        if self._settled.isActive():
            self._settled.stop()
            self._tell()

    # -- what is shown of it -----------------------------------------------------------------------

    def _show_state(self) -> None:
        control = self._control
        if control is None or control.shown is None:
            return
        threshold = self.rule.currentData() in ("iou", "face")
        self.match.setEnabled(threshold)
        self.match.setToolTip(MATCH if threshold else NO_THRESHOLD)
        self.sizes.say(size_text(control.shown.plan, self.smallest.value(), self.largest.value()))
        preview, differs = control.preview, control.differs or self._settled.isActive()
        wrong = self.smallest.value() > self.largest.value() > 0
        problem = "No object is that small and that large" if wrong else preview.problem
        self.state.say(*_state(problem, differs))
        self.count.say(self._counts(differs))
        self.apply_button.setEnabled(differs and control.can_merge and not problem)
        self.back_button.setEnabled(differs)

    def _counts(self, differs: bool) -> str:
        control = self._control
        shown, preview = control.shown, control.preview
        if not differs:
            return many(shown.n_objects, "object") if shown.n_objects else ""
        if preview.preview is None:
            return "" if preview.problem else "Counting…"
        waits = " …" if preview.working or self._settled.isActive() else ""
        return f"{preview.n_written:,} → {many(preview.preview.n_objects, 'object')}{waits}"


def _state(problem: str, differs: bool) -> tuple[str, str]:
    if problem:
        return problem, "problem"
    return ("Not written yet: Apply writes these labels" if differs else ""), "warning"


def _size_box() -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, MOST_VOXELS)
    box.setSpecialValueText("any")
    box.setKeyboardTracking(False)
    box.setAccelerated(True)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def _voxels(value: Any, own: int) -> int:
    """Return a size in voxels; one in units is the run's own."""
    return own if isinstance(value, str) else int(value or 0)
