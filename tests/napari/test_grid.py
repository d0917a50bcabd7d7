"""The tile grid under a real pointer and real keys: hover, pick, filter, move."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.hand import Hand


@pytest.fixture
def dark(shown_dock):
    """Return the dock with a black image of 512 x 512 pixels in 16 tiles, and its hand."""
    dock = shown_dock
    dock.add(np.zeros((512, 512), np.uint8), contrast_limits=(0, 255))
    dock.tiles((128, 128), (16, 16))
    dock.wait_grid()
    dock.qtbot.waitUntil(lambda: len(dock.canvas.states.grid) == 16, timeout=5000)
    dock.viewer.reset_view()
    dock.hand = Hand(dock)
    dock.hand.settle()
    return dock


def picture(dock):
    dock.hand.settle()
    return dock.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)


def yellow(dock):
    image = picture(dock)
    return ((image[..., 0] > 40) & (image[..., 2] < image[..., 0] / 2)).mean()


def test_a_click_picks_a_tile_and_tells_of_it(dark):
    row, grid = dark.form.tiles.pick_row, dark.controller.grid
    assert not row.isVisible()
    dark.hand.click((200, 300))
    assert grid.picked == dark.canvas.states.grid.number((1, 2))
    assert row.isVisible()
    assert row.title.text() == "Tile (1, 2) · waiting"
    assert row.more.text() == "y 128–255, x 256–383"
    before = yellow(dark)
    assert before > 0.005, "its frame and what it reads are drawn"
    dark.hand.move((450, 450))
    assert dark.form.tiles.legend.pointed.text() == "Tile (3, 3) · waiting"
    assert yellow(dark) == pytest.approx(before, rel=0.1), "the picked tile stays drawn"
    assert row.title.text() == "Tile (1, 2) · waiting"
    dark.click(row.leave_button)
    assert grid.picked is None
    assert not row.isVisible()


def test_a_drag_moves_the_view_and_picks_nothing(dark):
    center = np.array(dark.viewer.scene.camera.center)
    dark.hand.drag((200, 300), (260, 380))
    assert dark.controller.grid.picked is None
    assert not np.allclose(center, dark.viewer.scene.camera.center)


def test_clicks_are_left_to_a_layer_that_is_drawn_on(dark):
    dark.viewer.add_shapes(ndim=2).mode = "add_rectangle"
    dark.hand.click((200, 300))
    assert dark.controller.grid.picked is None


def test_arrows_move_the_pick_and_escape_gives_napari_its_keys_back(dark):
    grid = dark.controller.grid
    number = dark.canvas.states.grid.number
    before = dict(dark.viewer.keymap)
    dark.hand.click((200, 300))
    for key, index in (
        (Qt.Key.Key_Left, (1, 1)),
        (Qt.Key.Key_Down, (2, 1)),
        (Qt.Key.Key_Right, (2, 2)),
        (Qt.Key.Key_Up, (1, 2)),
        (Qt.Key.Key_Up, (0, 2)),
        (Qt.Key.Key_Up, (0, 2)),
    ):
        dark.hand.key(key)
        assert grid.picked == number(index)
    dark.hand.key(Qt.Key.Key_Escape)
    assert grid.picked is None
    assert dark.viewer.keymap == before


def test_keys_work_with_labels_chosen_and_are_left_to_them_in_their_modes(dark):
    labels = dark.viewer.add_labels(np.zeros((512, 512), np.uint8))
    dark.hand.click((200, 300))
    picked = dark.controller.grid.picked
    labels.mode = "polygon"
    dark.hand.key(Qt.Key.Key_Escape)
    assert dark.controller.grid.picked == picked
    labels.mode = "pan_zoom"
    dark.hand.key(Qt.Key.Key_Escape)
    assert dark.controller.grid.picked is None
    assert not labels.keymap


def test_n_goes_from_failed_tile_to_failed_tile(dark):
    number = dark.canvas.states.grid.number
    dark.hand.key(Qt.Key.Key_N)
    assert dark.controller.grid.picked is None
    dark.canvas.set_states({number((0, 1)): "failed", number((3, 3)): "failed"})
    dark.controller.grid.refresh()
    dark.viewer.scene.camera.zoom *= 3
    for index in ((0, 1), (3, 3), (0, 1)):
        dark.hand.key(Qt.Key.Key_N)
        assert dark.controller.grid.picked == number(index)
        np.testing.assert_allclose(
            dark.viewer.scene.camera.center[-2:], [128 * i + 63.5 for i in index], atol=1
        )


def test_arrows_out_of_sight_take_the_view_along(dark):
    dark.viewer.scene.camera.zoom *= 6
    dark.hand.settle()
    dark.hand.click((255, 250))
    for _ in range(2):
        dark.hand.key(Qt.Key.Key_Down)
    assert dark.controller.grid.picked == dark.canvas.states.grid.number((3, 1))
    assert dark.viewer.scene.camera.center[-2] == pytest.approx(447.5, abs=1)


def test_the_status_bar_tells_of_the_tile_under_the_pointer(dark):
    tile = dark.canvas.states.grid.number((1, 2))
    dark.run.progress.failures[tile] = ("out of memory\nat line 3", "")
    dark.canvas.set_states({tile: "failed"})
    dark.viewer.mouse_over_canvas = True  # Qt says so when a pointer of flesh comes in
    dark.hand.move((200, 300))

    def told():
        dark.viewer.update_status_from_cursor()  # its thread does not run in tests
        status = dark.viewer.status
        text = status if isinstance(status, str) else status["coordinates"]
        return text.endswith(": 0 · tile (1,2) · failed: out of memory")

    dark.qtbot.waitUntil(told, timeout=5000)


def test_a_click_on_the_legend_shows_only_tiles_in_that_state(dark):
    number = dark.canvas.states.grid.number
    dark.canvas.set_states({number((0, 0)): "failed", number((2, 2)): "done"})
    dark.canvas.refresh()
    dark.controller.grid.refresh()
    legend = dark.form.tiles.legend
    assert legend.text("failed") == "1 failed"

    def colours():
        image = picture(dark)
        red = ((image[..., 0] > 120) & (image[..., 1] < 120)).mean()
        green = ((image[..., 1] > 120) & (image[..., 0] < 120)).mean()
        lines = (np.ptp(image, axis=-1) < 20) & (image.max(axis=-1) > 60)
        return red > 1e-4, green > 1e-4, lines[:, : image.shape[1] // 2].mean() > 0.004

    assert colours() == (True, True, True)
    dark.click(legend.buttons["failed"])
    assert colours() == (True, False, False)
    dark.click(legend.buttons["done"])
    assert colours() == (False, True, False)
    dark.tiles((64, 64), (16, 16))
    dark.qtbot.waitUntil(lambda: len(dark.canvas.states.grid) == 64, timeout=5000)
    assert dark.canvas.states.only == "done", "another grid keeps the filter"
    dark.click(legend.buttons["done"])
    assert dark.canvas.states.only is None


def test_the_pick_stays_at_its_place_when_the_tiles_change(dark):
    dark.hand.click((200, 300))
    dark.tiles((64, 64), (16, 16))
    dark.qtbot.waitUntil(lambda: len(dark.canvas.states.grid) == 64, timeout=5000)
    assert dark.controller.grid.picked == dark.canvas.states.grid.number((3, 5))
    assert dark.form.tiles.pick_row.title.text() == "Tile (3, 5) · waiting"


def test_a_hundred_thousand_tiles_are_drawn_and_picked(dark):
    dark.tiles((2, 1), (1, 1))
    dark.qtbot.waitUntil(lambda: len(dark.canvas.states.grid) == 131_072, timeout=5000)
    dark.hand.click((200.2, 300.2))
    assert dark.controller.grid.picked == dark.canvas.states.grid.number((100, 300))


def test_in_3d_the_legend_goes_on_without_the_grid(dark):
    dark.viewer.dims.ndisplay = 3
    dark.canvas.set_states({3: "done"})
    dark.controller.grid.refresh()
    assert dark.form.tiles.legend.text("done") == "1 done"
    assert not dark.canvas.grid_layer.visible


def test_a_closed_dock_leaves_the_viewer_its_own_keys_and_double_click(shown_dock):
    dock = shown_dock
    viewer = dock.viewer
    ours = [c for c in viewer.mouse_double_click_callbacks if "GridHand" in c.__qualname__]
    assert len(ours) == 1
    dock.controller.close()
    assert [c.__name__ for c in viewer.mouse_double_click_callbacks] == ["double_click_to_zoom"]
    assert not any("GridHand" in c.__qualname__ for c in viewer.mouse_drag_callbacks)
