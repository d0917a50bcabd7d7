"""A form made from a parameter dataclass: one row a field, by magicgui, plus "auto" numbers.

Knows dataclasses and annotations; nothing of backends, images or runs.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from decimal import Decimal
from math import isclose, isfinite
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QSizePolicy,
    QWidget,
)
from superqt import QLargeIntSpinBox

from seamlabel.napari.form.browse import browse_button
from seamlabel.napari.form.rows import Section, fold_button
from seamlabel.napari.form.typing_guard import TypingGuard
from seamlabel.parameters import options

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from magicgui.widgets.bases import ValueWidget

FORM_OPTIONS = ("min", "max", "step", "choices")
"""Entries of an annotation that magicgui understands; the others are shown by the form itself."""
DIGITS = 2
"""After the point, where nothing says how many."""
LONGEST = 6
"""Letters of a unit that stands behind a number; longer ones are told by the tooltip."""
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
        if isinstance(box, QLargeIntSpinBox):  # it has no text for a special value
            box.lineEdit().blockSignals(True)
            box.lineEdit().setText("auto" if auto else str(self._number))
            box.lineEdit().blockSignals(False)
        box.blockSignals(False)
        self.changed.emit()


class ParamsForm(Section):
    """Rows for the fields of a parameter dataclass.

    Parameters
    ----------
    kind : type
        The dataclass; see `seamlabel.registry.Backend.params`.
    beside : dict
        Widgets to put into the row of a parameter, by its name.
    unless_set : collection of str
        Parameters that have no row as long as they have their defaults.
    labels : bool
        Have rows for parameters that say how labels are made of predictions, too.
    """

    def __init__(
        self,
        kind: type[Any],
        parent: QWidget | None = None,
        beside: Mapping[str, QWidget] = MappingProxyType({}),
        unless_set: Collection[str] = (),
        labels: bool = True,
    ) -> None:
        super().__init__("", parent)
        self._widgets: dict[str, Any] = {}
        self._required: set[str] = set()
        self._beside = beside
        self._given: dict[str, tuple[Any, Any]] = {}  # what a row showed, and what it was given
        self._when: dict[str, dict[str, tuple[Any, ...]]] = {}
        self.defaults: dict[str, Any] = {}
        hints = get_type_hints(kind, include_extras=True)
        rows = [(field, hints[field.name], options(hints[field.name])) for field in fields(kind)]
        rows = [row for row in rows if row[2].get("in_form", True) and (labels or not row[2].get("labels"))]
        rare = [row for row in rows if row[2].get("advanced")]
        self._rare = {field.name for field, _, _ in rare}
        self.more = fold_button("More", "Show or hide parameters that are seldom needed")
        for row in rows:
            if row not in rare:
                self._add(*row)
        self.rows.addRow(self.more)
        self.rows.setRowVisible(self.more, bool(rare))
        for row in rare:
            self._add(*row)
        self._hidden = {name for name in unless_set if name in self._widgets}
        self.more.toggled.connect(self._show_hidden)
        self._show_hidden()

    def value(self) -> dict[str, Any]:
        """Return the parameters by name; a text that is needed and not given is left out."""
        values = {name: self._value(name) for name in self._widgets}
        return {n: v for n, v in values.items() if not (n in self._required and v == "")}

    def setValue(self, values: Mapping[str, Any]) -> None:
        """Show these values; others stay."""
        for name, value in values.items():
            if name in self._widgets:
                _set(self._widgets[name], value)
                shown = _get(self._widgets[name])
                if isinstance(value, float) and isclose(value, shown, abs_tol=0.01):
                    self._given[name] = (shown, value)  # with all its digits
        self._show_hidden()

    def _value(self, name: str) -> Any:
        value = _get(self._widgets[name])
        shown, given = self._given.get(name, (None, None))
        return value if shown is None or value != shown else given

    def _show_hidden(self, *_: Any) -> None:
        hidden = self._hidden if self.more.isChecked() else self._hidden | self._rare
        for name in {*self._hidden, *self._rare, *self._when}:
            when = {
                other: those for other, those in self._when.get(name, {}).items() if other in self._widgets
            }
            counts = all(self._value(other) in those for other, those in when.items())
            wanted = name not in hidden or self._value(name) != self.defaults.get(name)
            self.show_row(f"params.{name}", counts and wanted)

    def widget(self, name: str) -> QWidget:
        """Return the Qt widget of a parameter."""
        made = self._widgets[name]
        return made if isinstance(made, QWidget) else made.native

    def _add(self, field: Field[Any], hint: Any, extras: dict[str, Any]) -> None:
        made = _make(hint, _finely(extras, field.default))
        self._widgets[field.name] = made
        if "when" in extras:
            self._when[field.name] = extras["when"]
        if field.default is not MISSING:
            _set(made, field.default)
            self.defaults[field.name] = field.default
        elif field.default_factory is MISSING:
            self._required.add(field.name)
        made.changed.connect(self._emit)
        text = extras.get("label", field.name.replace("_", " ").capitalize())
        tip = extras.get("tooltip", "")
        if extras.get("unit") and not _suffix(self.widget(field.name), extras):
            tip = f"{tip}, in {extras['unit']}" if tip else f"In {extras['unit']}"
        self.add(f"params.{field.name}", text, self._row(field.name, text, tip, extras.get("path")), tip)

    def _row(self, name: str, text: str, tip: str, path: Any) -> QWidget:
        """Return the widget of a parameter, with what is to stand beside it."""
        widget, beside = self.widget(name), self._beside.get(name)
        if path and beside is None:
            beside = browse_button(path, text, lambda: self.widget(name))
        if beside is None:
            return widget
        widget.setAccessibleName(text)
        widget.setToolTip(tip)
        made = self._widgets[name]
        if isinstance(made, AutoNumber) and isinstance(made.inner.native, QDoubleSpinBox):
            made.inner.native.setDecimals(1)  # three in a row leave no room for more
            made.inner.native.setSuffix("")
        elif isinstance(widget, QDoubleSpinBox):
            widget.setSuffix("")
        both = QWidget()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(widget, 1)
        row.addWidget(beside)
        return both

    def _emit(self, *_: Any) -> None:
        if self._when:
            self._show_hidden()
        self.changed.emit()


def _make(hint: Any, extras: dict[str, Any]) -> Any:
    """Return a magicgui widget, or an `AutoNumber` around one for an optional number."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kinds = [kind for kind in get_args(bare) if kind is not NoneType]
    optional = get_origin(bare) is not Literal and NoneType in get_args(bare)
    if optional or (kinds and get_origin(bare) is not Literal):
        bare = kinds[0]
    inner = create_widget(annotation=bare, options=_limits(bare, extras))
    if suffix := _suffix(inner.native, extras):
        inner.native.setSuffix(suffix)
    if isinstance(inner.native, QAbstractSpinBox):
        inner.native.setKeyboardTracking(False)
        TypingGuard(inner.native)
    if isinstance(inner.native, QAbstractSpinBox | QComboBox):
        inner.native.setMinimumWidth(80)  # numbers without limits would ask for room for all digits
        inner.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return AutoNumber(inner) if optional and bare in (int, float) else inner


