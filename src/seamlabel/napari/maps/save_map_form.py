"""The section that says what becomes of the values, and which OME-Zarr gets the map."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QWidget

from seamlabel.errors import OutputError, Problem, SeamlabelError
from seamlabel.io.addresses import is_remote
from seamlabel.io.map_places import check_place, is_unfinished
from seamlabel.io.ngff.model import label_names
from seamlabel.io.temporary import temporary_folder
from seamlabel.napari.form.path_row import PathRow
from seamlabel.napari.form.rows import Note, Section, combo_box
from seamlabel.napari.form.save_form import beside_image
from seamlabel.napari.layers.pictures import normal_path

if TYPE_CHECKING:
    from seamlabel.napari.layers.pictures import Picture

FINISH = {
    None: "As predicted",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "argmax": "Argmax: the best class",
}
TEMPORARY = "A temporary OME-Zarr: it is gone when napari closes."
GOES_ON = "An unfinished map is there: Run goes on with it if all is as it was."


class SaveMapForm(Section):
    """What is done to the blended values, and the path of the map."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Map", parent)
        self._temporary = ""
        self._offered = ""
        self._reads: tuple[str | None, ...] = ()
        self.finish = combo_box()
        for name, title in FINISH.items():
            self.finish.addItem(title, name)
        self.path = PathRow("Empty: a temporary one", "Save the map as")
        self.overwrite = QCheckBox("Overwrite")
        self.overwrite.setToolTip("Replace the image that is there, and the labels in it")
        self.note = Note("muted", self)
        self.add("finalize", "Values", self.finish, "What is made of the blended values of all channels")
        self.add("output", "Save as", self.path, "The OME-Zarr of the map, made with a pyramid")
        self.rows.addRow(self.overwrite)
        self.rows.addRow(self.note)
        self.finish.currentIndexChanged.connect(self.changed)
        self.path.chosen.connect(self._edited)
        self.overwrite.toggled.connect(self._edited)
        self._tell()

    def set_picture(self, picture: Picture | None) -> None:
        """Offer a place beside the image, unless the user has named one."""
        # a layer may be read from its file as it is needed, also where it is taken as an array
        self._reads = (picture.path, picture.layer.source.path) if picture is not None else ()
        beside = beside_image(picture) if picture is not None else None
        if self.path.path() == self._offered:
            self._offered = free_place(beside.replace("-labels.zarr", "-map.zarr")) if beside else ""
            self.path.set_path(self._offered)
        self._tell()

    def values(self) -> dict[str, Any]:
        """Return the arguments that this section decides."""
        return {
            "finalize": self.finish.currentData(),
            "output": self.output(),
            "overwrite": self.overwrite.isChecked(),
        }

    def output(self) -> str:
        """Return where the map goes."""
        if self.path.path():
            return normal_path(self.path.path())
        self._temporary = self._temporary or str(temporary_folder() / "map.zarr")
        if Path(self._temporary).exists() and not is_unfinished(self._temporary):
            self._temporary = str(temporary_folder() / "map.zarr")
        return self._temporary

    def wrongs(self) -> list[Problem]:
        """Return what keeps a map from being written there."""
        try:
            check_place(self.output(), overwrite=self.overwrite.isChecked(), reads=self._reads)
        except OutputError as error:
            return [Problem("output", str(error), error.hint)]
        return []

    def _edited(self, *_: Any) -> None:
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        path = self.path.path() and self.output()
        if not path:
            self.note.say(TEMPORARY, "warning")
        elif is_remote(path):  # told as a problem
            self.note.say("", "muted")
        elif self.overwrite.isChecked() and (names := labels_in(path)):
            self.note.say(f"Labels in it are deleted with it: {', '.join(names)}", "warning")
        else:
            self.note.say(GOES_ON if is_unfinished(path) else "", "muted")


def labels_in(path: str) -> tuple[str, ...]:
    """Return the names of the labels in an OME-Zarr, as far as they can be read."""
    with suppress(SeamlabelError):
        return label_names(Path(path))
    return ()


def free_place(path: str) -> str:
    """Return the path, or the next one that is not taken by a finished map: ``x-map-2.zarr``."""
    number, free = 2, path
    while Path(free).exists() and not is_unfinished(free):
        free, number = f"{path.removesuffix('.zarr')}-{number}.zarr", number + 1
    return free
