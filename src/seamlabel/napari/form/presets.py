"""`PresetsButton`: parameters of a method under a name, to have them back with two clicks.

Knows names and parameters; what they do is the form's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QInputDialog, QMenu, QPushButton, QWidget

from seamlabel.napari import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY = "presets"
BUILT_IN: dict[str, dict[str, dict[str, Any]]] = {
    "watershed": {
        "Round cells or nuclei": {"seeds": "distance", "dark": False, "smoothing": 1.0},
        "Cells with dark borders": {"seeds": "intensity", "dark": False, "smoothing": 1.0},
        "Dark cells on bright ground": {"seeds": "distance", "dark": True, "smoothing": 1.0},
        "Noisy image": {"seeds": "distance", "smoothing": 2.5},
    },
    "threshold": {
        "Bright objects": {"value": None, "smoothing": 1.0, "dark": False},
        "Dark objects": {"value": None, "smoothing": 1.0, "dark": True},
        "Small spots": {"value": None, "smoothing": 0.5, "dark": False},
    },
}
"""By method and name; parameters that are not named stay as they are."""


class PresetsButton(QPushButton):
    """A button with a menu of presets.

    Parameters
    ----------
    values : callable
        Returns the parameters to save.
    """

    picked = Signal(dict)
    """Parameters to show."""
    reset_requested = Signal()
    """All is to be as it was at the very beginning."""
    file_requested = Signal()
    """A run file is to be opened."""

    def __init__(self, values: Callable[[], dict[str, Any]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = values
        self._backend = ""
        self.setText("Presets")
        self.setToolTip("Parameters saved under a name, run files, defaults")
        self.setAccessibleName("Presets")
        self.list = QMenu(self)
        self.setMenu(self.list)
        self.list.aboutToShow.connect(self._fill)

    def set_backend(self, name: str) -> None:
        """Offer the presets of this method."""
        self._backend = name
        self._fill()

    def save(self, name: str) -> None:
        """Keep the present parameters under a name; one of that name is replaced."""
        kept = _kept()
        own = {**kept.get(self._backend, {}), name: self._values()}
        settings.save(KEY, {**kept, self._backend: own})

    def delete(self, name: str) -> None:
        """Forget the preset of this name."""
        kept = _kept()
        own = {key: values for key, values in kept.get(self._backend, {}).items() if key != name}
        settings.save(KEY, {**kept, self._backend: own})

    def _own(self) -> Mapping[str, dict[str, Any]]:
        return _kept().get(self._backend, {})

    def _fill(self) -> None:
        """Make the menu anew: another dock may have saved something."""
        self.list.clear()
        own = self._own()
        for presets in (own, BUILT_IN.get(self._backend, {})):
            for name, values in presets.items():
                action = self.list.addAction(name.replace("&", "&&"))
                action.triggered.connect(lambda _=False, values=values: self.picked.emit(dict(values)))
            self.list.addSeparator()
        self.list.addAction("&Save parameters as…").triggered.connect(self._ask)
        gone = self.list.addMenu("&Delete")
        gone.setEnabled(bool(own))
        for name in own:
            action = gone.addAction(name.replace("&", "&&"))
            action.triggered.connect(lambda _=False, name=name: self.delete(name))
        self.list.addSeparator()
        self.list.addAction("&Load run file…").triggered.connect(self.file_requested)
        self.list.addAction("&Reset to defaults").triggered.connect(self.reset_requested)

    def _ask(self) -> None:
        """Ask for a name, and say if one is taken."""
        asked = QInputDialog(self)
        asked.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        asked.setWindowTitle("Save parameters")
        asked.setOkButtonText("Save")
        plain = "Name of these parameters:"
        asked.setLabelText(plain)

        def typed(text: str) -> None:
            taken = text.strip() in self._own()
            asked.setOkButtonText("Replace" if taken else "Save")
            asked.setLabelText(f"'{text.strip()}' will be replaced:" if taken else plain)

        asked.textValueChanged.connect(typed)
        asked.textValueSelected.connect(lambda text: self.save(text.strip()) if text.strip() else None)
        asked.open()


def _kept() -> dict[str, dict[str, dict[str, Any]]]:
    """Return what was saved, without what is none of ours."""
    kept: dict[str, Any] = settings.load(KEY, {})
    return {
        backend: {name: values for name, values in presets.items() if isinstance(values, dict)}
        for backend, presets in kept.items()
        if isinstance(presets, dict)
    }
