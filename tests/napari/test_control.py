"""Pause, cancel, the log, napari's activity dock and its closing window, with real clicks and keys."""

from __future__ import annotations

import re

import numpy as np
import pytest
from napari.utils import progress as napari_progress
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from seamlabel.io.sources import image_info
from seamlabel.io.staging import open_staging


def use(dock, script, name, tile=(128, 128)):
    dock.form.method.set_values("function", script(name))
    dock.form.method.changed.emit()
    dock.tiles(tile, (8,) * len(tile))


def begun(dock, image_path, script, name="gated"):
    """Open, choose and press Run; return once tiles are under way."""
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, name)
    dock.click(dock.bar.run_button)
    dock.qtbot.waitUntil(lambda: len(dock.run.progress.running) == dock.run.plan.workers, timeout=20000)
    return dock.run.plan.workers


def says(dock, pattern):
    dock.qtbot.waitUntil(lambda: bool(re.search(pattern, dock.bar.status.text())), timeout=10000)


def beats(dock, count=3):
    for _ in range(count):
        dock.qtbot.waitSignal(dock.run.worker.events, timeout=5000).wait()


def staged(dock):
    store = open_staging(dock.run.run_dir)
    return [tile for tile in range(len(dock.run.plan.grid)) if store.read(tile) is not None]


def test_pause_finishes_tiles_under_way_and_resume_goes_on(dock, image_path, script, gate):
    assert not dock.bar.pause_button.isEnabled()
    count = begun(dock, image_path, script)
    dock.click(dock.bar.pause_button)
    says(dock, f"^Pausing after {count} tile")
    beats(dock)
    assert dock.bar.pause_button.text() == "Resume"
    gate.touch()
    says(dock, f"^Paused at {count}/16$")
    beats(dock)
    assert dock.run.progress.done == count == len(staged(dock))
    assert dock.canvas.states.counts["running"] == 0
    assert np.asarray(dock.canvas.labels_layer.data[0]).any(), "what was finished is shown"
    dock.click(dock.bar.pause_button)
    assert dock.bar.pause_button.text() == "Pause"
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)
    assert not dock.bar.pause_button.isEnabled()
    assert f"Paused at {count}/16" in dock.bar.log.text.toPlainText()


def test_the_first_cancel_keeps_the_tiles_under_way(dock, image_path, script, gate):
    count = begun(dock, image_path, script)
    dock.click(dock.bar.cancel_button)
    says(dock, f"^Cancelling after {count} tiles?… press again to stop at once$")
    assert dock.bar.cancel_button.text() == "Stop now"
    assert not dock.bar.pause_button.isEnabled()
    beats(dock)
    gate.touch()
    dock.wait_end(5000)
    assert dock.bar.result.text() == f"Cancelled after {count} of 16 tiles · they are kept: Resume goes on"
    assert len(staged(dock)) == count
    assert dock.bar.cancel_button.text() == "Cancel"
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)


def test_the_second_cancel_stops_at_once_and_says_what_still_works(dock, image_path, script, gate):
    count = begun(dock, image_path, script)
    dock.click(dock.bar.cancel_button)
    says(dock, "^Cancelling after")
    dock.click(dock.bar.cancel_button)
    assert dock.bar.status.text() == "Stopping…"
    assert not dock.bar.cancel_button.isEnabled()
    dock.wait_end(5000)
    assert not gate.exists(), "the tiles never ended"
    assert dock.bar.result.text() == "Cancelled after 0 of 16 tiles · nothing was written"
    still = f"^{count} tiles? (is|are) still working in the background"
    assert re.search(still, dock.bar.behind.text())
    assert "Processes" in dock.bar.behind.text()
    gate.touch()
    dock.qtbot.waitUntil(lambda: dock.bar.behind.text() == "", timeout=5000)
    assert not dock.run.behind._timer.isActive()


def test_a_paused_run_is_cancelled_by_one_press(dock, image_path, script, gate):
    count = begun(dock, image_path, script)
    dock.click(dock.bar.pause_button)
    beats(dock)
    gate.touch()
    says(dock, "^Paused at")
    dock.click(dock.bar.cancel_button)
    dock.wait_end(5000)
    assert f"Cancelled after {count} of 16 tiles" in dock.bar.result.text()


