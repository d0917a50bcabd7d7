"""What a backend needs of tiles, measured: backends whose reach and alignment are known are found out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel.engine.places import best_places, window_shape
from seamlabel.engine.survey import measure_needs
from seamlabel.errors import BackendError, SpecError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_source
from seamlabel.kernels.agreement import disagreement, distances, extents
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.measuring_overlap import measure_overlap
from seamlabel.plan import resolve
from seamlabel.testing import same_partition
from seamlabel.testing.cells import Tissue

PLANE = Tissue((768, 700), "dense").image()
SOLID = Tissue((48, 160, 160), "tissue3d").image()
LEVEL = float(ImageStatistics.of(PLANE).otsu())


def objects(mask):
    return ndimage.label(mask, np.ones((3,) * mask.ndim))[0]


def blurred(sigma, truncate=4.0):
    return lambda tile: objects(
        ndimage.gaussian_filter(tile.astype(np.float32), sigma, truncate=truncate) > LEVEL
    )


def reach_of(sigma, truncate=4.0):
    return int(truncate * sigma + 0.5)


def pooled(by, blur):
    """A stand-in for a network: means of blocks, a box filter over blocks, blocks enlarged again."""

    def segment(tile):
        padded = np.pad(tile.astype(np.float32), [(0, -n % by) for n in tile.shape], mode="edge")
        blocks = padded.reshape([part for n in padded.shape for part in (n // by, by)])
        coarse = ndimage.uniform_filter(blocks.mean(tuple(range(1, 2 * tile.ndim, 2))), 2 * blur + 1)
        for axis in range(tile.ndim):
            coarse = np.repeat(coarse, by, axis)
        return objects(coarse[tuple(slice(0, n) for n in tile.shape)] > LEVEL)

    return segment


def by_percentiles(tile):
    low, high = np.percentile(tile, (1, 99))
    return objects((tile - low) / max(high - low, 1) > 0.4)


def by_own_otsu(tile):
    return objects(tile > ImageStatistics.of(tile).otsu())


def without_small(tile):
    labels = objects(ndimage.gaussian_filter(tile.astype(np.float32), 1, truncate=1) > LEVEL)
    keep = np.bincount(labels.ravel()) >= 400
    keep[0] = False
    return np.where(keep[labels], labels, 0)


def assert_found(found, radius, align=1):
    """The radius may be missed by one voxel that nothing in the image can move."""
    assert not found.normalises_per_tile
    assert all(found.settled)
    for measured, true in zip(found.radius, radius, strict=True):
        assert true - 1 <= measured <= true
    assert found.align == (align,) * len(radius)
    assert all(n > r and n % align == 0 for n, r in zip(found.overlap, found.reach, strict=True))


def test_a_threshold_reaches_nowhere():
    found = measure_overlap(PLANE, lambda tile: objects(tile > LEVEL))
    assert found.radius == found.reach == (0, 0)
    assert found.overlap == (2, 2)
    assert found.align == (1, 1)
    assert found.steady
    assert min(found.looked) > 100_000


@pytest.mark.parametrize("smoothing", [0, 1, 2.5])
def test_the_radius_that_a_backend_states_is_measured(smoothing):
    found = measure_overlap(PLANE, "threshold", params={"smoothing": smoothing})
    assert_found(found, (reach_of(smoothing),) * 2)
    assert found.notes == ()


@given(sigma=st.floats(0.5, 8), truncate=st.sampled_from([1.5, 2.0, 3.0, 4.0]), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_the_radius_of_a_blur_is_found_within_a_voxel(sigma, truncate, seed):
    image = Tissue((640, 640), "dense", seed=seed).image()
    assert_found(measure_overlap(image, blurred(sigma, truncate)), (reach_of(sigma, truncate),) * 2)


@pytest.mark.parametrize("sigma", [(4, 1), (0, 3)])
def test_every_axis_has_a_radius_of_its_own(sigma):
    assert_found(measure_overlap(PLANE, blurred(sigma)), tuple(map(reach_of, sigma)))


@pytest.mark.parametrize("sigma", [(0.5, 2, 1)])
def test_the_radius_is_found_in_volumes(sigma):
    assert_found(measure_overlap(SOLID, blurred(sigma)), tuple(map(reach_of, sigma)))


def test_the_radius_is_found_in_planes_of_a_volume():
    assert_found(measure_overlap(SOLID, blurred(1.0), planes=True), (4, 4))


@given(half=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=4, deadline=None)
def test_the_radius_of_an_erosion_is_found(half, seed):
    image = Tissue((640, 640), "dense", seed=seed).image()
    size = 2 * half + 1
    found = measure_overlap(image, lambda tile: objects(ndimage.minimum_filter(tile, size) > LEVEL / 2))
    assert_found(found, (half, half))


def test_the_radius_of_a_median_is_found():
    found = measure_overlap(PLANE, lambda tile: objects(ndimage.median_filter(tile, (3, 5)) > LEVEL))
    assert_found(found, (1, 2))


def test_a_reach_beyond_half_a_window_is_found_in_a_larger_window():
    image = Tissue((1400, 1400), "dense").image()
    found = measure_overlap(image, lambda tile: objects(tile > ndimage.uniform_filter(tile, 601)))
    assert_found(found, (300, 300))


@pytest.mark.parametrize(("by", "blur"), [(2, 0), (2, 1), (3, 1), (4, 1), (6, 0), (8, 2)])
def test_alignment_and_radius_of_pooling_are_found(by, blur):
    found = measure_overlap(PLANE, pooled(by, blur))
    assert_found(found, (by * blur + by - 1,) * 2, align=by)
    assert f"a multiple of {by}" in found.notes[0]


def test_alignment_of_pooling_is_found_in_volumes():
    assert_found(measure_overlap(SOLID, pooled(4, 1)), (7, 7, 7), align=4)


@pytest.mark.parametrize("method", [by_percentiles, by_own_otsu])
@pytest.mark.parametrize("image", [PLANE, SOLID], ids=["2D", "3D"])
def test_normalisation_per_tile_is_told_with_its_mend(method, image):
    found = measure_overlap(image, method)
    assert found.normalises_per_tile
    assert "no overlap will make tiles agree" in found.summary()
    assert "whole image" in found.summary()


def test_normalisation_by_the_whole_image_is_none_per_tile():
    low, high = np.percentile(PLANE, (1, 99))
    found = measure_overlap(PLANE, lambda tile: objects((tile - low) / (high - low) > 0.4))
    assert found.radius == (0, 0)
    assert not found.normalises_per_tile


def test_the_reach_of_the_method_is_told_from_objects_that_are_cut():
    found = measure_overlap(PLANE, without_small)
    assert max(found.radius) <= 2
    assert min(found.reach) > 8
    assert "changes the rest of an object" in found.summary()


def test_tiles_with_the_measured_overlap_have_the_labels_of_the_whole_image():
    method = blurred(2)
    found = measure_overlap(PLANE, method)
    result = seamlabel.segment(PLANE, method, tile_shape=100, overlap=found.overlap, progress=False)
    assert same_partition(method(PLANE), np.asarray(result.labels))


def test_a_method_that_is_not_steady_is_told():
    random = np.random.default_rng(0)

    def unsteady(tile):
        return objects(tile + random.integers(-200, 200, tile.shape) > LEVEL)

    found = measure_overlap(PLANE, unsteady)
    assert not found.steady
    assert any("same pixels" in note for note in found.notes)


def test_several_channels_are_changed_together():
    pair = np.stack([PLANE, PLANE[::-1]])

    def first_only(tile):
        assert tile.shape[0] == 2
        return blurred(1)(tile[0])

    assert_found(measure_overlap(pair, first_only, axes="cyx", channels=[0, 1]), (4, 4))


def test_an_axis_that_is_too_short_is_to_be_held_whole():
    found = measure_overlap(SOLID[:5], blurred(1.0))
    assert found.overlap[0] == 5
    assert not found.settled[0]
    assert found.radius[1:] == (4, 4)
    assert "too short along z" in found.summary()


def test_an_image_without_objects_cannot_be_measured():
    with pytest.raises(BackendError, match="finds no object"):
        measure_overlap(np.zeros((300, 300), np.uint8), lambda tile: objects(tile > 0))


def test_a_method_that_fails_is_told_in_a_sentence():
    def broken(tile):
        raise KeyError("weights")

    with pytest.raises(BackendError, match="KeyError: 'weights'"):
        measure_overlap(PLANE, broken)
    with pytest.raises(BackendError, match="returned a mask"):
        measure_overlap(PLANE, lambda tile: tile > LEVEL)


@pytest.mark.parametrize("wrong", [{"places": 0}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_wrong_limits_are_refused(wrong):
    with pytest.raises(SpecError):
        measure_overlap(PLANE, **wrong)


def test_without_time_there_are_few_calls_and_an_answer():
    found = measure_overlap(PLANE, blurred(1), seconds=1e-6)
    assert found.calls < 16
    assert found.overlap >= (4, 4)
    assert found.align == (0, 0)


def test_it_can_be_cancelled_between_calls():
    calls = []

    def counted(tile):
        calls.append(tile.shape)
        return blurred(1)(tile)

    info = image_info(PLANE)
    plan = resolve(seamlabel.RunSpec(), info)
    work = measure_needs(plan, open_source(PLANE, info, 0, ()), segmenter=counted)
    for _ in range(3):
        next(work)
    work.close()
    assert len(calls) == 3


def test_progress_rises_to_the_end():
    told = []
    measure_overlap(PLANE, "threshold", on_progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (100, 100)


def test_the_result_goes_through_json():
    found = measure_overlap(PLANE, "threshold", params={"smoothing": 1})
    read = json.loads(found.to_json())
    assert read["overlap"] == [5, 5]
    assert read["option"] == "5"
    assert read["curves"][0]["differ"][4:] == [0] * len(read["curves"][0]["differ"][4:])


class Repeated:
    """A plane repeated 40 000 times without the memory for it; notes how much of it is read."""

    def __init__(self, plane):
        self._plane, self.dtype, self.ndim, self.voxels = plane, plane.dtype, 2, 0
        self.shape = tuple(200 * n for n in plane.shape)

    def __getitem__(self, key):
        places = [np.arange(*part.indices(n)) for part, n in zip(key, self.shape, strict=True)]
        part = self._plane[np.ix_(*(place % n for place, n in zip(places, self._plane.shape, strict=True)))]
        self.voxels += part.size
        return part


def test_little_of_a_large_image_is_read():
    large = Repeated(PLANE)
    found = measure_overlap(large, "threshold", params={"value": LEVEL, "smoothing": 1})
    assert_found(found, (4, 4))
    assert large.voxels < 2_000_000


def test_places_have_the_objects_where_objects_are_rare(tmp_path):
    image = np.full((2048, 2048), 100, np.uint16)
    image[1500:1700, 300:500] = Tissue((200, 200), "dense").image()
    path = str(tmp_path / "rare.zarr")
    write_image(path, image.shape, "uint16", lambda box: image[box.slices], axes="yx")
    info = image_info(path)
    plan = resolve(seamlabel.RunSpec(image=path, name="new"), info)
    source = open_source(path, info, 0, ())
    first = best_places(plan, source, window_shape(image.shape, 1 << 16), 3)[0]
    source.close()
    assert image[first.slices].max() > 1000


def test_disagreement_is_counted_by_depth_and_whatever_the_names():
    one = np.array([[1, 1, 0, 2, 2, 3]])
    other = np.array([[7, 7, 7, 5, 5, 5]])
    depth = distances(np.array([False] * 6 + [True]))[:6]
    assert depth.tolist() == [5, 4, 3, 2, 1, 0]
    looked, differ, looked_whole, differ_whole = disagreement(one, other, 1, depth)
    assert looked.tolist() == [1, 1, 1, 1, 1, 1]
    # 3 and 2 are one object (at depth 0), 0 is none (at depth 3), and there 7 and 5 meet but no objects did
    assert differ.tolist() == [1, 0, 0, 1, 0, 0]
    assert looked_whole.tolist() == [0, 0, 0, 1, 1, 1]
    assert differ_whole.tolist() == [0, 0, 0, 1, 0, 0]


def test_extents_leave_out_objects_that_the_border_cuts():
    labels = np.zeros((9, 9), int)
    labels[0:4, 0:4], labels[5:8, 2:4] = 900, 7
    assert extents(labels).tolist() == [[3, 2]]
    assert extents(labels[:5]).tolist() == [[4, 4]]


@pytest.mark.parametrize("extreme", [np.min, np.max])
def test_normalisation_by_an_extreme_is_told_though_one_window_has_all_extremes(extreme):
    found = measure_overlap(PLANE[:500, :400], lambda tile: objects(tile > LEVEL - 600 + extreme(tile) / 4))
    assert found.normalises_per_tile
