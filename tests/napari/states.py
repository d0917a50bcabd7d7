"""Every state of the dock, reached as a user does: stories that stop wherever there is something to look at.

A story takes a `Stage` and yields the name of each state that the dock is in then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from qtpy.QtCore import Qt
from tests.napari.hand import Hand

from seamlabel.engine.run import run
from seamlabel.events import TileDone
from seamlabel.io.sources import image_info
from seamlabel.napari.layers import pictures
from seamlabel.napari.result.edits import EditsBox
from seamlabel.napari.result.failed import FailedBox
from seamlabel.napari.result.health import HealthBox
from seamlabel.napari.result.merge_box import MergeBox
from seamlabel.napari.result.seams import SeamsBox
from seamlabel.napari.result.table_part import TablePart
from seamlabel.plan import resolve
from seamlabel.spec import RunSpec


class Stage:
    """A dock that is shown, the images of the stories, and steps that they share."""

    def __init__(self, dock, image_path, movie_path, pixels, script, gate, monkeypatch):
        self.dock, self.form, self.bar, self.viewer = dock, dock.form, dock.bar, dock.viewer
        self.image_path, self.movie_path, self.pixels = image_path, movie_path, pixels
        self.script, self.gate, self.hand, self.monkeypatch = script, gate, Hand(dock), monkeypatch

    def click(self, button):
        self.dock.scroll_to(button)
        self.dock.click(button)

    def pick(self, combo, text):
        """Choose an entry with the keyboard."""
        self.dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
        for _ in range(combo.findText(text)):
            self.dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
        assert combo.currentText() == text, [combo.itemText(i) for i in range(combo.count())]

    def until(self, done, timeout=20000):
        self.dock.qtbot.waitUntil(done, timeout=timeout)

    def open(self, path, tiles=(), overlap=32):
        self.dock.controller.open(path)
        self.dock.ready()
        if tiles:
            self.dock.tiles(tiles, (overlap,) * len(tiles))
            self.dock.wait_grid()
        self.viewer.reset_view()
        self.hand.settle()

    def function(self, name):
        self.form.method.set_values("function", self.script(name))
        self.form.method.changed.emit()
        self.dock.ready()

    def run(self):
        self.dock.click(self.bar.run_button)
        self.dock.wait_end()

    def part(self, kind):
        return self.dock.widget.result.findChild(kind)

    def spot(self, row, column, side=128):
        """Return where the middle of a tile is in the world."""
        return self.dock.form.image.layer().data_to_world(((row + 0.5) * side, (column + 0.5) * side))


def planning(stage):
    """From nothing to a plan, with all that can be asked for."""
    form, dock = stage.form, stage.dock
    yield "empty"
    stage.open(stage.image_path, (128, 128))
    yield "planned"
    folds = [part.header for section in form.sections for part in (section, *section.parts)
             if hasattr(part.header, "isChecked")]  # fmt: skip
    for header in folds:
        stage.click(header)
    yield "unfolded"
    mask = np.zeros((512, 512), np.uint8)
    mask[:256] = 1
    stage.viewer.add_labels(mask, name="nuclei mask", scale=(0.5, 0.5), units=("micrometer",) * 2)
    stage.pick(form.image.skip.kind, "Outside a mask")
    dock.ready()
    yield "mask"
    for header in folds:
        stage.click(header)
    stage.viewer.layers.remove("nuclei mask")
    stage.pick(form.image.skip.kind, form.image.skip.kind.itemText(0))
    form.method.combo.setCurrentIndex(form.method.combo.findData("grand"))
    yield "method-missing"
    form.method.combo.setCurrentIndex(form.method.combo.findData("watershed"))
    dock.ready()
    presets = form.method.presets
    presets.list.popup(presets.mapToGlobal(presets.rect().bottomLeft()))
    stage.until(presets.list.isVisible)
    yield "presets-menu"
    presets.list.close()
    stage.click(form.method.measure)
    yield "measuring"
    dock.qtbot.keyClick(form.method.measure, Qt.Key.Key_Escape)


def problems(stage):
    """Something wrong in each section at once."""
    form, dock = stage.form, stage.dock
    stage.open(stage.image_path, (128, 128))
    dock.click(form.image.skip.header)
    stage.pick(form.image.skip.kind, "Dark: up to a value")
    dock.type(form.image.skip.limit, "much")
    dock.click(form.objects.header)
    dock.type(form.objects.least, "large")
    dock.type(form.save.name, "my/cells")
    yield "problems"
    dock.type(form.image.skip.limit, "10")
    dock.type(form.objects.least, "0")
    dock.type(form.save.name, "cells")
    for box in form.tiles.overlap.boxes:
        dock.type(box.lineEdit(), "300")
    stage.pick(form.method.combo, "Python function")
    yield "problems-of-the-plan"


def choosing(stage):
    """What is run on, a tile that is picked, and one that is tried."""
    form, dock = stage.form, stage.dock
    stage.open(stage.image_path, (128, 128))
    scope = form.tiles.scope
    stage.pick(scope.what, "Current view")
    dock.ready()
    yield "scope-view"
    stage.pick(scope.what, "Region")
    yield "scope-region-nothing-drawn"
    stage.click(scope.draw_button)
    stage.hand.drag((20, 20), (130, 140))
    dock.ready()
    yield "scope-region"
    stage.viewer.layers.remove("Region")
    stage.pick(scope.what, "One tile")
    yield "scope-tile-none-picked"
    stage.hand.click(stage.spot(1, 2))
    dock.ready()
    yield "tile-picked"
    stage.hand.key(Qt.Key.Key_Return)
    stage.until(lambda: not dock.controller.trial.active)
    stage.hand.settle()
    yield "tile-tried"


def series(stage):
    """Time, channels and planes, in 2D and 3D."""
    form = stage.form
    stage.open(stage.movie_path)
    yield "series"
    stage.pick(form.image.stack.way, "Plane by plane, linked")
    stage.pick(form.image.stack.time.which, "Range")
    stage.dock.ready()
    yield "series-planes-range"
    stage.pick(form.image.stack.way, form.image.stack.way.itemText(0))
    stage.dock.ready()
    stage.run()
    stage.viewer.dims.ndisplay = 3
    stage.viewer.reset_view()
    yield "done-3d"


def running(stage):
    """Under way, paused, cancelled; and found again."""
    dock, bar = stage.dock, stage.bar
    stage.open(stage.image_path, (128, 128))
    stage.function("gated")
    dock.click(bar.run_button)
    stage.until(lambda: len(dock.run.progress.running) == dock.run.plan.workers)
    yield "running"
    dock.click(bar.pause_button)
    stage.until(lambda: bar.status.text().startswith("Pausing"))
    yield "pausing"
    stage.gate.touch()
    stage.until(lambda: bar.status.text().startswith("Paused"))
    yield "paused"
    stage.gate.unlink()
    dock.click(bar.pause_button)
    stage.until(lambda: len(dock.run.progress.running) == dock.run.plan.workers)
    dock.click(bar.cancel_button)
    stage.until(lambda: bar.status.text().startswith("Cancelling"))
    yield "cancelling"
    dock.click(bar.cancel_button)
    dock.wait_end()
    yield "cancelled-tiles-in-the-background"
    stage.gate.touch()
    stage.until(lambda: not bar.behind.text())
    yield "cancelled"
    dock.click(bar.unfinished.start_over)
    yield "start-over-asks"


def found(stage):
    """A run of another day that did not reach its end."""
    wish = {
        "name": "cells",
        "tile_shape": (128, 128),
        "overlap": (8, 8),
        "backend": "function",
        "params": stage.script("label"),
    }
    plan = resolve(RunSpec(image=stage.image_path, **wish), image_info(stage.image_path))
    events = run(plan)
    next(event for event in events if isinstance(event, TileDone))
    events.close()
    stage.open(stage.image_path)
    yield "unfinished-found"


def done(stage):
    """A result, and all that can be made of it."""
    dock, bar = stage.dock, stage.bar
    stage.open(stage.image_path, (128, 128))
    stage.run()
    yield "done"
    stage.click(bar.log.button)
    yield "log"
    stage.click(bar.log.button)
    merge, results = stage.part(MergeBox), dock.controller.results
    dock.type(merge.smallest.lineEdit(), "300")
    stage.until(lambda: results.preview.preview is not None and not results.preview.working)
    yield "merge-preview"
    stage.click(merge.apply_button)
    dock.wait_end()
    yield "merged-again"
    edits = stage.part(EditsBox)
    labels = np.asarray(results.layer.data[0])
    numbers = [n for n in dict.fromkeys(labels[200, 180:330]) if n]
    points = [_middle(labels, numbers[at]) for at in (0, -1)]
    stage.click(edits.tools["join"])
    for point in points:
        stage.hand.click(results.layer.data_to_world(point))
    stage.click(edits.tools["remove"])
    stage.hand.click(results.layer.data_to_world(_middle(labels, labels.max())))
    yield "edits"
    edits.choose("")
    stage.click(merge.back_button)
    table = stage.part(TablePart)
    stage.click(table.table_button)
    stage.until(lambda: "Objects" in dock.viewer.window.dock_widgets)
    view = dock.viewer.window.dock_widgets["Objects"]
    stage.until(view.table.isVisible)
    view.table.selectRow(3)
    yield "table"
    dock.viewer.window.remove_dock_widget(view)
    table.colour.setCurrentIndex(1)
    table.colour.activated.emit(1)
    yield "coloured"


def narrow(stage):
    """Too small an overlap."""
    stage.open(stage.image_path, (128, 128), 4)
    stage.run()
    assert stage.part(HealthBox).grade.text() == "Overlap: bad"
    yield "overlap-bad"


def doubtful(stage):
    """Places that are gone through one by one."""
    stage.open(stage.image_path, (128, 128), 16)
    stage.function("jagged")
    stage.run()
    yield "doubtful"
    stage.click(stage.part(SeamsBox).review)
    stage.dock.scroll_to(stage.part(SeamsBox))
    yield "doubtful-review"


def failing(stage):
    """Tiles that failed, and memory that ran out."""
    stage.open(stage.image_path, (128, 128), 8)
    stage.function("dark_fails")
    stage.run()
    stage.dock.scroll_to(stage.part(FailedBox))
    yield "failed"
    stage.function("out_of_memory")
    stage.run()
    yield "settings-differ"
    stage.dock.click(stage.bar.unfinished.start_over)
    stage.dock.click(stage.bar.unfinished.sure)
    stage.dock.wait_end()
    yield "failed-memory"


def unsaved(stage):
    """Pixels that are on no disk."""
    stage.dock.add(stage.pixels, name="camera")
    stage.dock.wait_grid()
    yield "array"
    stage.run()
    yield "temporary"


def guarded(stage):
    """An image that cannot be written into."""
    known = pictures.image_info

    def read_only(path, **options):
        info = known(path, **options)
        return replace(info, writable=False) if options.get("output") is None else info

    stage.monkeypatch.setattr(pictures, "image_info", read_only)
    stage.open(stage.image_path)
    yield "read-only"


STORIES = (
    planning, problems, choosing, series, running, found, done, narrow, doubtful, failing, unsaved, guarded,
)  # fmt: skip


def _middle(labels, number):
    """Return a voxel inside an object."""
    found = np.argwhere(labels == number)
    return tuple(found[np.abs(found - found.mean(axis=0)).sum(axis=1).argmin()])
