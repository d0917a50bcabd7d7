"""Rows for tiles that need not be segmented: dark ones, or those outside a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QLineEdit

from seamlabel.errors import Problem
from seamlabel.napari.form.path_row import PathRow
from seamlabel.napari.form.rows import Section, combo_box
from seamlabel.napari.layers.pictures import OWN, normal_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from qtpy.QtWidgets import QWidget

NEVER, VALUE, OTSU, MASK = range(4)
KINDS = ("None", "Dark: up to a value", "Dark: up to Otsu's threshold", "Outside a mask")
FILE = "An OME-Zarr…"


class SkipForm(Section):
    """What to skip by; part of the image section, folded."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("More", parent, folded=True)
        self._layers: list[Labels] = []
        self._shape: tuple[int, ...] = ()
        self.kind = combo_box()
        self.kind.addItems(KINDS)
        self.limit = QLineEdit()
        self.limit.setPlaceholderText("pixel value")
        self.mask_layer = combo_box()
        self.mask_path = PathRow("OME-Zarr of the mask", "Open a mask")
        self.level = combo_box()
        tip = "Tiles that hold no object need not be segmented: that saves time"
        self.add("skip_empty", "Skip tiles", self.kind, tip)
        self.add("value", "Up to", self.limit, "Tiles are skipped where no pixel is brighter than this")
        self.add("mask", "Mask", self.mask_layer, "Tiles are skipped where this is 0 throughout")
        self.add("mask_path", "Path", self.mask_path, "An OME-Zarr, image or labels, of the same view")
        self.mask_path.setAccessibleName("Path of the mask")
        tip = "Look for bright pixels on a coarser level: faster, but may miss very small objects"
        self.add("skip_level", "Look on", self.level, tip)
        self.set_masks([])
        self.kind.currentIndexChanged.connect(self._edited)
        self.limit.editingFinished.connect(self._edited)
        self.mask_layer.currentIndexChanged.connect(self._edited)
        self.mask_path.chosen.connect(self._edited)
        self.level.currentIndexChanged.connect(self._edited)

    def set_masks(self, layers: Sequence[Labels]) -> None:
        """Offer these Labels layers as masks."""
        names = [layer.name for layer in layers]
        shown = [self.mask_layer.itemText(i) for i in range(self.mask_layer.count() - 1)]
        if self._layers == list(layers) and names == shown:
            return
        chosen = self._mask_layer()
        self._layers = list(layers)
        self.mask_layer.blockSignals(True)
        self.mask_layer.clear()
        self.mask_layer.addItems([*names, FILE])
        own = chosen is not None or bool(self.mask_path.path())  # another layer is not what was asked for
        kept = next((i for i, layer in enumerate(layers) if layer is chosen), len(layers) if own else 0)
        self.mask_layer.setCurrentIndex(kept)
        self.mask_layer.blockSignals(False)
        self._show()
        if self._mask_layer() is not chosen and self.kind.currentIndex() == MASK:
            self.changed.emit()

    def set_levels(self, count: int, level: int, shape: tuple[int, ...]) -> None:
        """Offer the levels that are coarser than the one that is segmented, whose label shape is `shape`."""
        self._shape = shape
        before = self.level.currentData()
        self.level.blockSignals(True)
        self.level.clear()
        self.level.addItem("the same level", None)
        for number in range(level + 1, count):
            self.level.addItem(f"level {number}", number)
        self.level.setCurrentIndex(max(0, self.level.findData(before)))
        self.level.blockSignals(False)
        self._show()

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that these rows decide."""
        dark = self.kind.currentIndex() in (VALUE, OTSU)
        return {"skip_empty": self._skip(), "skip_level": self.level.currentData() if dark else None}

    def set_values(self, skip: float | str | None, level: int | None) -> None:
        """Show what to skip by; tells nobody."""
        for part in (self.kind, self.mask_layer, self.level):
            part.blockSignals(True)
        if skip is None or skip == "otsu":
            self.kind.setCurrentIndex(OTSU if skip else NEVER)
        elif isinstance(skip, str):
            self.kind.setCurrentIndex(MASK)
            self._choose_mask(skip)
        else:
            self.kind.setCurrentIndex(VALUE)
            self.limit.setText(repr(skip).removesuffix(".0"))
        self.level.setCurrentIndex(max(0, self.level.findData(level)))
        for part in (self.kind, self.mask_layer, self.level):
            part.blockSignals(False)
        self._show()

    def mask(self) -> Any:
        """Return the array of the chosen mask, None if there is none or it has a path."""
        layer = self._mask_layer()
        if self.kind.currentIndex() != MASK or layer is None or _path(layer):
            return None
        levels = list(layer.data) if layer.multiscale else [layer.data]
        return next((pixels for pixels in levels if self._fits(pixels.shape)), levels[-1])

    def wrongs(self) -> list[Problem]:
        """Return that a value is none, or that no mask is chosen."""
        kind = self.kind.currentIndex()
        if kind == VALUE and isinstance(self._skip(), str):
            text = self.limit.text().strip()
            what = f"'{text}' is no pixel value" if text else "no value is given"
            return [Problem("value", what, "Give a number, such as 100")]
        if kind == MASK and not self._skip():
            return [Problem("mask_path", "no mask is given", "Enter or browse to one, or choose a layer")]
        return []

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of these rows; return the others."""
        rest = super().show_problems(problems)
        self._show()
        return rest

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether an array is not finer than the level that is segmented."""
        return all(m <= n for m, n in zip(reversed(shape), reversed(self._shape), strict=False))

    def _skip(self) -> Any:
        kind, layer = self.kind.currentIndex(), self._mask_layer()
        if kind == VALUE:
            return _number(self.limit.text())
        if kind == MASK:
            path = self.mask_path.path()
            return (_path(layer) or "mask") if layer is not None else path and normal_path(path)
        return "otsu" if kind == OTSU else None

    def _choose_mask(self, skip: str) -> None:
        if skip == "mask":
            return  # the array is that of the chosen layer
        paths = [_path(layer) for layer in self._layers]
        self.mask_layer.setCurrentIndex(paths.index(skip) if skip in paths else len(paths))
        if skip not in paths:
            self.mask_path.set_path(skip)

    def _mask_layer(self) -> Labels | None:
        index = self.mask_layer.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def _edited(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        kind = self.kind.currentIndex()
        self.show_row("value", kind == VALUE)
        self.show_row("mask", kind == MASK and bool(self._layers))
        self.show_row("mask_path", kind == MASK and self._mask_layer() is None)
        self.show_row("skip_level", kind in (VALUE, OTSU) and self.level.count() > 1)
        self.tell("" if kind == NEVER else "dark tiles are skipped" if kind != MASK else "within a mask")


def _path(layer: Labels) -> str:
    """Return the path of labels that were opened from an OME-Zarr, "" for others."""
    return str(layer.metadata.get(OWN, {}).get("path") or "")


def _number(text: str) -> float | str:
    """Return a pixel value, or what was typed if it is none."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return text.strip()
    return value if np.isfinite(value) else text.strip()
