"""`FunctionFields`: the arguments of a user's function as rows, once it is loaded.

Loading runs the user's file, so it is done when the user has typed, picked or asked for it, never for a name
that was kept from another day; in a thread, since an import may take long. Knows nothing of backends.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from threading import Thread
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton, QStyle

from seamlabel.errors import BackendError, Problem
from seamlabel.functions import is_target, load_function
from seamlabel.napari.form.params import ParamsForm
from seamlabel.napari.form.rows import Note, Section
from seamlabel.parameters import checked
from seamlabel.signatures import keywords_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtWidgets import QWidget

EXAMPLE = "/path/mine.py:cells"
"""How a function of one's own is named."""


def load_button() -> QPushButton:
    """Return the button that stands beside the function's name."""
    button = QPushButton("Load")
    button.setToolTip("Run the file to find the arguments of the function; again after you edited it")
    button.setAccessibleName("Load the function")
    return button


class _Loader(QObject):
    """Loads functions in threads."""

    loaded = Signal(str, object, object)
    """Target; dataclass of its arguments, or None; error, or None."""

    def load(self, target: str) -> None:
        """Load a function; `loaded` tells of it later."""
        Thread(target=self._load, args=(target,), name="seamlabel-load", daemon=True).start()

    def _load(self, target: str) -> None:
        kind, error = None, None
        try:
            kind = keywords_of(load_function(target, purpose="takes pixels and returns labels"))
        except BackendError as problem:
            error = problem
        with suppress(RuntimeError):  # the dock, and with it this QObject, is gone
            self.loaded.emit(target, kind, error)


class FunctionFields(Section):
    """Rows for the arguments of the function that a line names.

    Parameters
    ----------
    line : QLineEdit
        Where its name is written.
    button : QPushButton
        Loads it, and again.
    keywords : mapping
        Arguments that were given on another day.
    """

    rebuilt = Signal()
    """There are other rows now."""

    def __init__(
        self,
        line: QLineEdit,
        button: QPushButton,
        keywords: Mapping[str, Any],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("", parent)
        self._line, self._button, self._kept = line, button, dict(keywords)
        self._loading = self._failed = ""
        self._error: BackendError | None = None
        self.form: ParamsForm | None = None
        self.note = Note("muted", self)
        self.rows.addRow(self.note)
        self._loader = _Loader(self)
        self._loader.loaded.connect(self._loaded)
        _offer_files(line)
        line.editingFinished.connect(self._edited)
        line.textChanged.connect(self._show_button)
        button.clicked.connect(self.load)
        self._show_button()
        if self._kept:
            given = ", ".join(f"{name} = {value!r}" for name, value in self._kept.items())
            self.note.say(f"With {given}. Load it to change them.")

    def value(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {**self._kept, **(self.form.value() if self.form else {})}

    def load(self) -> None:
        """Load the function that is named, if it has the form of one."""
        target = self._line.text().strip()
        if is_target(target) and self._loading != target:
            self._loading = target
            self._button.setEnabled(False)
            self.note.say("Loading…")
            self._loader.load(target)

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show the problems of the arguments; return the others."""
        return self.form.show_problems(problems) if self.form else problems

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of the arguments that problems are about."""
        return self.form.titles(problems) if self.form else []

    def wrong(self) -> list[Problem]:
        """Return why the function could not be loaded, if it is still named."""
        if self._error is None or self._line.text().strip() != self._failed:
            return []
        return [Problem("params.target", str(self._error), self._error.hint)]

    def _edited(self) -> None:
        """Load what the user has typed or picked, and nothing else."""
        if self._line.isModified():
            self._line.setModified(False)
            self.load()

    def _show_button(self) -> None:
        self._button.setEnabled(is_target(self._line.text().strip()))

    def _loaded(self, target: str, kind: type[Any] | None, error: BackendError | None) -> None:
        if target != self._loading:
            return  # another one was named meanwhile
        self._loading, self._error, self._failed = "", error, target if error else ""
        self._show_button()
        self._button.setText("Reload" if kind else "Load")
        self.note.say("")
        if kind is not None:
            self._rebuild(kind)
        self.changed.emit()

    def _rebuild(self, kind: type[Any]) -> None:
        """Show the rows of these arguments, with values that were given before where they fit."""
        values = {name: value for name, value in self.value().items() if name in _names(kind)}
        given, _ = checked(kind, "", values)
        if self.form is not None:
            self.rows.removeRow(self.form)
        self.form = ParamsForm(kind)
        self.form.setValue(given)
        shown = self.form.value()
        self._kept = {name: value for name, value in given.items() if name not in shown}
        self.form.changed.connect(self.changed)
        self.rows.addRow(self.form)
        self.note.say("" if _names(kind) else "It takes nothing but the tile.")
        self.rebuilt.emit()


def _names(kind: type[Any]) -> set[str]:
    return {item.name for item in fields(kind)}


def _offer_files(line: QLineEdit) -> None:
    """Show how a function is named, and have a button to pick its file."""

    def browse() -> None:
        place, _, name = line.text().rpartition(":")
        path, _ = QFileDialog.getOpenFileName(line, "The file with your function", place, "Python (*.py)")
        if path:
            line.setText(f"{path}:{name or 'cells'}")
            line.setModified(True)
            line.editingFinished.emit()

    line.setPlaceholderText(EXAMPLE)
    icon = line.style().standardIcon(QStyle.StandardPixmap.SP_DirOpenIcon)
    action = line.addAction(icon, QLineEdit.ActionPosition.TrailingPosition)
    action.setToolTip("Browse")
    action.triggered.connect(browse)
