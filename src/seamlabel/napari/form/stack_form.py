"""Rows of the image section for stacks: which time points, and whether planes go one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QSpinBox, QWidget

from seamlabel.napari.form.rows import Section, combo_box
from seamlabel.napari.form.typing_guard import TypingGuard

if TYPE_CHECKING:
    from seamlabel.axes import ImageInfo

ALL, CURRENT, RANGE = range(3)
TIMES = ("All", "Current", "Range")
SOLID, PLANES, LINKED = range(3)
WAYS = ("3D", "Plane by plane", "Plane by plane, linked")
LINK = 0.3
"""Overlap of objects of neighbouring planes that are one; suits most."""


class TimeRow(QWidget):
    """All time points, the one that is looked at, or some; counted from 0 as napari's slider does."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count, self._step = 1, 0
        self.which = combo_box()
        self.which.setMinimumWidth(86)  # there are two boxes beside it
        self.which.addItems(TIMES)
        self.first, self.last = self._box("First time point"), self._box("Last time point")
        self.to = QLabel("–")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for part in (self.which, self.first, self.to, self.last):
            row.addWidget(part, part is not self.to)
        self.which.currentIndexChanged.connect(self._edited)
        self._show()

    def set_count(self, count: int) -> None:
        """Offer so many time points; with another number of them all are chosen again."""
        if count == self._count:
            return
        self._count = count
        self._step = min(self._step, count - 1)
        for box, value in ((self.first, 0), (self.last, count - 1)):
            box.blockSignals(True)
            box.setRange(0, count - 1)
            box.setValue(value)
            box.blockSignals(False)
        self.which.blockSignals(True)
        self.which.setCurrentIndex(ALL)
        self.which.blockSignals(False)
        self._show()

    def set_step(self, step: int) -> None:
        """Take note of the time point that is looked at."""
        step = max(0, min(step, self._count - 1))
        if step != self._step:
            self._step = step
            self._show()
            if self.which.currentIndex() == CURRENT:
                self.changed.emit()

    def range(self) -> tuple[int, int] | None:
        """Return the first time point and the one after the last; None for all."""
        which = self.which.currentIndex()
        if which == ALL:
            return None
        if which == CURRENT:
            return self._step, self._step + 1
        first, last = sorted((self.first.value(), self.last.value()))
        return first, last + 1

    def set_range(self, times: tuple[int, int] | None) -> None:
        """Show a range, or all time points for None."""
        self.which.blockSignals(True)
        self.which.setCurrentIndex(ALL if times is None else RANGE)
        self.which.blockSignals(False)
        if times is not None:
            self.first.setValue(times[0])
            self.last.setValue(times[1] - 1)
        self._show()

    def _box(self, name: str) -> QSpinBox:
        box = QSpinBox()
        box.setRange(0, 0)
        box.setProperty("axis", True)
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        box.setKeyboardTracking(False)
        box.setAccessibleName(name)
        box.setToolTip(f"{name}, counted from 0 as in the slider below the image")
        box.valueChanged.connect(self.changed)
        return box

    def _edited(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        some = self.which.currentIndex() == RANGE
        for part in (self.first, self.to, self.last):
            part.setVisible(some)
        self.which.setItemText(CURRENT, f"{TIMES[CURRENT]} ({self._step})")


class StackForm(Section):
    """Time and z of an image that has them; part of the image section.

    Parameters
    ----------
    maps : bool
        For predictions: of all time points, and no objects to link.
    """

    planes_changed = Signal()
    """Planes one by one or not: comes before `changed`, since other axes are tiled then."""

    def __init__(self, parent: QWidget | None = None, maps: bool = False) -> None:
        super().__init__("", parent)
        self._maps = maps
        self.time = TimeRow()
        self.way = combo_box()
        self.way.addItems(WAYS[:LINKED] if maps else WAYS)
        self.link = QDoubleSpinBox()
        self.link.setRange(0.01, 1.0)
        self.link.setSingleStep(0.05)
        self.link.setKeyboardTracking(False)
        self.link.setValue(LINK)
        TypingGuard(self.link)
        self._link = LINK
        self._deep = False
        self.add("time", "Time", self.time, "Which time points are segmented")
        self.time.which.setAccessibleName("Time")
        self.add("planes", "Z", self.way, "Objects in 3D, or every plane by itself")
        tip = "Objects of neighbouring planes that overlap by this share are one; 0.3 suits most"
        self.add("merge.z_link", "Link above", self.link, tip)
        self.time.changed.connect(self.changed)
        self.way.currentIndexChanged.connect(self._switched)
        self.link.valueChanged.connect(self._linked)
        self.set_info(None)

    def set_info(self, info: ImageInfo | None) -> None:
        """Show the rows that an image needs."""
        self._deep = _has_planes(info)
        if not self._deep:
            self.set_planes(False, None)
        self.show_row("planes", self._deep)
        times = [n for n, a in zip(info.shape, info.axes, strict=True) if a.kind == "time"] if info else []
        self.time.set_count(times[0] if times else 1)
        timed = bool(times) and times[0] > 1 and not self._maps
        self.show_row("time", timed)
        self.setVisible(self._deep or timed)

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that these rows decide; none for an image without planes."""
        return {"planes": self.way.currentIndex() != SOLID} if self._deep else {}

    def z_link(self) -> float | None:
        """Return above which overlap objects of neighbouring planes are one; None: never."""
        return self._link if self._deep and self.way.currentIndex() == LINKED else None

    def set_planes(self, planes: bool, z_link: float | None) -> None:
        """Show how planes are taken; tells nobody."""
        self.way.blockSignals(True)
        self.way.setCurrentIndex(SOLID if not planes else PLANES if z_link is None else LINKED)
        self.way.blockSignals(False)
        if z_link is not None:
            self.link.blockSignals(True)
            self.link.setValue(z_link)
            self.link.blockSignals(False)
            self._link = z_link  # with all its digits
        self.show_row("merge.z_link", self.way.currentIndex() == LINKED)

    def _switched(self) -> None:
        self.show_row("merge.z_link", self.way.currentIndex() == LINKED)
        self.planes_changed.emit()
        self.changed.emit()

    def _linked(self, value: float) -> None:
        self._link = value
        self.changed.emit()


def _has_planes(info: ImageInfo | None) -> bool:
    """Return whether an image is a stack of planes across z."""
    if info is None or sum(axis.kind == "space" for axis in info.axes) < 2:
        return False
    deep = (n for n, a in zip(info.shape, info.by_planes().axes, strict=True) if a.looped)
    return next(deep, 1) > 1
