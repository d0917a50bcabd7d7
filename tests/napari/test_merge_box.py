"""The merge changed by hand in the dock: shown at once, written on request."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from seamlabel.engine.review import Review
from seamlabel.geometry import Box
from seamlabel.io.sources import open_labels
from seamlabel.napari.result.shown import kept_run
from seamlabel.testing.cells import Tissue


@pytest.fixture
def box(shown_dock, image_path, script):
    """Return the merge box of a dock in which a run has ended whose tiles disagree."""
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    wish = {"backend": "function", "params": script("jagged")}
    dock.form.setValue(dock.form.value().replace(**wish))
    dock.tiles((128, 128), (24, 24))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    found = merge_box(dock)
    assert found.isVisible()
    dock.scroll_to(found)
    return found


def merge_box(dock):
    from seamlabel.napari.result.merge_box import MergeBox

    return next(part for part in dock.widget.result.parts if isinstance(part, MergeBox))


def previewed(dock):
    preview = dock.controller.results.preview
    dock.qtbot.waitUntil(lambda: preview.preview is not None and not preview.working, timeout=20000)
    return preview


def press(dock, slider, key, times=1):
    inner = slider.slider
    inner.setFocus()
    for _ in range(times):
        dock.qtbot.keyClick(inner, key)


def written(dock):
    return np.asarray(open_labels(dock.controller.results.shown.path)[0])


def seen(dock):
    layer = dock.controller.results.layer
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def same_objects(one, other):
    """Whether two label images are the same up to names."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return all(np.unique(side).size == pairs.shape[1] for side in pairs)


def test_keys_on_the_slider_show_another_merge_that_is_not_written(shown_dock, box):
    dock, before = shown_dock, written(shown_dock)
    layer = dock.controller.results.layer
    press(dock, box.match, Qt.Key.Key_End)
    preview = previewed(dock)
    assert box.match.value() == 1.0
    assert preview.preview.n_objects != preview.n_written == before.max()
    assert box.count.text() == f"{preview.n_written:,} → {preview.preview.n_objects:,} objects"
    assert "Not written yet" in box.state.text()
    assert layer.name.endswith("(preview)")
    shown = seen(dock)
    assert 0.3 < np.mean(shown[shown > 0] == before[shown > 0]) < 1, "most objects keep their colours"
    for tile in preview.review.plan.grid:
        own = preview.review.store.read(tile.number).labels()[tile.core.relative_to(tile.read).slices]
        assert same_objects(shown[tile.core.slices], preview.preview.table(tile.number)[own])
    np.testing.assert_array_equal(written(dock), before)
    press(dock, box.match, Qt.Key.Key_Left, 3)
    dock.qtbot.waitUntil(lambda: previewed(dock).preview.plan.spec.merge.iou == 0.97, timeout=20000)


def test_put_back_shows_what_is_written(shown_dock, box):
    dock, layer = shown_dock, shown_dock.controller.results.layer
    before, name, match = seen(dock), layer.name, box.match.value()
    press(dock, box.match, Qt.Key.Key_End)
    dock.click(box.border)
    previewed(dock)
    assert not np.array_equal(seen(dock), before)
    dock.click(box.back_button)
    np.testing.assert_array_equal(seen(dock), before)
    assert (layer.name, box.match.value(), box.border.isChecked()) == (name, match, False)
    assert box.state.text() == ""
    assert not box.back_button.isEnabled()
    assert not box.apply_button.isEnabled()
    assert not dock.controller.results.preview.showing


def test_apply_writes_what_was_shown(shown_dock, box):
    dock, results = shown_dock, shown_dock.controller.results
    layer = results.layer
    press(dock, box.match, Qt.Key.Key_End)
    dock.type(box.smallest.lineEdit(), "60")
    count = previewed(dock).preview.n_objects
    dock.qtbot.waitUntil(lambda: box.apply_button.isEnabled(), timeout=5000)
    dock.click(box.apply_button)
    dock.wait_end()
    labels = written(dock)
    assert labels.max() == results.shown.n_objects == count
    assert np.bincount(labels.ravel())[1:].min() >= 60
    assert results.layer is layer
    assert not layer.name.endswith("(preview)")
    np.testing.assert_array_equal(seen(dock), labels)
    assert box.state.text() == ""
    assert box.count.text() == f"{count:,} objects"
    review = Review(results.shown.run_dir)
    assert (review.settings["merge"]["iou"], review.settings["min_size"]) == (1.0, 60)
    assert (box.match.value(), box.smallest.value()) == (1.0, 60)


