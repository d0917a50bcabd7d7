"""A form made from a parameter dataclass: one row a field, by magicgui, plus "auto" numbers.

Knows dataclasses and annotations; nothing of backends, images or runs.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QHBoxLayout, QSizePolicy, QWidget

from seamlabel.napari.rows import Section
from seamlabel.napari.typing_guard import TypingGuard
from seamlabel.registry import options

if TYPE_CHECKING:
    from magicgui.widgets.bases import ValueWidget

FORM_OPTIONS = ("min", "max", "step", "choices")
"""Entries of an annotation that magicgui understands; the others are shown by the form itself."""
WIDE = 1e12
"""Where a number without limits ends."""


class AutoNumber(QWidget):
    """A number, or None while "Auto" is ticked."""

    changed = Signal()

    def __init__(self, inner: ValueWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.inner = inner
        self.auto = QCheckBox("Auto")
        self.auto.setToolTip("Let it be decided from the image")
        self._number: float = inner.value
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(inner.native, 1)
        row.addWidget(self.auto)
        self.auto.toggled.connect(self._toggled)
        inner.changed.connect(self.changed.emit)

    def value(self) -> float | None:
        """Return the number, or None for "auto"."""
        return None if self.auto.isChecked() else self.inner.value

    def setValue(self, value: float | None) -> None:
        """Show a number, or "auto" for None."""
        self._number = self._number if value is None else value
        if self.auto.isChecked() == (value is None):
            self._toggled(value is None)
        else:
            self.auto.setChecked(value is None)

    def _toggled(self, auto: bool) -> None:
        """Show the number, or the word in its place; Qt shows a text where the number is the least."""
        box = self.inner.native
        box.setEnabled(not auto)
        box.blockSignals(True)
        if auto and not box.specialValueText():
            self._number = box.value()
        box.setSpecialValueText("auto" if auto else "")
        box.setValue(box.minimum() if auto else self._number)
        box.blockSignals(False)
        self.changed.emit()


class ParamsForm(Section):
    """Rows for the fields of a parameter dataclass.

    Parameters
    ----------
    kind : type
        The dataclass; see `seamlabel.registry.Backend.params`.
    """

    def __init__(self, kind: type[Any], parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.layout().itemAt(0).widget().hide()  # no header: it is part of a section
        self._widgets: dict[str, Any] = {}
        self._required: set[str] = set()
        hints = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            extras = options(hints[field.name])
            if extras.get("in_form", True):
                self._add(field, hints[field.name], extras)

    def value(self) -> dict[str, Any]:
        """Return the parameters by name; a text that is needed and not given is left out."""
        values = {name: _get(widget) for name, widget in self._widgets.items()}
        return {n: v for n, v in values.items() if not (n in self._required and v == "")}

    def setValue(self, values: dict[str, Any]) -> None:
        """Show these values; others stay."""
        for name, value in values.items():
            if name in self._widgets:
                _set(self._widgets[name], value)

    def widget(self, name: str) -> QWidget:
        """Return the Qt widget of a parameter."""
        made = self._widgets[name]
        return made if isinstance(made, QWidget) else made.native

    def _add(self, field: Field[Any], hint: Any, extras: dict[str, Any]) -> None:
        made = _make(hint, extras)
        self._widgets[field.name] = made
        if field.default is not MISSING:
            _set(made, field.default)
        elif field.default_factory is MISSING:
            self._required.add(field.name)
        made.changed.connect(self._emit)
        text = extras.get("label", field.name.replace("_", " ").capitalize())
        self.add(f"params.{field.name}", text, self.widget(field.name), extras.get("tooltip", ""))

    def _emit(self, *_: Any) -> None:
        self.changed.emit()


def _make(hint: Any, extras: dict[str, Any]) -> Any:
    """Return a magicgui widget, or an `AutoNumber` around one for an optional number."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kinds = [kind for kind in get_args(bare) if kind is not NoneType]
    optional = get_origin(bare) is not Literal and NoneType in get_args(bare)
    if optional:
        bare = kinds[0]
    inner = create_widget(annotation=bare, options=_limits(bare, extras))
    if extras.get("unit") and hasattr(inner.native, "setSuffix"):
        inner.native.setSuffix(f" {_short(extras['unit'])}")
    if isinstance(inner.native, QAbstractSpinBox):
        inner.native.setKeyboardTracking(False)
        TypingGuard(inner.native)
    if isinstance(inner.native, QAbstractSpinBox | QComboBox):
        inner.native.setMinimumWidth(80)  # numbers without limits would ask for room for all digits
        inner.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return AutoNumber(inner) if optional else inner


def _limits(kind: Any, extras: dict[str, Any]) -> dict[str, Any]:
    known = {name: extras[name] for name in FORM_OPTIONS if name in extras}
    if kind in (int, float):
        known.setdefault("min", 0 if kind is int else -WIDE)
        known.setdefault("max", 2**31 - 1 if kind is int else WIDE)
    return known


def _short(unit: str) -> str:
    return {"voxels": "px", "voxel": "px", "pixels": "px"}.get(unit, unit)


def _get(widget: Any) -> Any:
    return widget.value() if isinstance(widget, AutoNumber) else widget.value


def _set(widget: Any, value: Any) -> None:
    if isinstance(widget, AutoNumber):
        widget.setValue(value)
    else:
        widget.value = value