def test_keys_pause_and_cancel(shown_dock, image_path, script, gate):
    dock = shown_dock
    window = dock.viewer.window._qt_window
    begun(dock, image_path, script)
    window.activateWindow()
    dock.qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    dock.qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    says(dock, "^Pausing after")
    dock.qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    says(dock, "^Segmenting")
    dock.qtbot.keyClick(window, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    says(dock, "^Cancelling after")
    dock.qtbot.keyClick(window, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    dock.wait_end(5000)
    assert "Cancelled" in dock.bar.result.text()


def test_the_log_tells_what_happened_when_and_can_be_copied(dock, image_path, script):
    dock.controller.open(image_path)
    dock.ready()
    assert dock.bar.log.isHidden(), "there is nothing in it"
    use(dock, script, "dark_fails")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    log = dock.bar.log
    assert not log.text.isVisibleTo(log)
    dock.click(log.button)
    assert log.text.isVisibleTo(log)
    dock.click(log.copy)
    text = QApplication.clipboard().text()
    assert text == log.text.toPlainText()
    lines = text.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  'cells' began: function, 16 tiles, \d+ at once", lines[0])
    assert any(
        re.match(r"\d\d:\d\d:\d\d  Tile \(\d, \d\) failed: ValueError: too dark", line) for line in lines
    )
    assert text.count("Traceback") == 1, "the same traceback is not repeated"
    assert "nothing was written" in lines[-1]
    dock.click(log.button)
    assert not log.text.isVisibleTo(log)


def test_the_log_is_bounded(dock):
    for _ in range(30):
        dock.bar.log.add(*["a line"] * 100)
    assert dock.bar.log.text.blockCount() == 2000


def test_the_activity_dock_shows_the_run_and_cancels_it(dock, image_path, script, gate, monkeypatch):
    monkeypatch.setattr("seamlabel.napari.run.activity.SECONDS", 0)
    count = begun(dock, image_path, script)
    (shown,) = napari_progress._all_instances
    dialog = dock.viewer.window._qt_window._activity_dialog
    line = dialog.get_pbar_from_prog(shown)
    dock.qtbot.waitUntil(
        lambda: "Seamlabel: cells, segmenting" in line.description_label.text(), timeout=5000
    )
    assert line.qt_progress_bar.maximum() == 16
    dock.click(dock.bar.pause_button)
    beats(dock)
    gate.touch()
    says(dock, "^Paused at")
    dock.qtbot.waitUntil(lambda: line.qt_progress_bar.value() == count, timeout=5000)
    assert "paused" in line.description_label.text()
    dock.click(line.cancel_button)
    dock.wait_end(5000)
    assert f"Cancelled after {count} of 16 tiles" in dock.bar.result.text()
    assert not napari_progress._all_instances


@pytest.fixture
def answer():
    """Return a function that presses a button of the next question, and the list of what was asked."""
    asked = []

    def press(text):
        def look():
            box = QApplication.activeModalWidget()
            if not isinstance(box, QMessageBox):
                QTimer.singleShot(20, look)
                return
            asked.append(f"{box.text()} {box.informativeText()}")
            next(button for button in box.buttons() if button.text() == text).click()

        QTimer.singleShot(0, look)

    return press, asked


def test_closing_the_window_of_a_run_asks_first(shown_dock, image_path, script, gate, answer):
    dock, (press, asked) = shown_dock, answer
    begun(dock, image_path, script)
    window, worker = dock.viewer.window._qt_window, dock.run.worker
    press("Keep running")
    assert not window.close()
    assert window.isVisible()
    assert worker.running
    assert asked == [
        "Seamlabel is still working on 'cells'. 0 of 16 tiles are done. "
        "They are kept: open the image again and press Resume to go on."
    ]
    press("Stop and close")
    assert window.close()
    del dock.viewer.window._qt_window  # else the fixture closes what is gone
    dock.qtbot.waitUntil(lambda: not worker.running, timeout=5000)
    assert not napari_progress._all_instances


def test_closing_the_window_asks_nothing_where_nothing_runs(shown_dock, image_path):
    shown_dock.controller.open(image_path)
    shown_dock.ready()
    assert shown_dock.viewer.window._qt_window.close()
    del shown_dock.viewer.window._qt_window
