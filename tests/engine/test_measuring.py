"""Labels measured after they were written: the table that a run makes, and the command line's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.cli import main
from seamlabel.engine.measuring import measure_run
from seamlabel.errors import ImageError, SpecError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.tables import read_table
from seamlabel.measuring import measure
from seamlabel.testing.cells import Tissue


def bright(tile):
    return ndimage.label(tile > 2000, np.ones((3,) * tile.ndim))[0]


def bright_in_first(tile):
    return bright(tile[0])


def save(path, pixels, axes, **options):
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes=axes, **options)
    return str(path)


def ended(work):
    told = []
    while True:
        try:
            told.append(next(work))
        except StopIteration as end:
            return end.value, told


def assert_same(one, other):
    assert list(one) == list(other)
    for name, column in one.items():
        assert column.dtype == other[name].dtype, name
        np.testing.assert_array_equal(column, other[name], name)


@pytest.mark.parametrize("fields", [{}, {"planes": True}, {"planes": True, "z_link": 0.3}])
def test_a_run_measured_later_has_the_table_that_it_makes_itself(tmp_path, fields):
    volume = Tissue((12, 60, 70), "tissue3d").image()
    image = save(tmp_path / "image.zarr", volume, "zyx", scale=(2, 0.5, 0.5), units=("micrometer",) * 3)
    result = seamlabel.segment(
        image, bright, tile_shape=30, overlap=6, table=True, progress=False, fill_holes=True, **fields
    )
    table, told = ended(measure_run(result.plan, result.path))
    assert_same(table, result.table)
    tiles = len(result.plan.grid)
    assert told[0] == (0, tiles)
    assert told[-1] == (tiles, tiles)


def test_a_run_of_an_array_needs_the_array_again(tmp_path):
    pixels = Tissue((100, 120), "dense").image()
    result = seamlabel.segment(pixels, bright, tile_shape=50, overlap=6, table=True, progress=False)
    with pytest.raises(SpecError, match="needs the image"):
        ended(measure_run(result.plan, result.path))
    assert_same(ended(measure_run(result.plan, result.path, pixels))[0], result.table)


def test_the_command_line_measures_labels_of_an_image(tmp_path, capsys):
    one = Tissue((300, 200), "dense").image()
    image = save(
        tmp_path / "two.zarr", np.stack([one, one // 2]), "cyx", channels=("DAPI", "GFP"), chunks=(1, 64, 64)
    )
    result = seamlabel.segment(
        image, bright_in_first, channels=["DAPI", "GFP"], name="cells", table=True, progress=False
    )
    path = tmp_path / "cells.csv"
    assert main(["measure", image, "cells", "--table", str(path)]) == 0
    table = read_table(path)
    assert "at_seam" not in table
    for name, column in table.items():
        np.testing.assert_allclose(column, result.table[name], rtol=1e-12)
    assert main(["measure", image, "cells", "--table", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["measure", image, result.path, "--channels", "GFP"]) == 0
    out = capsys.readouterr().out
    assert f"{result.n_objects:,} objects" in out
    assert "mean_GFP" in out
    assert "DAPI" not in out
    assert main(["measure", image, "cells", "--channels", "RFP"]) == 2
    assert main(["measure", image, "nobody"]) == 1


def test_labels_of_another_image_are_refused(tmp_path):
    pixels = Tissue((100, 120), "dense").image()
    one = save(tmp_path / "one.zarr", pixels, "yx")
    other = save(tmp_path / "other.zarr", pixels[:50], "yx")
    result = seamlabel.segment(one, bright, progress=False)
    with pytest.raises(ImageError, match="100 x 120, the image has 50 x 120"):
        measure(other, result.path)


def test_measuring_that_is_broken_off_lets_go_of_everything(tmp_path):
    pixels = Tissue((300, 200), "dense").image()
    result = seamlabel.segment(pixels, bright, tile_shape=20, overlap=4, progress=False)
    work = measure_run(result.plan, result.path, pixels)
    assert next(work)[0] == 0
    next(work)
    work.close()
    with pytest.raises(StopIteration):
        next(work)
