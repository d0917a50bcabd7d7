"""The dock "Predict a map": a map that grows in a layer, objects of it by a slider, labels of all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.map_dock import MapDock, soft

from seamlabel.backends.pixels import connected
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import open_labels
from seamlabel.napari.commands import predict_map
from seamlabel.napari.layers.pictures import OWN
from seamlabel.testing.cells import Tissue

WHOLE = Tissue((512, 512), "dense", diameter=24, seed=3).image()


@pytest.fixture
def maps(make_napari_viewer, qtbot, tmp_path):
    """Return the dock in a viewer that is not shown."""
    dock = MapDock(make_napari_viewer(), qtbot, tmp_path)
    yield dock
    (tmp_path / "go").touch()


def shown(layer, level=0):
    """Return the pixels of a level of a layer."""
    return np.asarray(layer.data[level] if layer.multiscale else layer.data)


def slide(maps, steps):
    """Move the threshold by keys, as a user does."""
    for _ in range(abs(steps)):
        maps.qtbot.keyClick(maps.objects.threshold.slider, Qt.Key.Key_Right if steps > 0 else Qt.Key.Key_Left)


def test_a_map_grows_in_a_layer_and_ends_as_the_prediction_of_the_whole_image(maps, image_path, tmp_path):
    maps.open(image_path, "gated")
    assert "4 × 4 = 16 tiles" in maps.form.tiles.summary.text()
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    maps.until(lambda: maps.layer("image-map").contrast_limits[1] > 0.9)
    grown = shown(maps.layer("image-map"))
    done = grown[:120, :120]
    assert np.allclose(done, soft(WHOLE)[:120, :120], atol=1e-6)
    assert not grown[300:].any()
    assert "Predicting" in maps.bar.status.text()
    assert not maps.bar.run_button.isEnabled()
    (tmp_path / "go").touch()
    maps.wait_end()
    layer = maps.layer("image-map")
    assert np.array_equal(shown(layer), soft(WHOLE))
    assert layer.metadata[OWN]["path"] == str(tmp_path / "image-map.zarr")
    assert tuple(layer.scale) == (0.5, 0.5)
    assert "16 tiles" in maps.bar.result.text()
    assert np.array_equal(open_image(tmp_path / "image-map.zarr").arrays[0][:], soft(WHOLE))


def test_the_slider_labels_anew_without_asking_the_model(maps, image_path, tmp_path):
    maps.open(image_path)
    maps.run()
    asked = maps.calls
    assert maps.objects.threshold.value() == 0.5
    assert maps.objects.layer() is maps.layer("image-map")
    slide(maps, 30)
    maps.until(lambda: maps.control.preview.layer is not None)
    maps.until(lambda: "in view" in maps.objects.found.text())
    whole, preview = soft(WHOLE), maps.control.preview.layer
    assert maps.objects.threshold.value() == pytest.approx(0.8)
    assert np.array_equal(shown(preview), connected(whole > maps.objects.threshold.value()))
    slide(maps, -60)
    assert maps.objects.threshold.value() == pytest.approx(0.2)
    maps.until(lambda: np.array_equal(shown(preview), connected(whole > maps.objects.threshold.value())))
    assert maps.calls == asked
    maps.click(maps.objects.preview)
    assert maps.control.preview.layer is None
    assert [layer.name for layer in maps.viewer.layers] == ["image", "image-map"]


def test_labels_of_the_whole_map_are_made_in_the_other_dock(maps, image_path, tmp_path):
    maps.open(image_path)
    maps.run()
    asked = maps.calls
    slide(maps, 40)
    maps.until(lambda: maps.control.preview.layer is not None)
    value = maps.objects.threshold.value()
    maps.click(maps.objects.make)
    other = maps.viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")[1]
    maps.until(lambda: not other.controller.run.active and bool(other.bar.result.text()))
    assert maps.calls == asked
    labels = open_labels(f"{tmp_path / 'image-map.zarr'}/labels/cells")[0][:]
    truth = connected(soft(WHOLE) > value)
    assert np.array_equal(labels > 0, truth > 0)
    pairs = np.unique(np.stack([labels.ravel(), truth.ravel()]), axis=1)
    assert pairs.shape[1] == truth.max() + 1
    assert maps.control.preview.layer is None


def test_the_threshold_of_a_map_is_no_method_for_the_next_image(maps, image_path, make_napari_viewer):
    maps.open(image_path)
    maps.run()
    maps.click(maps.objects.make)
    other = maps.viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")[1]
    maps.until(lambda: not other.controller.run.active and bool(other.bar.result.text()))
    assert other.form.method.values()["params"]["value"] == 0.5
    other.form.memory.write()
    again = make_napari_viewer().window.add_plugin_dock_widget("seamlabel", "Seamlabel")[1]
    assert again.form.method.name() == "watershed"
    other.form.method.set_values("watershed", {})
    other.form.method.changed.emit()
    other.form.memory.write()
    third = make_napari_viewer().window.add_plugin_dock_widget("seamlabel", "Seamlabel")[1]
    third.form.method.set_values("threshold", third.form.method.kept().get("threshold", {}))
    assert third.form.method.values()["params"]["value"] is None


def test_a_map_that_was_stopped_goes_on(maps, image_path, tmp_path):
    maps.open(image_path, "gated")
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    maps.click(maps.bar.cancel_button)
    (tmp_path / "go").touch()
    maps.wait_end()
    assert "Run begins anew" in maps.bar.result.text()
    assert [layer.name for layer in maps.viewer.layers] == ["image", "image-map (unfinished)"]
    assert "unfinished map" in maps.form.save.note.text()
    maps.ready()
    maps.run()
    assert maps.bar.failures.text() == ""
    assert [layer.name for layer in maps.viewer.layers] == ["image", "image-map"]
    assert np.array_equal(shown(maps.layer("image-map")), soft(WHOLE))
    assert maps.form.save.path.path() == str(tmp_path / "image-map-2.zarr")


def test_several_channels_are_layers_and_finished_as_asked(maps, image_path):
    maps.open(image_path, "classes")
    maps.form.save.finish.setCurrentIndex(maps.form.save.finish.findData("argmax"))
    maps.run()
    assert np.array_equal(shown(maps.layer("image-map")), soft(WHOLE) > 0.5)
    maps.form.save.finish.setCurrentIndex(maps.form.save.finish.findData(None))
    maps.ready()
    maps.run()
    names = [layer.name for layer in maps.viewer.layers][2:]
    assert names == [f"image-map-2 output {k}" for k in range(3)]
    assert np.array_equal(shown(maps.layer(names[1])), soft(WHOLE))
    assert [maps.layer(name).metadata[OWN]["channel"] for name in names] == [0, 1, 2]


def test_what_goes_wrong_is_told_and_nothing_is_lost(maps, image_path, tmp_path):
    maps.open(image_path, "fails")
    maps.run()
    assert "no such weights" in maps.bar.failures.text()
    maps.model("fails_later")
    maps.ready()
    maps.run()
    assert "out of luck" in maps.bar.failures.text()
    assert maps.bar.run_button.isEnabled()
    maps.model("soft")
    maps.type(maps.form.save.path.line, image_path)
    assert "holds what the map is made of" in maps.form.save.problem("output")
    assert not maps.bar.run_button.isEnabled()
    maps.type(maps.form.save.path.line, str(tmp_path / "models.py"))
    assert "not a zarr group" in maps.form.save.problem("output")
    maps.type(maps.form.save.path.line, "")
    assert "gone when napari closes" in maps.form.save.note.text()
    maps.ready()
    maps.run()
    assert np.array_equal(shown(maps.layer("map")), soft(WHOLE))


def test_an_existing_map_is_replaced_only_when_told_so(maps, image_path, tmp_path):
    maps.open(image_path)
    maps.run()
    maps.type(maps.form.save.path.line, str(tmp_path / "image-map.zarr"))
    assert "exists" in maps.form.save.problem("output")
    maps.click(maps.form.save.overwrite)
    maps.ready()
    maps.run()
    assert "16 tiles" in maps.bar.result.text()


def test_planes_and_time_points_of_a_volume(maps, tmp_path):
    stack = np.stack([WHOLE[:128, k : k + 160] for k in range(6)]).reshape(2, 3, 128, 160)
    path = tmp_path / "movie.zarr"
    write_image(path, stack.shape, "uint16", lambda box: stack[box.slices], axes="tzyx", levels=1)
    maps.controller.open(str(path))
    maps.model("by_plane")
    maps.form.image.stack.way.setCurrentIndex(1)
    maps.tiles((64, 64), (8, 8))
    maps.ready()
    maps.run()
    assert maps.bar.failures.text() == ""
    truth = np.stack([soft(plane) for plane in stack.reshape(6, 128, 160)]).reshape(stack.shape)
    assert np.array_equal(shown(maps.layer("movie-map")), truth)
    slide(maps, 10)
    maps.until(lambda: maps.control.preview.layer is not None)
    maps.viewer.dims.ndisplay = 3
    maps.viewer.dims.ndisplay = 2


def test_an_array_without_a_file_is_predicted_into_a_temporary_map(maps, pixels):
    maps.viewer.add_image(pixels, scale=(2.0, 2.0))
    maps.model("soft")
    maps.tiles((128, 128), (8, 8))
    maps.ready()
    maps.run()
    layer = maps.viewer.layers[-1]
    assert np.array_equal(shown(layer), soft(pixels))
    assert tuple(layer.scale) == (2.0, 2.0)
    assert Path(layer.metadata[OWN]["path"]).is_dir()


def test_a_coarser_level_lies_on_the_image(maps, image_path):
    maps.open(image_path)
    maps.form.image.level.setCurrentIndex(1)
    maps.ready()
    maps.run()
    layer = maps.layer("image-map")
    assert shown(layer).shape == (256, 256)
    assert tuple(layer.scale) == (1.0, 1.0)
    assert np.allclose(layer.extent.world, maps.layer("image").extent.world, atol=0.5)


def test_closing_the_dock_stops_the_run_and_keeps_what_there_is(maps, image_path, tmp_path):
    maps.open(image_path, "gated")
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    worker = maps.controller.worker
    maps.viewer.window.remove_dock_widget(maps.widget)
    maps.until(lambda: maps.controller._closed)
    (tmp_path / "go").touch()
    assert worker.join(10)
    assert [layer.name for layer in maps.viewer.layers] == ["image", "image-map (unfinished)"]
    assert (tmp_path / "image-map.zarr" / ".seamlabel-blend").exists()


def test_closing_the_viewer_stops_the_run(maps, image_path, tmp_path):
    maps.open(image_path, "gated")
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    worker = maps.controller.worker
    maps.viewer.close()
    maps.until(lambda: maps.controller._closed)
    (tmp_path / "go").touch()
    assert worker.join(10)
    assert (tmp_path / "image-map.zarr" / ".seamlabel-blend").exists()


def test_a_run_that_ends_while_its_viewer_is_closed_touches_nothing(maps, image_path, tmp_path):
    maps.open(image_path, "gated")
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    worker = maps.controller.worker
    maps.viewer.close()
    (tmp_path / "go").touch()
    assert worker.join(10)
    maps.until(lambda: maps.controller.worker is None)


def test_the_dock_is_in_the_menu_of_plugins(make_napari_viewer, image_path):
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("seamlabel", "Predict a map")
    assert not widget.bar.run_button.isEnabled()
    widget.controller.open(image_path)
    assert widget.form.image.picture.path == image_path


def test_the_menu_of_layers_opens_the_dock_with_the_active_image(make_napari_viewer, pixels):
    viewer = make_napari_viewer()
    first = viewer.add_image(pixels, name="first")
    viewer.add_image(pixels, name="second")
    viewer.layers.selection.active = first
    predict_map(viewer)
    widget = viewer.window.add_plugin_dock_widget("seamlabel", "Predict a map")[1]
    assert widget.form.image.layer() is first


def test_the_model_is_remembered(maps, make_napari_viewer, qtbot, image_path, tmp_path):
    maps.open(image_path)
    maps.run()
    again = MapDock(make_napari_viewer(), qtbot, tmp_path)
    assert again.form.method.values()["params"]["target"].endswith("models.py:soft")


def test_the_overlap_is_measured_if_asked_for(maps, image_path):
    maps.open(image_path, overlap=(1, 1))
    maps.click(maps.form.tiles.measure)
    assert not maps.form.tiles.overlap.isEnabled()
    maps.ready()
    maps.run()
    assert np.allclose(shown(maps.layer("image-map")), soft(WHOLE), atol=1e-3)


def test_the_slider_is_for_the_channel_that_is_chosen(maps, image_path, tmp_path):
    maps.open(image_path, "logits")
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    assert maps.objects.layer().name == "image-map output 0"
    other = maps.objects.map.findText("image-map output 1")
    maps.objects.map.setCurrentIndex(other)
    maps.until(lambda: maps.objects.threshold.number.maximum() > 100)
    (tmp_path / "go").touch()
    maps.wait_end()
    assert maps.objects.threshold.number.maximum() > 100
    maps.objects.map.setCurrentIndex(maps.objects.map.findText("image-map output 0"))
    assert maps.objects.threshold.number.maximum() <= 1


def test_a_new_dock_goes_on_with_what_another_one_began(
    maps, make_napari_viewer, qtbot, image_path, tmp_path
):
    maps.open(image_path, "gated", tiles=(100, 120), overlap=(10, 12))
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    maps.click(maps.bar.cancel_button)
    (tmp_path / "go").touch()
    maps.wait_end()
    assert "No block was whole yet: Run begins anew" in maps.bar.result.text()
    again = MapDock(make_napari_viewer(), qtbot, tmp_path)
    again.controller.open(image_path)
    again.ready()
    assert "unfinished map" in again.form.save.note.text()
    assert (again.form.tiles.shape.value(), again.form.tiles.overlap.value()) == ((100, 120), (10, 12))
    again.run()
    assert again.bar.failures.text() == ""
    assert np.array_equal(shown(again.layer("image-map")), soft(WHOLE))


def test_a_model_of_colours_is_given_all_of_them(maps):
    picture = np.random.default_rng(0).integers(0, 255, (96, 80, 3), dtype=np.uint8)
    maps.viewer.add_image(picture, name="photo", rgb=True)
    maps.model("grey")
    maps.ready()
    maps.run()
    assert maps.bar.failures.text() == ""
    assert np.allclose(shown(maps.viewer.layers[-1]), picture.mean(axis=-1))
