"""The dock "Predict a map" where layers go and views change: nothing is lost, and nothing is told wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from tests.napari.map_dock import MapDock, soft

from seamlabel.backends.pixels import connected
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.testing.cells import Tissue

WHOLE = Tissue((512, 512), "dense", diameter=24, seed=3).image()


@pytest.fixture
def maps(make_napari_viewer, qtbot, tmp_path):
    """Return the dock in a viewer that is not shown."""
    dock = MapDock(make_napari_viewer(), qtbot, tmp_path)
    yield dock
    (tmp_path / "go").touch()


def test_the_image_is_never_overwritten_by_its_map(maps, image_path):
    maps.open(image_path)
    maps.click(maps.form.save.overwrite)
    maps.type(maps.form.save.path.line, image_path)
    assert "holds what the map is made of" in maps.form.save.problem("output")
    assert not maps.bar.run_button.isEnabled()
    assert np.array_equal(open_image(image_path).arrays[0][:], WHOLE)


def begin(maps, image_path):
    """Start a run that stops and waits after a few tiles."""
    maps.open(image_path, "gated")
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    maps.until(lambda: maps.layer("image-map").contrast_limits[1] > 0.9)


def end(maps):
    (maps.folder / "go").touch()
    maps.wait_end()


def pixels(layer):
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def test_the_slider_keeps_the_range_of_another_image_while_a_map_grows(maps, image_path):
    begin(maps, image_path)
    maps.objects.map.setCurrentIndex(maps.objects.map.findText("image"))
    maps.objects.threshold.setValue(2000)
    end(maps)
    assert maps.objects.map.currentText() == "image"
    assert maps.objects.threshold.value() == 2000
    maps.until(lambda: maps.control.preview.layer is not None)
    assert np.array_equal(pixels(maps.control.preview.layer), connected(WHOLE > 2000))


def test_an_image_that_is_removed_while_its_map_is_made_changes_nothing(maps, image_path):
    maps.viewer.add_image(np.zeros((90, 90)), scale=(9, 9), name="other")
    maps.open(image_path, "gated")
    maps.bar.run_button.click()
    maps.viewer.layers.remove("image")
    maps.until(lambda: "image-map" in maps.viewer.layers)
    assert not any(section.isEnabled() for section in maps.form.sections)
    end(maps)
    layer = maps.layer("image-map")
    assert np.array_equal(pixels(layer), soft(WHOLE))
    assert tuple(layer.scale) == (0.5, 0.5)
    assert maps.form.image.picture.layer.name == maps.form.image.layer().name
    assert all(section.isEnabled() for section in maps.form.sections)


def test_a_map_is_shown_though_no_image_is_left(maps, image_path):
    maps.open(image_path, "gated")
    maps.bar.run_button.click()
    maps.viewer.layers.clear()
    end(maps)
    assert np.array_equal(pixels(maps.layer("image-map")), soft(WHOLE))


def test_what_is_stopped_before_the_first_tile_is_told_so(maps, image_path):
    maps.open(image_path, "gated")
    maps.bar.run_button.click()
    maps.bar.cancel_button.click()
    end(maps)
    assert maps.bar.result.text() == "Stopped before the first tile"


def test_nothing_is_drawn_any_more_once_the_dock_is_closed(maps, image_path):
    begin(maps, image_path)
    maps.viewer.window.remove_dock_widget(maps.widget)
    maps.until(lambda: maps.controller._closed)
    assert not maps.controller._redraw.isActive()


def test_the_count_of_objects_is_of_what_is_looked_at(maps, tmp_path):
    stack = np.stack([WHOLE[:128, :160], WHOLE[:128, :160] // 9, WHOLE[200:328, :160]])
    maps.viewer.add_image(stack)
    maps.model("soft")
    maps.ready()
    maps.run()
    maps.viewer.dims.set_point(0, 0)
    maps.objects.threshold.setValue(0.45)
    whole = soft(stack)
    for plane in (0, 1, 2):
        maps.viewer.dims.set_point(0, plane)
        count = connected(whole[plane] > 0.45).max()
        maps.until(lambda n=count: maps.objects.found.text().startswith(f"{n} object"))


def test_objects_that_are_removed_by_hand_stay_away(maps, image_path):
    begin(maps, image_path)
    maps.click(maps.objects.preview)
    maps.until(lambda: maps.control.preview.layer is not None)
    maps.viewer.layers.remove(maps.control.preview.layer)
    assert not maps.objects.preview.isChecked()
    assert maps.objects.found.text() == ""
    end(maps)
    assert [layer.name for layer in maps.viewer.layers] == ["image", "image-map"]
    assert maps.objects.threshold.value() == 0.5


def test_a_map_that_is_replaced_on_disk_is_replaced_in_the_viewer(maps, image_path, tmp_path):
    maps.open(image_path)
    maps.run()
    maps.type(maps.form.save.path.line, str(tmp_path / "image-map.zarr"))
    maps.click(maps.form.save.overwrite)
    maps.model("classes")
    maps.ready()
    maps.run()
    assert [layer.name for layer in maps.viewer.layers][1:] == [f"image-map output {k}" for k in range(3)]


@pytest.mark.parametrize("kept", [False, True])
def test_a_coarser_level_lies_on_an_image_that_is_turned(maps, tmp_path, kept):
    write_image(
        tmp_path / "image.zarr", WHOLE.shape, "uint16", lambda b: WHOLE[b.slices], axes="yx", levels=3
    )
    if kept:
        maps.controller.open(str(tmp_path / "image.zarr"))
    else:
        maps.viewer.add_image([WHOLE, WHOLE[::2, ::2], WHOLE[::4, ::4]], multiscale=True, name="image")
    image = maps.layer("image")
    image.scale, image.rotate, image.shear, image.translate = (2, 3), 30, [0.2], (10, 4)
    maps.model("soft")
    maps.form.image.level.setCurrentIndex(2)
    maps.ready()
    maps.run()
    made = maps.viewer.layers[-1]
    assert pixels(made).shape == (128, 128)
    for place in ((0, 0), (100, 50)):
        wanted = image.data_to_world([4 * n + 1.5 for n in place])
        assert np.allclose(made.data_to_world(place), wanted)


def test_what_is_in_the_way_is_told_in_words_of_the_dock(maps, image_path):
    begin(maps, image_path)
    maps.click(maps.bar.cancel_button)
    end(maps)
    maps.model("soft")
    maps.ready()
    maps.run()
    assert maps.bar.failures.text().endswith("or tick Overwrite")
    (maps.folder / "models.py").write_text("def two(tile):\n    return [tile, tile]\n", encoding="utf-8")
    maps.model("two")
    maps.click(maps.form.save.overwrite)
    maps.ready()
    maps.run()
    assert "values and variances? Return one array" in maps.bar.failures.text()


def test_the_dock_that_is_closed_in_a_run_says_how_to_go_on(maps, image_path):
    begin(maps, image_path)
    assert "with the same values" in maps.controller.left_behind()
    end(maps)


def test_an_address_is_no_place_for_a_map(maps, image_path):
    maps.open(image_path)
    maps.type(maps.form.save.path.line, "s3://bucket/map.zarr")
    assert "local disk" in maps.form.save.problem("output")
    assert not maps.bar.run_button.isEnabled()


def test_labels_that_overwriting_would_delete_are_named(maps, image_path, tmp_path):
    maps.open(image_path)
    maps.run()
    maps.click(maps.objects.make)
    other = maps.viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")[1]
    maps.until(lambda: not other.controller.run.active and bool(other.bar.result.text()))
    maps.type(maps.form.save.path.line, str(tmp_path / "image-map.zarr"))
    assert maps.form.save.note.text() == ""
    maps.click(maps.form.save.overwrite)
    assert maps.form.save.note.text() == "Labels in it are deleted with it: cells"


def test_pixels_that_replace_those_of_the_file_are_what_is_predicted(maps, image_path):
    maps.open(image_path)
    layer = maps.layer("image")
    layer.data = [WHOLE[::-1].copy(), WHOLE[::-2, ::2].copy()]
    maps.until(lambda: maps.form.image.picture.path is None)
    maps.ready()
    maps.run()
    assert np.array_equal(pixels(maps.viewer.layers[-1]), soft(WHOLE[::-1]))
