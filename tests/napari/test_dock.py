"""The whole path with real clicks on the real dock in a real viewer."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from seamlabel.io.sources import image_info, open_labels
from seamlabel.napari.layers.pictures import OWN


def open_path(dock, path):
    dock.type(dock.form.image.path.line, path)
    dock.ready()
    dock.wait_grid()


def seamless(dock, name="watershed", **params):
    """Choose a method with the keyboard and enter its parameters."""
    combo = dock.form.method.combo
    dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(combo.findData(name)):
        dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentData() == name
    for key, value in params.items():
        box = dock.form.method.params.widget(key)
        dock.type(box.lineEdit() if hasattr(box, "lineEdit") else box, str(value))
    dock.ready()


def test_from_opening_an_ome_zarr_to_labels_written_into_it(shown_dock, image_path):
    dock = shown_dock
    open_path(dock, image_path)
    assert dock.form.image.summary.text() == "YX · 512 × 512 · uint16 · 524 kB · 0.5 µm"
    assert dock.form.image.level.count() == 2
    seamless(dock, "watershed", diameter=24)
    dock.tiles((128, 128), (48, 48))
    assert dock.form.tiles.summary.text().startswith("4 × 4 = 16 tiles")

    dock.click(dock.bar.run_button)
    assert not dock.bar.run_button.isEnabled()
    dock.qtbot.waitUntil(lambda: dock.canvas.labels_layer is not None, timeout=20000)
    layer = dock.canvas.labels_layer
    dock.qtbot.waitUntil(lambda: dock.run.progress.states["done"] >= 3, timeout=30000)
    assert np.asarray(layer.data[0]).any(), "finished tiles are shown before the run ends"
    dock.wait_end()

    path = f"{image_path}/labels/cells"
    written = [np.asarray(level[...]) for level in open_labels(path)]
    for shown, stored in zip(layer.data, written, strict=False):
        np.testing.assert_array_equal(np.asarray(shown), stored)
    assert len(np.unique(written[0])) - 1 == dock.run.progress.result.n_objects > 100
    assert f"{written[0].max():,} objects" in dock.bar.result.text()
    assert "16 tiles done, 0 empty, 0 failed" in dock.bar.result.text()
    assert "image.zarr/labels/cells" in dock.bar.result.text()
    assert layer.name == "cells"
    np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.metadata[OWN]["path"] == path
    assert image_info(image_path).labels == ("cells",)
    assert dock.form.save.final_name() == "cells-2", "the next run does not replace this one"


def test_tiled_labels_are_those_of_the_whole_image(dock, image_path):
    open_path(dock, image_path)
    seamless(dock, "threshold", smoothing=0)
    found = []
    for shape in ((512, 512), (96, 80)):
        dock.tiles(shape, (16, 16))
        dock.controller.start()
        dock.wait_end()
        found.append(np.asarray(dock.canvas.labels_layer.data[0]))
    whole, tiled = found
    pairs = np.unique(np.stack([whole.ravel(), tiled.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(whole)) == len(np.unique(tiled)) > 50


def test_a_numpy_layer_is_segmented_into_a_temporary_store(dock, pixels):
    image = dock.add(pixels, scale=(2, 3), translate=(10, 20), units=("nm", "nm"), rotate=30)
    assert "Not saved" in dock.form.save.note.text()
    assert dock.form.save.place.currentText() == "Temporary"
    seamless(dock, "threshold")
    dock.tiles((128, 128), (16, 16))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert "temporary, not saved" in dock.bar.result.text()
    layer = dock.canvas.labels_layer
    stored = np.asarray(open_labels(dock.run.progress.result.path)[0][...])
    np.testing.assert_array_equal(np.asarray(_finest(layer)), stored)
    assert stored.shape == pixels.shape
    assert stored.max() > 50
    for name in ("scale", "translate", "rotate"):
        np.testing.assert_allclose(getattr(layer, name), getattr(image, name))
    assert layer.units == image.units
    assert layer.extent.world.tolist() == image.extent.world.tolist()


def _finest(layer):
    return layer.data[0] if layer.multiscale else layer.data


def test_labels_of_a_numpy_layer_go_to_the_folder_that_was_chosen(dock, pixels, tmp_path):
    dock.add(pixels)
    seamless(dock, "threshold")
    dock.form.save.place.setCurrentText("Another OME-Zarr")
    assert "no folder" in dock.form.save.problem("output").lower()
    assert not dock.bar.run_button.isEnabled()
    dock.type(dock.form.save.path.line, str(tmp_path / "out.zarr"))
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert open_labels(tmp_path / "out.zarr" / "labels" / "cells")[0].shape == pixels.shape


def test_a_channel_of_a_numpy_stack_is_chosen_by_its_axis(dock, pixels):
    dock.add(np.stack([np.zeros_like(pixels), pixels]), axis_labels=("c", "y", "x"))
    assert dock.form.image.channel.count() == 2
    dock.form.image.channel.list.actions()[1].trigger()
    seamless(dock, "threshold")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.canvas.labels_layer.ndim == 2
    assert np.asarray(_finest(dock.canvas.labels_layer)).max() > 50


def test_as_many_channels_are_chosen_as_the_parameters_ask_for(dock, pixels):
    dock.add(np.stack([np.zeros_like(pixels), pixels]), axis_labels=("c", "y", "x"))
    seamless(dock)
    channels = dock.form.image.channel
    channels.list.actions()[1].trigger()
    assert channels.chosen() == (1,)
    dock.form.method.params.widget("seeds").setCurrentText("markers")
    channels.list.actions()[0].trigger()
    assert dock.form.value().channels == (1, 0)
    assert dock.controller.plan.channels == (1, 0)


def test_labels_of_time_and_channels_lie_under_every_channel(dock, pixels):
    movie = np.stack([np.stack([pixels[:96, :80], pixels[96:192, :80]])] * 3)  # t, c, y, x
    dock.add(movie, axis_labels=("t", "c", "y", "x"))
    seamless(dock, "threshold")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    layer = dock.canvas.labels_layer
    assert dock.run.plan.grid.shape == (3, 96, 80)
    labels = np.asarray(_finest(layer))
    assert labels.shape == movie.shape
    np.testing.assert_array_equal(labels[:, 0], labels[:, 1])
    assert labels.any(axis=(1, 2, 3)).all()


def test_the_level_of_a_multiscale_layer_without_path_is_chosen(dock, pixels):
    image = dock.add([pixels, pixels[::2, ::2], pixels[::4, ::4]], multiscale=True, scale=(1, 1))
    dock.form.image.level.setCurrentIndex(1)
    seamless(dock, "threshold")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    layer = dock.canvas.labels_layer
    assert _finest(layer).shape == (192, 192)
    np.testing.assert_allclose(layer.scale, (2, 2))
    np.testing.assert_allclose(layer.extent.world, image.extent.world, atol=1)


def test_a_level_of_an_ome_zarr_is_segmented_and_shown_on_all(dock, image_path):
    open_path(dock, image_path)
    dock.form.image.level.setCurrentIndex(1)
    seamless(dock, "threshold")
    dock.tiles((64, 64), (16, 16))
    assert dock.controller.plan.grid.shape == (256, 256)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    levels = dock.canvas.labels_layer.data
    assert levels[0].shape == (512, 512)
    np.testing.assert_array_equal(np.asarray(levels[0])[::2, ::2], np.asarray(levels[1]))


def test_overwriting_replaces_labels_of_that_name(dock, image_path):
    open_path(dock, image_path)
    seamless(dock, "threshold")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert "'cells' is taken" in dock.form.save.note.text()
    dock.click(dock.form.save.overwrite)
    assert dock.form.value().name == "cells"
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)


def test_an_image_that_napari_opened_from_an_ome_zarr_is_written_into(dock, image_path):
    dock.viewer.open(image_path, plugin="napari-ome-zarr")
    dock.ready()
    assert dock.form.image.picture.path == image_path
    assert dock.form.value().image == image_path


def test_a_dropped_ome_zarr_is_opened(shown_dock, image_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(image_path)])
    place = QPointF(50, 50)
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    shown_dock.widget.dropEvent(QDropEvent(place, Qt.DropAction.CopyAction, data, buttons, keys))
    shown_dock.ready()
    assert shown_dock.form.image.picture.path == image_path
    assert shown_dock.viewer.layers[0].name == "image"


def test_the_spec_of_the_form_round_trips(dock, image_path):
    open_path(dock, image_path)
    spec = dock.form.value().replace(
        backend="threshold",
        params={"value": 900.0, "smoothing": 0.0, "dark": False, "min_size": 5},
        tile_shape=(100, 90),
        overlap=(7, 8),
        name="mine",
        retries=3,
        skip_empty="otsu",
        level=1,
        merge={"rule": "iou", "iou": 0.4},
        max_size=400,
        drop_border=True,
    )
    with dock.qtbot.waitSignal(dock.form.valueChanged) as told:
        dock.form.setValue(spec)
    shown = dock.form.value()
    assert shown == told.args[0]
    assert shown.replace(params=spec.params) == spec
    assert spec.params.items() <= shown.params.items(), "all others have their defaults"
    dock.form.setValue(spec.replace(tile_shape="auto", overlap={"y": 3, "x": 4}))
    assert (dock.form.value().tile_shape, dock.form.value().overlap) == ("auto", (3, 4))


def test_setting_a_spec_opens_its_image(dock, image_path):
    from seamlabel.spec import RunSpec

    dock.form.setValue(RunSpec(image=image_path, backend="threshold", params={"value": 1000.0}))
    assert dock.form.value().image == image_path
    assert dock.form.value().params["value"] == 1000.0


def test_parameters_of_a_method_are_kept_while_another_is_looked_at(dock, pixels):
    dock.add(pixels)
    seamless(dock, "threshold", smoothing=4.5)
    seamless(dock, "watershed")
    seamless(dock, "threshold")
    assert dock.form.value().params["smoothing"] == 4.5


@pytest.mark.parametrize("keys", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_ctrl_enter_runs_and_ctrl_period_cancels(shown_dock, pixels, script, keys):
    dock = shown_dock
    dock.add(pixels)
    seamless(dock, "function", target=script("slow")["target"])
    dock.tiles((48, 48), (8, 8))
    window = dock.viewer.window._qt_window
    window.activateWindow()
    dock.qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    dock.qtbot.keyClick(window, keys, Qt.KeyboardModifier.ControlModifier)
    assert dock.run.active
    dock.qtbot.waitUntil(lambda: dock.run.progress.done >= 2, timeout=20000)
    dock.qtbot.keyClick(window, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    dock.wait_end(5000)
    assert dock.bar.result.text().startswith("Cancelled after")


def test_the_samples_open_with_one_click(dock, monkeypatch):
    from seamlabel.napari import sample_data

    def small(path):
        from seamlabel.io.ngff.images import write_image
        from seamlabel.testing.cells import Tissue

        tissue = Tissue((128, 128), "dense", diameter=16)
        write_image(path, tissue.shape, "uint16", tissue.image, axes="yx")

    monkeypatch.setitem(sample_data.WRITERS, "cells_2d", small)
    dock.click(dock.form.image.empty.buttons["cells_2d"])
    dock.ready()
    assert dock.form.image.picture.path.endswith("cells_2d.zarr")
    assert not dock.form.image.empty.isVisibleTo(dock.form)


def test_a_sample_is_made_while_the_window_stays_alive(dock, monkeypatch):
    from threading import Event, current_thread, main_thread

    from seamlabel.io.ngff.images import write_image
    from seamlabel.napari import sample_data

    go_on, where = Event(), []

    def slow(path):
        where.append(current_thread())
        go_on.wait(20)
        write_image(path, (64, 64), "uint8", lambda box: np.ones(box.shape, np.uint8), axes="yx")

    monkeypatch.setitem(sample_data.WRITERS, "cells_2d", slow)
    empty = dock.form.image.empty
    dock.click(empty.buttons["cells_2d"])
    assert empty.text.text() == "Making the sample…"
    assert not any(button.isEnabled() for button in empty.buttons.values())
    go_on.set()
    dock.qtbot.waitUntil(lambda: dock.form.image.picture is not None, timeout=10000)
    assert where != [main_thread()]
    dock.viewer.layers.clear()
    assert "try a sample" in empty.text.text()
    assert all(button.isEnabled() for button in empty.buttons.values())


def test_a_sample_that_cannot_be_written_is_told(dock, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEAMLABEL_CACHE", str(tmp_path / "file"))
    dock.click(dock.form.image.empty.buttons["nuclei_3d"])
    dock.qtbot.waitUntil(lambda: bool(dock.form.image.problem("path")), timeout=10000)
    assert "cannot be written" in dock.form.image.problem("path")
    assert dock.form.image.empty.buttons["nuclei_3d"].isEnabled()


def test_planes_of_a_spec_have_tiles_along_y_and_x_only(dock, tmp_path):
    from seamlabel.io.ngff.images import write_image
    from seamlabel.spec import RunSpec
    from seamlabel.testing.cells import Tissue

    path, tissue = str(tmp_path / "stack.zarr"), Tissue((6, 64, 64), "tissue3d")
    write_image(path, tissue.shape, str(tissue.dtype), tissue.image, axes="zyx")
    open_path(dock, path)
    assert [box.prefix() for box in dock.form.tiles.shape.boxes] == ["z ", "y ", "x "]
    spec = RunSpec(image=path, planes=True, tile_shape=(32, 40), overlap=(5, 6), merge={"z_link": 0.3})
    dock.form.setValue(spec)
    assert [box.prefix() for box in dock.form.tiles.shape.boxes] == ["y ", "x "]
    value = dock.form.value()
    assert (value.planes, value.merge.z_link) == (True, 0.3)
    assert (value.tile_shape, value.overlap) == ((32, 40), (5, 6))
