"""What the user does to viewer, layers and dock while a run goes on."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication
from tests.napari.test_control import begun, says, use

from seamlabel.io.sources import image_info
from seamlabel.testing.cells import Tissue


def held(dock, image_path, script, gate):
    """Return once a run is paused after some tiles."""
    begun(dock, image_path, script)
    dock.click(dock.bar.pause_button)
    dock.qtbot.waitSignal(dock.run.worker.events, timeout=5000).wait()
    gate.touch()
    says(dock, "^Paused at")


def go_on(dock):
    dock.click(dock.bar.pause_button)
    dock.wait_end()
    assert "joined across seams" in dock.bar.result.text()


def test_the_run_goes_on_from_the_store_when_its_layers_are_removed(dock, image_path, script, gate):
    held(dock, image_path, script, gate)
    dock.viewer.layers.clear()
    go_on(dock)
    assert image_info(image_path).labels == ("cells",)
    assert not dock.bar.run_button.isEnabled(), "there is no image"


def test_the_theme_may_change(dock, image_path, script, gate):
    held(dock, image_path, script, gate)
    before = dock.widget.styleSheet()
    dock.viewer.theme = "light"
    assert dock.widget.styleSheet() != before
    go_on(dock)


@pytest.mark.parametrize("shape", [(384, 384), (12, 256, 256)])
def test_the_view_may_turn_to_3d_and_back(dock, script, gate, shape):
    dock.add(Tissue(shape, "dense", diameter=24, seed=4).image())
    use(dock, script, "gated", (*shape[:-2], 128, 128))
    dock.click(dock.bar.run_button)
    dock.qtbot.waitUntil(lambda: bool(dock.run.progress.running), timeout=20000)
    dock.viewer.dims.ndisplay = 3
    gate.touch()
    dock.qtbot.waitUntil(lambda: dock.run.progress.done >= 2 or not dock.run.active, timeout=20000)
    dock.viewer.dims.ndisplay = 2
    dock.wait_end()
    assert "joined across seams" in dock.bar.result.text()
    assert np.asarray(dock.canvas.labels_layer.data).any()


def test_two_viewers_run_at_once(make_dock, tmp_path, image_path, pixels, script, gate):
    first, second = make_dock(), make_dock()
    begun(first, image_path, script)
    second.add(pixels)
    use(second, script, "gated")
    second.click(second.bar.run_button)
    second.qtbot.waitUntil(lambda: bool(second.run.progress.running), timeout=20000)
    first.click(first.bar.pause_button)
    second.click(second.bar.cancel_button)
    gate.touch()
    second.wait_end(5000)
    assert "Cancelled after" in second.bar.result.text()
    says(first, "^Paused at")
    go_on(first)
    assert len(first.viewer.layers) == 3, "image, labels and tiles: nothing of the other run"
    assert image_info(image_path).labels == ("cells",)


def test_a_second_viewer_does_not_touch_the_run_of_the_first(make_dock, image_path, script, gate):
    first, second = make_dock(), make_dock()
    held(first, image_path, script, gate)
    second.controller.open(image_path)
    row = second.bar.unfinished
    second.qtbot.waitUntil(lambda: row.isVisibleTo(second.bar), timeout=5000)
    assert row.more.text() == "It is under way in another window or process."
    assert not row.resume.isVisibleTo(row)
    first.click(first.bar.cancel_button)
    first.wait_end(5000)
    second.qtbot.waitUntil(lambda: row.resume.isVisibleTo(row), timeout=5000)
    second.click(row.resume)
    second.wait_end()
    assert image_info(image_path).labels == ("cells",)


def test_a_viewer_has_one_dock_and_a_hidden_one_is_shown_again(make_napari_viewer, qtbot):
    from seamlabel.napari.commands import open_dock
    from seamlabel.napari.widget import SeamlabelWidget

    viewer = make_napari_viewer(show=True)
    open_dock(viewer)
    open_dock(viewer)
    window = viewer.window._qt_window
    (widget,) = window.findChildren(SeamlabelWidget)
    docked, _ = viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")
    docked.hide()
    open_dock(viewer)
    qtbot.waitUntil(widget.isVisible, timeout=5000)
    assert window.findChildren(SeamlabelWidget) == [widget]


def test_a_dock_that_is_closed_and_opened_again_goes_on(dock, image_path, script, gate):
    held(dock, image_path, script, gate)
    worker, done = dock.run.worker, dock.run.progress.done
    told = []
    notification_manager.notification_ready.connect(lambda event: told.append(event.message))
    dock.docked.title.close_button.click()
    dock.qtbot.waitUntil(lambda: not worker.running, timeout=5000)
    dock.qtbot.waitUntil(lambda: bool(told), timeout=5000)
    assert told == [
        "The run of 'cells' was stopped, since its dock was closed. "
        "Its finished tiles are kept: open Seamlabel again and press Resume to go on."
    ]
    again = type(dock)(dock.viewer, dock.qtbot)
    row = again.bar.unfinished
    again.qtbot.waitUntil(lambda: row.resume.isVisibleTo(row), timeout=5000)
    assert f"{done} of 16 tiles" in row.text.text()
    again.click(row.resume)
    again.wait_end()
    assert image_info(image_path).labels == ("cells",)


def test_a_viewer_closed_while_paused_keeps_the_tiles(make_dock, qtbot, image_path, script, gate):
    dock = make_dock()
    held(dock, image_path, script, gate)
    worker, done = dock.run.worker, dock.run.progress.done
    dock.viewer.close()
    qtbot.waitUntil(lambda: not worker.running, timeout=5000)
    again = make_dock()
    again.controller.open(image_path)
    row = again.bar.unfinished
    again.qtbot.waitUntil(lambda: row.resume.isVisibleTo(row), timeout=5000)
    assert f"{done} of 16 tiles" in row.text.text()


QUIT = """
import sys
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from seamlabel.napari.widget import SeamlabelWidget

