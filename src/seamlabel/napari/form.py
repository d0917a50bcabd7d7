"""`Form`: all sections together. A value widget over `RunSpec`: value, setValue, valueChanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QVBoxLayout, QWidget

from seamlabel.errors import Problem, SpecError
from seamlabel.napari.image_form import ImageForm
from seamlabel.napari.method_form import MethodForm
from seamlabel.napari.preferences import preferences
from seamlabel.napari.save_form import SaveForm
from seamlabel.napari.tab_order import set_tab_order
from seamlabel.napari.tiles_form import TilesForm
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from seamlabel.napari.pictures import Picture
    from seamlabel.napari.rows import Section
    from seamlabel.plan import Plan
    from seamlabel.spec import MergeSpec


class Form(QWidget):
    """Everything that is to be decided before a run."""

    valueChanged = Signal(object)
    """The `RunSpec` of the new values."""
    invalid = Signal(object)
    """The `SpecError` of values that make no `RunSpec`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = ImageForm(self)
        self.method = MethodForm(self)
        self.tiles = TilesForm(self)
        self.save = SaveForm(self)
        self.sections: tuple[Section, ...] = (self.image, self.method, self.tiles, self.save)
        self._kept: dict[str, Any] = {}
        self._merge: tuple[str, MergeSpec] | None = None  # what `setValue` brought for that backend
        self._quiet = False
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        for section in self.sections:
            if section is not self.image:
                column.addWidget(_line())
            column.addWidget(section)
            section.changed.connect(self._changed)
        self.method.rebuilt.connect(lambda: set_tab_order(self))
        column.addStretch(1)
        self.image.level_changed.connect(self._level_changed)
        self.set_picture(None)

    def value(self) -> RunSpec:
        """Return what is asked for.

        Raises
        ------
        SpecError
            If a value cannot be in a spec at all, such as a name with a slash.
        """
        if self.image.wrong is not None:
            raise SpecError([self.image.wrong])
        if self.save.missing():
            raise SpecError([Problem("output", "no folder is given", "Enter or browse to one")])
        values = {"workers": preferences().tiles_at_once, **self._kept, **self._shown()}
        if self._merge is not None and self._merge[0] == values["backend"]:
            values["merge"] = self._merge[1]
        return RunSpec(**values)

    def _shown(self) -> dict[str, Any]:
        """Return the fields of the spec that have widgets; of others what `setValue` brought stays."""
        values: dict[str, Any] = {}
        for section in self.sections:
            values.update(section.values())
        return values

    def setValue(self, spec: RunSpec) -> None:
        """Show a spec; its image is opened if it is not the chosen one."""
        self._quiet = True
        try:
            picture = self.image.picture
            if spec.image and (picture is None or picture.path != spec.image):
                self.image.open_requested.emit(spec.image)
            shown = self._shown()
            self._kept = {name: value for name, value in spec if name not in shown}
            self._merge = spec.backend, spec.merge
            self._level_changed()
            self.image.set_values(spec.level, spec.channels)
            self.method.set_values(spec.backend, spec.params)
            self.tiles.set_spec(spec)
            self.save.set_values(spec.name, spec.overwrite, spec.output)
        finally:
            self._quiet = False
        self._changed()

    def set_picture(self, picture: Picture | None) -> None:
        """Show what is known of the chosen image; tells nobody, since more may be to look at."""
        self._quiet = True
        try:
            self.image.set_picture(picture)
            self.save.set_picture(picture)
            if picture is not None:
                self.tiles.set_info(*self._info(picture))
        finally:
            self._quiet = False
        for section in (self.method, self.tiles, self.save):
            section.setEnabled(picture is not None)
        set_tab_order(self)
        if picture is None:
            self.clear_plan()

    def show_plan(self, plan: Plan) -> None:
        """Show what was decided, and no problems."""
        self.show_problems([])
        self.tiles.show_plan(plan)

    def clear_plan(self) -> None:
        """Show no plan and no problems."""
        self.show_problems([])
        self.tiles.clear_plan()

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show every problem at its field; return those that have none here."""
        for section in self.sections:
            problems = section.show_problems(problems)
        return problems

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of the fields that problems are about."""
        return [title for section in self.sections for title in section.titles(problems)]

    def _info(self, picture: Picture) -> tuple[Any, int]:
        info, _, level = picture.at(self.image.level_index())
        return info.by_planes() if self._kept.get("planes") else info, level

    def _level_changed(self) -> None:
        if self.image.picture is not None:
            self.tiles.set_info(*self._info(self.image.picture))

    def _changed(self) -> None:
        if self._quiet or self.image.picture is None:
            return
        try:
            spec = self.value()
        except SpecError as error:
            self.invalid.emit(error)
        else:
            self.valueChanged.emit(spec)


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    return line
