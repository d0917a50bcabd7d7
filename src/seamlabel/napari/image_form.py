"""The "Image" section: which layer or OME-Zarr, which level, which channel."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from seamlabel.napari.path_row import PathRow
from seamlabel.napari.pictures import OWN, axes_given, channel_shown, guess_axes
from seamlabel.napari.rows import Note, Section, combo_box
from seamlabel.sizes import human

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from seamlabel.axes import ImageInfo, LevelInfo
    from seamlabel.errors import Problem
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
        self.wrong: Problem | None = None
        self.layers = combo_box()
        self.path = PathRow("OME-Zarr folder or address", "Open an OME-Zarr")
        self.axes = QLineEdit()
        self.axes.setMaximumWidth(90)
        self.level = combo_box()
        self.channel = combo_box()
        self.summary = Note("muted", self)
        self.axes_note = Note("muted", self)
        self._axes_given = False
        self.empty = _Empty(self)
        self.rows.addRow(self.empty)
        self.add("image", "Layer", self.layers, "The image layer to segment")
        self.add("path", "Path", self.path, "Open an OME-Zarr by its path; labels are written into it")
        self.rows.addRow(self.summary)
        self.add("axes", "Axes", self.axes, "One letter per axis: t time, c channel, z y x space")
        self.rows.addRow(self.axes_note)
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

    def look_again(self) -> None:
        """Have the chosen layer looked at anew, with what was chosen of it kept as far as it goes."""
        layer, kept = self.layer(), (self.level.currentIndex(), self.channel.currentIndex())
        if layer is not None and (axes_given(layer) or len(self.axes.text()) != layer.ndim + layer.rgb):
            self.axes.setText(guess_axes(layer))
            self._axes_given = axes_given(layer)
        self.image_changed.emit()
        for combo, index in zip((self.level, self.channel), kept, strict=True):
            if 0 <= index < combo.count():
                combo.setCurrentIndex(index)

    def set_picture(self, picture: Picture | None) -> None:
        """Show what is known of the chosen image; None while there is none."""
        self.picture, self.wrong = picture, None
        self._show_path()
        self.summary.say(describe(picture.info, 0) if picture else "")
        plain = picture is not None and picture.path is None
        self.show_row("axes", plain and picture.layer.ndim > 2)
        if plain:
            self.axes.setText(picture.info.names)
        stack = plain and not self._axes_given and picture.info.names == "zyx"
        self.axes_note.say("z y x: type t y x if this is time" if stack else "")
        self._refill(self.level, _levels(picture))
        self.show_row("level", picture is not None and len(picture.levels) > 1)
        self._refill(self.channel, _channels(picture))
        self.show_row("channels", self.channel.count() > 1)
        shown = _shown_channel(picture)
        if shown is not None:
            self.channel.blockSignals(True)
            self.channel.setCurrentIndex(shown)
            self.channel.blockSignals(False)

    def refuse(self, wrong: Problem | None) -> None:
        """Show what is wrong with the path that was given; None if nothing is, or it was taken back."""
        self.wrong = wrong
        if wrong is None:
            self._show_path()
        self.show_problems([wrong] if wrong else [])
        self.changed.emit()

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

    def _show_path(self) -> None:
        self.path.set_path((self.picture.path or "") if self.picture else "")

    def _picked(self) -> None:
        layer = self.layer()
        if layer is not None:
            self.axes.setText(guess_axes(layer))
            self._axes_given = axes_given(layer)
        self.image_changed.emit()

    def _level_picked(self) -> None:
        self.level_changed.emit()
        self.changed.emit()

    def _axes_edited(self) -> None:
        if self.picture is None or self.axes.text() != self.picture.info.names:
            self._axes_given = True
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
        self.text = Note("plain", self)
        self.tell(False)
        self.buttons = {name: QPushButton(title) for name, title in SAMPLES.items()}
        row = QHBoxLayout()
        for name, button in self.buttons.items():
            row.addWidget(button)
            button.clicked.connect(lambda _=False, name=name: self.sample.emit(name))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 4)
        column.addWidget(self.text)
        column.addLayout(row)

    def wait(self, making: bool) -> None:
        """Say that a sample is being made, and offer none meanwhile."""
        if making:
            self.text.say("Making the sample…")
        else:
            self.tell(False)
        for button in self.buttons.values():
            button.setEnabled(not making)

    def tell(self, labels: bool) -> None:
        """Say how to get an image; `labels` tells that there are labels to be seen."""
        start = "Labels cannot be segmented: add an image. " if labels else ""
        self.text.say(f"{start}Drop an OME-Zarr here, or try a sample:")


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


def _shown_channel(picture: Picture | None) -> int | None:
    """Return the channel that a layer shows, of an OME-Zarr that was split into layers."""
    if picture is None:
        return None
    names, name = picture.info.channels, picture.layer.name
    known = picture.layer.metadata.get(OWN, {}).get("channel")
    if known is not None or name not in names:
        return channel_shown(picture) if known is None else known
    return names.index(name)


def _channels(picture: Picture | None) -> list[tuple[str, Any]]:
    """Return one entry per channel, and one for all of them."""
    if picture is None or picture.info.channel_axis is None:
        return []
    count = picture.info.shape[picture.info.channel_axis]
    names = picture.info.channels or tuple(map(str, range(count)))
    items: list[tuple[str, Any]] = [
        (f"Channel {i}" if name == str(i) else name, (i,)) for i, name in enumerate(names)
    ]
    return [*items, ("All channels", tuple(range(count)))] if count > 1 else items
