"""The dock "Predict a map" where layers go and views change: nothing is lost, and nothing is told wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from tests.napari.map_dock import MapDock, soft

from seamlabel.backends.pixels import connected
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
