"""The "Save to" section: the labels' name and the OME-Zarr that gets them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QWidget

from seamlabel.errors import Problem, SpecError
from seamlabel.io.temporary import temporary_folder
from seamlabel.napari.form.disk import lack
from seamlabel.napari.form.path_row import PathRow
from seamlabel.napari.form.rows import Note, Section, combo_box
from seamlabel.napari.layers.pictures import normal_path
from seamlabel.napari.names import free_name
from seamlabel.napari.preferences import preferences
from seamlabel.sizes import human
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Collection

    from seamlabel.axes import ImageInfo
    from seamlabel.napari.layers.pictures import Picture
    from seamlabel.plan import Plan

START_NAME = "cells"
OWN, OTHER, TEMPORARY = range(3)
PLACES = ("The image's OME-Zarr", "Another OME-Zarr", "Temporary")
NOT_SAVED = "Not saved yet: these labels are gone when napari closes."
KEEP = "Keep tiles to mend later"


class SaveForm(Section):
    """Name, overwriting and place of the labels."""

    output_changed = Signal()
    """Labels go elsewhere now: what is there has to be looked at."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Save to", parent)
        self._taken: Collection[str] = ()
        self._own: str | None = None
        self._known: tuple[str | None, str | None] = (None, None)  # that the place was chosen for
        self._temporary = ""
        self._shown = False
        self.name = QLineEdit(START_NAME)
        self.overwrite = QCheckBox("Overwrite")
        self.overwrite.setToolTip("Replace labels of this name, once the new ones are complete")
        self.place = combo_box()
        self.place.addItems(PLACES)
        self.path = PathRow("Folder of the OME-Zarr", "Save labels into an OME-Zarr")
        self.note = Note("warning", self)
        self.space = Note("warning", self)
        self.keep_tiles = QCheckBox(KEEP)
        self.prefer()
        named = QWidget()
        row = QHBoxLayout(named)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.name, 1)
        row.addWidget(self.overwrite)
        self.add("name", "Name", named, "Name of the labels")
        self.add("place", "Where", self.place, "Which OME-Zarr gets the labels")
        self.add("output", "Folder", self.path, "An OME-Zarr, made if it does not exist")
        self.rows.addRow(self.note)
        tip = "Finished tiles stay on the disk, so that the result can be merged anew, mended and measured"
        self.add("keep", "", self.keep_tiles, tip)
        self.keep_tiles.setAccessibleName(KEEP)
        self.rows.addRow(self.space)
        self.name.setAccessibleName("Name of the labels")
        self.name.textChanged.connect(self._edited)
        self.overwrite.toggled.connect(self._edited)
        self.place.currentIndexChanged.connect(self._moved)
        self.path.chosen.connect(self._moved)
        self.keep_tiles.toggled.connect(self.changed)
        self.set_picture(None)

    def set_picture(self, picture: Picture | None) -> None:
        """Choose the image's own OME-Zarr if it can be written, else one beside it, else a temporary one."""
        self._shown = picture is not None
        self._own = picture.path if picture else None
        writable = picture is not None and self._own is not None and picture.info.writable
        beside = None if picture is None or writable else beside_image(picture)
        known = (self._own, beside)
        self.place.blockSignals(True)
        self.place.model().item(OWN).setEnabled(writable)
        if picture is not None and (known != self._known or (self._is_own() and not writable)):
            self.place.setCurrentIndex(OWN if writable else OTHER if beside else TEMPORARY)
            if beside:
                self.path.set_path(beside)
            self._known = known
        elif picture is None and self._is_own():
            self.place.setCurrentIndex(TEMPORARY)
        self.place.blockSignals(False)
        if picture is None:
            self._taken = ()
        self._tell()

    def show_plan(self, plan: Plan) -> None:
        """Say what the tiles take, and whether there is room for all.

        Raises
        ------
        SpecError
            If a run surely fills the disk.
        """
        self.keep_tiles.setText(f"{KEEP} (≈ {human(plan.stage_bytes)})")
        text, sure = lack(plan)
        self.space.say("" if not text or sure else f"{text[:1].upper()}{text[1:]}.")
        if sure:
            raise SpecError([Problem("place", text, "Choose a place on another disk, or free some space")])

    def clear_plan(self) -> None:
        """Show nothing of a plan."""
        self.keep_tiles.setText(KEEP)
        self.space.say("")

    def keep(self) -> bool:
        """Return whether finished tiles stay on the disk after the run."""
        return self.keep_tiles.isChecked()

    def prefer(self) -> None:
        """Keep tiles, or not, as the preferences of this machine say."""
        self.keep_tiles.setChecked(preferences().keep_tiles)

    def restore(self, name: Any) -> None:
        """Show the name of another day, if it is one."""
        try:
            self.name.setText(RunSpec(name=name).name)
        except SpecError:
            return

    def set_target(self, info: ImageInfo) -> None:
        """Take note of the names that are taken where the labels go."""
        self._taken = info.labels
        self._tell()

    def output(self) -> str | None:
        """Return the OME-Zarr for the labels where it is not the image's own."""
        place = self.place.currentIndex()
        if place == OTHER:
            return normal_path(self.path.path()) if self.path.path() else None
        if place == TEMPORARY and self._own is not None:
            self._temporary = self._temporary or str(temporary_folder() / "labels.zarr")
            return self._temporary
        return None

    def temporary(self) -> bool:
        """Return whether the labels are gone when the process ends."""
        return self.place.currentIndex() == TEMPORARY

    def wrongs(self) -> list[Problem]:
        """Return that a path is still to be given, if so."""
        if self.place.currentIndex() != OTHER or self.path.path():
            return []
        return [Problem("output", "no folder is given", "Enter or browse to one")]

    def final_name(self) -> str:
        """Return the name that the labels get: NAME-2 and so on if it is taken."""
        name = self.name.text().strip()
        return name if self.overwrite.isChecked() else free_name(name, self._taken)

    def values(self) -> dict[str, Any]:
        """Return the fields of the spec that this section decides."""
        overwrite = self.overwrite.isChecked()
        return {"name": self.final_name(), "overwrite": overwrite, "output": self.output()}

    def set_values(self, name: str, overwrite: bool, output: str | None) -> None:
        """Show these values."""
        self.name.setText(name)
        self.overwrite.setChecked(overwrite)
        if output is not None and output != self._temporary:
            self.path.set_path(output)
            self.place.setCurrentIndex(OTHER)
        elif output is None and self._own is not None:
            self.place.setCurrentIndex(OWN)
        elif output is None:
            self.place.setCurrentIndex(TEMPORARY)

    def _is_own(self) -> bool:
        return self.place.currentIndex() == OWN

    def _edited(self) -> None:
        self._tell()
        self.changed.emit()

    def _moved(self) -> None:
        self._tell()
        self.output_changed.emit()

    def _tell(self) -> None:
        place = self.place.currentIndex()
        self.show_row("output", place == OTHER)
        name, final = self.name.text().strip(), self.final_name()
        if final != name:
            self.note.say(f"'{name}' is taken: these will be '{final}'.", "muted")
        elif place == TEMPORARY and self._shown:
            self.note.say(NOT_SAVED, "warning")
        else:
            self.note.say("")


def beside_image(picture: Picture) -> str | None:
    """Return an OME-Zarr beside the file or folder of an image; None where none can be made."""
    source = picture.path or str(picture.layer.source.path or "")
    if not source or "://" in source:
        return None
    image = Path(normal_path(source))
    if not image.exists() or not os.access(image.parent, os.W_OK):
        return None
    return str(image.with_name(f"{image.name.split('.')[0] or 'image'}-labels.zarr"))
