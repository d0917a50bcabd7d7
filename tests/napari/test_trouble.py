"""What goes wrong: cancel, closed windows, removed layers, failing tiles, bad values."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest

from seamlabel.io.sources import image_info
from seamlabel.io.staging import open_staging


def use(dock, script, name, tile=(64, 64)):
    dock.form.method.set_values("function", script(name))
    dock.form.method.changed.emit()
    dock.tiles(tile, (8, 8))


def start(dock, tiles=2):
    dock.click(dock.bar.run_button)
    dock.qtbot.waitUntil(lambda: dock.run.progress.done >= tiles or not dock.run.active, timeout=20000)


def test_a_cancelled_run_ends_soon_and_keeps_its_tiles_on_disk(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "slow")
    start(dock)
    dock.click(dock.bar.cancel_button)
    assert "Cancelling" in dock.bar.status.text()
    dock.wait_end(5000)
    done = [t for t in range(36) if dock.canvas.states.state(t) == "done"]
    store = open_staging(dock.run.run_dir)
    assert done
    assert all(store.read(tile) is not None for tile in done)
    assert dock.canvas.states.counts["running"] == 0
    assert dock.run.run_dir in dock.bar.result.text()
    assert dock.bar.run_button.isEnabled()
    labels = dock.canvas.labels_layer.data
    assert np.asarray(labels).any(), "what was found stays to be seen"


def test_a_run_can_be_started_after_a_cancelled_one(dock, image_path, script):
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "slow", (128, 128))
    start(dock)
    dock.click(dock.bar.cancel_button)
    dock.wait_end(5000)
    assert image_info(image_path).labels == ()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)


@pytest.mark.parametrize("function", ["slow", "stuck"])
def test_closing_the_viewer_ends_the_run_in_its_thread(make_dock, qtbot, image_path, script, function):
    dock = make_dock()
    viewer = dock.viewer
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, function, (96, 96))
    start(dock, tiles=2 if function == "slow" else 0)
    worker, control = dock.run.worker, dock.run
    assert worker.running
    viewer.close()
    qtbot.waitUntil(lambda: not worker.running, timeout=4000)
    staged = list(Path(image_path + ".seamlabel").rglob("staging-*/*.tile"))
    assert function == "stuck" or len(staged) >= control.progress.states["done"] > 0
    assert image_info(image_path).labels == ()
    del dock, control, viewer
    gc.collect()


def test_closing_only_the_dock_ends_the_run_too(dock, image_path, script):
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "slow", (96, 96))
    start(dock)
    worker, callbacks = dock.run.worker, dock.viewer.mouse_move_callbacks
    assert dock.controller.grid._pointed in callbacks
    dock.viewer.window.remove_dock_widget(dock.widget)
    dock.widget.deleteLater()
    dock.qtbot.waitUntil(lambda: not worker.running, timeout=10000)
    assert dock.controller.grid._pointed not in callbacks
    dock.viewer.layers.clear()
    dock.viewer.add_image(np.zeros((8, 8)))


def test_removing_the_image_does_not_stop_the_run(dock, pixels, script):
    image = dock.add(pixels)
    use(dock, script, "slow")
    start(dock)
    dock.viewer.layers.remove(image)
    dock.wait_end()
    assert "joined across seams" in dock.bar.result.text()
    assert np.asarray(dock.canvas.labels_layer.data).any()
    assert dock.form.image.empty.isVisibleTo(dock.form)
    assert not dock.bar.run_button.isEnabled()


def test_removing_our_own_layers_does_not_stop_the_run(dock, image_path, script):
    dock.controller.open(image_path)
    dock.ready()
    dock.wait_grid()
    use(dock, script, "slow", (128, 128))
    start(dock)
    dock.viewer.layers.remove(dock.canvas.grid_layer)
    dock.viewer.layers.remove(dock.canvas.labels_layer)
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)
    assert not dock.form.tiles.show_grid.isChecked()


def test_failed_tiles_are_listed_with_their_cause_in_a_line(dock, image_path, script):
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "dark_fails", (128, 128))
    start(dock)
    dock.wait_end()
    count = dock.canvas.states.counts["failed"]
    assert 0 < count < 16
    assert f"{count} failed" in dock.bar.result.text()
    assert "nothing was written" in dock.bar.result.text()
    assert dock.causes()[0] == f"{count} tiles: ValueError: too dark in this tile (segmenters.py, line 22)"
    dock.click(dock.bar.log.button)
    assert "Traceback" in dock.bar.log.text.toPlainText()
    assert image_info(image_path).labels == ()


def test_an_exception_of_all_tiles_ends_the_run_with_its_text(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "out_of_memory")
    start(dock)
    dock.wait_end()
    assert "CUDA out of memory" in dock.causes()[0]
    assert dock.bar.run_button.isEnabled()
    assert not dock.bar.cancel_button.isEnabled()


def test_a_runtime_error_of_the_engine_is_shown_and_not_swallowed(dock, pixels, monkeypatch):
    def broken(plan, **_how):
        yield from ()
        raise RuntimeError("the pool broke")

    monkeypatch.setattr("seamlabel.napari.run.run_control.run", broken)
    dock.add(pixels)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert "the pool broke" in dock.bar.failures.text()
    assert "in broken" in dock.bar.log.text.toPlainText()


def test_a_wrong_name_is_shown_at_its_field_and_mended(dock, pixels):
    dock.add(pixels)
    dock.type(dock.form.save.name, "my/cells")
    assert "not allowed" in dock.form.save.problem("name")
    assert "letters" in dock.form.save.problem("name")
    assert dock.form.save.name.property("wrong") is True
    assert not dock.bar.run_button.isEnabled()
    dock.type(dock.form.save.name, "mine")
    assert dock.form.save.problem("name") == ""
    assert dock.bar.run_button.isEnabled()


def test_a_missing_function_is_shown_at_the_parameter(dock, pixels):
    dock.add(pixels)
    dock.form.method.set_values("function", {})
    dock.form.method.changed.emit()
    assert dock.form.method.params.problem("params.target") == "Name your function: /path/mine.py:cells"
    assert dock.form.method.params.widget("target").placeholderText() == "/path/mine.py:cells"
    assert not dock.bar.run_button.isEnabled()
    assert dock.canvas.grid_layer is None or not dock.canvas.grid_layer.visible, "no plan, no preview"


def test_a_path_that_is_no_ome_zarr_is_refused_at_the_path(dock, tmp_path):
    (tmp_path / "folder").mkdir()
    dock.type(dock.form.image.path.line, str(tmp_path / "folder"))
    assert str(tmp_path / "folder") in dock.form.image.problem("path")
    assert dock.viewer.layers == []


def test_axes_that_do_not_fit_are_refused_at_the_axes(dock, pixels):
    dock.add(np.stack([pixels] * 3))
    assert dock.form.image.axes.text() == "zyx"
    dock.type(dock.form.image.axes, "tzyx")
    assert "4 axis letters" in dock.form.image.problem("axes")
    assert not dock.bar.run_button.isEnabled()
    dock.type(dock.form.image.axes, "tyx")
    dock.ready()
    assert dock.controller.plan.grid.shape == (3, 384, 384)
    assert dock.controller.plan.joined == (False, True, True)


def test_warnings_of_the_plan_are_shown(dock, pixels):
    dock.add(pixels)
    dock.tiles((64, 64), (100, 100))
    assert "larger tiles waste less" in dock.form.tiles.warnings.text()


def test_no_thread_is_left_after_a_run(dock, pixels):
    before = set(threading.enumerate())
    dock.add(pixels)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    dock.qtbot.waitUntil(lambda: set(threading.enumerate()) <= before, timeout=5000)