viewer = napari.Viewer(show=True, show_welcome_screen=False)
widget = SeamlabelWidget(viewer)
viewer.window.add_dock_widget(widget, name="Seamlabel")
widget.controller.open(sys.argv[1])
widget.form.method.set_values("function", {"target": sys.argv[2]})
widget.form.method.changed.emit()
assert widget.bar.run_button.isEnabled(), widget.bar.status.text()
widget.bar.run_button.click()

def yes():
    box = QApplication.activeModalWidget()
    if box is None:
        QTimer.singleShot(20, yes)
    else:
        next(b for b in box.buttons() if b.text() == "Stop and close").click()

def look():
    if widget.controller.run.progress.running:
        timer.stop()
        print("quits now", flush=True)
        if sys.argv[3] == "quit":
            QTimer.singleShot(0, yes)
            viewer.window._qt_window.close(quit_app=True)
        else:
            viewer.close()

timer = QTimer()
timer.timeout.connect(look)
timer.start(20)
napari.run()
print("ended", flush=True)
"""


@pytest.mark.parametrize("way", ["quit", "close"])
def test_the_process_ends_while_a_tile_never_does(image_path, script, tmp_path, way):
    (tmp_path / "quit.py").write_text(QUIT)
    command = [sys.executable, str(tmp_path / "quit.py"), image_path, script("gated")["target"], way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[:2] == ["quits now", "ended"]
    assert not (tmp_path / "go").exists()
    assert image_info(image_path).labels == ()


def test_nothing_of_a_viewer_that_was_closed_stays_in_memory(make_dock, image_path):
    dock = make_dock()
    dock.controller.open(image_path)
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    layer, parts = dock.controller.results.layer, (dock.controller, dock.canvas, dock.run)
    kept = [weakref.ref(one) for one in (*parts, layer, dock.viewer, dock.widget)]
    dock.viewer.close()
    del dock, layer, parts
    for _ in range(5):
        QApplication.processEvents()
        gc.collect()
    assert [one() for one in kept] == [None] * len(kept)
