"""One user's way through the whole dock with real clicks and keys: from a sample to mended labels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.hand import Hand

from seamlabel.io.sources import image_info, open_labels
from seamlabel.napari.result.failed import FailedBox
from seamlabel.napari.result.merge_box import MergeBox

SCRIPT = """
from pathlib import Path
import numpy as np
import scipy.ndimage

MENDED = Path(__file__).with_name("mended")

def cells(tile):
    if tile[0, 0] == {corner} and not MENDED.exists():
        raise ValueError("the lamp flickered")
    return scipy.ndimage.label(scipy.ndimage.gaussian_filter(tile, 1) > 2100)[0]
"""


class User:
    """Somebody at the screen."""

    def __init__(self, dock):
        self.dock, self.hand = dock, Hand(dock)

    def part(self, kind):
        return self.dock.widget.result.findChild(kind)

    def press(self, button):
        self.dock.scroll_to(button)
        self.dock.click(button)

    def choose(self, combo, text):
        at = combo.findText(text, Qt.MatchFlag.MatchContains)
        combo.setFocus()
        self.dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
        for _ in range(at):
            self.dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
        assert text in combo.currentText()

    def reads(self, note, pattern):
        self.dock.qtbot.waitUntil(lambda: bool(re.search(pattern, note.text())), timeout=60000)


@pytest.fixture
def user(shown_dock):
    return User(shown_dock)


def opens_the_sample(user):
    dock = user.dock
    user.press(dock.form.image.empty.buttons["cells_2d"])
    dock.qtbot.waitUntil(lambda: dock.form.image.layer() is not None, timeout=60000)
    dock.ready()
    dock.viewer.reset_view()
    dock.tiles((512, 512), (64, 64))
    grid = dock.canvas
    dock.qtbot.waitUntil(lambda: grid.states and len(grid.states.grid) == 64, timeout=5000)
    dock.qtbot.waitUntil(lambda: grid.grid_layer in dock.viewer.layers, timeout=5000)
    user.hand.settle()
    assert "8 × 8 = 64 tiles" in dock.form.tiles.summary.text()


def tries_a_tile(user):
    dock = user.dock
    assert "≈" not in dock.form.tiles.summary.text(), "nothing is known of the time yet"
    user.hand.move((256 * 3.5, 256 * 4.5))
    user.hand.double_click((256 * 3.5, 256 * 4.5))  # half a micrometre a pixel
    dock.qtbot.waitUntil(lambda: dock.canvas.tried_layer is not None, timeout=30000)
    dock.qtbot.waitUntil(lambda: not dock.controller.trial.active, timeout=30000)
    assert np.asarray(dock.canvas.tried_layer.data[0][1536:2048, 2048:2560]).max() > 5
    assert "≈" in dock.form.tiles.summary.text()


def runs_with_a_pause(user):
    dock = user.dock
    window = dock.viewer.window._qt_window
    window.activateWindow()
    dock.qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    dock.qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    dock.qtbot.waitUntil(lambda: dock.run.progress.states["done"] >= 3, timeout=60000)
    dock.click(dock.bar.pause_button)
    user.reads(dock.bar.status, r"^Paused at \d+/64")
    done = dock.run.progress.states["done"]
    assert dock.controller.results.shown is None
    dock.click(dock.bar.pause_button)
    dock.wait_end(120000)
    assert done < dock.run.progress.states["done"] == 64
    user.reads(dock.bar.result, r"^[\d,]+ objects · [\d,]+ joined across seams · 64 tiles done")
    assert "labels/cells" in dock.bar.result.text()


def merges_again(user):
    dock, box = user.dock, user.part(MergeBox)
    results = dock.controller.results
    before, layer = results.shown.n_objects, results.layer
    dock.scroll_to(box.match)
    box.match.slider.setFocus()
    for _ in range(8):
        dock.qtbot.keyClick(box.match.slider, Qt.Key.Key_PageUp)
    user.reads(box.state, r"[Nn]ot written")
    user.reads(box.count, rf"{before:,} → [\d,]+")
    dock.scroll_to(box.smallest)
    dock.type(box.smallest.lineEdit(), "900")
    dock.qtbot.waitUntil(lambda: f"→ {before:,} " not in box.count.text(), timeout=20000)
    wished = re.search(r"→ ([\d,]+)", box.count.text()).group(1)
    user.press(box.apply_button)
    dock.wait_end(60000)
    user.reads(dock.bar.result, "merged again")
    assert results.layer is layer
    assert f"{results.shown.n_objects:,}" == wished
    assert int(np.max(open_labels(results.shown.path)[0])) == results.shown.n_objects


def mends_a_failed_tile(user, tmp_path):
    dock = user.dock
    results = dock.controller.results
    pixels = np.asarray(dock.form.image.layer().data[0][960, 960])  # where tile (2, 2) begins to read
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT.format(corner=int(pixels)))
    user.choose(dock.form.method.combo, "Python function")
    dock.scroll_to(dock.form.method.params.widget("target"))
    dock.type(dock.form.method.params.widget("target"), f"{script}:cells")
    dock.ready()
    user.press(dock.bar.run_button)
    dock.wait_end(120000)
    failed = user.part(FailedBox)
    assert failed.isVisibleTo(dock.widget)
    assert "the lamp flickered" in dock.causes()[0]
    assert dock.canvas.states.counts["failed"] >= 1
    assert not results.shown.path, "nothing is written while a tile is missing"
    (tmp_path / "mended").touch()
    user.press(failed.retry)
    dock.wait_end(120000)
    assert results.shown.path.endswith("labels/cells-2")
    assert not failed.isVisibleTo(dock.widget)
    assert int(np.max(open_labels(results.shown.path)[0])) == results.shown.n_objects


def reopens(user, make_dock):
    dock = user.dock
    path = dock.form.image.picture.path
    assert set(image_info(path).labels) >= {"cells", "cells-2"}
    objects = dock.controller.results.shown.n_objects
    dock.viewer.close()
    again = make_dock()
    again.viewer.open(path, plugin="seamlabel")
    again.ready()
    layer = again.viewer.layers["cells-2"]
    again.viewer.layers.selection.active = layer
    results = again.controller.results
    again.qtbot.waitUntil(lambda: results.shown is not None, timeout=10000)
    assert results.layer is layer
    assert int(np.max(layer.data[0])) == objects
    assert tuple(layer.scale) == (0.5, 0.5)
    assert results.can_merge


def test_a_user_goes_from_a_sample_to_labels_that_are_whole(user, tmp_path, make_dock):
    opens_the_sample(user)
    tries_a_tile(user)
    runs_with_a_pause(user)
    merges_again(user)
    mends_a_failed_tile(user, tmp_path)
    reopens(user, make_dock)
