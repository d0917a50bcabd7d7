"""`Form`: all sections together. A value widget over `RunSpec`: value, setValue, valueChanged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QFrame, QVBoxLayout, QWidget

from seamlabel.errors import SpecError
from seamlabel.napari.form.image_form import ImageForm
from seamlabel.napari.form.memory import Memory
from seamlabel.napari.form.method_form import MethodForm
from seamlabel.napari.form.objects_form import ObjectsForm
from seamlabel.napari.form.save_form import START_NAME, SaveForm
from seamlabel.napari.form.tab_order import set_tab_order
from seamlabel.napari.form.tiles_form import TilesForm
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from seamlabel.errors import Problem
    from seamlabel.napari.form.rows import Section
    from seamlabel.napari.layers.pictures import Picture
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
        self.objects = ObjectsForm(self)
        self.tiles = TilesForm(self)
        self.save = SaveForm(self)
        self.sections: tuple[Section, ...] = (
            self.image, self.method, self.objects, self.tiles, self.save,
        )  # fmt: skip
        self.memory = Memory()
        self._kept: dict[str, Any] = {}
        self._merge: tuple[str, MergeSpec] | None = None  # what `setValue` brought for that backend
        self._quiet = False
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        self.method.changed.connect(self._tell_channels)  # before the values are told
        for section in self.sections:
            if section not in (self.image, self.objects):
                column.addWidget(_line())
            column.addWidget(section)
            section.changed.connect(self._changed)
        self.method.rebuilt.connect(lambda: set_tab_order(self))
        self.method.rebuilt.connect(self._tell_channels)
        self.method.presets.reset_requested.connect(self.reset)
        self.method.presets.file_requested.connect(self._ask_for_file)
        column.addStretch(1)
        self.image.level_changed.connect(self._level_changed)
        self._restore()
        self.set_picture(None)

    def value(self) -> RunSpec:
        """Return what is asked for.

        Raises
        ------
        SpecError
            If a value cannot be in a spec at all, such as a name with a slash.
        """
        wrong = [] if self.image.wrong is None else [self.image.wrong]
        wrong += [problem for section in self.sections for problem in section.wrongs()]
        values = {**self._kept, **self._shown()}
        values["region"] = self._within_time(values["region"])
        if self._merge is not None and self._merge[0] == values["backend"]:
            values["merge"] = self._merge[1]
        try:
            spec = RunSpec(**values)
        except SpecError as error:
            raise SpecError([*wrong, *error.problems]) from None
        if wrong:
            raise SpecError(wrong)
        return spec if "planes" not in self._shown() else spec.replace(merge=self._linked(spec.merge))

    def _within_time(self, boxes: Any) -> Any:
        """Return the boxes that are segmented, cut to the frames that were chosen; None for everything."""
        time, picture = self.image.time_range(), self.image.picture
        if time is None or picture is None:
            return boxes
        info, level = self._info(picture)
        names = [info.axes[axis].name for axis in info.label_axes]
        whole = tuple((0, n) for n in info.label_values(info.levels[level].shape))
        at = names.index("t")
        cut = [(*box[:at], _both(box[at], time), *box[at + 1 :]) for box in boxes or (whole,)]
        return tuple(box for box in cut if box[at][0] < box[at][1]) or tuple(cut)

    def _linked(self, merge: MergeSpec) -> MergeSpec:
        """Return how objects are joined, with what is chosen for planes."""
        return merge.model_copy(update={"z_link": self.image.stack.z_link()})

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
            self.image.set_spec(spec)
            self._level_changed()
            self.method.set_values(spec.backend, spec.params)
            self.objects.set_spec(spec)
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
                self._restore_tiles(picture)
        finally:
            self._quiet = False
        for section in (self.method, self.objects, self.tiles, self.save):
            section.setEnabled(picture is not None)
        set_tab_order(self)
        if picture is None:
            self.clear_plan()

    def show_plan(self, plan: Plan) -> None:
        """Show what was decided, and no problems.

        Raises
        ------
        SpecError
            If it surely fills the disk.
        """
        self.show_problems([])
        self.tiles.show_plan(plan)
        self.save.show_plan(plan)

    def clear_plan(self) -> None:
        """Show no plan and no problems."""
        self.show_problems([])
        self.tiles.clear_plan()
        self.save.clear_plan()

    def load(self, path: str) -> None:
        """Show what a run file asks for, or say why it cannot be read."""
        try:
            spec = RunSpec.from_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            self.method.show_error(f"{Path(path).name} cannot be read: {error}", "backend")
        except SpecError as error:
            why = "; ".join(map(str, error.problems[:3]))
            self.method.show_error(f"{Path(path).name} is no run file: {why}", "backend")
        else:
            self.setValue(spec)

    def reset(self) -> None:
        """Have everything as it was at the very beginning, for the image that is chosen."""
        self._quiet = True
        try:
            self._kept, self._merge = {}, None
            self.memory.forget()
            self.method.reset()
            self.objects.set_spec(RunSpec())
            self.tiles.set_values("auto", "auto")
            self.tiles.run_on.prefer()
            self.image.stack.set_planes(False, None)
            self.image.skip.set_values(None, None)
            self._level_changed()
            self.save.restore(START_NAME)
            self.save.prefer()
        finally:
            self._quiet = False
        self._changed()

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
        planes = self.image.stack.values().get("planes", self._kept.get("planes"))
        return info.by_planes() if planes else info, level

    def _level_changed(self) -> None:
        if self.image.picture is not None:
            self.tiles.set_info(*self._info(self.image.picture))

    def _tell_channels(self) -> None:
        record = self.method.record()
        if record is not None:
            params, _ = record.parse(self.method.values()["params"])
            self.image.set_method(record.title, getattr(params, "n_channels", record.max_channels))

    def _ask_for_file(self) -> None:
        asked = QFileDialog(self, "Load a run file", "", "Run files (*.json)")
        asked.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        asked.setFileMode(QFileDialog.FileMode.ExistingFile)
        asked.fileSelected.connect(self.load)
        asked.open()

    # -- from one day to the next ----------------------------------------------------------------

    def _restore(self) -> None:
        kept = self.memory.load()
        self.method.restore(kept.method, kept.params)
        self.save.restore(kept.name)

    def _restore_tiles(self, picture: Picture) -> None:
        """Show the tiles of another day, once, if they suit this image."""
        info, level = self._info(picture)
        found = self.memory.tiles(info, level)
        if found is not None:
            self.tiles.set_values(*found)

    def _note(self, spec: RunSpec) -> None:
        """Have what is shown now remembered; it is written when a run starts or the dock closes."""
        names = [axis.name for axis in self._info(self.image.picture)[0].axes if axis.tiled]
        self.memory.note(spec, self.method.kept(), names, self.save.name.text().strip())

    def _changed(self) -> None:
        if self._quiet or self.image.picture is None:
            return
        try:
            spec = self.value()
        except SpecError as error:
            self.invalid.emit(error)
        else:
            self._note(spec)
            self.valueChanged.emit(spec)


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    return line


def _both(one: tuple[int | None, int | None], frames: tuple[int, int]) -> tuple[int, int]:
    stop = frames[1] if one[1] is None else one[1]
    return max(one[0] or 0, frames[0]), min(stop, frames[1])
