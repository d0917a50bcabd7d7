from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import regionprops_table

from seamlabel.geometry import TileGrid
from seamlabel.kernels.measure import combine, measure_runs
from seamlabel.kernels.objects import object_table
from seamlabel.kernels.relabel import run_starts
from seamlabel.testing.strategies import images_and_grids, label_images

PIXELS = st.sampled_from(["uint8", "uint16", "int16", "uint32", "int64", "float32", "float64"])


def pixels_for(shape, dtype, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, (channels, *shape)).astype(dtype)
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**40)), min(info.max, 2**40)
    return rng.integers(low, high, (channels, *shape), endpoint=True, dtype=np.int64).astype(dtype)


def measured(labels, origin=None, part=None, pixels=None, split=False):
    flat = np.ascontiguousarray(labels).ravel()
    starts = run_starts(flat)
    if split:  # at every line, as tiles are staged
        starts = np.union1d(starts, np.arange(0, flat.size, labels.shape[-1]))
    return measure_runs(
        starts, flat[starts], labels.shape, origin or (0,) * labels.ndim, part=part, pixels=pixels
    )


def assert_agree(sums, labels, pixels, origin=None):
    """Compare with scikit-image, which knows 2-D and 3-D; other axes are added for it."""
    ndim, missing = labels.ndim, max(0, 2 - labels.ndim)
    origin = (0,) * ndim if origin is None else origin
    labels = labels.reshape((1,) * missing + labels.shape)
    names = ("label", "area", "bbox", "centroid")
    truth = regionprops_table(labels.astype(np.int64), properties=names)
    assert sums.label.tolist() == truth["label"].tolist()
    assert sums.area.tolist() == truth["area"].tolist()
    assert (sums.parts == 1).all()
    axes = labels.ndim
    for axis in range(ndim):
        at = axis + missing
        assert np.array_equal(sums.start[:, axis], truth[f"bbox-{at}"] + origin[axis])
        assert np.array_equal(sums.stop[:, axis], truth[f"bbox-{at + axes}"] + origin[axis])
        centroid = sums.start[:, axis] + sums.moment[:, axis] / sums.area
        assert np.allclose(centroid, truth[f"centroid-{at}"] + origin[axis], rtol=1e-12)
    if pixels is None:
        assert sums.total.shape == sums.least.shape == (sums.label.size, 0)
        return
    for channel, image in enumerate(pixels):
        inside = [image[labels.reshape(image.shape) == value] for value in sums.label.tolist()]
        total = [sum(values.tolist()) for values in inside]
        if image.dtype.kind == "f":
            assert np.allclose(sums.total[:, channel], total, rtol=1e-6, atol=1e-3)
        else:
            assert sums.total[:, channel].tolist() == total
        assert sums.least[:, channel].tolist() == [v.min() for v in inside]
        assert sums.most[:, channel].tolist() == [v.max() for v in inside]


@given(labels=label_images(), dtype=PIXELS, split=st.booleans())
def test_sums_equal_those_of_scikit_image(labels, dtype, split):
    pixels = pixels_for(labels.shape, dtype)
    assert_agree(measured(labels, pixels=pixels, split=split), labels, pixels)
    assert_agree(measured(labels, split=split), labels, None)


@given(labels=label_images(), data=st.data())
def test_only_voxels_of_the_part_count(labels, data):
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in labels.shape]
    part = tuple(slice(a, b) for a, b in ends)
    pixels = pixels_for(labels.shape, "uint16")
    found = measured(labels, part=part, pixels=pixels)
    masked = np.zeros_like(labels)
    masked[part] = labels[part]
    if not masked.any():
        assert found.label.size == 0
        assert found.total.shape == (0, 2)
        assert found.start.shape == (0, labels.ndim)
    else:
        assert_agree(found, masked, pixels)


def test_a_run_may_span_many_lines_and_planes():
    labels = np.full((3, 4, 5), 7)
    labels[0, 0, :3] = 0
    labels[2, 3, 4] = 0
    assert run_starts(labels.ravel()).size == 3
    pixels = pixels_for(labels.shape, "uint8")
    assert_agree(measured(labels, pixels=pixels), labels, pixels)


def test_labels_of_any_size_and_far_places_are_exact():
    labels = np.zeros((4, 6), np.uint64)
    labels[1, 2:5] = 2**64 - 1
    labels[2:, 0] = 2**40
    far = (10**12, 2**61)
    found = measured(labels, origin=far)
    assert found.label.tolist() == [2**40, 2**64 - 1]
    assert found.start.tolist() == [[far[0] + 2, far[1]], [far[0] + 1, far[1] + 2]]
    assert found.moment.tolist() == [[1, 0], [0, 3]]


@given(case=images_and_grids(), dtype=PIXELS, seed=st.integers(0, 99), rows=st.booleans())
def test_sums_of_tiles_add_up_to_those_of_the_image(case, dtype, seed, rows):
    """Each tile numbers its labels in its own way; groups of tiles can be added up on the way."""
    image, grid = case
    pixels = pixels_for(image.shape, dtype)
    rng = np.random.default_rng(seed)
    sums, objects, holders = [], [], {}
    for tile in grid:
        old = np.unique(image[tile.read.slices])
        old = old[old > 0]
        new = rng.permutation(old.size) + 1
        lut = np.zeros(int(image.max()) + 1, np.int32)
        lut[old] = new
        found = measured(
            lut[image[tile.read.slices]],
            tile.read.start,
            tile.core.relative_to(tile.read).slices,
            pixels[(slice(None), *tile.read.slices)],
        )
        back = np.zeros(old.size + 1, np.int64)
        back[new] = old
        sums.append(found)
        objects.append(back[found.label])
        for value in np.unique(image[tile.core.slices]).tolist():
            holders.setdefault(value, set()).add(tile.number)
    whole = measured(image, pixels=pixels)
    if rows and len(sums) > 1:
        half = len(sums) // 2
        both = combine([combine(sums[:half], objects[:half]), combine(sums[half:], objects[half:])])
    else:
        both = combine(sums, objects)
    for name in ("label", "area", "start", "stop", "moment", "least", "most"):
        assert np.array_equal(getattr(both, name), getattr(whole, name)), name
    if whole.total.dtype.kind == "f":
        assert np.allclose(both.total, whole.total)
    else:
        assert np.array_equal(both.total, whole.total)
    assert both.parts.tolist() == [len(holders[value]) for value in both.label.tolist()]


