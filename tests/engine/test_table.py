"""The table of objects of whole runs, against scikit-image on the final labels of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops_table

import seamlabel
from seamlabel.cli import main
from seamlabel.errors import OutputError, SpecError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.tables import read_table
from seamlabel.remerging import remerge
from seamlabel.testing.cells import Tissue


def bright(tile):
    return ndimage.label(tile > 2000, np.ones((3,) * tile.ndim))[0]


def save(path, pixels, axes, **options):
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes=axes, **options)
    return str(path)


def assert_is_table_of(table, labels, channels, axes):
    """Compare with scikit-image; `channels` by name."""
    truth = regionprops_table(labels, properties=("label", "area", "bbox", "centroid"))
    assert table["id"].tolist() == truth["label"].tolist()
    assert table["area_voxels"].tolist() == truth["area"].tolist()
    for at, name in enumerate(axes):
        assert np.array_equal(table[f"bbox_{name}_start"], truth[f"bbox-{at}"])
        assert np.array_equal(table[f"bbox_{name}_stop"], truth[f"bbox-{at + len(axes)}"])
        assert np.allclose(table[f"centroid_{name}"], truth[f"centroid-{at}"], rtol=1e-12)
    for name, pixels in channels.items():
        found = regionprops_table(
            labels, pixels, properties=("intensity_mean", "intensity_min", "intensity_max")
        )
        assert np.allclose(table[f"mean_{name}"], found["intensity_mean"], rtol=1e-12)
        assert np.array_equal(table[f"min_{name}"], found["intensity_min"])
        assert np.array_equal(table[f"max_{name}"], found["intensity_max"])
    ends = [(np.take(labels, 0, axis), np.take(labels, -1, axis)) for axis in range(labels.ndim)]
    border = np.unique(np.concatenate([face.ravel() for pair in ends for face in pair]))
    assert np.array_equal(table["at_border"], np.isin(table["id"], border))


def at_seam(labels, grid):
    cores = [np.unique(labels[tile.core.slices]) for tile in grid]
    ids, count = np.unique(np.concatenate(cores), return_counts=True)
    return ids[(count > 1) & (ids > 0)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"min_size": 30, "fill_holes": True},
        {"drop_border": True, "max_size": 400},
        {"merge": "touching", "overlap": 0, "fill_holes": True},
        {"skip_empty": 2000.0, "fill_holes": True, "executor": "serial"},
    ],
)
def test_the_table_is_that_of_the_final_labels(tmp_path, fields):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((230, 310)), 3)
    pixels = (1800 + 700 * noise / noise.std()).clip(0).astype(np.uint16)
    pixels[60:170, 60:170] = 3000  # a ring over tiles, some without foreground
    pixels[70:160, 70:160] = 0
    image = save(tmp_path / "image.zarr", pixels, "yx", scale=(0.5, 0.25), units=("micrometer",) * 2)
    fields = {"overlap": 6, **fields}
    result = seamlabel.segment(image, bright, tile_shape=24, table=True, progress=False, **fields)
    labels = np.asarray(result.labels)
    assert labels.max() == result.n_objects > 5
    assert_is_table_of(result.table, labels, {"intensity": pixels}, "yx")
    assert np.array_equal(result.table["area"], result.table["area_voxels"] * 0.125)
    seam = at_seam(labels, result.plan.grid)
    assert seam.size
    assert np.array_equal(result.table["id"][result.table["at_seam"]], seam)
    if fields.get("fill_holes"):
        assert labels[100, 100] > 0


def test_a_noisy_method_has_a_table_of_what_is_painted(tmp_path):
    pixels = Tissue((200, 200), "dense").image()

    def moody(tile):  # depends on the tile as a whole: tiles differ everywhere
        return ndimage.label(tile > np.quantile(tile, 0.6))[0]

    result = seamlabel.segment(pixels, moody, tile_shape=40, overlap=10, table=True, progress=False)
    labels = np.asarray(result.labels)
    assert result.plan.grid.counts == (5, 5)
    assert_is_table_of(result.table, labels, {"intensity": pixels}, "yx")
    assert np.array_equal(result.table["id"][result.table["at_seam"]], at_seam(labels, result.plan.grid))


def test_volumes_and_channels_have_columns_of_their_own(tmp_path):
    volume = Tissue((24, 60, 70), "tissue3d").image()
    other = (volume // 3 + np.arange(70)).astype(volume.dtype)
    image = save(tmp_path / "two.zarr", np.stack([volume, other]), "czyx", channels=("DAPI", "GFP"))

    def first(tile):
        return bright(tile[0])

    path = tmp_path / "cells.csv"
    result = seamlabel.segment(
        image, first, channels=["DAPI", "GFP"], tile_shape=(9, 20, 31), overlap=4, table=path, progress=False
    )
    assert_is_table_of(result.table, np.asarray(result.labels), {"DAPI": volume, "GFP": other}, "zyx")
    written = read_table(path)
    assert list(written) == list(result.table)
    for name, column in written.items():
        assert np.array_equal(column, result.table[name]), name


def test_every_frame_of_a_movie_has_its_own_rows(tmp_path):
    frame = Tissue((60, 80), "dense").image()
    movie = np.stack([frame, frame[::-1], np.zeros_like(frame)])
    image = save(tmp_path / "movie.zarr", movie, "tyx")
    result = seamlabel.segment(image, bright, tile_shape=25, overlap=8, table=True, progress=False)
    labels = np.asarray(result.labels)
    assert set(result.table["t"].tolist()) == {0, 1}
    for t, (plane, pixels) in enumerate(zip(labels, movie, strict=True)):
        rows = {name: column[result.table["t"] == t] for name, column in result.table.items()}
        if plane.any():
            assert_is_table_of(rows, plane, {"intensity": pixels}, "yx")


@pytest.mark.parametrize("z_link", [None, 0.3])
def test_planes_have_a_place_in_depth(tmp_path, z_link):
    volume = Tissue((6, 60, 70), "tissue3d").image()
    result = seamlabel.segment(
        volume, bright, planes=True, z_link=z_link, tile_shape=30, overlap=8, table=True,
        fill_holes=True, progress=False,
    )  # fmt: skip
    labels = np.asarray(result.labels)
    truth = regionprops_table(labels, properties=("label", "area", "bbox"))
    assert result.table["id"].tolist() == truth["label"].tolist()
    assert result.table["area_voxels"].tolist() == truth["area"].tolist()
    column = "z" if z_link is None else "bbox_z_start"
    assert np.array_equal(result.table[column], truth["bbox-0"])
    sides = np.unique(np.concatenate([labels[:, (0, -1)].ravel(), labels[:, :, (0, -1)].ravel()]))
    assert np.array_equal(result.table["at_border"], np.isin(result.table["id"], sides))


def test_an_image_without_objects_has_a_table_without_rows(tmp_path):
    pixels = np.zeros((50, 50), np.uint16)
    result = seamlabel.segment(pixels, bright, tile_shape=20, overlap=4, table=True, progress=False)
    assert {column.size for column in result.table.values()} == {0}
    assert seamlabel.segment(pixels, bright, tile_shape=20, overlap=4, progress=False).table is None


def test_a_table_that_cannot_be_written_is_told_before_any_work(tmp_path):
    pixels = Tissue((40, 40), "dense").image()
    calls = []

    def counted(tile):
        calls.append(1)
        return bright(tile)

    with pytest.raises(OutputError, match="nowhere"):
        seamlabel.segment(pixels, counted, table=tmp_path / "nowhere" / "cells.csv", progress=False)
    with pytest.raises(SpecError, match="table"):
        seamlabel.segment(pixels, counted, table=tmp_path / "cells.xlsx", progress=False)
    assert not calls


def test_a_merge_that_is_done_again_makes_the_table_anew(tmp_path):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((150, 160)), 2)
    pixels = (1900 + 700 * noise / noise.std()).clip(0).astype(np.uint16)
    image = save(tmp_path / "image.zarr", pixels, "yx")
    path = tmp_path / "cells.csv"
    seamlabel.segment(
        image, "threshold", params={"value": 2000.0, "smoothing": 0.0}, tile_shape=31, overlap=6,
        fill_holes=True, table=path, keep=True, progress=False,
    )  # fmt: skip
    before = read_table(path)
    result = remerge(f"{image}.seamlabel/labels", min_size=40, progress=False)
    labels = np.asarray(result.labels)
    after = read_table(path)
    assert after["id"].size < before["id"].size
    assert before["area_voxels"][before["area_voxels"] >= 40].tolist() == after["area_voxels"].tolist()
    assert_is_table_of(after, labels, {"intensity": pixels}, "yx")
    assert np.array_equal(after["id"][after["at_seam"]], at_seam(labels, result.plan.grid))


def test_the_command_line_fills_and_measures(tmp_path, capsys):
    pixels = np.zeros((60, 60), np.uint16)
    pixels[10:50, 10:50] = 3000
    pixels[20:40, 20:40] = 0
    image = save(tmp_path / "image.zarr", pixels, "yx")
    path = tmp_path / "cells.csv"
    options = ["--fill-holes", "--table", str(path), "--tile", "16", "--overlap", "2", "--quiet"]
    assert main(["segment", image, "--set", "value=2000", "--set", "smoothing=0", *options]) == 0
    table = read_table(path)
    assert table["area_voxels"].tolist() == [1600]
    assert table["mean_intensity"].tolist() == [3000 * 1200 / 1600]
    assert main(["segment", image, "--table", "cells.txt"]) == 2
    assert "--table" in capsys.readouterr().err


def test_an_object_of_one_tile_is_at_no_seam_though_neighbours_see_it():
    pixels = np.zeros((40, 40), np.uint16)
    pixels[21:27, 21:27] = 3000  # in the last tile's core, and in all overlaps
    pixels[23:25, 23:25] = 0
    result = seamlabel.segment(
        pixels, bright, tile_shape=20, overlap=8, fill_holes=True, table=True, progress=False
    )
    assert result.table["area_voxels"].tolist() == [36]
    assert not result.table["at_seam"].any()


def test_a_function_that_writes_over_its_pixels_does_not_change_what_is_measured():
    pixels = np.zeros((40, 40), np.float32)
    pixels[5:30, 5:20] = 10

    def careless(tile):
        labels = ndimage.label(tile > 3)[0]
        tile -= 5  # such as a normalisation in place
        return labels

    result = seamlabel.segment(pixels, careless, tile_shape=20, overlap=4, table=True, progress=False)
    assert result.table["mean_intensity"].tolist() == [10]
