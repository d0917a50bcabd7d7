"""Images streamed into a new OME-Zarr: right pixels on all levels, valid metadata, bounded blocks."""

from __future__ import annotations

import numpy as np
import ome_zarr_models
import pytest
import yaozarrs
import zarr
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.axes import parse_axes
from seamlabel.errors import OutputError
from seamlabel.io.ngff import layout
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.pyramid import area_mean, pyramid


def stream(path, pixels, **options):
    """Write an array as an image; returns the boxes that were asked for."""
    boxes = []

    def block(box):
        boxes.append(box)
        return pixels[box.slices]

    write_image(path, pixels.shape, pixels.dtype.name, block, **options)
    return boxes


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "czyx", "tcyx", "tczyx"])
def test_an_image_is_valid_and_read_back(tmp_path, axes, version):
    sizes = {"t": 2, "c": 2, "z": 5, "y": 75, "x": 91}
    pixels = np.random.default_rng(0).integers(0, 4000, tuple(sizes[a] for a in axes), dtype="uint16")
    names = ["nuclei", "cells"] if "c" in axes else None
    units = [None if a == "c" else "second" if a == "t" else "micrometer" for a in axes]
    scale = [2.0 if a == "z" else 0.5 if a in "yx" else 1.0 for a in axes]
    options = {
        "axes": axes,
        "scale": scale,
        "units": units,
        "channels": names,
        "version": version,
        "levels": 3,
    }
    stream(tmp_path / "a.zarr", pixels, **options)

    image = open_image(tmp_path / "a.zarr")
    assert np.array_equal(image.arrays[0][:], pixels)
    assert image.info.levels[0].scale == tuple(scale)
    assert image.info.units == tuple(units)
    assert image.info.channels == tuple(names or ())
    assert image.info.ngff_version == version
    assert len(image.info.levels) == 3
    model = ome_zarr_models.open_ome_zarr(zarr.open_group(str(tmp_path / "a.zarr"), mode="r"))
    assert (type(model).__name__, model.ome_zarr_version) == ("Image", version)
    if version == "0.5":
        yaozarrs.validate_zarr_store(str(tmp_path / "a.zarr"))


def test_coarse_voxels_are_means_of_what_exists(tmp_path):
    pixels = np.full((75, 91), 1000, "uint16")
    pixels[-1], pixels[:, -1] = 3000, 3000
    stream(tmp_path / "a.zarr", pixels, axes="yx", levels=4)
    arrays = open_image(tmp_path / "a.zarr").arrays
    assert [a.shape for a in arrays] == [(75, 91), (38, 46), (19, 23), (10, 12)]
    assert (arrays[1][-1] == 3000).all()
    assert (arrays[1][:-1, :-1] == 1000).all()
    assert arrays[3][:].min() == 1000


def test_coarse_levels_lie_where_they_belong(tmp_path):
    """The world position of a blob's centre of mass is the same on every level."""
    y, x = np.mgrid[:256, :256]
    pixels = (1e4 * np.exp(-((y - 100) ** 2 + (x - 60) ** 2) / 200)).astype("float32")
    stream(tmp_path / "a.zarr", pixels, axes="yx", levels=3, scale=(0.5, 0.5))
    image = open_image(tmp_path / "a.zarr")
    for array, level in zip(image.arrays, image.info.levels, strict=True):
        values = array[:]
        for axis, expected in enumerate((50, 30)):
            index = np.arange(values.shape[axis])
            centre = (values.sum(axis=1 - axis) * index).sum() / values.sum()
            assert centre * level.scale[axis] + level.translation[axis] == pytest.approx(expected, abs=0.01)


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
    st.tuples(*[st.sampled_from([1, 2])] * 3),
    st.sampled_from(["uint8", "uint16", "int32", "float32"]),
)
def test_an_area_mean_is_the_mean_over_each_box(shape, steps, dtype):
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    steps = steps[: len(shape)]
    got = area_mean(pixels, steps)
    for index in np.ndindex(got.shape):
        box = tuple(slice(i * s, (i + 1) * s) for i, s in zip(index, steps, strict=True))
        mean = pixels[box].astype(float).mean()
        assert got[index] == (pytest.approx(mean) if dtype == "float32" else np.rint(mean))
    assert got.dtype == dtype


def test_the_pyramid_ends_at_512_and_leaves_thick_planes_alone(tmp_path):
    def shapes(shape, axes, scale=None):
        levels = pyramid(parse_axes(axes), shape, tuple(scale or (1.0,) * len(shape)), None)
        return [level.shape for level in levels]

    assert shapes((512, 512), "yx") == [(512, 512)]
    assert shapes((2049, 600), "yx") == [(2049, 600), (1025, 300), (513, 150), (257, 75)]
    assert shapes((2, 3, 1024, 10), "tcyx") == [(2, 3, 1024, 10), (2, 3, 512, 5)]
    assert shapes((100, 1024, 1024), "zyx") == [(100, 1024, 1024), (50, 512, 512)]
    assert shapes((100, 1024, 1024), "zyx", (2, 1, 1)) == [(100, 1024, 1024), (100, 512, 512)]
    assert shapes((100, 2048, 2048), "zyx", (2, 1, 1))[2] == (50, 512, 512)
    assert shapes((20, 1024, 1024), "zyx")[1] == (20, 512, 512)
    assert shapes((1, 1024), "yx") == [(1, 1024), (1, 512)]