def test_rows_of_object_0_are_left_out():
    one = measured(np.array([[1, 1, 0, 2, 3]]))
    found = combine([one], [np.array([0, 9, 9])])
    assert found.label.tolist() == [9]
    assert found.area.tolist() == [2]
    assert combine([one], [np.zeros(3, int)]).label.size == 0


def test_ids_of_mixed_types_stay_exact():
    one = measured(np.array([[1]]))
    ids = [np.array([2**63 + 1], np.uint64), np.array([2**53 + 1], np.int64)]
    assert combine([one, one], ids).label.tolist() == [2**53 + 1, 2**63 + 1]


def test_the_table_names_places_sizes_and_intensities():
    labels = np.array([[[1, 1, 0, 0, 0], [0, 0, 2, 2, 0]], [[0, 0, 0, 0, 0], [0, 3, 3, 3, 0]]], np.int32)
    pixels = np.arange(20, dtype=np.uint16).reshape(1, 2, 2, 5)
    table = object_table(
        measured(labels, pixels=np.concatenate([pixels, 2 * pixels])),
        labels.shape,
        "tyx",
        space=(False, True, True),
        scale=(2.0, 0.5, 0.25),
        channels=("DAPI", "DAPI"),
    )
    assert {name: column.tolist() for name, column in table.items()} == {
        "id": [1, 2, 3],
        "area_voxels": [2, 2, 3],
        "area": [0.25, 0.25, 0.375],
        "t": [0, 0, 1],
        "centroid_y": [0.0, 1.0, 1.0],
        "centroid_x": [0.5, 2.5, 2.0],
        "position_y": [0.0, 0.5, 0.5],
        "position_x": [0.125, 0.625, 0.5],
        "bbox_y_start": [0, 1, 1],
        "bbox_y_stop": [1, 2, 2],
        "bbox_x_start": [0, 2, 1],
        "bbox_x_stop": [2, 4, 4],
        "mean_DAPI": [0.5, 7.5, 17.0],
        "min_DAPI": [0, 7, 16],
        "max_DAPI": [1, 8, 18],
        "mean_DAPI_2": [1.0, 15.0, 34.0],
        "min_DAPI_2": [0, 14, 32],
        "max_DAPI_2": [2, 16, 36],
        "at_border": [True, True, True],
        "at_seam": [False, False, False],
    }


def test_without_a_scale_the_table_has_voxels_only():
    labels = np.zeros((6, 7), np.int32)
    labels[2:4, 3] = 5
    table = object_table(measured(labels), labels.shape, "yx")
    assert list(table) == [
        *("id", "area_voxels", "centroid_y", "centroid_x"),
        *("bbox_y_start", "bbox_y_stop", "bbox_x_start", "bbox_x_stop", "at_border", "at_seam"),
    ]
    assert not table["at_border"].any()
    assert table["centroid_y"].tolist() == [2.5]


def test_objects_in_several_cores_are_at_a_seam():
    grid = TileGrid((4, 8), (4, 4), (0, 0))
    image = np.zeros((4, 8), np.int32)
    image[1, 2:6], image[3, 1] = 4, 6
    sums = [measured(image[t.core.slices], t.core.start) for t in grid]
    table = object_table(combine(sums), image.shape, "yx")
    assert table["at_seam"].tolist() == [True, False]
    assert table["at_border"].tolist() == [False, True]


def test_no_object_gives_a_table_of_no_rows():
    empty = measured(np.zeros((3, 4), np.int32), pixels=np.zeros((1, 3, 4), np.uint8))
    table = object_table(combine([empty, empty]), (3, 4), "yx", scale=(1, 1), channels=("a",))
    assert {column.shape for column in table.values()} == {(0,)}
    assert measured(np.zeros((0, 4), np.int32)).label.size == 0


@pytest.mark.parametrize(
    ("dtype", "exact"), [(np.uint32, np.uint64), (np.int32, np.int64), (bool, np.uint64)]
)
def test_sums_of_extreme_integers_do_not_wrap(dtype, exact):
    high = True if dtype is bool else np.iinfo(dtype).max
    pixels = np.full((1, 300, 300), high, dtype)
    found = measured(np.ones((300, 300), np.int32), pixels=pixels)
    assert found.total.dtype == exact
    assert int(found.total[0, 0]) == 90000 * int(high)
    huge = np.full((1, 3, 3), np.iinfo(np.uint64).max)
    assert measured(np.ones((3, 3), int), pixels=huge).total[0, 0] == pytest.approx(9 * 2.0**64)


def test_a_pixel_that_is_no_number_shows_in_its_object_only():
    pixels = np.ones((1, 2, 2), np.float32)
    pixels[0, 0, 0] = np.nan
    found = measured(np.array([[1, 1], [2, 2]]), pixels=pixels)
    assert np.isnan(found.total[:, 0]).tolist() == [True, False]
    assert np.isnan(found.least[:, 0]).tolist() == [True, False]
