"""Fifty times open, run, do something in the midst, close: nothing may stay behind."""

from __future__ import annotations

import gc
import random
import sys
import threading
import traceback
from collections import Counter

import psutil
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from seamlabel.testing.cells import Tissue

CYCLES = 50
SETTLED = 20
"""Cycles after which memory may not grow much any more."""
MOST_BYTES = 60_000_000


def left(viewer):
    """Return what a cycle could leave behind: threads, timers, windows, callbacks."""
    gc.collect()
    QApplication.sendPostedEvents(None, 52)  # DeferredDelete
    QApplication.processEvents()
    layers, dims = viewer.layers.events, viewer.dims.events
    emitters = (
        layers.inserted,
        layers.removed,
        layers.reordered,
        dims.ndisplay,
        dims.point,
        viewer.events.theme,
    )
    return {
        "threads": Counter(t.name for t in threading.enumerate() if t.name.startswith("seamlabel")),
        "timers": sum(isinstance(o, QTimer) and _ours(o) for o in gc.get_objects()),
        "windows": len(QApplication.topLevelWidgets()),
        "callbacks": [len(emitter.callbacks) for emitter in emitters],
        "camera": len(viewer.camera.events.callbacks) + len(viewer.camera.events.zoom.callbacks),
        "pointer": len(viewer.mouse_move_callbacks) + len(viewer.mouse_double_click_callbacks),
    }


def ended(viewer):
    """Tell which threads are left, and where they are."""
    left(viewer)
    frames = sys._current_frames()
    alive = [t for t in threading.enumerate() if t.name.startswith("seamlabel")]
    assert not alive, {t.name: traceback.format_stack(frames[t.ident])[-3:] for t in alive}


def _ours(timer):
    try:
        return timer.isActive()
    except RuntimeError:  # its C++ half is gone
        return False


def wait(qtbot, dock, tiles):
    qtbot.waitUntil(lambda: dock.run.progress.done >= tiles or not dock.run.active, timeout=20000)


def meddle(dock, qtbot, rng):
    """Do something to a run under way, as a hasty user would."""
    what = rng.choice(
        ["nothing", "pause", "pause and go on", "cancel", "cancel twice", "no image", "no labels", "3D"]
    )
    if what.startswith("pause"):
        dock.click(dock.bar.pause_button)
    if what == "pause and go on":
        dock.click(dock.bar.pause_button)
    if what.startswith("cancel"):
        dock.click(dock.bar.cancel_button)
    if what == "cancel twice":
        dock.click(dock.bar.cancel_button)
    if what == "no image":
        dock.viewer.layers.clear()
    if what == "no labels" and dock.canvas.labels_layer in dock.viewer.layers:
        dock.viewer.layers.remove(dock.canvas.labels_layer)
    if what == "3D":
        dock.viewer.dims.ndisplay = 3
    return what


def cycle(dock, qtbot, rng, pixels, script):
    """Run, meddle, and at times wait for the end."""
    dock.viewer.add_image(pixels)
    dock.ready()
    method = {"backend": "function", "params": script(rng.choice(["brief", "label"]))}
    dock.form.setValue(dock.form.value().replace(tile_shape=(32, 32), overlap=(8, 8), **method))
    dock.click(dock.bar.run_button)
    wait(qtbot, dock, rng.randrange(12))
    what = meddle(dock, qtbot, rng)
    wait(qtbot, dock, 0)
    if rng.random() < 0.4 and what != "pause":
        dock.wait_end()


def leave(dock, whole):
    """Close the dock, or the whole viewer."""
    if whole:
        dock.viewer.close()
        return
    dock.viewer.window.remove_dock_widget(dock.docked)
    dock.widget.deleteLater()  # napari only takes it out
    dock.viewer.layers.clear()
    dock.viewer.dims.ndisplay = 2


def test_fifty_cycles_of_open_run_meddle_and_close_leave_nothing(
    make_napari_viewer, make_dock, qtbot, script
):
    rng = random.Random(5)
    pixels = Tissue((128, 128), "dense", diameter=16, seed=4).image()
    viewer = make_napari_viewer()
    before, memory = None, 0
    for number in range(CYCLES):
        whole = number % 10 == 9
        dock = make_dock() if whole else make_dock(viewer)
        cycle(dock, qtbot, rng, pixels, script)
        worker = dock.run.worker
        leave(dock, whole)
        qtbot.waitUntil(lambda worker=worker: worker is None or not worker.running, timeout=5000)
        del dock, worker
        if number == 2:  # what napari makes once and keeps is there by now
            before = left(viewer)
        if number == SETTLED:
            memory = psutil.Process().memory_info().rss
    qtbot.waitUntil(lambda: ended(viewer), timeout=20000)
    assert left(viewer) == before
    assert psutil.Process().memory_info().rss - memory < MOST_BYTES
