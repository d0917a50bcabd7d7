"""A real viewer with the real dock, small OME-Zarrs on disk, and a look-out for left threads."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from seamlabel.io.ngff.images import write_image
from seamlabel.testing.cells import Tissue

SCRIPT = """
import threading, time
import scipy.ndimage

def label(tile):
    return scipy.ndimage.label(tile > 1800)[0]

def slow(tile):
    time.sleep(0.15)
    return label(tile)

def jagged(tile):
    mask = scipy.ndimage.gaussian_filter(tile.astype(float), 1) > 2300 + 6 * (int(tile[0, 0]) % 97)
    return scipy.ndimage.label(mask)[0]

def stuck(tile):
    time.sleep(6)
    return label(tile)

def dark_fails(tile):
    if tile[:8, :8].mean() < 600:
        raise ValueError("too dark\\nin this tile")
    return label(tile)

def out_of_memory(tile):
    raise RuntimeError("CUDA out of memory")

def brief(tile):
    time.sleep(0.01)
    return label(tile)

from pathlib import Path
GO = Path(__file__).with_name("go")

def gated(tile):
    while not GO.exists():
        time.sleep(0.005)
    return label(tile)

def bright(tile):
    return scipy.ndimage.label(tile > 2600)[0]

def held_up(tile):
    folder = Path(__file__).parent
    (folder / "begun").touch()
    while not (folder / "open").exists():
        time.sleep(0.01)
    return label(tile)
"""


def pytest_collection_modifyitems(items):
    """Skip what needs a window where there is no display: Qt would abort the whole session."""
    known = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if not sys.platform.startswith("linux") or any(os.environ.get(name) for name in known):
        return
    skip = pytest.mark.skip(reason="no display: install Xvfb")
    for item in items:
        if "qtbot" in getattr(item, "fixturenames", ()) and "napari" in item.path.parts:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep samples and settings of one test away from the user's and from other tests'."""
    monkeypatch.setenv("SEAMLABEL_CACHE", str(tmp_path / "samples"))
    monkeypatch.setenv("SEAMLABEL_CONFIG", str(tmp_path / "settings.json"))


@pytest.fixture(autouse=True)
def own_preferences(tmp_path, monkeypatch):
    """Keep the preferences of one test away from the user's and from other tests'; return their file."""
    from napari import settings

    if hasattr(settings, "_PLUGIN_SETTINGS"):
        monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
        monkeypatch.setattr(settings, "_PLUGIN_SETTINGS", {})
    return tmp_path / "seamlabel.yaml"


@pytest.fixture(autouse=True)
def no_thread_stays():
    """Fail if a thread of ours is alive long after its test."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("seamlabel"):
            thread.join(10)
            assert not thread.is_alive(), f"{thread.name} is still alive"


@pytest.fixture
def image_path(tmp_path):
    """Return an OME-Zarr of 512 x 512 pixels of dense tissue with half-micrometre pixels and 2 levels."""
    path = tmp_path / "image.zarr"
    tissue = Tissue((512, 512), "dense", diameter=24, seed=3)
    write_image(
        path,
        tissue.shape,
        "uint16",
        tissue.image,
        axes="yx",
        scale=(0.5, 0.5),
        units=("micrometer",) * 2,
        chunks=(128, 128),
        levels=2,
    )
    return str(path)


@pytest.fixture
def pixels():
    """Return 384 x 384 pixels of the same kind of tissue."""
    return Tissue((384, 384), "dense", diameter=24, seed=4).image()


@pytest.fixture(scope="session", autouse=True)
def manifests_are_read_once():
    """Have plugins' manifests read once, not for every viewer: nothing is installed meanwhile."""
    from npe2.manifest.schema import PluginManifest

    found, read = {}, PluginManifest.discover.__func__

    def discover(cls, *args, **options):
        key = repr((args, sorted(options.items())))
        if key not in found:
            found[key] = list(read(cls, *args, **options))
        return iter(found[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", classmethod(discover))
        yield


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Leave what is there already out of collections of garbage: napari asks for many."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def script(tmp_path):
    """Return a function that gives the target of a segmenter for the function backend."""
    path = tmp_path / "segmenters.py"
    path.write_text(SCRIPT)
    return lambda name: {"target": f"{path}:{name}"}


@pytest.fixture
def gate(tmp_path):
    """Return the file that lets "gated" go on, once it is there; made at the end in any case."""
    path = tmp_path / "go"
    yield path
    path.touch()


class Dock:
    """A viewer with the dock in it, and the steps that tests share."""

    def __init__(self, viewer, qtbot):
        from seamlabel.napari.widget import SeamlabelWidget

        self.viewer, self.qtbot = viewer, qtbot
        self.widget = SeamlabelWidget(viewer)
        self.docked = viewer.window.add_dock_widget(self.widget, name="Seamlabel", area="right")
        self.form, self.bar = self.widget.form, self.widget.bar
        self.controller, self.canvas = self.widget.controller, self.widget.controller.canvas
        self.run = self.controller.run

    def click(self, button):
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtWidgets import QCheckBox

        place = QPoint(8, button.height() // 2) if isinstance(button, QCheckBox) else button.rect().center()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)

    def scroll_to(self, widget):
        """Bring a part of the dock into sight, as with the wheel."""
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents()  # it may have no size yet
        self.widget.scroll.ensureWidgetVisible(widget, 0, 0)

    def type(self, line, text):
        from qtpy.QtCore import Qt

        line.setFocus()
        line.selectAll()
        self.qtbot.keyClicks(line, text)
        self.qtbot.keyClick(line, Qt.Key.Key_Return)

    def add(self, array, **options):
        layer = self.viewer.add_image(array, **options)
        self.ready()
        return layer

    def tiles(self, shape, overlap):
        """Enter tile shape and overlap as a user does: untick Auto, type numbers."""
        for numbers, values in ((self.form.tiles.shape, shape), (self.form.tiles.overlap, overlap)):
            if numbers.auto.isChecked():
                self.click(numbers.auto)
            for box, value in zip(numbers.boxes, values, strict=True):
                self.type(box.lineEdit(), str(value))
        self.ready()

    def causes(self):
        """Return why tiles failed, as the dock lists it."""
        from seamlabel.napari.result.failed import FailedBox

        return [row.text.text() for row in self.widget.result.findChild(FailedBox).rows]

    def ready(self):
        self.qtbot.waitUntil(lambda: self.bar.run_button.isEnabled(), timeout=5000)

    def wait_grid(self):
        self.qtbot.waitUntil(lambda: self.canvas.grid_layer is not None, timeout=5000)

    def wait_end(self, timeout=60000):
        self.qtbot.waitUntil(lambda: not self.run.active, timeout=timeout)


@pytest.fixture
def dock(make_napari_viewer, qtbot):
    """Return the dock in a viewer that is not shown."""
    return Dock(make_napari_viewer(), qtbot)


@pytest.fixture
def shown_dock(make_napari_viewer, qtbot):
    """Return the dock in a viewer that is shown, for keys, clicks and pixels."""
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1300, 1000)
    return Dock(viewer, qtbot)


@pytest.fixture
def make_dock(make_napari_viewer, qtbot):
    """Return a function that makes a dock, in a viewer or in a new one, for tests that close them."""
    return lambda viewer=None: Dock(viewer or make_napari_viewer(), qtbot)
