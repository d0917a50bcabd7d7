"""Trying one tile with Enter, a double-click or the button; and which tiles a run begins with."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.hand import Hand

from seamlabel.events import TileDone


@pytest.fixture
def tissue(shown_dock, pixels, script):
    """Return the dock with an image of 384 x 384 pixels in 16 tiles of 96, and its hand."""
    dock = shown_dock
    dock.image = dock.add(pixels, contrast_limits=(0, 4000), scale=(2, 2), translate=(10, 20))
    dock.form.method.set_values("function", script("label"))
    dock.form.method.changed.emit()
    dock.tiles((96, 96), (16, 16))
    dock.wait_grid()
    dock.qtbot.waitUntil(lambda: len(dock.canvas.states.grid) == 16, timeout=5000)
    dock.viewer.reset_view()
    dock.hand = Hand(dock)
    dock.hand.settle()
    dock.trial = dock.controller.trial
    return dock


def world(row, column):
    return 10 + 2 * (96 * row + 48), 20 + 2 * (96 * column + 48)


def wait_try(dock):
    dock.qtbot.waitUntil(lambda: not dock.trial.active, timeout=20000)
    dock.hand.settle()


def tried(dock):
    return np.asarray(dock.canvas.tried_layer.data[0] if dock.canvas.tried_layer.multiscale
                      else dock.canvas.tried_layer.data)  # fmt: skip


def other(dock, script, name):
    dock.form.method.set_values("function", script(name))
    dock.form.method.changed.emit()


def test_a_double_click_tries_the_tile_and_does_not_zoom(tissue, pixels):
    import scipy.ndimage

    zoom = tissue.viewer.scene.camera.zoom
    tissue.hand.double_click(world(1, 2))
    wait_try(tissue)
    assert tissue.viewer.scene.camera.zoom == zoom
    layer = tissue.canvas.tried_layer
    assert layer.name.endswith("(tried)")
    assert layer.extent.world.tolist() == tissue.image.extent.world.tolist()
    core = np.s_[96:192, 192:288]
    found, expected = tried(tissue), scipy.ndimage.label(pixels[80:208, 176:304] > 1800)[0][16:-16, 16:-16]
    np.testing.assert_array_equal(found[core] > 0, expected > 0)
    outside = found.copy()
    outside[core] = 0
    assert not outside.any()
    row = tissue.form.tiles.pick_row
    assert row.title.text() == "Tile (1, 2) · tried"
    assert f"{len(np.unique(found)) - 1} objects" in row.more.text()
    assert tissue.canvas.states.state(tissue.controller.grid.picked) == "waiting"
    assert "(from the tried tile)" in tissue.form.tiles.summary.text()
    assert not tissue.run.active


def test_a_double_click_beside_the_tiles_or_without_them_zooms(tissue):
    camera = tissue.viewer.scene.camera
    before = camera.zoom
    camera.zoom = before * 0.6
    tissue.hand.settle()
    tissue.hand.double_click((-80, 400))
    assert camera.zoom == pytest.approx(before * 1.2)
    tissue.click(tissue.form.tiles.show_grid)
    tissue.hand.double_click(world(1, 1))
    assert camera.zoom == pytest.approx(before * 2.4)
    assert not tissue.trial.active
    assert tissue.canvas.tried_layer is None


def test_enter_tries_the_picked_tile_again_with_other_settings_in_the_same_layer(tissue, script):
    tissue.hand.click(world(0, 0))
    tissue.hand.key(Qt.Key.Key_Return)
    wait_try(tissue)
    layer, first = tissue.canvas.tried_layer, tried(tissue).copy()
    assert first[:96, :96].any()
    tissue.hand.key(Qt.Key.Key_Right)
    tissue.hand.key(Qt.Key.Key_Return)
    wait_try(tissue)
    assert tissue.canvas.tried_layer is layer
    both = tried(tissue).copy()
    np.testing.assert_array_equal(both[:96, :96], first[:96, :96])
    assert both[:96, 96:192].any()
    other(tissue, script, "bright")
    assert "tried" not in tissue.form.tiles.summary.text(), "other settings take another time"
    tissue.hand.key(Qt.Key.Key_Return)
    wait_try(tissue)
    again = tried(tissue)
    np.testing.assert_array_equal(again[:96, :96], first[:96, :96])
    assert 0 < (again[:96, 96:192] > 0).sum() < (both[:96, 96:192] > 0).sum()


def test_a_failing_try_says_why_beside_the_run_bar(tissue, script):
    other(tissue, script, "out_of_memory")
    tissue.ready()
    tissue.hand.click(world(2, 3))
    tissue.click(tissue.form.tiles.pick_row.ask_button)
    wait_try(tissue)
    assert tissue.bar.failures.text().startswith("Tile (2, 3): ")
    assert "out of memory" in tissue.bar.failures.text()
    assert "Traceback" not in tissue.bar.failures.text()
    assert "out of memory" in tissue.form.tiles.pick_row.reason.text()
    assert tissue.canvas.tried_layer is None
    assert tissue.canvas.states.counts["failed"] == 0
    other(tissue, script, "label")
    tissue.hand.key(Qt.Key.Key_Return)
    wait_try(tissue)
    assert not tissue.bar.failures.text()
    assert tissue.canvas.tried_layer is not None


def test_a_run_takes_the_tried_tiles_away_and_its_time_is_the_next_estimate(tissue):
    tissue.hand.double_click(world(1, 1))
    wait_try(tissue)
    layer = tissue.canvas.tried_layer
    tissue.click(tissue.bar.run_button)
    assert layer not in tissue.viewer.layers
    tissue.wait_end()
    row = tissue.form.tiles.pick_row
    assert row.title.text() == "Tile (1, 1) · done"
    assert "object" in row.more.text()


def test_closing_the_viewer_in_the_middle_of_a_try_leaves_nothing_behind(tissue, script):
    other(tissue, script, "slow")
    tissue.hand.double_click(world(1, 1))
    assert tissue.trial.active
    tissue.viewer.close()


def test_tiles_in_the_view_come_first_and_one_that_is_asked_for_before_them(tissue, script, tmp_path):
    other(tissue, script, "held_up")
    tissue.form.tiles.run_on.set_values("serial", None, None)
    tissue.form.tiles.run_on.changed.emit()
    tissue.viewer.scene.camera.center = world(3, 3)
    tissue.viewer.scene.camera.zoom *= 5
    first = tissue.controller.scope.first
    tissue.qtbot.waitUntil(lambda: first()[:1] == (15,), timeout=20000)
    tissue.ready()
    came, take = [], tissue.run._take
    tissue.run._take = lambda events: (came.extend(map(tile_of, events)), take(events))
    tissue.click(tissue.bar.run_button)
    tissue.qtbot.waitUntil((tmp_path / "begun").exists, timeout=20000)
    tissue.viewer.scene.camera.center = world(0, 3)
    tissue.qtbot.waitUntil(lambda: first()[:1] == (3,), timeout=20000)
    tissue.controller.grid.pick(8)
    tissue.click(tissue.form.tiles.pick_row.ask_button)
    assert first()[:2] == (8, 3)
    (tmp_path / "open").touch()
    tissue.wait_end()
    came = [tile for tile in came if tile is not None]
    assert came[0] == 15
    assert 8 in came[:4], "the one that was asked for"
    assert 3 in came[:5], "the run follows the view"
    assert sorted(came) == list(range(16))


def tile_of(event):
    return event.tile if isinstance(event, TileDone) else None
