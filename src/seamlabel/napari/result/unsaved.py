"""`Unsaved`: says that labels are temporary, and saves them where they stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QWidget

from seamlabel.io.ngff.model import label_names
from seamlabel.napari.form.rows import Note, tool_button
from seamlabel.napari.names import free_name

if TYPE_CHECKING:
    from seamlabel.napari.result.control import ResultControl

LOST = "Not saved yet: these labels are gone when napari closes."
BY_NAPARI = "File > Save Selected Layers saves them."


class Unsaved(QFrame):
    """A part of the result panel; hidden while labels are saved."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "unfinished")
        self._control: ResultControl | None = None
        self.note = Note("warning", self)
        self.save_button = tool_button("Save…", "Choose an OME-Zarr that gets these labels")
        self.save_button.clicked.connect(self._ask)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 6, 4)
        row.addWidget(self.note, 1)
        row.addWidget(self.save_button)
        self.hide()

    def show_result(self, control: ResultControl) -> None:
        """Show whether the labels have to be saved."""
        self._control, shown = control, control.shown
        lost = shown is not None and bool(shown.path) and not shown.saved
        self.setVisible(lost)
        if lost:
            self.save_button.setVisible(control.can_merge)
            self.note.say(LOST if control.can_merge else f"{LOST} {BY_NAPARI}")

    def _ask(self) -> None:
        if self._control is None or self._control.shown is None:
            return
        path, _ = QFileDialog.getSaveFileName(
            self,
            "Save labels into an OME-Zarr",
            "labels.zarr",
            "OME-Zarr (*.zarr)",
            options=QFileDialog.Option.DontConfirmOverwrite,  # nothing in it is replaced
        )
        if path:
            store = path if path.endswith(".zarr") else f"{path}.zarr"
            taken = label_names(Path(store)) if Path(store).exists() else ()
            self._control.save(store, free_name(self._control.shown.plan.spec.name, taken))
