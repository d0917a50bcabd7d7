"""`MapForm`: all that is to be decided before a map is predicted; its values are arguments of `blend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFrame, QVBoxLayout, QWidget

from seamlabel.engine.dense_tiles import read_grid
from seamlabel.errors import Problem, SpecError
from seamlabel.napari import settings
from seamlabel.napari.form.image_form import ImageForm
from seamlabel.napari.form.method_form import MethodForm
from seamlabel.napari.form.rows import Note, Section, combo_box
from seamlabel.napari.form.tab_order import set_tab_order
from seamlabel.napari.form.tiles_form import AxisNumbers
from seamlabel.napari.maps.save_map_form import SaveMapForm
from seamlabel.napari.preferences import preferences
from seamlabel.napari.run.progress import many
from seamlabel.sizes import human
from seamlabel.spec import MergeSpec, RunSpec

if TYPE_CHECKING:
    from seamlabel.napari.layers.pictures import Picture
    from seamlabel.plan import Plan

KEY = "map"
"""What is remembered from one day to the next is kept under this name."""
WEIGHTS = {
    "crop": "Crop: exact",
    "gaussian": "Gaussian",
    "hann": "Hann",
    "flat": "Flat: plain mean",
}
IMAGES = 20
"""Whose tiles are remembered."""
MEASURE = "Measure the overlap first"


class MapTilesForm(Section):
    """Tile shape, overlap, and how tiles become one map."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Tiles", parent)
        self.shape, self.overlap = AxisNumbers(1), AxisNumbers(0)
        self.measure = QCheckBox(MEASURE)
        self.weights = combo_box()
        for name, title in WEIGHTS.items():
            self.weights.addItem(title, name)
        self.summary = Note("muted", self)
        self.add("tile_shape", "Tile shape", self.shape, "Pixels of each axis that a tile owns")
        tip = "Pixels that a tile reads past its border on every side: as far as the model sees"
        self.add("overlap", "Overlap", self.overlap, tip)
        tip = "Try how far the model sees, and how it pools, before the first tile"
        self.add("measure", "", self.measure, tip)
        self.measure.setAccessibleName(MEASURE)
        tip = (
            "Crop takes each voxel from the tile that owns it: exact where the overlap is as wide as the "
            "model sees. The others blend tiles, for models that see further"
        )
        self.add("weights", "Blend", self.weights, tip)
        self.rows.addRow(self.summary)
        self.shape.changed.connect(self.changed)
        self.overlap.changed.connect(self.changed)
        self.weights.currentIndexChanged.connect(self.changed)
        self.measure.toggled.connect(self._measured)

    def set_info(self, info: Any, level: int) -> None:
        """Have one box per space axis of the image."""
        tiled = [(a.name, n) for a, n in zip(info.axes, info.levels[level].shape, strict=True) if a.tiled]
        for numbers in (self.shape, self.overlap):
            numbers.set_axes("".join(name for name, _ in tiled), tuple(n for _, n in tiled))

    def values(self) -> dict[str, Any]:
        """Return the arguments that this section decides."""
        overlap = "measure" if self.measure.isChecked() else self.overlap.value()
        weights = self.weights.currentData()
        return {"tile_shape": self.shape.value(), "overlap": overlap, "weights": weights}

    def kept(self) -> dict[str, Any]:
        """Return what is shown, to be kept for another day."""
        return {**self.values(), "overlap": self.overlap.value(), "measure": self.measure.isChecked()}

    def restore(self, kept: dict[str, Any]) -> None:
        """Show what was kept, as far as it fits."""
        for numbers, values in ((self.shape, kept.get("tile_shape")), (self.overlap, kept.get("overlap"))):
            fits = isinstance(values, list | tuple) and len(values) == len(numbers.boxes)
            if values == "auto" or (fits and all(type(n) is int for n in values)):
                numbers.set_value(values)
        self.measure.setChecked(kept.get("measure") is True)
        self.weights.setCurrentIndex(max(0, self.weights.findData(kept.get("weights"))))

    def show_plan(self, plan: Plan) -> None:
        """Show what was decided."""
        grid = read_grid(plan, "snap" if plan.spec.backend == "function" else "shrink", None)
        pairs = [(self.shape, plan.grid.tile_shape), (self.overlap, plan.grid.overlap)]
        for numbers, decided in pairs[: 1 if self.measure.isChecked() else 2]:
            if numbers.value() == "auto":
                numbers.show_numbers(tuple(n for n, j in zip(decided, plan.joined, strict=True) if j))
        count = f"{' × '.join(map(str, grid.counts))} = " if len(grid) > 1 else ""
        at_once = f"{human(plan.tile_bytes)} each · {plan.workers} at once"
        self.summary.say(f"{count}{many(len(grid), 'tile')} · {at_once}")

    def _measured(self, on: bool) -> None:
        self.overlap.setEnabled(not on)
        self.changed.emit()


