"""`ObjectsBox`: the rows that make objects of a map: which map, above which value, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton

from seamlabel.napari.form.number_slider import NumberSlider
from seamlabel.napari.form.rows import Note, Section, combo_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from qtpy.QtWidgets import QWidget

WAYS = {"threshold": "Connected regions", "watershed": "Watershed: split those that touch"}
PREVIEW = "Show objects in view"


class ObjectsBox(Section):
    """Threshold of a map, seen at once, and the button that makes labels of the whole map."""

    map_changed = Signal()
    """Another map is chosen."""
    value_changed = Signal()
    """Another threshold, or the preview was turned on or off."""
    labels_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Objects", parent)
        self._layers: list[Image] = []
        self.map, self.way = combo_box(), combo_box()
        for name, title in WAYS.items():
            self.way.addItem(title, name)
        self.threshold = NumberSlider()
        self.preview = QCheckBox(PREVIEW)
        self.preview.setToolTip(
            "Label what is looked at, and anew when the slider moves; nothing is predicted again"
        )
        self.found = Note("muted", self)
        self.make = QPushButton("Make labels")
        self.make.setToolTip("Label the whole map, tile by tile, without seams: in the dock Seamlabel")
        self.add("map", "Of", self.map, "The map, or any other image, whose bright regions are objects")
        self.add("value", "Above", self.threshold, "Objects are where the map is above this")
        self.threshold.setAccessibleName("Threshold")
        self.rows.addRow(self.preview)
        self.rows.addRow(self.found)
        tip = "How objects are told apart; the dock Seamlabel has more methods, which take maps as well"
        self.add("way", "Method", self.way, tip)
        self.rows.addRow(self.make)
        self.map.currentIndexChanged.connect(lambda _: self.map_changed.emit())
        self.threshold.valueChanged.connect(self._slid)
        self.preview.toggled.connect(lambda _: self.value_changed.emit())
        self.make.clicked.connect(self.labels_requested)

    def layer(self) -> Image | None:
        """Return the chosen map."""
        index = self.map.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def set_layers(self, layers: Sequence[Image], chosen: Image | None) -> None:
        """Offer these layers and choose one of them."""
        before = self.layer()
        self._layers = list(layers)
        self.map.blockSignals(True)
        self.map.clear()
        self.map.addItems([layer.name for layer in layers])
        self.map.setCurrentIndex(next((i for i, layer in enumerate(layers) if layer is chosen), -1))
        self.map.blockSignals(False)
        self.setVisible(bool(layers))
        if self.layer() is not before:
            self.map_changed.emit()

    def set_range(self, low: float, high: float, value: float) -> None:
        """Have the slider go over these values, and begin at one; tells nobody."""
        self.threshold.blockSignals(True)
        self.threshold.set_range(low, high)
        self.threshold.setValue(self.threshold.nearest(value))
        self.threshold.blockSignals(False)

    def _slid(self, _value: float) -> None:
        if not self.preview.isChecked():
            self.preview.setChecked(True)  # tells of the value as well
        else:
            self.value_changed.emit()
