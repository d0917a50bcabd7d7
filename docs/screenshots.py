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

os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp()) / "settings.yaml"))
os.environ.setdefault("SEAMLABEL_CACHE", str(Path(tempfile.gettempdir()) / "samples"))

import napari
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

BEST = {
    "large-dark-planned": "dock-planned",
    "large-dark-running": "dock-running",
    "large-dark-done": "dock-done",
    "large-dark-failed-done": "dock-failed",
    "volume-3d": "dock-3d",
}
BUSY = """
import time
import scipy.ndimage

def slow(tile):
    time.sleep({seconds})
    if tile.mean() < {fail_below}:
        raise ValueError("the tile is too dark: mean %.0f" % tile.mean())
    return scipy.ndimage.label(tile > 2100)[0]
"""


class Stage:
    """A viewer with the dock, and the means to wait and to take pictures."""

    def __init__(self, folder: Path, size: tuple[int, int], dock: int, theme: str) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        self.window = self.viewer.window._qt_window
        self.window.resize(*size)
        holder, self.widget = self.viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")
        self.wait(0.3)
        self.window.resizeDocks([holder], [dock], Qt.Orientation.Horizontal)
        self.wait(0.3)

    def wait(self, seconds: float = 0.0, until=lambda: False, limit: float = 120) -> None:
        start = time.monotonic()
        while time.monotonic() - start < (limit if seconds == 0 else seconds) and not until():
            QApplication.processEvents()
            time.sleep(0.005)

    def shot(self, name: str) -> None:
        self.wait(0.4)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.window.grab().save(str(self.folder / f"{name}.png"))

    def open(self, sample: str) -> None:
        self.widget.form.image.empty.buttons[sample].click()
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


def publish(folder: Path) -> None:
    """Put the best pictures into `docs/images`, at most 400 kB each."""
    images = Path(__file__).parent / "images"
    images.mkdir(exist_ok=True)
    for source, target in BEST.items():
        if not (folder / f"{source}.png").exists():
            continue
        picture = Image.open(folder / f"{source}.png").convert("RGB")
        picture.thumbnail((1200, 1200), Image.Resampling.LANCZOS)
        place = images / f"{target}.png"
        for colors in (256, 128, 64, 32):
            picture.quantize(colors, dither=Image.Dither.NONE).save(place, optimize=True)
            if place.stat().st_size < 400_000:
                break


def main() -> None:
    """Take all pictures into the folder named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    only = sys.argv[2:]
    cache = Path(os.environ["SEAMLABEL_CACHE"])
    for name, size, dock, theme in (
        ("large-dark", (1500, 1000), 370, "dark"),
        ("small-dark", (1100, 640), 330, "dark"),
        ("large-light", (1500, 1000), 500, "light"),
        ("small-light", (1100, 640), 330, "light"),
    ):
        if not only or name in only:
            shutil.rmtree(cache / "cells_2d.zarr" / "labels", ignore_errors=True)
            story(folder, name, size, dock, theme)
    if not only or "volume" in only:
        volume(folder)
    publish(folder)


if __name__ == "__main__":
    main()