class MapForm(QWidget):
    """Image, model, tiles, and where the map goes."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image, self.method = ImageForm(self, maps=True), MethodForm(self, maps=True)
        self.tiles, self.save = MapTilesForm(self), SaveMapForm(self)
        self.sections: tuple[Section, ...] = (self.image, self.method, self.tiles, self.save)
        self._quiet = False
        self._shown: str | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        for section in self.sections:
            if section is not self.image:
                column.addWidget(line())
            column.addWidget(section)
            section.changed.connect(self._changed)
        self.method.rebuilt.connect(lambda: set_tab_order(self))
        self.method.rebuilt.connect(self._tell_channels)
        self.method.presets.hide()
        self.image.level_changed.connect(self._level_changed)
        kept = settings.load(KEY, {})
        self._kept = kept.get("images", {})
        params = kept.get("params")
        self.method.restore(kept.get("method"), params if isinstance(params, dict) else {})
        self.set_picture(None)

    def set_picture(self, picture: Picture | None) -> None:
        """Show what is known of the chosen image; tells nobody."""
        self._quiet = True
        try:
            self.image.set_picture(picture)
            self.save.set_picture(picture)
            self._level_changed()
            self._restore(picture)
            self._tell_channels()
        finally:
            self._quiet = False
        for section in self.sections[1:]:
            section.setEnabled(picture is not None)
        set_tab_order(self)

    def enable(self, enabled: bool) -> None:
        """Let values be changed, or no longer."""
        for section in self.sections:
            section.setEnabled(enabled)

    def spec(self) -> RunSpec:
        """Return what a plan is made of.

        Raises
        ------
        SpecError
            If a value cannot be.
        """
        wrong = [] if self.image.wrong is None else [self.image.wrong]
        wrong += [problem for section in self.sections for problem in section.wrongs()]
        image, method, tiles = self.image.values(), self.method.values(), self.tiles.values()
        fields = {"backend": method["backend"], "params": method["params"]}
        sizes = {"tile_shape": tiles["tile_shape"], "overlap": tiles["overlap"]}
        workers = preferences().tiles_at_once
        try:
            spec = RunSpec(**image, **fields, **sizes, workers=workers, merge=MergeSpec(rule="touching"))
        except SpecError as error:
            raise SpecError([*wrong, *error.problems]) from None
        if wrong:
            raise SpecError(wrong)
        return spec

    def wishes(self) -> dict[str, Any]:
        """Return the arguments of `seamlabel.blend`, for a chosen image."""
        picture = self.image.picture
        assert picture is not None
        info, array, level = picture.at(self.image.level_index())
        image, method, tiles = self.image.values(), self.method.values(), self.tiles.values()
        mask = self.image.mask()
        source = {"image": picture.path} if array is None else {"image": array, "axes": info.names}
        return {
            **source,
            "model": method["backend"],
            "params": method["params"],
            "level": level,
            "channels": image["channels"],
            "planes": image.get("planes", False),
            "skip_empty": image["skip_empty"] if mask is None else mask,
            "skip_level": image["skip_level"],
            "workers": preferences().tiles_at_once,
            **tiles,
            **self.save.values(),
        }

    def show_plan(self, plan: Plan) -> None:
        """Show what was decided, and no problems."""
        self.show_problems([])
        self.tiles.show_plan(plan)

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Show every problem at its field; return those that have none here."""
        self.tiles.summary.say("")
        for section in self.sections:
            problems = section.show_problems(problems)
        return problems

    def titles(self, problems: list[Problem]) -> list[str]:
        """Return the names of the fields that problems are about."""
        return [title for section in self.sections for title in section.titles(problems)]

    def remember(self) -> None:
        """Keep models and their parameters for another day, and the tiles of this image: to go on with it."""
        picture = self.image.picture
        if picture is not None and picture.path is not None:
            shown = {"tiles": self.tiles.kept(), "finalize": self.save.values()["finalize"]}
            older = [(path, kept) for path, kept in self._kept.items() if path != picture.path]
            self._kept = dict([*older[1 - IMAGES :], (picture.path, shown)])
        settings.save(KEY, {"method": self.method.name(), "params": self.method.kept(), "images": self._kept})

    def _restore(self, picture: Picture | None) -> None:
        """Show the tiles of the last run on an image, once it is chosen."""
        path = None if picture is None else picture.path
        kept = self._kept.get(path) if path is not None and path != self._shown else None
        self._shown = path
        if isinstance(kept, dict) and isinstance(kept.get("tiles"), dict):
            self.tiles.restore(kept["tiles"])
            self.save.finish.setCurrentIndex(max(0, self.save.finish.findData(kept.get("finalize"))))

    def _level_changed(self) -> None:
        picture = self.image.picture
        if picture is not None:
            info, _, level = picture.at(self.image.level_index())
            planes = self.image.stack.values().get("planes")
            self.tiles.set_info(info.by_planes() if planes else info, level)

    def _tell_channels(self) -> None:
        record = self.method.record()
        if record is not None:
            params, _ = record.parse(self.method.values()["params"])
            self.image.set_method(record.title, getattr(params, "n_channels", record.max_channels))

    def _changed(self) -> None:
        if not self._quiet and self.image.picture is not None:
            self._tell_channels()
            self.changed.emit()


def line() -> QFrame:
    """Return a line between sections."""
    made = QFrame()
    made.setFrameShape(QFrame.Shape.HLine)
    made.setFixedHeight(1)
    return made
