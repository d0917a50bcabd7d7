from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from seamlabel.backends.threshold import ThresholdParams, make
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.registry import backend
from seamlabel.testing.cells import Tissue
from seamlabel.testing.partition import same_partition

TISSUE = Tissue((90, 130), diameter=16)


def segmenter(image, **params):
    context = SegmentContext("yx", image.dtype.name, statistics=lambda i: ImageStatistics.of(image))
    return make(ThresholdParams(**params), context)


def test_objects_are_connected_over_corners_and_numbered_in_raster_order():
    image = np.array([[0, 9, 0, 7], [9, 0, 0, 0], [0, 0, 7, 7]], np.uint8)
    labels = segmenter(image, value=5, smoothing=0)(image)
    assert labels.tolist() == [[0, 1, 0, 2], [1, 0, 0, 0], [0, 0, 3, 3]]
    assert labels.dtype == np.int32


@given(st.integers(0, 9))
def test_without_smoothing_foreground_is_exactly_what_lies_above(value):
    image = np.random.default_rng(value).integers(0, 10, (12, 13)).astype(np.uint16)
    assert np.array_equal(segmenter(image, value=value, smoothing=0)(image) > 0, image > value)
    dark = segmenter(image, value=value, smoothing=0, dark=True)(image)
    assert np.array_equal(dark > 0, image <= value)


def test_the_automatic_threshold_is_otsus_of_the_whole_image_in_every_tile():
    image = TISSUE.image()
    image[:, 60:] //= 8
    segment = segmenter(image)
    assert segment.limit == ImageStatistics.of(image).otsu()
    dim = np.ascontiguousarray(image[:, 80:])
    assert not segment(dim).any()
    assert segmenter(dim)(dim).any()


@given(st.sampled_from([0, 0.4, 1, 1.7, 3]), st.integers(30, 100), st.booleans())
def test_labels_beyond_the_radius_of_a_cut_are_those_of_the_whole(smoothing, cut, dark):
    image = TISSUE.image()
    segment = segmenter(image, smoothing=smoothing, dark=dark)
    keep = cut - segment.params.radius
    whole, tile = segment(image)[:, :keep], segment(image[:, :cut])[:, :keep]
    pieces = [ndimage.label(labels, np.ones((3, 3)))[0] for labels in (whole, tile)]
    assert same_partition(*pieces)


def test_a_voxel_less_than_the_radius_does_not_do():
    image = np.zeros((1, 40), np.float32)
    image[0, 20] = 1
    segment = segmenter(image, value=0.0, smoothing=2)
    reached = np.flatnonzero(segment(image))
    assert 20 - reached.min() == reached.max() - 20 == segment.params.radius == 8


def test_small_objects_are_removed_and_the_rest_numbered_without_gaps():
    image = np.array([[9, 0, 9, 9, 0, 9, 9, 9, 0, 9, 9]], np.uint8)
    params = {"value": 5, "smoothing": 0}
    assert segmenter(image, min_size=2, **params)(image).tolist() == [[0, 0, 1, 1, 0, 2, 2, 2, 0, 3, 3]]
    assert segmenter(image, min_size=3, **params)(image).max() == 1
    assert segmenter(image, min_size=4, **params)(image).max() == 0
    for none in (0, 1):
        assert segmenter(image, min_size=none, **params)(image).max() == 4


def test_min_size_is_left_to_the_engine_by_name():
    assert backend("threshold").whole_object == ("min_size",)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_an_even_image_has_no_objects(dtype, dark):
    image = np.ones((20, 20), dtype)
    assert not segmenter(image, dark=dark)(image).any()


def test_pixels_that_are_not_finite_are_background():
    image = np.full((20, 20), 3.0)
    image[5:8, 5:8] = np.nan
    image[12, 12] = np.inf
    for dark in (False, True):
        labels = segmenter(image, value=1.0 if not dark else 5.0, smoothing=0, dark=dark)(image)
        assert np.array_equal(labels > 0, np.isfinite(image))
    assert np.isnan(image[5, 5])


def test_an_automatic_threshold_needs_statistics():
    with pytest.raises(ValueError, match="statistics"):
        make(ThresholdParams(), SegmentContext("yx", "uint8"))


def test_three_dimensions_work_alike():
    image = np.zeros((4, 5, 6), np.uint8)
    image[1, 1, 1] = image[2, 2, 2] = 9
    assert segmenter(image, value=3, smoothing=0)(image).max() == 1
