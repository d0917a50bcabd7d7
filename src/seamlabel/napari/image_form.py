"""The "Image" section: which layer or OME-Zarr, which level, which channel."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from seamlabel.napari.pictures import guess_axes
from seamlabel.napari.rows import Note, PathRow, Section, combo_box
from seamlabel.plan import human

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from seamlabel.axes import ImageInfo, LevelInfo
    from seamlabel.napari.pictures import Picture

SAMPLES = {"cells_2d": "Cells, 2D", "nuclei_3d": "Nuclei, 3D"}
UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "angstrom": "Å", "meter": "m"}


class ImageForm(Section):
    """Picks an image; everything about it is shown once the controller has looked at it."""

    image_changed = Signal()
    """Another layer, or other axes of it: `set_picture` is due."""
    open_requested = Signal(str)
    """A path was given: an image layer is due."""
    sample_requested = Signal(str)
    """A sample was asked for by name."""
    level_changed = Signal()
    """Another level; comes before `changed`, so that sizes can follow first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Image", parent)
        self._layers: list[Image] = []
        self.picture: Picture | None = None
        self.layers = combo_box()
        self.path = PathRow("OME-Zarr folder or address", "Open an OME-Zarr")
        self.axes = QLineEdit()
        self.axes.setMaximumWidth(90)
        self.level = combo_box()
        self.channel = combo_box()
        self.summary = Note("muted", self)
        self.empty = _Empty(self)
        self.rows.addRow(self.empty)
        self.add("image", "Layer", self.layers, "The image layer to segment")
        self.add("path", "Path", self.path, "Open an OME-Zarr by its path; labels are written into it")
        self.rows.addRow(self.summary)
        self.add("axes", "Axes", self.axes, "One letter per axis: t time, c channel, z y x space")
        self.add("level", "Level", self.level, "Resolution to segment; 0 is full")
        self.add("channels", "Channel", self.channel, "What the method gets to see")
        self.layers.currentIndexChanged.connect(self._picked)
        self.axes.editingFinished.connect(self._axes_edited)
        self.level.currentIndexChanged.connect(self._level_picked)
        self.channel.currentIndexChanged.connect(self.changed)
        self.path.chosen.connect(self.open_requested)
        self.empty.sample.connect(self.sample_requested)
        self.set_picture(None)

    def layer(self) -> Image | None:
        """Return the chosen image layer."""
        index = self.layers.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def set_layers(self, layers: Sequence[Image], chosen: Image | None) -> None:
        """Offer these layers and choose one of them."""
        before = self.layer()
        self._layers = list(layers)
        self.layers.blockSignals(True)
        self.layers.clear()
        self.layers.addItems([layer.name for layer in layers])
        wanted = next((i for i, layer in enumerate(layers) if layer is chosen), -1)
        self.layers.setCurrentIndex(wanted)
        self.layers.blockSignals(False)
        self.empty.setVisible(not layers)
        self.show_row("image", bool(layers))
        if self.layer() is not before:
            self._picked()

    def set_picture(self, picture: Picture | None) -> None:
        """Show what is known of the chosen image; None while there is none."""
        self.picture = picture
        self.path.set_path((picture.path or "") if picture else "")
        self.summary.say(describe(picture.info, 0) if picture else "")
        plain = picture is not None and picture.path is None
        self.show_row("axes", plain and picture.layer.ndim > 2)
        if plain:
            self.axes.setText(picture.info.names)
        self._refill(self.level, _levels(picture))
        self.show_row("level", picture is not None and len(picture.levels) > 1)
        self._refill(self.channel, _channels(picture))
        self.show_row("channels", self.channel.count() > 1)
        if picture is not None and picture.layer.name in picture.info.channels:
            self.channel.blockSignals(True)  # one channel of an OME-Zarr that was split into layers
            self.channel.setCurrentIndex(picture.info.channels.index(picture.layer.name))
            self.channel.blockSignals(False)

    def level_index(self) -> int:
        """Return the level to segment."""
        return max(0, self.level.currentIndex())

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that this section decides."""
        if self.picture is None:
            return {"image": None}
        level = self.picture.at(self.level_index())[2]
        return {"image": self.picture.path, "level": level, "channels": self.channel.currentData()}

    def set_values(self, level: int, channels: tuple[int | str, ...] | None) -> None:
        """Show a level and channels of the chosen image."""
        self.level.setCurrentIndex(min(level, self.level.count() - 1))
        if channels and self.picture is not None:
            names = self.picture.info.channels
            index = tuple(names.index(c) if c in names else int(c) for c in channels)
            self.channel.setCurrentIndex(max(0, self.channel.findData(index)))

    def _picked(self) -> None:
        layer = self.layer()
        if layer is not None:
            self.axes.setText(guess_axes(layer))
        self.image_changed.emit()

    def _level_picked(self) -> None:
        self.level_changed.emit()
        self.changed.emit()

    def _axes_edited(self) -> None:
        if self.picture is None or self.axes.text() != self.picture.info.names:
            self.image_changed.emit()

    @staticmethod
    def _refill(combo: QComboBox, items: list[tuple[str, Any]]) -> None:
        combo.blockSignals(True)
        combo.clear()
        for text, data in items:
            combo.addItem(text, data)
        combo.blockSignals(False)


class _Empty(QWidget):
    """What stands where there is no image yet."""

    sample = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        text = QLabel("Drop an OME-Zarr here, or try a sample:")
        text.setWordWrap(True)
        text.setIndent(0)
        self.buttons = {name: QPushButton(title) for name, title in SAMPLES.items()}
        row = QHBoxLayout()
        for name, button in self.buttons.items():
            row.addWidget(button)
            button.clicked.connect(lambda _=False, name=name: self.sample.emit(name))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 4)
        column.addWidget(text)
        column.addLayout(row)


def describe(info: ImageInfo, level: int) -> str:
    """Return an image in a line: ``"YX · 4,096 × 4,096 · uint16 · 34 MB · 0.5 µm"``."""
    shape = info.levels[level].shape
    size = human(prod(shape) * np.dtype(info.dtype).itemsize)
    sizes = " × ".join(f"{n:,}" for n in shape)
    parts = [info.names.upper(), sizes, info.dtype, size, pixel_size(info, info.levels[level])]
    return " · ".join(part for part in parts if part)


def pixel_size(info: ImageInfo, level: LevelInfo) -> str:
    """Return a level's pixel size, ``"0.5 µm"`` or ``"2 × 0.5 × 0.5 µm"``; "" without units."""
    space = [(s, a.unit) for s, a in zip(level.scale, info.axes, strict=True) if a.tiled]
    unit = next((u for _, u in space if u), None)
    if unit is None:
        return ""
    sizes = [f"{s:.3g}" for s, _ in space]
    text = sizes[0] if len(set(sizes)) == 1 else " × ".join(sizes)
    return f"{text} {UNITS.get(unit, unit)}"


def _levels(picture: Picture | None) -> list[tuple[str, Any]]:
    items = []
    for k, level in enumerate(picture.levels if picture else ()):
        space = [n for n, a in zip(level.shape, picture.info.axes, strict=True) if a.tiled]
        size = pixel_size(picture.info, level)
        size = size.replace(" × ", "×")
        text = f"{k}: {'×'.join(map(str, space))}" + (f" · {size}" if size else "")
        items.append((text, k))
    return items


def _channels(picture: Picture | None) -> list[tuple[str, Any]]:
    """Return one entry per channel, and one for all of them."""
    if picture is None or picture.info.channel_axis is None:
        return []
    count = picture.info.shape[picture.info.channel_axis]
    names = picture.info.channels or tuple(f"Channel {i}" for i in range(count))
    items: list[tuple[str, Any]] = [(name, (i,)) for i, name in enumerate(names)]
    return [*items, ("All channels", tuple(range(count)))] if count > 1 else items
