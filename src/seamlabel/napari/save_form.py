"""The "Save to" section: the labels' name and the OME-Zarr that gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QWidget

from seamlabel.io.temporary import temporary_folder
from seamlabel.napari.path_row import PathRow
from seamlabel.napari.pictures import normal_path
from seamlabel.napari.rows import Note, Section, combo_box

if TYPE_CHECKING:
    from collections.abc import Collection

    from seamlabel.axes import ImageInfo
    from seamlabel.napari.pictures import Picture

OWN, OTHER, TEMPORARY = range(3)
PLACES = ("The image's own OME-Zarr", "Another OME-Zarr", "Temporary")
NOT_SAVED = "Not saved: these labels are gone when napari closes."


class SaveForm(Section):
    """Name, overwriting and place of the labels."""

    output_changed = Signal()
    """Labels go elsewhere now: what is there has to be looked at."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Save to", parent)
        self._taken: Collection[str] = ()
        self._own: str | None = None
        self._temporary = ""
        self._shown = False
        self.name = QLineEdit("cells")
        self.overwrite = QCheckBox("Overwrite")
        self.overwrite.setToolTip("Replace labels of this name, once the new ones are complete")
        self.place = combo_box()
        self.place.addItems(PLACES)
        self.path = PathRow("Folder of the OME-Zarr", "Save labels into an OME-Zarr")
        self.note = Note("warning", self)
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
        self.name.setAccessibleName("Name of the labels")
        self.name.textChanged.connect(self._edited)
        self.overwrite.toggled.connect(self._edited)
        self.place.currentIndexChanged.connect(self._moved)
        self.path.chosen.connect(self._moved)
        self.set_picture(None)

    def set_picture(self, picture: Picture | None) -> None:
        """Offer the image's own OME-Zarr if it has one that can be written."""
        self._shown = picture is not None
        own = picture.path if picture else None
        writable = picture is not None and own is not None and (picture.info.writable or not self._is_own())
        if own != self._own or not writable:
            self._own = own
            self.place.blockSignals(True)
            self.place.model().item(OWN).setEnabled(own is not None and writable)
            if own is not None and writable:
                self.place.setCurrentIndex(OWN)
            elif self.place.currentIndex() == OWN:
                self.place.setCurrentIndex(TEMPORARY)
            self.place.blockSignals(False)
        if picture is None:
            self._taken = ()
        self._tell()

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

    def missing(self) -> bool:
        """Return whether a path is still to be given."""
        return self.place.currentIndex() == OTHER and not self.path.path()

    def final_name(self) -> str:
        """Return the name that the labels get: NAME-2 and so on if it is taken."""
        name = self.name.text().strip()
        if self.overwrite.isChecked() or name not in self._taken:
            return name
        number = 2
        while f"{name}-{number}" in self._taken:
            number += 1
        return f"{name}-{number}"

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
