"""What users fell over in a trial, done with real clicks and keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from seamlabel.io.sources import image_info
from seamlabel.napari.layers.pictures import OWN


def use(dock, script, name, tile=(64, 64)):
    dock.form.method.set_values("function", script(name))
    dock.form.method.changed.emit()
    dock.tiles(tile, (8, 8))


def choose(dock, layer):
    """Choose a layer in the dock with the keyboard."""
    combo = dock.form.image.layers
    wanted = combo.findText(layer.name)
    dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(wanted):
        dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert dock.form.image.layer() is layer


def start(dock, tiles=2):
    dock.click(dock.bar.run_button)
    dock.qtbot.waitUntil(lambda: dock.run.progress.done >= tiles or not dock.run.active, timeout=20000)


# -- the tiles over the image --------------------------------------------------------------------


def test_labels_lie_on_their_image_although_tiles_are_not_shown(dock, pixels):
    dock.add(np.asarray(pixels[:200, :200]), name="first")
    dock.wait_grid()
    dock.click(dock.form.tiles.show_grid)
    other = dock.add(np.asarray(pixels), name="other", translate=(500, 700), scale=(2, 2))
    choose(dock, other)
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.canvas.labels_layer.extent.world.tolist() == other.extent.world.tolist()
    assert sum(dock.canvas.states.counts.values()) == len(dock.run.plan.grid)


def test_tiles_that_are_shown_again_are_those_of_the_chosen_image(dock, pixels):
    dock.add(np.asarray(pixels), name="first")
    dock.wait_grid()
    dock.click(dock.form.tiles.show_grid)
    other = dock.add(np.asarray(pixels[:100, :100]), name="other", translate=(500, 700))
    choose(dock, other)
    dock.qtbot.waitUntil(lambda: dock.canvas.image is other, timeout=5000)
    dock.click(dock.form.tiles.show_grid)
    assert dock.canvas.grid_layer.extent.world.tolist() == other.extent.world.tolist()
    assert dock.canvas.grid_layer.visible


def test_counts_of_tiles_are_those_of_the_new_plan_with_tiles_hidden(dock, pixels):
    dock.add(pixels)
    dock.tiles((128, 128), (8, 8))
    dock.click(dock.form.tiles.show_grid)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.form.tiles.legend.text("done") == "9 done"
    dock.tiles((64, 64), (8, 8))
    dock.qtbot.waitUntil(lambda: dock.form.tiles.legend.text("waiting") == "36 waiting", timeout=5000)
    assert dock.form.tiles.legend.text("done") == "0 done"


def test_removing_the_tiles_with_their_image_leaves_the_box_ticked(dock, pixels):
    dock.add(pixels)
    dock.wait_grid()
    dock.viewer.layers.clear()
    dock.qtbot.wait(50)
    assert dock.form.tiles.show_grid.isChecked()
    dock.add(pixels)
    dock.wait_grid()
    dock.viewer.layers.remove(dock.canvas.grid_layer)
    dock.qtbot.waitUntil(lambda: not dock.form.tiles.show_grid.isChecked(), timeout=5000)


def test_a_problem_and_its_mending_add_no_second_layer_of_tiles(dock, pixels):
    dock.add(pixels)
    dock.wait_grid()
    layer = dock.canvas.grid_layer
    dock.type(dock.form.save.name, "my/cells")
    assert not layer.visible
    dock.type(dock.form.save.name, "mine")
    dock.qtbot.waitUntil(lambda: layer.visible, timeout=5000)
    assert dock.canvas.grid_layer is layer


# -- numbers -------------------------------------------------------------------------------------


def test_tile_numbers_stay_with_their_axes_and_new_axes_make_them_automatic(dock, pixels):
    flat = dock.add(np.asarray(pixels), name="flat")
    dock.tiles((128, 96), (8, 9))
    volume = dock.add(np.asarray(pixels).reshape(36, 64, 64), name="volume", axis_labels="zyx")
    choose(dock, volume)
    dock.ready()
    assert dock.form.tiles.shape.value() == dock.form.tiles.overlap.value() == "auto"
    assert len(dock.controller.plan.grid) < 100
    dock.tiles((12, 32, 48), (4, 5, 6))
    choose(dock, flat)
    dock.ready()
    assert dock.form.tiles.shape.value() == (32, 48)
    assert dock.form.tiles.overlap.value() == (5, 6)


def test_very_many_tiles_are_warned_of(dock, pixels):
    dock.add(pixels)
    dock.tiles((2, 2), (2, 2))
    assert "36,864 tiles are slow" in dock.form.tiles.warnings.text()
    dock.tiles((64, 64), (2, 2))
    assert "slow" not in dock.form.tiles.warnings.text()


def test_a_tile_larger_than_the_image_becomes_the_image(dock, pixels):
    dock.add(pixels)
    dock.tiles((5000, 64), (8, 8))
    assert dock.form.tiles.shape.value() == (384, 64)


@pytest.mark.parametrize(("typed", "shown"), [("3.7", 3), ("1e9", 1), ("12 0", 120)])
def test_what_follows_a_key_that_does_not_fit_is_left_out(dock, pixels, typed, shown):
    dock.add(pixels)
    dock.click(dock.form.tiles.shape.auto)
    dock.type(dock.form.tiles.shape.boxes[0].lineEdit(), typed)
    assert dock.form.tiles.shape.boxes[0].value() == shown


def test_a_number_that_is_too_small_is_wrong_and_not_another_one(dock, pixels):
    dock.add(pixels)
    dock.click(dock.form.tiles.shape.auto)
    dock.type(dock.form.tiles.shape.boxes[0].lineEdit(), "-5")
    assert "-5" in dock.form.tiles.shape.boxes[0].text()
    assert dock.form.tiles.problem("tile_shape")
    assert not dock.bar.run_button.isEnabled()
    dock.type(dock.form.tiles.shape.boxes[0].lineEdit(), "64")
    assert dock.bar.run_button.isEnabled()


def test_parameters_take_a_comma_and_keep_what_was_typed(dock, pixels):
    dock.add(pixels)
    dock.form.method.set_values("threshold", {})
    smoothing = dock.form.method.params.widget("smoothing")
    for line in (smoothing, smoothing.lineEdit()):  # keys go to the box in real life
        dock.qtbot.keyClick(smoothing.lineEdit(), Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        dock.qtbot.keyClicks(line, "1,5")
        dock.qtbot.keyClick(line, Qt.Key.Key_Return)
        assert dock.form.value().params["smoothing"] == 1.5
        dock.type(smoothing.lineEdit(), "2")
    dock.type(smoothing.lineEdit(), "-1")
    assert "out of range" in dock.form.method.params.problem("params.smoothing")
    assert not dock.bar.run_button.isEnabled()


def test_a_number_left_to_the_image_is_shown_as_auto(dock, pixels):
    dock.add(pixels)
    dock.form.method.set_values("threshold", {"value": 900.0})
    box = dock.form.method.params.widget("value")
    assert box.inner.native.text() == "900.00"
    dock.click(box.auto)
    assert box.inner.native.text() == "auto"
    assert dock.form.value().params["value"] is None
    dock.click(box.auto)
    assert dock.form.value().params["value"] == 900.0


# -- a dock that is closed -----------------------------------------------------------------------


def test_the_cross_of_the_dock_ends_the_run_and_its_tiles(shown_dock, image_path, script):
    from qtpy.QtWidgets import QPushButton

    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "slow", (96, 96))
    start(dock)
    worker = dock.run.worker
    bar = dock.docked.titleBarWidget()
    cross = next(b for b in bar.findChildren(QPushButton) if "close" in b.objectName().lower())
    dock.click(cross)
    dock.qtbot.waitUntil(lambda: not worker.running, timeout=4000)
    assert dock.controller.grid._pointed not in dock.viewer.mouse_move_callbacks
    assert [layer.name for layer in dock.viewer.layers] == ["image", "cells (unfinished)"]
    assert image_info(image_path).labels == ()


def test_floating_and_moving_the_dock_does_not_end_the_run(shown_dock, image_path, script):
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "slow", (128, 128))
    start(dock, 1)
    dock.docked.setFloating(True)
    dock.qtbot.wait(30)
    dock.docked.setFloating(False)
    window = dock.viewer.window._qt_window
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock.docked)
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)


def test_a_run_whose_worker_qt_has_deleted_is_cancelled_all_the_same(dock, pixels, script):
    from qtpy import sip

    dock.add(pixels)
    use(dock, script, "stuck")  # would outlast the wait below, were it not cancelled
    start(dock)
    worker = dock.run.worker
    sip.delete(worker)
    dock.run.close()
    assert worker.join(5)


# -- results and failures ------------------------------------------------------------------------


def test_a_second_run_into_another_store_gets_a_free_name(dock, pixels, tmp_path):
    dock.add(pixels)
    dock.form.save.place.setCurrentText("Another OME-Zarr")
    dock.type(dock.form.save.path.line, str(tmp_path / "out.zarr"))
    for _ in range(2):
        dock.ready()
        dock.click(dock.bar.run_button)
        dock.wait_end()
    assert image_info(np.zeros((2, 2)), output=tmp_path / "out.zarr").labels == ("cells", "cells-2")
    assert dock.form.save.final_name() == "cells-3"
    assert dock.form.save.problem("name") == ""


def test_the_result_of_a_run_goes_when_another_image_is_chosen(dock, pixels):
    dock.add(np.asarray(pixels), name="first")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert "objects" in dock.bar.result.text()
    choose(dock, dock.add(np.asarray(pixels), name="second"))
    assert dock.bar.result.text() == ""


def test_a_run_that_stops_at_once_says_so_in_a_line(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "out_of_memory")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.bar.result.text() == "Stopped: the first 3 tiles all failed. Nothing was written."
    assert dock.causes()[0].startswith("3 tiles: RuntimeError: CUDA out of memory")
    assert dock.canvas.states.counts["running"] == 0


def test_the_only_tile_fails_in_a_line(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "out_of_memory", (384, 384))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.bar.result.text() == "Stopped: the only tile failed. Nothing was written."
    assert dock.causes()[0].startswith("Tile (0, 0): RuntimeError: CUDA out of memory")


def test_a_run_cancelled_at_once_promises_no_finished_tiles(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "stuck", (384, 384))
    dock.click(dock.bar.run_button)
    dock.click(dock.bar.cancel_button)
    dock.wait_end()
    assert dock.bar.result.text() == "Cancelled after 0 of 1 tile · nothing was written"


def test_labels_of_a_cancelled_run_are_called_unfinished(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "slow")
    start(dock)
    dock.click(dock.bar.cancel_button)
    dock.wait_end(5000)
    assert dock.canvas.labels_layer.name == "cells (unfinished)"


def test_overwritten_labels_leave_no_second_layer(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    dock.click(dock.form.save.overwrite)
    for _ in range(2):
        dock.ready()
        dock.click(dock.bar.run_button)
        dock.wait_end()
    paths = [layer.metadata.get(OWN, {}).get("path") for layer in dock.viewer.layers]
    assert paths.count(f"{image_path}/labels/cells") == 1


# -- the form ------------------------------------------------------------------------------------


def test_a_problem_covers_no_field(shown_dock, pixels):
    dock = shown_dock
    dock.add(pixels)
    dock.form.method.combo.setCurrentIndex(dock.form.method.combo.findData("function"))
    _covers_nothing(dock, *dock.form.method.params._fields["params.target"])
    dock.type(dock.form.save.name, "my/cells")
    field, note = dock.form.save._fields["name"]
    _covers_nothing(dock, field, note)
    line = note.fontMetrics().height()
    assert 1.8 * line < note.height() < 2.5 * line, "a text of two lines"
    about = dock.form.method.about
    assert about.height() < 1.5 * line, "a text of one line"


def _covers_nothing(dock, field, note):
    dock.qtbot.wait(10)
    assert note.isVisible()
    bottom = field.mapTo(dock.form, QPoint(0, field.height())).y()
    assert note.mapTo(dock.form, QPoint(0, 0)).y() >= bottom
    assert note.height() >= note.heightForWidth(note.width())
    assert field.height() >= field.minimumSizeHint().height()


def test_tab_goes_through_the_form_from_top_to_bottom(shown_dock, pixels):
    dock = shown_dock
    dock.add(pixels)
    dock.form.method.combo.setCurrentIndex(dock.form.method.combo.findData("threshold"))
    dock.click(dock.form.tiles.shape.auto)
    dock.click(dock.form.tiles.overlap.auto)
    tiles = dock.form.tiles
    wanted = [dock.form.method.combo, dock.form.method.params.widget("value").auto]
    wanted += [
        *tiles.shape.boxes,
        tiles.shape.auto,
        *tiles.overlap.boxes,
        tiles.overlap.auto,
        tiles.show_grid,
    ]
    wanted += [dock.form.save.name, dock.bar.run_button]
    chain, part = [], dock.form.image.layers
    while part is not dock.form.image.layers or not chain:
        chain.append(part)
        part = part.nextInFocusChain()
    assert sorted(wanted, key=chain.index) == wanted


def test_one_image_is_opened_once_however_its_path_is_written(dock, image_path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in (image_path, f"{image_path}/", "image.zarr", "~/image.zarr"):
        dock.type(dock.form.image.path.line, text)
        dock.ready()
        assert dock.form.image.path.path() == image_path
    dock.qtbot.wait(200)
    assert [layer.name for layer in dock.viewer.layers if layer.name != "Tiles"] == ["image"]


def test_labels_of_an_ome_zarr_are_opened_as_labels(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    dock.viewer.layers.clear()
    dock.controller.open(f"{image_path}/labels/cells/")
    assert [type(layer).__name__ for layer in dock.viewer.layers] == ["Labels"]
    assert dock.form.image.empty.text.text().startswith("Labels cannot be segmented: add an image")


def test_a_wrong_path_keeps_run_from_taking_the_image_before(dock, pixels):
    dock.add(pixels)
    dock.type(dock.form.image.path.line, "/nope.zarr")
    assert "/nope.zarr" in dock.form.image.problem("path")
    assert not dock.bar.run_button.isEnabled()
    assert "Path" in dock.bar.status.text()
    dock.form.image.path.line.selectAll()
    dock.qtbot.keyClick(dock.form.image.path.line, Qt.Key.Key_Delete)
    dock.qtbot.keyClick(dock.form.image.path.line, Qt.Key.Key_Return)
    assert dock.form.image.problem("path") == ""
    assert dock.bar.run_button.isEnabled()


def test_axes_that_nobody_gave_are_asked_about(dock, pixels):
    dock.add(np.stack([pixels] * 3))
    assert "type t y x if this is time" in dock.form.image.axes_note.text()
    dock.type(dock.form.image.axes, "T y x")
    dock.ready()
    assert dock.controller.plan.joined == (False, True, True)
    assert dock.form.image.axes_note.text() == ""


def test_hints_for_the_command_line_are_not_shown():
    from seamlabel.errors import Problem
    from seamlabel.napari.form.rows import sentence

    fix = "Give another name, or overwrite=True (--overwrite) to replace them"
    assert sentence(Problem("name", "it is taken", fix)) == (
        "It is taken. Give another name, or tick Overwrite to replace them"
    )
    assert sentence(Problem("params", "bad", "See: seamlabel backends function")) == "Bad"


def test_layers_of_channels_without_names_carry_the_name_of_their_image(dock, tmp_path):
    from seamlabel.io.ngff.images import write_image

    pixels = np.zeros((2, 32, 32), np.uint8)
    path = tmp_path / "plain.zarr"
    write_image(path, pixels.shape, "uint8", lambda box: pixels[box.slices], axes="cyx")
    dock.controller.open(str(path))
    assert [layer.name for layer in dock.viewer.layers][:2] == ["plain 0", "plain 1"]
    choose(dock, dock.viewer.layers[0])
    assert dock.form.value().channels == (0,)
    choose(dock, dock.viewer.layers[1])
    assert dock.form.value().channels == (1,)