def _finely(extras: dict[str, Any], default: Any) -> dict[str, Any]:
    """Return the extras with a step that shows all digits of a default such as 0.001."""
    if not isinstance(default, float) or "step" in extras or not isfinite(default):
        return extras
    digits = -int(Decimal(repr(default)).as_tuple().exponent)
    return {**extras, "step": 10.0**-digits} if digits > DIGITS else extras


def _limits(kind: Any, extras: dict[str, Any]) -> dict[str, Any]:
    known = {name: extras[name] for name in FORM_OPTIONS if name in extras}
    if kind in (int, float):
        known.setdefault("min", -(2**31) if kind is int else -WIDE)
        known.setdefault("max", 2**31 - 1 if kind is int else WIDE)
    return known


def _suffix(box: QWidget, extras: dict[str, Any]) -> str:
    """Return the unit as it stands behind a number; "" where there is no room for it."""
    unit = extras.get("unit", "")
    short = {"voxels": "px", "voxel": "px", "pixels": "px"}.get(unit, unit)
    return f" {short}" if 0 < len(short) <= LONGEST and hasattr(box, "setSuffix") else ""


def _get(widget: Any) -> Any:
    return widget.value() if isinstance(widget, AutoNumber) else widget.value


def _set(widget: Any, value: Any) -> None:
    if isinstance(widget, AutoNumber):
        widget.setValue(value)
    else:
        widget.value = "" if value is None else value  # a text that need not be given
