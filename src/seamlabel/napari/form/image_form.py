"""The "Image" section: which layer or OME-Zarr, level, channels, time points, planes; what to skip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from seamlabel.axes import TIME
from seamlabel.napari.form.channel_picker import ChannelPicker
from seamlabel.napari.form.image_texts import (
    channel_names,
    channel_numbers,
    describe,
    level_items,
    shown_channel,
)
from seamlabel.napari.form.path_row import PathRow
from seamlabel.napari.form.rows import Note, Section, combo_box
from seamlabel.napari.form.skip_form import SkipForm
from seamlabel.napari.form.stack_form import StackForm
from seamlabel.napari.layers.pictures import OWN, axes_given, guess_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels

    from seamlabel.errors import Problem
    from seamlabel.napari.layers.pictures import Picture
    from seamlabel.spec import RunSpec

OURS = {"tiles", "provisional"}
"""Notes on Labels layers that come and go with a run."""
SAMPLES = {"cells_2d": "Cells, 2D", "nuclei_3d": "Nuclei, 3D"}


class ImageForm(Section):
    """Picks an image; everything about it is shown once the controller has looked at it.

    Parameters
    ----------
    maps : bool
        For predictions: of all time points, and no objects to link.
    """

    image_changed = Signal()
    """Another layer, or other axes of it: `set_picture` is due."""
    open_requested = Signal(str)
    """A path was given: an image layer is due."""
    sample_requested = Signal(str)
    """A sample was asked for by name."""
    level_changed = Signal()
    """Another level, or planes one by one; comes before `changed`, so that sizes can follow first."""

    def __init__(self, parent: QWidget | None = None, maps: bool = False) -> None:
        super().__init__("Image", parent)
        self._maps = maps
        self._layers: list[Image] = []
        self.picture: Picture | None = None
        self.wrong: Problem | None = None
        self.layers = combo_box()
        self.path = PathRow("OME-Zarr folder or address", "Open an OME-Zarr")
        self.axes = QLineEdit()
        self.axes.setMaximumWidth(90)
        self.level = combo_box()
        self.channel = ChannelPicker()
        self._given: tuple[Any, tuple[int, ...]] = (None, ())  # channels as a spec named them, and which
        self._method = ""
        self.stack = StackForm(self, maps)
        self.skip = SkipForm(self)
        self.summary = Note("muted", self)
        self.axes_note = Note("muted", self)
        self._axes_given = False
        self.empty = _Empty(self)
        self.rows.addRow(self.empty)
        self.add("image", "Layer", self.layers, "The image layer to work on")
        self.add("path", "Path", self.path, "Open an OME-Zarr by its path")
        self.rows.addRow(self.summary)
        self.add("axes", "Axes", self.axes, "One letter per axis: t time, c channel, z y x space")
        self.rows.addRow(self.axes_note)
        self.add("level", "Level", self.level, "Resolution to work on; 0 is full")
        self.add("channels", "Channel", self.channel, "What the method gets to see")
        self.channel_note = Note("muted", self)
        self.rows.addRow(self.channel_note)
        self.add_part(self.stack)
        self.add_part(self.skip)
        self.layers.currentIndexChanged.connect(self._picked)
        self.axes.editingFinished.connect(self._axes_edited)
        self.level.currentIndexChanged.connect(self._level_picked)
        self.channel.changed.connect(self._channels_picked)
        self.stack.planes_changed.connect(self.level_changed)
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
        layer = self.layer()
        if layer is not None and (axes_given(layer) or len(self.axes.text()) != layer.ndim + layer.rgb):
            self.axes.setText(guess_axes(layer))
            self._axes_given = axes_given(layer)
        self.image_changed.emit()

    def set_picture(self, picture: Picture | None) -> None:
        """Show what is known of the chosen image; None while there is none."""
        same = picture is not None and self.picture is not None and picture.layer is self.picture.layer
        self.picture, self.wrong = picture, None
        self._show_path()
        self.summary.say(describe(picture.info, 0) if picture else "")
        plain = picture is not None and picture.path is None
        self.show_row("axes", plain and picture.layer.ndim > 2)
        if plain:
            self.axes.setText(picture.info.names)
        stack = plain and not self._axes_given and picture.info.names == "zyx"
        self.axes_note.say("z y x: type t y x if this is time" if stack else "")
        self.skip.setVisible(picture is not None)
        self.stack.set_info(picture.info if picture else None)
        if not same:  # what was chosen for another image
            self.stack.time.set_range(None)
            self.skip.set_values(None, None)
        self._show_levels(picture, same)
        self._show_channels(picture, same)
        self._follow_level()

    def _show_levels(self, picture: Picture | None, same: bool) -> None:
        """List the levels; of the same image the chosen one stays."""
        before = self.level.currentIndex() if same else 0
        self.level.blockSignals(True)
        self.level.clear()
        for text, number in level_items(picture):
            self.level.addItem(text, number)
        self.level.setCurrentIndex(before if 0 <= before < self.level.count() else 0)
        self.level.blockSignals(False)
        self.show_row("level", self.level.count() > 1)

    def _show_channels(self, picture: Picture | None, same: bool) -> None:
        """List the channels, that of the layer chosen; of the same image what is chosen stays."""
        names = channel_names(picture)
        if not (same and names == list(self.channel.names)):
            self._given = (None, ())
            every = self._maps and picture is not None and bool(picture.layer.rgb)  # colours belong together
            first = tuple(range(len(names))) if every else (shown_channel(picture) or 0,)
            self.channel.set_channels(names, first if names else ())
        self.show_row("channels", len(names) > 1)
        self._tell_channels()

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
        own = {"image": self.picture.path, "level": level, "channels": self._channel_values()}
        return {**own, **self.stack.values(), **self.skip.values()}

    def set_spec(self, spec: RunSpec) -> None:
        """Show all that a spec says of the chosen image; tells nobody."""
        if self.picture is not None and self.picture.path is not None:  # a level of an array is an image
            self.level.setCurrentIndex(min(spec.level, self.level.count() - 1))
        self._follow_level()
        if self.picture is not None and self.channel.count():
            picked = channel_numbers(spec.channels, self.picture.info.channels, self.channel.count())
            if picked:
                self.channel.choose(*picked)
            self._given = (spec.channels, picked) if picked or self.channel.count() == 1 else (None, ())
        self.stack.set_planes(spec.planes, spec.merge.z_link)
        self.skip.set_values(spec.skip_empty, spec.skip_level)

    def time_range(self) -> tuple[int, int] | None:
        """Return the first time point to segment and the one after the last; None for all."""
        return self.stack.time.range()

    def set_step(self, axis: str, step: int) -> None:
        """Take note of where the viewer looks along an axis, by its letter."""
        if axis == TIME:
            self.stack.time.set_step(step)

    def set_masks(self, layers: Sequence[Labels]) -> None:
        """Offer the user's Labels layers as masks."""
        self.skip.set_masks([layer for layer in layers if not OURS & set(layer.metadata.get(OWN, ()))])

    def mask(self) -> Any:
        """Return the array of the mask to run with, None if there is none or the spec has its path."""
        return self.skip.mask()

    def set_method(self, title: str, most: int | None) -> None:
        """Take note of how many channels the method takes; None for any number."""
        self._method = title
        self.channel.set_limit(most)
        self._tell_channels()

    def _tell_channels(self) -> None:
        most, left = self.channel.limit, self.channel.left_out()
        plural = "channel" if most == 1 else "channels"
        self.channel_note.say(f"{self._method} takes {most} {plural}: {left} left out" if left > 0 else "")

    def _channels_picked(self) -> None:
        self._tell_channels()
        self.changed.emit()

    def _channel_values(self) -> Any:
        """Return the channels as a spec gave them, as long as they are those."""
        chosen = self.channel.chosen()
        if self.channel.count() and chosen == self._given[1]:
            return self._given[0]
        return chosen or None

    def _follow_level(self) -> None:
        if self.picture is not None:
            info, _, level = self.picture.at(self.level_index())
            self.skip.set_levels(len(info.levels), level, info.label_values(info.levels[level].shape))

    def _show_path(self) -> None:
        self.path.set_path((self.picture.path or "") if self.picture else "")

    def _picked(self) -> None:
        layer = self.layer()
        if layer is not None:
            self.axes.setText(guess_axes(layer))
            self._axes_given = axes_given(layer)
        self.image_changed.emit()

    def _level_picked(self) -> None:
        self._follow_level()
        self.level_changed.emit()
        self.changed.emit()

    def _axes_edited(self) -> None:
        if self.picture is None or self.axes.text() != self.picture.info.names:
            self._axes_given = True
            self.image_changed.emit()


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
