"""The dock that predicts maps in a real viewer, with models that note how often they are asked."""

from __future__ import annotations

import numpy as np
from napari import settings
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QCheckBox
from scipy import ndimage

MODELS = """
import numpy as np, time
from pathlib import Path
from threading import Lock
from scipy import ndimage

HERE = Path(__file__).parent
LOCK = Lock()

def count():
    with LOCK:
        calls = int((HERE / "calls").read_text()) + 1 if (HERE / "calls").exists() else 1
        (HERE / "calls").write_text(str(calls))
        return calls

def soft(tile):
    count()
    return values(tile)

def values(tile):
    blurred = ndimage.gaussian_filter(tile.astype("float32"), 1.5, truncate=4)
    return 1 / (1 + np.exp((2000 - blurred) / 200))

def gated(tile):
    calls = count()
    while calls > 4 and not (HERE / "go").exists():
        time.sleep(0.005)
    return values(tile)

def classes(tile):
    found = soft(tile)
    return np.stack([1 - found, found, found * 0 + 0.1])

def logits(tile):
    found = gated(tile)
    return np.stack([found, 1000 * found])

def grey(tile):
    return tile.astype("float32").mean(axis=0)

def fails(tile):
    raise ValueError("no such weights")

def fails_later(tile):
    if count() > 4:
        raise ValueError("out of luck")
    return values(tile)

def by_plane(tile):
    return soft(tile)
"""


def soft(pixels):
    """Return what the models say of a whole image."""
    blurred = ndimage.gaussian_filter(pixels.astype("float32"), 1.5, truncate=4)
    return 1 / (1 + np.exp((2000 - blurred) / 200))


class MapDock:
    """A viewer with the dock in it, and the steps that tests share."""

    def __init__(self, viewer, qtbot, folder):
        from seamlabel.napari.maps.map_widget import MapWidget

        self.viewer, self.qtbot, self.folder = viewer, qtbot, folder
        (folder / "models.py").write_text(MODELS, encoding="utf-8")
        self.widget = MapWidget(viewer)
        self.docked = viewer.window.add_dock_widget(self.widget, name="Predict a map", area="right")
        self.form, self.objects, self.bar = self.widget.form, self.widget.objects, self.widget.bar
        self.controller = self.widget.controller
        if hasattr(settings, "get_plugin_settings"):  # since napari 0.9; tiles come in their order then
            settings.get_plugin_settings("seamlabel").runs.tiles_at_once = 1
        self.control = self.controller.objects

    @property
    def calls(self):
        """How often a model was asked."""
        file = self.folder / "calls"
        return int(file.read_text()) if file.exists() else 0

    def click(self, button):
        QApplication.processEvents()
        self.widget.scroll.ensureWidgetVisible(button, 0, 0)
        place = QPoint(8, button.height() // 2) if isinstance(button, QCheckBox) else button.rect().center()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)

    def type(self, line, text):
        line.setFocus()
        line.selectAll()
        self.qtbot.keyClick(line, Qt.Key.Key_Delete)
        self.qtbot.keyClicks(line, text)
        self.qtbot.keyClick(line, Qt.Key.Key_Return)

    def until(self, done, timeout=20000):
        self.qtbot.waitUntil(done, timeout=timeout)

    def model(self, name):
        """Choose a function of the script."""
        self.form.method.set_values("function", {"target": f"{self.folder / 'models.py'}:{name}"})
        self.form.method.changed.emit()

    def tiles(self, shape, overlap):
        """Enter tile shape and overlap as a user does: untick Auto, type numbers."""
        for numbers, values in ((self.form.tiles.shape, shape), (self.form.tiles.overlap, overlap)):
            if numbers.auto.isChecked():
                self.click(numbers.auto)
            for box, value in zip(numbers.boxes, values, strict=True):
                self.type(box.lineEdit(), str(value))

    def ready(self):
        self.until(lambda: self.bar.run_button.isEnabled())

    def open(self, path, model="soft", tiles=(128, 128), overlap=(8, 8)):
        self.controller.open(path)
        self.model(model)
        self.tiles(tiles, overlap)
        self.ready()

    def run(self):
        self.click(self.bar.run_button)
        self.wait_end()

    def wait_end(self):
        self.until(lambda: not self.controller.active, timeout=60000)

    def layer(self, name):
        return self.viewer.layers[name]