def test_blocks_are_whole_chunks_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "BLOCK_BYTES", 64 * 64 * 2)
    monkeypatch.setattr(layout, "MOST_BLOCK_BYTES", 64 * 64 * 2)
    pixels = np.random.default_rng(0).integers(0, 4000, (3, 100, 130), dtype="uint16")
    boxes = stream(tmp_path / "a.zarr", pixels, axes="cyx", chunks=(1, 32, 32), levels=2)
    assert sum(box.size for box in boxes) == pixels.size
    assert all(box.size <= 64 * 64 for box in boxes)
    assert all(start % 32 == 0 for box in boxes for start in box.start[1:])
    assert np.array_equal(open_image(tmp_path / "a.zarr").arrays[0][:], pixels)


def test_an_image_that_exists_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "a.zarr"
    stream(path, np.zeros((20, 30), "uint8"), axes="yx")
    with pytest.raises(OutputError, match="exists"):
        stream(path, np.ones((10, 10), "uint8"), axes="yx")
    stream(path, np.ones((10, 10), "uint8"), axes="yx", version="0.4", overwrite=True)
    assert open_image(path).info.shape == (10, 10)
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(OutputError, match="not a zarr group"):
        stream(folder, np.ones((10, 10), "uint8"), axes="yx", overwrite=True)
    assert (folder / "thesis.txt").exists()


def test_display_ranges_are_those_of_the_pixels(tmp_path):
    pixels = np.stack([np.full((20, 30), 7, "uint16"), np.arange(600, dtype="uint16").reshape(20, 30)])
    stream(tmp_path / "a.zarr", pixels, axes="cyx", channels=["a", "b"])
    windows = [
        c["window"] for c in zarr.open_group(str(tmp_path / "a.zarr")).attrs["ome"]["omero"]["channels"]
    ]
    assert [(w["start"], w["end"]) for w in windows] == [(7, 8), (0, 599)]


@pytest.mark.parametrize(
    "wrong",
    [{"axes": "zyx"}, {"axes": "yy"}, {"version": "0.6"}, {"scale": [1]}, {"units": ["a"]}, {"levels": 0}],
)
def test_arguments_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"axes|version"):
        stream(tmp_path / "a.zarr", np.zeros((20, 30)), **{"axes": "yx", **wrong})
    assert not (tmp_path / "a.zarr").exists()


def test_a_block_of_the_wrong_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match="shape"):
        write_image(tmp_path / "a.zarr", (20, 30), "uint8", lambda box: np.zeros((3, 3)), axes="yx")


@pytest.mark.parametrize("axes", ["yx", "zyx", "tczyx"])
def test_shards_hold_whole_chunks_on_every_level_and_change_no_pixel(tmp_path, axes):
    sizes = {"t": 2, "c": 2, "z": 5, "y": 75, "x": 91}
    pixels = np.random.default_rng(0).integers(0, 4000, tuple(sizes[a] for a in axes), dtype="uint16")
    cut = {"chunks": (1,) * (len(axes) - 2) + (16, 16), "levels": 3, "axes": axes}
    stream(tmp_path / "plain.zarr", pixels, **cut)
    stream(tmp_path / "sharded.zarr", pixels, **cut, shards=(1,) * (len(axes) - 2) + (64, 48))
    plain, sharded = (open_image(tmp_path / f"{n}.zarr").arrays for n in ("plain", "sharded"))
    for one, other in zip(plain, sharded, strict=True):
        assert other.shards[-2:] == (64, 48)
        assert np.array_equal(one[:], other[:])
    with pytest.raises(ValueError, match=r"0\.5 only"):
        stream(tmp_path / "old.zarr", pixels, **cut, shards=(64,) * len(axes), version="0.4")


@given(
    st.tuples(st.integers(1, 140), st.integers(1, 90), st.integers(1, 70)),
    st.tuples(st.sampled_from([1, 4, 16]), st.sampled_from([8, 16]), st.sampled_from([8, 24])),
    st.integers(1, 5),
    st.sampled_from([1 << 9, 1 << 12, 1 << 16]),
)
def test_every_file_of_every_level_has_one_owner(shape, chunks, levels, room):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BLOCK_BYTES", room)
        patch.setattr(layout, "MOST_BLOCK_BYTES", 2 * room)
        plan = layout.layout(shape, "uint16", axes="zyx", chunks=chunks, levels=levels)
        stages = plan.stages()
    assert [n for stage in stages for n in stage.levels] == list(range(len(plan.levels)))
    for stage in stages:
        for number in stage.levels:
            steps = [
                b // a
                for a, b in zip(plan.levels[stage.base].factor, plan.levels[number].factor, strict=True)
            ]
            box, whole, side = stage.grid.tile_shape, plan.levels[number].shape, plan.cell(number)
            for b, s, n, m, c in zip(box, steps, plan.levels[stage.base].shape, whole, side, strict=True):
                assert b == n or b % s == 0
                assert b == n or (b // s) % c == 0 or c >= m == -(-b // s)
