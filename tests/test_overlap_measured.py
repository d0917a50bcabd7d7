"""A run whose overlap is measured first: ``overlap="measure"``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel import overlap_needs
from seamlabel.cli import main
from seamlabel.errors import SpecError
from seamlabel.io.ngff.images import write_image
from seamlabel.napari.form.tiles_form import TilesForm
from seamlabel.testing import same_partition
from seamlabel.testing.cells import Tissue

PIXELS = Tissue((500, 460), "sparse").image()
CODE = """
import numpy as np
from scipy import ndimage

def cells(tile):
    return ndimage.label(ndimage.gaussian_filter(tile.astype(np.float32), 3) > 1500)[0]

def jumpy(tile):
    return ndimage.label(tile > np.percentile(tile, 80))[0]
"""


def cells(tile):
    return ndimage.label(ndimage.gaussian_filter(tile.astype(np.float32), 3) > 1500)[0]


def jumpy(tile):
    return ndimage.label(tile > np.percentile(tile, 80))[0]


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.zarr"
    write_image(path, PIXELS.shape, "uint16", lambda box: PIXELS[box.slices], axes="yx")
    return path


def test_tiles_get_the_overlap_that_the_method_needs():
    result = seamlabel.segment(PIXELS, cells, tile_shape=150, overlap="measure", progress=False)
    assert same_partition(np.asarray(result.labels), cells(PIXELS))
    assert min(result.plan.grid.overlap) > 12  # four standard deviations
    assert result.plan.spec.overlap == "measure"


def test_a_method_for_which_no_overlap_will_do_is_told_before_any_tile():
    with pytest.raises(SpecError, match="no overlap will make tiles agree") as error:
        seamlabel.segment(PIXELS, jumpy, tile_shape=150, overlap="measure", progress=False)
    assert error.value.problems[0].field == "overlap"


def test_a_run_that_was_cut_short_goes_on_without_measuring_again(image, tmp_path, monkeypatch):
    code = tmp_path / "mine.py"
    code.write_text(CODE)
    ask = {"params": {"target": f"{code}:cells"}, "tile_shape": 100, "overlap": "measure", "progress": False}
    done = []

    def stop(event):
        done.extend([event.tile] if type(event).__name__ == "TileDone" else [])
        if len(done) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, "function", on_event=stop, executor="serial", **ask)
    monkeypatch.setattr(overlap_needs, "measure_needs", None)  # a call would fail
    result = seamlabel.segment(image, "function", **ask)
    assert same_partition(np.asarray(result.labels), cells(PIXELS))


def test_the_command_line_measures_too(image, tmp_path, capsys):
    code = tmp_path / "mine.py"
    code.write_text(CODE)
    common = ["segment", str(image), "--tile", "150", "--overlap", "measure", "--function"]
    assert main([*common, f"{code}:cells", "--quiet"]) == 0
    assert main([*common, f"{code}:jumpy", "--name", "other"]) == 2
    assert "no overlap will make tiles agree" in capsys.readouterr().err


def test_the_dock_shows_auto_for_it(qtbot):
    form = TilesForm()
    qtbot.addWidget(form)
    form.set_values("auto", "measure")
    assert form.values()["overlap"] == "auto"
