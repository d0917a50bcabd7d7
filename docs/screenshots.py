"""Make the screenshots of the real dock in a real viewer: ``python docs/screenshots.py [FOLDER [WHICH …]]``.

All go to FOLDER (by default `screenshots`), the best, made small, to `docs/images`.

Without a display, ``LIBGL_ALWAYS_SOFTWARE=1 xvfb-run -a -s "-screen 0 1920x1200x24"``
before the command makes the same pictures.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp()) / "settings.yaml"))
os.environ["SEAMLABEL_CACHE"] = tempfile.mkdtemp(prefix="samples-")
os.environ["SEAMLABEL_CONFIG"] = str(Path(os.environ["SEAMLABEL_CACHE"]) / "settings.json")
sys.path.insert(0, str(Path(__file__).parents[1]))

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tests.napari.hand import Hand

from seamlabel.napari.result.edits import EditsBox
from seamlabel.napari.result.merge_box import MergeBox
from seamlabel.napari.result.seams import SeamsBox
from seamlabel.napari.result.table_part import TablePart

OWN = Path(os.environ["SEAMLABEL_CACHE"])
"""Samples and settings, not those of whoever makes the pictures."""
BEST = {
    "large-dark-planned": "dock-planned",
    "large-dark-running": "dock-running",
    "large-dark-done": "dock-done",
    "large-dark-failed-done": "dock-failed",
    "volume-3d": "dock-3d",
}
TOUR = (
    "start", "try", "region", "paused", "result", "merge", "seams", "edits", "table", "map", "objects",
)  # fmt: skip
BEST |= {f"tour-{name}": f"tour-{name}" for name in TOUR}
TOUR_WIDTH = 960
BUSY = """
import time
import scipy.ndimage

def slow(tile):
    time.sleep({seconds})
    if tile.mean() < {fail_below}:
        raise ValueError("the tile is too dark: mean %.0f" % tile.mean())
    return scipy.ndimage.label(tile > 2100)[0]
"""
UNEVEN = """
import scipy.ndimage

def uneven(tile):
    smooth = scipy.ndimage.gaussian_filter(tile.astype(float), 1)
    return scipy.ndimage.label(smooth > 2300 + 6 * (int(tile[0, 0]) % 97))[0]
"""


SOFT = """
import time
import numpy as np
from scipy import ndimage

def inside(tile):
    time.sleep(0.05)
    smooth = ndimage.gaussian_filter(tile.astype("float32"), 1.5)
    around = ndimage.uniform_filter(smooth, 41)
    return 1 / (1 + np.exp((np.maximum(around, 1200) - smooth) / 120))
