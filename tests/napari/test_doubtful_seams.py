"""Doubtful places at seams, gone through and decided with real keys and clicks."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from seamlabel.napari.result.highlight import NAME
from seamlabel.napari.result.seams import SeamsBox


@pytest.fixture
def doubting(shown_dock, image_path, script):
    """Return the dock after a run with doubtful places, and the box that goes through them."""
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    dock.form.method.set_values("function", script("jagged"))
    dock.form.method.changed.emit()
    dock.tiles((128, 128), (16, 16))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    box = dock.widget.result.findChild(SeamsBox)
    see(dock, box)
    return dock, box


def see(dock, widget):
    QApplication.processEvents()
    dock.widget.scroll.ensureWidgetVisible(widget, 0, 0)


def key(dock, key):
    """Press a key with the focus on the canvas."""
    window = dock.viewer.window._qt_window
    window.activateWindow()
    dock.qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    native = dock.viewer.window._qt_viewer.canvas.native
    native.setFocus()
    dock.qtbot.keyClick(native, key)


def test_doubtful_places_are_counted_and_shown_one_after_another(doubting):
    dock, box = doubting
    results = dock.controller.results
    number = results.shown.report.doubtful.size
    assert number > 3
    assert box.count.text() == f"{number} doubtful places"
    active = dock.viewer.layers.selection.active
    dock.click(box.review)
    assert box.where.text() == f"1 of {number} · 0 decided"
    assert f"match {box.places[0].iou:.2f}" in box.question.text()
    layer = dock.viewer.layers[NAME]
    assert dock.viewer.layers.selection.active is active
    assert set(np.unique(layer.data)) >= {1, 2} or 3 in layer.data
    for at, name in ((1, "Period"), (2, "Period"), (1, "Comma"), (0, "Comma")):
        key(dock, Qt.Key[f"Key_{name}"])
        assert box.at == at
        box_here = box.places[at].box
        middle = [(a + b) / 2 * 0.5 - 0.25 for a, b in zip(box_here.start, box_here.stop, strict=True)]
        np.testing.assert_allclose(dock.viewer.scene.camera.center[-2:], middle, atol=0.6)
    dock.click(box.review)
    assert NAME not in dock.viewer.layers


def test_what_is_outlined_lies_on_the_labels(doubting):
    dock, box = doubting
    dock.click(box.review)
    layer, labels = dock.viewer.layers[NAME], dock.controller.results.layer
    inside = np.argwhere(layer.data == 3)
    assert len(inside)
    values = [labels.get_value(layer.data_to_world(point), world=True) for point in inside[::7]]
    written = np.asarray(labels.data[0])
    at = [tuple(np.round(labels.world_to_data(layer.data_to_world(p))).astype(int)) for p in inside]
    assert np.mean([written[p] > 0 for p in at]) > 0.9
    assert values


def test_decisions_become_edits_that_can_be_changed_undone_and_written(doubting):
    dock, box = doubting
    results = dock.controller.results
    dock.click(box.review)
    first = box.places[0]
    key(dock, Qt.Key.Key_J)
    assert [edit.kind for edit in results.wish.edits] == ["join"]
    assert box.at == 1, "it goes on"
    key(dock, Qt.Key.Key_Comma)
    assert box.one.isChecked()
    assert "You decided: one object" in box.question.text()
    key(dock, Qt.Key.Key_K)
    assert [edit.kind for edit in results.wish.edits] == ["cut"], "a decision is replaced"
    results.undo()
    assert [edit.kind for edit in results.wish.edits] == ["join"]
    key(dock, Qt.Key.Key_K)  # of the second place
    assert "2 decided" in box.where.text()
    results.apply()
    dock.wait_end()
    assert results.shown.written.edits == results.wish.edits
    assert len(results.wish.edits) == 2
    assert box.review.isChecked()
    assert first.keys in {place.keys for place in box.places}
    assert "2 decided" in box.where.text(), "kept when it was merged again"


def test_keys_are_left_to_napari_and_to_texts_unless_places_are_reviewed(doubting):
    dock, box = doubting
    results = dock.controller.results
    key(dock, Qt.Key.Key_J)
    assert not results.wish.edits
    dock.click(box.review)
    name = dock.form.save.name
    see(dock, name)
    name.setFocus()
    name.clear()
    dock.qtbot.keyClicks(name, "jk.,")
    assert name.text() == "jk.,"
    assert not results.wish.edits
    key(dock, Qt.Key.Key_Escape)
    assert not box.review.isChecked()
    key(dock, Qt.Key.Key_K)
    assert not results.wish.edits


def test_another_run_ends_the_review(doubting):
    dock, box = doubting
    dock.click(box.review)
    assert NAME in dock.viewer.layers
    see(dock, dock.form.tiles)
    dock.tiles((512, 512), (6, 6))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert NAME not in dock.viewer.layers
    assert not box.isVisibleTo(dock.widget)


def test_closing_the_dock_takes_the_outline_away(doubting):
    dock, box = doubting
    dock.click(box.review)
    dock.viewer.window.remove_dock_widget(dock.widget)
    dock.widget.deleteLater()
    dock.qtbot.waitUntil(lambda: NAME not in dock.viewer.layers, timeout=5000)
