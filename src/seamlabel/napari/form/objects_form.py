"""The "Objects" rows: which whole objects are kept, after tiles are joined, and what is done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QLineEdit, QWidget

from seamlabel.napari.form.rows import Section
from seamlabel.napari.form.steps_row import StepsRow

if TYPE_CHECKING:
    from seamlabel.spec import RunSpec


class ObjectsForm(Section):
    """Least and greatest size, border, holes and steps; folded, since most need none of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Objects", parent, folded=True)
        self.least, self.most = QLineEdit(), QLineEdit()
        for line in (self.least, self.most):
            line.setPlaceholderText("no limit; 50 or 12.5 µm²")
            line.editingFinished.connect(self._edited)
        self.border = QCheckBox("Remove objects at the image's border")
        self.holes = QCheckBox("Fill holes in objects")
        how = "in pixels of the level, or with a unit: 50 µm², 20 µm³"
        self.add("min_size", "At least", self.least, f"Smaller objects are removed: {how}")
        self.add("max_size", "At most", self.most, f"Larger objects are removed: {how}")
        self.add("drop_border", "", self.border, "Objects that the image's border cuts are removed")
        self.add("fill_holes", "", self.holes, "Background that one object encloses becomes part of it")
        self.steps = StepsRow(self)
        then = "Done to the labels, in this order; lengths in pixels of the level, or as 1.5 µm"
        self.add("steps", "Then", self.steps, then)
        self.steps.edited.connect(self._edited)
        self.least.setAccessibleName("Least size of objects")
        self.most.setAccessibleName("Greatest size of objects")
        self.border.toggled.connect(self._edited)
        self.holes.toggled.connect(self._edited)

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that these rows decide."""
        return {
            "min_size": self.least.text().strip() or 0,
            "max_size": self.most.text().strip() or None,
            "drop_border": self.border.isChecked(),
            "fill_holes": self.holes.isChecked(),
            "steps": self.steps.text(),
        }

    def set_spec(self, spec: RunSpec) -> None:
        """Show what a spec says of objects; tells nobody."""
        for part in (self.border, self.holes):
            part.blockSignals(True)
        self.least.setText(str(spec.min_size) if spec.min_size else "")
        self.most.setText("" if spec.max_size is None else str(spec.max_size))
        self.border.setChecked(spec.drop_border)
        self.holes.setChecked(spec.fill_holes)
        self.steps.set_steps(spec.steps)
        for part in (self.border, self.holes):
            part.blockSignals(False)
        self._tell()

    def _edited(self) -> None:
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        least, most = self.least.text().strip(), self.most.text().strip()
        said = [
            f"≥ {least}" if least else "",
            f"≤ {most}" if most else "",
            "not at the border" if self.border.isChecked() else "",
            "holes filled" if self.holes.isChecked() else "",
            self.steps.text(),
        ]
        self.tell(", ".join(text for text in said if text))
