"""What is really seen: screenshots of the canvas, judged by statistics."""

from __future__ import annotations

import numpy as np
import pytest

from seamlabel.napari.tiles.tile_states import COLORS, STATES


def picture(dock):
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    return dock.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)


def near(image, color, tolerance=40):
    return (np.abs(image - 255 * np.array(color[:3])) < tolerance).all(axis=-1).mean()


@pytest.fixture
def dark(shown_dock):
    """Return the dock with a black image of 512 x 512 pixels in 16 tiles."""
    dock = shown_dock
    dock.add(np.zeros((512, 512), np.uint8), contrast_limits=(0, 255))
    dock.tiles((128, 128), (16, 16))
    dock.wait_grid()
    dock.qtbot.waitUntil(lambda: len(dock.canvas.states.grid) == 16, timeout=5000)
    dock.viewer.reset_view()
    return dock


def test_the_grid_is_seen_and_can_be_hidden(dark):
    shown = picture(dark)
    assert 0.005 < (shown.max(axis=-1) > 60).mean() < 0.1
    dark.click(dark.form.tiles.show_grid)
    assert (picture(dark).max(axis=-1) > 60).mean() < 0.002


@pytest.mark.parametrize("state", ["running", "done", "empty", "failed"])
def test_a_state_is_seen_in_its_colour(dark, state):
    color = np.array(COLORS[STATES.index(state) + 1][:3]) * COLORS[STATES.index(state) + 1][3]
    before = near(picture(dark), color)
    dark.canvas.set_states(dict.fromkeys(range(16), state))
    dark.canvas.refresh()
    share = near(picture(dark), color) - before
    assert 0.003 < share < 0.4, "a pattern: seen, but not filled"


def test_the_grid_follows_the_boxes_and_keeps_the_selection(dark):
    image = dark.viewer.layers[0]
    assert dark.viewer.layers.selection == {image}
    lines = (picture(dark).max(axis=-1) > 60).mean()
    dark.tiles((64, 64), (16, 16))
    dark.qtbot.waitUntil(lambda: len(dark.canvas.states.grid) == 64, timeout=5000)
    assert (picture(dark).max(axis=-1) > 60).mean() > 1.5 * lines
    assert dark.viewer.layers.selection == {image}
    assert [layer.name for layer in dark.viewer.layers][-1] == "Tiles"


def test_the_pointer_tells_of_the_tile_under_it(dark):
    class Move:
        position = (200.0, 300.0)
        type = "mouse_move"

    dark.canvas.set_states({dark.canvas.states.grid.number((1, 2)): "done"})
    for callback in dark.viewer.mouse_move_callbacks:
        callback(dark.viewer, Move())
    assert dark.form.tiles.legend.pointed.text() == "Tile (1, 2) · done"
    assert dark.canvas.states.selected == dark.canvas.states.grid.number((1, 2))
    yellow = picture(dark)
    assert ((yellow[..., 0] > 40) & (yellow[..., 2] < yellow[..., 0] / 2)).mean() > 0.005


def test_labels_stream_in_while_the_run_goes_on(shown_dock, pixels, script):
    dock = shown_dock
    dock.add(np.asarray(pixels), contrast_limits=(0, 65535))
    dock.form.method.set_values("function", script("slow"))
    dock.form.method.changed.emit()
    dock.tiles((96, 96), (8, 8))
    dock.form.tiles.show_grid.setChecked(False)
    dock.click(dock.bar.run_button)
    coloured = []
    for tiles in (4, 10):
        dock.qtbot.waitUntil(lambda n=tiles: dock.run.progress.done >= n, timeout=20000)
        dock.qtbot.waitUntil(lambda: not dock.canvas._stale, timeout=5000)
        coloured.append((np.ptp(picture(dock), axis=-1) > 30).mean())
    dock.wait_end()
    coloured.append((np.ptp(picture(dock), axis=-1) > 30).mean())
    assert 0.01 < coloured[0] < coloured[1] < coloured[2]


def test_in_3d_the_grid_steps_aside_and_labels_are_seen(shown_dock):
    from seamlabel.testing.cells import Tissue

    dock = shown_dock
    volume = Tissue((24, 96, 96), "sparse", diameter=16, seed=1).image()
    dock.add(volume, axis_labels=("z", "y", "x"))
    dock.tiles((12, 48, 48), (4, 8, 8))
    dock.form.method.set_values("threshold", {"smoothing": 0.0})
    dock.form.method.changed.emit()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    dock.viewer.dims.ndisplay = 3
    assert not dock.canvas.grid_layer.visible
    dock.viewer.layers[0].visible = False
    assert (np.ptp(picture(dock), axis=-1) > 30).mean() > 0.01
    dock.viewer.dims.ndisplay = 2
    assert dock.canvas.grid_layer.visible


def test_states_are_seen_from_afar_too(shown_dock):
    """napari keeps the coarsest level of a pyramid; what changes must be seen there as well."""
    dock = shown_dock
    dock.add(np.zeros((2048, 2048), np.uint8), contrast_limits=(0, 255))
    dock.tiles((512, 512), (16, 16))
    dock.wait_grid()
    dock.viewer.camera.zoom = 0.2
    picture(dock)
    assert dock.canvas.grid_layer.data_level == len(dock.canvas.grid_layer.data) - 1
    red = np.array(COLORS[STATES.index("failed") + 1][:3])
    before = near(picture(dock), red, 60)
    dock.canvas.set_states(dict.fromkeys(range(16), "failed"))
    dock.canvas.refresh()
    assert near(picture(dock), red, 60) > before + 0.003


def test_tiles_out_of_sight_are_not_drawn_and_are_right_when_one_looks_at_them(shown_dock):
    dock, canvas, viewer = shown_dock, shown_dock.canvas, shown_dock.viewer
    dock.add(np.zeros((2048, 2048), np.uint8), contrast_limits=(0, 255))
    dock.tiles((512, 512), (16, 16))
    dock.qtbot.waitUntil(lambda: canvas.states is not None and len(canvas.states.grid) == 16, timeout=5000)
    drawn, color = [], np.array(COLORS[STATES.index("failed") + 1][:3])

    def look(place):
        viewer.camera.zoom, viewer.camera.center = 4, (0, place, place)
        dock.qtbot.waitUntil(lambda: looked_at(canvas.grid_layer, place), timeout=5000)

    look(200)
    canvas.grid_layer.events.set_data.connect(drawn.append)
    canvas.set_states({15: "failed"})
    canvas.refresh()
    assert not drawn
    look(1800)
    assert near(picture(dock), color * 0.95) > 0.003
    before = len(drawn)
    canvas.set_states({15: "running"})
    canvas.refresh()
    assert len(drawn) > before
    assert near(picture(dock), color * 0.95) < 0.003


def looked_at(layer, place):
    return layer.data_level == 0 and abs(layer.corner_pixels.mean() - place) < 150
