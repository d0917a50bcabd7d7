"""An image that is no longer what it was when it was chosen, and pixels of every sort."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from seamlabel.napari.layers.pictures import ome_zarr_path


def squares(dtype=np.uint16):
    """Return an image with two bright squares."""
    pixels = np.zeros((60, 80), dtype)
    pixels[10:20, 10:30] = pixels[35:50, 33:60] = 100
    return pixels


def segment(dock, value=None):
    dock.ready()
    dock.form.method.set_values("threshold", {"value": value, "smoothing": 0.0})
    dock.tiles((32, 32), (8, 8))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.run.progress.result is not None, dock.bar.result.text()
    layer = dock.canvas.labels_layer
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def test_a_new_name_is_seen_in_the_picker(dock):
    image = dock.add(squares(), name="before")
    image.name = "after"
    assert dock.form.image.layers.currentText() == "after"
    assert dock.form.image.layer() is image


def test_labels_and_tiles_follow_an_image_that_was_moved_before_the_run(dock):
    image = dock.add(squares(), scale=(1, 1), units=("um", "um"))
    dock.wait_grid()
    image.scale, image.translate, image.rotate = (0.5, 0.25), (7, 9), 30
    dock.qtbot.waitUntil(lambda: "0.5 × 0.25 µm" in dock.form.image.summary.text(), timeout=5000)
    labels = segment(dock)
    assert labels.max() == 2
    for layer in (dock.canvas.labels_layer, dock.canvas.grid_layer):
        np.testing.assert_allclose(layer.data_to_world((3, 4)), image.data_to_world((3, 4)))


def test_tiles_follow_an_image_that_is_only_turned(dock):
    image = dock.add(squares())
    dock.wait_grid()
    image.rotate = 45
    dock.qtbot.waitUntil(
        lambda: np.allclose(dock.canvas.grid_layer.data_to_world((3, 4)), image.data_to_world((3, 4))),
        timeout=5000,
    )


def test_other_pixels_are_what_is_segmented(dock):
    image = dock.add(squares())
    image.data = np.pad(squares(), 20, constant_values=0)
    dock.qtbot.waitUntil(lambda: "100 × 120" in dock.form.image.summary.text(), timeout=5000)
    labels = segment(dock)
    assert labels.shape == (100, 120)
    np.testing.assert_array_equal(labels > 0, np.asarray(image.data) == 100)


def test_pixels_with_another_number_of_axes_are_understood(dock):
    image = dock.add(squares())
    dock.controller.grid.follow(dock.controller.plan, dock.form.image.picture, 0)
    image.data = np.stack([squares()] * 3)
    assert not dock.controller.grid._preview.isActive()  # tiles of y x cannot be drawn on it any more
    dock.qtbot.waitUntil(lambda: dock.form.image.summary.text().startswith("ZYX"), timeout=5000)
    dock.ready()


def test_a_level_that_was_chosen_stays_chosen_when_the_image_is_moved(dock):
    image = dock.viewer.add_image([squares(), squares()[::2, ::2]])
    dock.ready()
    dock.form.image.level.setCurrentIndex(1)
    image.translate = (5, 5)
    dock.qtbot.wait(50)
    assert dock.form.image.level.currentIndex() == 1
    labels = segment(dock)
    assert labels.shape == (30, 40)
    np.testing.assert_allclose(dock.canvas.labels_layer.data_to_world((-0.5, -0.5)), (4.5, 4.5))


def test_an_image_that_was_filtered_is_not_taken_for_its_file(dock, image_path):
    dock.viewer.open(image_path, plugin="seamlabel")
    dock.ready()
    image = dock.viewer.layers[0]
    assert dock.form.image.picture.path == ome_zarr_path(image)
    dark = np.ones((512, 512), np.uint16)
    dark[100:120, 100:120] = 900
    image.data = [dark, dark[::2, ::2]]
    dock.qtbot.waitUntil(lambda: dock.form.image.picture.path is None, timeout=5000)
    assert segment(dock).max() == 1


def test_a_dock_that_is_gone_hears_nothing_of_the_layer(dock):
    image = dock.add(squares())
    dock.viewer.window.remove_dock_widget(dock.docked)
    dock.qtbot.wait(50)
    image.scale = (3, 3)
    dock.qtbot.wait(50)
    assert not any("layer_watch" in str(c) for c in image.events.scale.callbacks)


@pytest.mark.parametrize("dtype", [bool, ">u2", ">f4", "int8", "int64", "float16", "float64"])
def test_pixels_of_every_type_are_segmented(dock, dtype):
    pixels = squares(np.dtype(dtype))
    dock.add(pixels)
    labels = segment(dock)
    np.testing.assert_array_equal(labels > 0, pixels == pixels.max())


def test_pixels_that_are_no_number_or_infinite_are_background(dock):
    pixels = squares(np.float32)
    pixels[:5], pixels[55:, :40] = np.nan, -np.inf
    dock.add(pixels)
    np.testing.assert_array_equal(segment(dock) > 0, pixels == 100)


def test_an_image_without_units_beside_one_with_units_brings_no_warning_of_ours(dock):
    dock.viewer.add_image(squares(), name="with", units=("um", "um"))
    image = dock.viewer.add_image(squares(), name="without")
    dock.controller.choose(image)
    dock.qtbot.wait(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        labels = segment(dock)
    assert labels.max() == 2
    assert dock.canvas.labels_layer.units == image.units
