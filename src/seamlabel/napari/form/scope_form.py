"""The row "Run on": all of the image, what is looked at, what is drawn, or one tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from seamlabel.errors import Problem
from seamlabel.napari.form.rows import Section, combo_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.napari.tiles.region_boxes import Spans

KINDS = {"all": "Everything", "view": "Current view", "region": "Region", "tile": "One tile"}
TIPS = {
    "all": "All tiles of the image",
    "view": "The tiles that are looked at when Run is pressed",
    "region": "The tiles that shapes or labels of a layer touch",
    "tile": "The tile that is picked on the image",
}
MISSING = {
    "view": ("the view does not show the image", "Move the view to the image (Home button)"),
    "region": ("nothing is drawn", "Draw one, or choose a layer with shapes or labels"),
    "tile": ("no tile is picked", "Click on a tile of the image"),
}
GIVEN = "given"


class ScopeForm(Section):
    """What of the image is segmented; part of another section.

    What the choices mean in voxels is told by `set_found`, since that takes a viewer.
    """

    draw_requested = Signal()
    """A new layer to draw a region on is wanted."""
    chosen = Signal()
    """Another choice or another layer: `set_found` is due, `changed` comes after."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.what = combo_box()
        for kind, text in KINDS.items():
            self.what.addItem(text, kind)
            self.what.setItemData(self.what.count() - 1, TIPS[kind], Qt.ItemDataRole.ToolTipRole)
        self.layers = combo_box()
        self.layers.setMinimumContentsLength(4)
        self.draw_button = QPushButton("Draw one")
        self.draw_button.setToolTip("Add a layer over the image and draw rectangles or other shapes on it")
        part = QWidget()
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.layers, 1)
        row.addWidget(self.draw_button)
        self._layers: list[Any] = []
        self._found: dict[str, tuple[Spans, ...] | None] = {}
        self.add("region", "Run on", self.what, "What of the image is segmented; the rest stays empty")
        self.add("region_layer", "Region layer", part, "Shapes or labels that say which tiles are segmented")
        self.layers.setAccessibleName("Region layer")
        self.what.currentIndexChanged.connect(self._choose)
        self.layers.currentIndexChanged.connect(self._choose)
        self.draw_button.clicked.connect(self.draw_requested)
        self.show_row("region_layer", False)

    @property
    def kind(self) -> str:
        """Which choice is made: "all", "view", "region", "tile", or "given" by a run file."""
        return str(self.what.currentData())

    def boxes(self) -> tuple[Spans, ...] | None:
        """Return what is to be segmented, over the label axes; None for everything, or if that is missing."""
        return self._found.get(self.kind)

    def missing(self) -> Problem | None:
        """Return what keeps the choice from meaning anything, if something does."""
        if self.kind not in MISSING or self.boxes() is not None:
            return None
        return Problem("region", *MISSING[self.kind])

    def layer(self) -> Any:
        """Return the layer that says what the region is; None if there is none."""
        index = self.layers.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def set_layers(self, layers: Sequence[Any], chosen: Any = None) -> None:
        """Offer these layers; choose one of them, or leave the choice as it is."""
        before = self.layer()
        chosen = before if chosen is None else chosen
        self._layers = list(layers)
        self.layers.blockSignals(True)
        self.layers.clear()
        self.layers.addItems([layer.name for layer in layers])
        found = next((i for i, layer in enumerate(layers) if layer is chosen), len(self._layers) - 1)
        self.layers.setCurrentIndex(found)
        self.layers.setEnabled(bool(self._layers))
        self.layers.blockSignals(False)
        if self.layer() is not before:
            self._choose()

    def set_found(self, kind: str, boxes: Sequence[Spans] | None) -> None:
        """Say what a choice means at the moment; None if it means nothing."""
        found = tuple(boxes) if boxes else None
        if self._found.get(kind) != found:
            self._found[kind] = found
            if kind == self.kind:
                self.changed.emit()

    def forget(self) -> None:
        """Know nothing of what the choices mean: it is another image, or another level of it."""
        self._found = {}
        at = self.what.findData(GIVEN)
        if at >= 0:
            self.what.blockSignals(True)
            self.what.removeItem(at)
            self.what.blockSignals(False)

    def set_values(self, boxes: Any) -> None:
        """Show what a spec says; boxes that no choice means now are a choice of their own."""
        if boxes == self.boxes():
            return
        at = self.what.findData(GIVEN)
        if boxes is not None and at < 0:
            self.what.addItem("Part of the image", GIVEN)
            at = self.what.count() - 1
        self._found[GIVEN] = boxes
        self.what.blockSignals(True)
        self.what.setCurrentIndex(0 if boxes is None else at)
        self.what.blockSignals(False)
        self.show_row("region_layer", False)

    def _choose(self) -> None:
        self.show_row("region_layer", self.kind == "region")
        self.chosen.emit()
        self.changed.emit()
