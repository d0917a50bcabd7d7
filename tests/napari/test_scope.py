"""The row "Run on": what is looked at, what is drawn, or one tile; and the advice about tiles."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.hand import Hand

from seamlabel.io.sources import open_labels
from seamlabel.napari.tiles.region_boxes import coarse_mask, ellipse, mask_boxes, merged, polygon_boxes


@pytest.fixture
def tissue(shown_dock, pixels):
    """Return the dock with an image of 384 x 384 pixels in 16 tiles of 96, and its hand."""
    dock = shown_dock
    dock.image = dock.add(pixels, contrast_limits=(0, 4000), scale=(2, 2), translate=(10, 20))
    dock.form.method.set_values("threshold", {})
    dock.form.method.changed.emit()
    dock.tiles((96, 96), (16, 16))
    dock.wait_grid()
    dock.qtbot.waitUntil(lambda: len(dock.canvas.states.grid) == 16, timeout=5000)
    dock.viewer.reset_view()
    dock.hand, dock.scope = Hand(dock), dock.form.tiles.scope
    dock.hand.settle()
    return dock


def world(row, column):
    return 10 + 2 * (96 * row + 48), 20 + 2 * (96 * column + 48)


def choose(dock, kind):
    dock.scope.what.setFocus()
    dock.qtbot.keyClick(dock.scope.what, Qt.Key.Key_Home)
    for _ in range(dock.scope.what.findData(kind)):
        dock.qtbot.keyClick(dock.scope.what, Qt.Key.Key_Down)
    assert dock.scope.kind == kind


def wait_plan(dock, text):
    dock.qtbot.waitUntil(lambda: dock.form.tiles.summary.text().startswith(text), timeout=5000)
    dock.ready()


def run_and_read(dock):
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return np.asarray(open_labels(dock.run.progress.result.path)[0][...]) > 0


def test_one_tile_is_what_is_picked(tissue):
    choose(tissue, "tile")
    assert tissue.scope.problem("region") == "No tile is picked. Click on a tile of the image"
    assert not tissue.bar.run_button.isEnabled()
    tissue.hand.click(world(1, 2))
    wait_plan(tissue, "1 of 16 tiles")
    assert tissue.scope.boxes() == (((96, 192), (192, 288)),)
    assert tissue.controller.plan.spec.region == tissue.scope.boxes()
    tissue.hand.click(world(3, 0))
    tissue.qtbot.waitUntil(lambda: tissue.controller.plan.spec.region == (((288, 384), (0, 96)),))
    found = run_and_read(tissue)
    assert found[300:384, :90].any()
    assert not found[:250].any()
    assert tissue.form.tiles.legend.text("done") == "1 done"


def test_the_current_view_is_followed_until_run(tissue):
    choose(tissue, "view")
    wait_plan(tissue, "4 × 4 = 16 tiles")
    tissue.viewer.scene.camera.zoom *= 10
    tissue.viewer.scene.camera.center = world(1, 1)
    wait_plan(tissue, "1 of 16 tiles")
    tissue.viewer.scene.camera.center = (10 + 2 * 96, 20 + 2 * 48)
    wait_plan(tissue, "2 of 16 tiles")
    tissue.qtbot.waitUntil(lambda: tissue.canvas.states.counts["waiting"] == 2, timeout=5000)
    found = run_and_read(tissue)
    assert found[:192, :96].any()
    assert not found[:, 130:].any()
    assert not found[230:].any()


def test_a_view_beside_the_image_is_told(tissue):
    choose(tissue, "view")
    tissue.viewer.scene.camera.center = (5000, 5000)
    tissue.qtbot.waitUntil(lambda: not tissue.bar.run_button.isEnabled(), timeout=5000)
    assert "view" in tissue.scope.problem("region")


def test_a_region_is_drawn_with_the_pointer(tissue):
    choose(tissue, "region")
    assert "Draw one" in tissue.scope.problem("region")
    tissue.click(tissue.scope.draw_button)
    layer = tissue.viewer.layers.selection.active
    assert layer.name == "Region"
    assert layer.mode == "add_rectangle"
    np.testing.assert_allclose(layer.scale, (2, 2))
    tissue.hand.drag((10 + 2 * 100, 20 + 2 * 10), (10 + 2 * 180, 20 + 2 * 150))
    assert len(layer.data) == 1
    wait_plan(tissue, "2 of 16 tiles")
    assert tissue.controller.grid.picked is None, "drawing picks no tile"
    layer.add([[300, 300], [300, 380], [380, 380]], shape_type="polygon")
    wait_plan(tissue, "3 of 16 tiles")
    layer.selected_data = {0}
    layer.remove_selected()
    wait_plan(tissue, "1 of 16 tiles")


def test_labels_can_be_the_region(tissue):
    mask = np.zeros((192, 192), np.uint8)
    mask[10:20, 10:20] = 3
    mask[150:151, 170:171] = 1
    layer = tissue.viewer.add_labels(mask, scale=(4, 4), translate=(11, 21), name="mask")
    choose(tissue, "region")
    assert tissue.scope.layer() is layer
    wait_plan(tissue, "2 of 16 tiles")
    layer.data[100, 20] = 1
    layer.refresh()
    wait_plan(tissue, "3 of 16 tiles")
    tissue.viewer.layers.remove(layer)
    tissue.qtbot.waitUntil(lambda: not tissue.bar.run_button.isEnabled(), timeout=5000)


def test_a_run_file_with_a_region_is_shown_and_kept(tissue):
    spec = tissue.controller.plan.spec.replace(region=((0, 96), (0, 200)))
    tissue.form.setValue(spec)
    wait_plan(tissue, "3 of 16 tiles")
    assert tissue.scope.what.currentText() == "Part of the image"
    choose(tissue, "all")
    wait_plan(tissue, "4 × 4 = 16 tiles")


def test_in_a_stack_the_view_is_all_planes_and_the_time_that_is_shown(shown_dock):
    dock = shown_dock
    dock.add(np.zeros((3, 8, 96, 96), np.uint16), axis_labels=("t", "z", "y", "x"))
    dock.tiles((4, 32, 32), (1, 4, 4))
    dock.wait_grid()
    dock.scope = dock.form.tiles.scope
    Hand(dock).settle()
    dock.viewer.dims.set_point(0, 1)
    choose(dock, "view")
    dock.qtbot.waitUntil(lambda: dock.scope.boxes() == (((1, 2), (0, 8), (0, 96), (0, 96)),), timeout=5000)
    dock.viewer.dims.set_point(0, 2)
    dock.qtbot.waitUntil(lambda: dock.scope.boxes()[0][0] == (2, 3), timeout=5000)


def test_advice_about_tiles_is_taken_with_a_button(tissue):
    tissue.form.method.set_values("watershed", {"diameter": 40})
    tissue.form.method.changed.emit()
    tissue.tiles((32, 32), (20, 20))
    shown = tissue.form.tiles.warnings
    wasteful, thin = shown.text().split("\n")[:2]
    assert wasteful.startswith("Every pixel is read")
    assert thin == "Objects of 40 pixels are wider than the overlap of 20: some may be cut in two"
    assert [button.text() for button in shown.buttons][1] == "Use 40"
    tissue.click(shown.buttons[1])
    assert [box.value() for box in tissue.form.tiles.overlap.boxes] == [40, 40]
    assert "wider" not in shown.text()
    tissue.click(shown.buttons[0])
    assert "Every pixel" not in shown.text()
    assert min(box.value() for box in tissue.form.tiles.shape.boxes) >= 128


def test_too_many_tiles_and_tiles_beyond_memory_come_with_what_mends_them(tissue, monkeypatch):
    tissue.tiles((2, 2), (2, 2))
    shown = tissue.form.tiles.warnings
    assert "36,864 tiles are slow" in shown.text()
    tissue.click(shown.buttons[0])
    assert "slow" not in shown.text()
    monkeypatch.setattr("seamlabel.memory.available", lambda: 4_000_000)
    tissue.type(tissue.form.tiles.shape.boxes[0].lineEdit(), "384")
    tissue.type(tissue.form.tiles.shape.boxes[1].lineEdit(), "384")
    assert "of memory" in tissue.form.tiles.problem("tile_shape")
    tissue.click(tissue.form.tiles.mend.buttons[0])
    assert not tissue.form.tiles.problem("tile_shape")
    tissue.ready()


def test_boxes_cover_exactly_what_is_drawn():
    mask = np.zeros((6, 7), bool)
    mask[1:3, 2:5] = mask[3, 0:2] = mask[3, 4:6] = True
    drawn = np.zeros_like(mask)
    boxes = mask_boxes(mask)
    assert len(boxes) == 3
    for (a, b), (c, d) in boxes:
        assert not drawn[a:b, c:d].any()
        drawn[a:b, c:d] = True
    np.testing.assert_array_equal(drawn, mask)


def test_polygons_become_few_boxes_that_follow_their_outline():
    (box,) = polygon_boxes(np.array([[0, 0], [0, 50], [30, 50], [30, 0]], float))
    np.testing.assert_array_equal(box, [[0, 30], [0, 50]])
    ring = ellipse(np.array([[0, 0], [0, 100], [100, 100], [100, 0]], float))
    area = sum(np.prod(np.ptp(b, axis=1)) for b in polygon_boxes(ring))
    assert np.pi * 2500 < area < 1.1 * np.pi * 2500
    u = np.array([[0, 0], [0, 30], [70, 30], [70, 70], [0, 70], [0, 100], [100, 100], [100, 0]], float)
    assert sum(np.prod(np.ptp(b, axis=1)) for b in polygon_boxes(u)) < 1.1 * 7200
    line = polygon_boxes(np.array([[0, 0], [100, 100]], float), closed=False)
    assert sum(np.prod(np.ptp(b, axis=1)) for b in line) < 500


def test_large_masks_are_looked_at_coarsely_and_boxes_in_boxes_are_dropped():
    mask = np.zeros((300, 200), np.uint8)
    mask[299, 0] = 1
    cells, pixels = coarse_mask(mask)
    assert cells.sum() == 1
    assert max(cells.shape) <= 64
    assert pixels.tolist() == [5, 4]
    big, small = ((0, 9), (0, 9)), ((1, 2), (1, 2))
    assert merged([big, small, big]) == (big,)