def test_a_click_right_of_the_handle_moves_the_slider(shown_dock, box):
    inner, value = box.match.slider, box.match.value()
    place = QPoint(inner.width() - 12, inner.height() // 2)
    shown_dock.qtbot.mouseClick(inner, Qt.MouseButton.LeftButton, pos=place)
    assert box.match.value() > value
    previewed(shown_dock)


def test_sizes_are_shown_in_the_units_of_the_image(shown_dock, box):
    shown_dock.type(box.smallest.lineEdit(), "400")
    assert box.smallest.suffix() == " px"
    assert box.sizes.text() == "Objects from 100 µm²"
    shown_dock.type(box.largest.lineEdit(), "100")
    assert "No object is that small and that large" in box.state.text()
    assert not box.apply_button.isEnabled()
    shown_dock.type(box.largest.lineEdit(), "900")
    assert box.sizes.text() == "Objects from 100 up to 225 µm²"
    assert previewed(shown_dock).problem == ""


def test_a_run_whose_tiles_are_gone_says_so_in_place(shown_dock, box):
    run_dir = Path(shown_dock.controller.results.shown.run_dir)
    for tile in run_dir.glob("staging-*/*.tile"):
        tile.unlink()
    press(shown_dock, box.match, Qt.Key.Key_End)
    shown_dock.qtbot.waitUntil(lambda: "missing" in box.state.text(), timeout=10000)
    assert not box.apply_button.isEnabled()
    assert box.count.text() == ""


def test_a_kept_run_is_previewed_without_what_streamed_in(shown_dock, box):
    results = shown_dock.controller.results
    shown = results.shown
    shown_dock.canvas.ended_stream = None
    results.open(kept_run(Path(shown.run_dir), shown.path, results.layer))
    press(shown_dock, box.match, Qt.Key.Key_End)
    preview = previewed(shown_dock)
    assert preview.n_written == shown.n_objects
    assert 0 != preview.preview.n_objects != shown.n_objects
    assert 0 < np.unique(seen(shown_dock)).size - 1 <= preview.preview.n_objects


def test_edits_that_somebody_wishes_are_previewed_too(shown_dock, box):
    from seamlabel.engine.edits import make_edits

    results, labels = shown_dock.controller.results, written(shown_dock)
    point = tuple(np.argwhere(labels == 5)[0].tolist())
    results.add_edits(make_edits(remove=[point]))
    preview = previewed(shown_dock)
    assert preview.preview.n_objects == preview.n_written - 1
    assert seen(shown_dock)[point] == 0
    assert "Not written yet" in box.state.text()
    results.undo()
    np.testing.assert_array_equal(seen(shown_dock), labels)


def test_closing_the_viewer_while_a_merge_is_solved_leaves_no_thread(shown_dock, box, monkeypatch):
    began, go_on = threading.Event(), threading.Event()
    whole = Review.preview

    def slow(self, *args):
        began.set()
        go_on.wait(10)
        return whole(self, *args)

    monkeypatch.setattr(Review, "preview", slow)
    press(shown_dock, box.match, Qt.Key.Key_End)
    shown_dock.qtbot.waitUntil(began.is_set, timeout=10000)
    shown_dock.viewer.close()
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "seamlabel-preview":
            thread.join(10)
            assert not thread.is_alive()


def test_closing_the_dock_in_a_viewer_that_stays_shows_what_is_written(shown_dock, box):
    dock, layer = shown_dock, shown_dock.controller.results.layer
    before = seen(dock)
    press(dock, box.match, Qt.Key.Key_End)
    previewed(dock)
    dock.viewer.window.remove_dock_widget(dock.docked)
    dock.qtbot.waitUntil(lambda: not layer.name.endswith("(preview)"), timeout=5000)
    np.testing.assert_array_equal(np.asarray(layer.data[0]), before)


def test_the_layer_may_be_taken_away_while_another_merge_is_shown(shown_dock, box):
    dock = shown_dock
    press(dock, box.match, Qt.Key.Key_End)
    previewed(dock)
    dock.viewer.layers.remove(dock.controller.results.layer)
    press(dock, box.match, Qt.Key.Key_Left, 5)
    dock.qtbot.waitUntil(lambda: previewed(dock).preview.plan.spec.merge.iou == 0.95, timeout=20000)
    dock.click(box.back_button)
    assert not dock.controller.results.differs


def test_labels_repeated_along_channels_and_times_are_previewed_in_place(dock):
    planes = [Tissue((128, 128), "dense", diameter=16, seed=n).image() for n in range(4)]
    movie = np.stack(planes).reshape(2, 2, 128, 128)
    layer = dock.viewer.add_image(movie)
    dock.type(dock.form.image.axes, "tcyx")
    dock.tiles((64, 64), (16, 16))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    results, box = dock.controller.results, merge_box(dock)
    labels = written(dock)
    assert results.layer.ndim == layer.ndim == labels.ndim + 1
    dock.click(box.border)
    preview = previewed(dock)
    for time in range(2):
        shown = seen(dock)[time]
        np.testing.assert_array_equal(shown[0], shown[1])
        exact = preview.preview.labels(Box((time, 0, 0), (time + 1, 128, 128)))[0]
        np.testing.assert_array_equal(shown[0] > 0, exact > 0)
    assert preview.preview.n_objects < labels.max()


def test_a_rule_that_has_no_threshold_greys_the_slider_with_the_reason(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    dock.form.setValue(dock.form.value().replace(merge={"rule": "touching"}))
    dock.tiles((128, 128), (0, 0))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    box = merge_box(dock)
    assert not box.match.isEnabled()
    assert "no threshold" in box.match.toolTip()
    assert box.rule.currentText() == "Touching"
    assert not box.rule.isEnabled()
    assert "run again" in box.rule.toolTip()
    dock.click(box.border)
    assert previewed(dock).preview.n_objects < dock.controller.results.shown.n_objects