"""


class Stage:
    """A viewer with a dock, and the means to wait and to take pictures."""

    def __init__(
        self, folder: Path, size: tuple[int, int], dock: int, theme: str, title: str = "Seamlabel"
    ) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        self.window = self.viewer.window._qt_window
        self.window.resize(*size)
        holder, self.widget = self.viewer.window.add_plugin_dock_widget("seamlabel", title)
        self.wait(0.3)
        self.window.resizeDocks([holder], [dock], Qt.Orientation.Horizontal)
        self.wait(0.3)
        self.hand = Hand(SimpleNamespace(viewer=self.viewer, qtbot=QTest))

    def wait(self, seconds: float = 0.0, until=lambda: False, limit: float = 120) -> None:
        start = time.monotonic()
        while time.monotonic() - start < (limit if seconds == 0 else seconds) and not until():
            QApplication.processEvents()
            time.sleep(0.005)

    def shot(self, name: str) -> None:
        self.wait(0.4)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.window.grab().save(str(self.folder / f"{name}.png"))

    def see(self, part) -> None:
        """Scroll to a part of the dock."""
        self.wait(0.2)
        scroll = self.widget.scroll
        scroll.ensureWidgetVisible(part, 0, 0)
        self.wait(0.2)

    def tile(self, row: int, column: int, side: int = 512) -> tuple[float, ...]:
        """Return where the middle of a tile is in the world."""
        layer = self.widget.form.image.layer()
        return tuple(layer.data_to_world(((row + 0.5) * side, (column + 0.5) * side)))

    def open(self, sample: str) -> None:
        self.widget.form.image.empty.buttons[sample].click()
        self.wait(until=lambda: self.widget.form.image.picture is not None)
        self.wait(0.8)
        self.viewer.reset_view()
        self.wait(0.3)

    def run(self, name: str, at: int) -> None:
        control = self.widget.controller.run
        self.widget.bar.run_button.click()
        self.wait(until=lambda: control.progress.done >= at or not control.active)
        self.shot(f"{name}-running")
        self.wait(until=lambda: not control.active)
        self.shot(f"{name}-done")


def story(folder: Path, name: str, size: tuple[int, int], dock: int, theme: str) -> None:
    """Empty, planned, running, done, and two kinds of trouble."""
    stage = Stage(folder, size, dock, theme)
    form = stage.widget.form
    stage.shot(f"{name}-empty")
    stage.open("cells_2d")
    form.method.set_values("watershed", {"diameter": 48.0})
    form.tiles.set_values((512, 512), "auto")
    stage.wait(0.5)
    stage.shot(f"{name}-planned")
    stage.run(name, 30)
    form.save.name.setText("my/cells")
    form.tiles.set_values((512, 512), (600, 600))
    stage.wait(0.5)
    stage.shot(f"{name}-problem")
    form.save.name.setText("cells")
    script = Path(tempfile.mkdtemp()) / "mine.py"
    script.write_text(BUSY.format(seconds=0.02, fail_below=1300))
    form.method.set_values("function", {"target": f"{script}:slow"})
    form.tiles.set_values((512, 512), (32, 32))
    stage.viewer.layers["cells"].visible = False
    stage.wait(0.5)
    stage.run(f"{name}-failed", 20)
    stage.viewer.close()


def volume(folder: Path) -> None:
    """A volume in 2D and 3D."""
    stage = Stage(folder, (1500, 1000), 370, "dark")
    stage.open("nuclei_3d")
    stage.shot("volume-planned")
    stage.run("volume", 2)
    stage.viewer.dims.ndisplay = 3
    stage.viewer.reset_view()
    stage.wait(1)
    stage.shot("volume-3d")
    stage.viewer.close()


def tour(folder: Path) -> None:
    """What the tour in the documents tells of, one after another."""
    stage = Stage(folder, (1280, 800), 350, "dark")
    form, bar, viewer = stage.widget.form, stage.widget.bar, stage.viewer
    control, hand = stage.widget.controller, stage.hand
    viewer.window._qt_viewer.dockLayerControls.hide()
    stage.shot("tour-start")
    stage.open("cells_2d")
    form.method.set_values("watershed", {"diameter": 48.0})
    form.tiles.set_values((512, 512), (24, 24))
    stage.wait(1)
    hand.click(stage.tile(3, 3))
    hand.key(Qt.Key.Key_Return)
    stage.wait(0.5)
    stage.wait(until=lambda: not control.trial.active)
    viewer.scene.camera.zoom *= 4
    viewer.scene.camera.center = stage.tile(3, 3)
    stage.see(form.tiles.pick_row)
    stage.shot("tour-try")
    viewer.layers.remove(control.canvas.tried_layer)
    viewer.reset_view()
    control.grid.pick(None)
    region(stage)
    bar.run_button.click()
    stage.wait(until=lambda: control.run.progress.done >= 20)
    bar.pause_button.click()
    stage.wait(until=lambda: control.run.progress.paused)
    stage.see(form.tiles)
    stage.shot("tour-paused")
    bar.pause_button.click()
    stage.wait(until=lambda: not control.run.active)
    stage.shot("tour-result")
    mending(stage)
    viewer.close()


def region(stage: Stage) -> None:
    """A part of the image that is drawn, and taken away again."""
    tiles = stage.widget.form.tiles
    tiles.scope.what.setCurrentIndex(tiles.scope.what.findData("region"))
    tiles.scope.draw_button.click()
    stage.wait(0.5)
    stage.hand.drag(stage.tile(2, 1), stage.tile(5, 5))
    stage.see(tiles.legend)
    stage.shot("tour-region")
    stage.viewer.layers.remove("Region")
    tiles.scope.what.setCurrentIndex(0)
    stage.wait(0.5)


def mending(stage: Stage) -> None:
    """What can be made of a result."""
    camera, results = stage.viewer.scene.camera, stage.widget.controller.results
    merge, edits, table = (stage.widget.result.findChild(kind) for kind in (MergeBox, EditsBox, TablePart))
    stage.widget.form.tiles.show_grid.click()
    layer = results.layer
    camera.zoom *= 8
    camera.center = layer.data_to_world((1024, 1024))
    merge.smallest.setValue(1200)
    stage.wait(0.5)
    stage.wait(until=lambda: results.preview.preview is not None and not results.preview.working)
    stage.see(merge)
    stage.shot("tour-merge")
    merge.back_button.click()
    labels = np.asarray(layer.data[0][960:1090, 960:1090])
    points = [np.argwhere(labels == labels[place]).mean(axis=0) + 960 for place in ((40, 60), (90, 60))]
    edits.tools["join"].click()
    for point in points:
        stage.hand.click(layer.data_to_world(point))
    stage.see(edits)
    stage.shot("tour-edits")
    edits.choose("")
    results.put_back()
    table.table_button.click()
    stage.wait(until=lambda: results.table is not None)
    stage.wait(1)
    table.colour.setCurrentIndex(1)
    table.colour.activated.emit(1)
    stage.viewer.window.dock_widgets["Objects"].table.selectRow(30)
    stage.see(table)
    stage.shot("tour-table")


def doubts(folder: Path) -> None:
    """Doubtful places at seams, with a method that sees some objects otherwise in every tile."""
    stage = Stage(folder, (1280, 800), 350, "dark")
    stage.viewer.window._qt_viewer.dockLayerControls.hide()
    stage.open("cells_2d")
    script = Path(tempfile.mkdtemp()) / "mine.py"
    script.write_text(UNEVEN)
    stage.widget.form.method.set_values("function", {"target": f"{script}:uneven"})
    stage.widget.form.tiles.set_values((512, 512), (32, 32))
    stage.wait(1)
    stage.widget.bar.run_button.click()
    stage.wait(until=lambda: not stage.widget.controller.run.active)
    seams = stage.widget.result.findChild(SeamsBox)
    seams.review.click()
    stage.see(seams)
    stage.shot("tour-seams")
    stage.viewer.close()


def maps(folder: Path) -> None:
    """A map that comes in, and objects above a threshold of it."""
    stage = Stage(folder, (1280, 800), 350, "dark", "Predict a map")
    widget, viewer = stage.widget, stage.viewer
    viewer.window._qt_viewer.dockLayerControls.hide()
    stage.open("cells_2d")
    script = Path(tempfile.mkdtemp()) / "mine.py"
    script.write_text(SOFT)
    widget.form.method.set_values("function", {"target": f"{script}:inside"})
    widget.form.method.changed.emit()
    widget.form.tiles.shape.set_value(512)
    widget.form.tiles.overlap.set_value(32)
    stage.wait(0.5)
    widget.bar.run_button.click()
    control = widget.controller
    stage.wait(until=lambda: control.worker is None or control.progress[0] >= 30)
    stage.shot("tour-map")
    stage.wait(until=lambda: not control.active)
    layer = control.layers.layers[0]
    viewer.scene.camera.zoom *= 6
    viewer.scene.camera.center = layer.data_to_world((1024, 1024))
    widget.objects.threshold.setValue(0.6)
    stage.wait(0.5)
    stage.see(widget.objects.make)
    stage.shot("tour-objects")
    viewer.close()


def forget() -> None:
    """Have everything as on the first day: samples and settings."""
    shutil.rmtree(OWN, ignore_errors=True)
    OWN.mkdir()


def publish(folder: Path) -> None:
    """Put the best pictures into `docs/images`, at most 400 kB each."""
    images = Path(__file__).parent / "images"
    images.mkdir(exist_ok=True)
    for source, target in BEST.items():
        if not (folder / f"{source}.png").exists():
            continue
        picture = Image.open(folder / f"{source}.png").convert("RGB")
        width = TOUR_WIDTH if source.startswith("tour") else 1200
        picture.thumbnail((width, width), Image.Resampling.LANCZOS)
        place = images / f"{target}.png"
        for colors in (256, 128, 64, 32):
            picture.quantize(colors, dither=Image.Dither.NONE).save(place, optimize=True)
            if place.stat().st_size < 400_000:
                break


def main() -> None:
    """Take all pictures into the folder named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    only = sys.argv[2:]
    for name, size, dock, theme in (
        ("large-dark", (1500, 1000), 370, "dark"),
        ("small-dark", (1100, 640), 330, "dark"),
        ("large-light", (1500, 1000), 500, "light"),
        ("small-light", (1100, 640), 330, "light"),
    ):
        if not only or name in only:
            forget()
            story(folder, name, size, dock, theme)
    if not only or "volume" in only:
        forget()
        volume(folder)
    for name, part in (("tour", tour), ("tour", doubts), ("maps", maps)):
        if not only or name in only:
            forget()
            part(folder)
    publish(folder)
    shutil.rmtree(OWN)


if __name__ == "__main__":
    main()
