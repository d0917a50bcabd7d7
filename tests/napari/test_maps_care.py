"""The dock "Predict a map" where things go on behind its back: nothing is lost, and nothing is told wrongly."""

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
