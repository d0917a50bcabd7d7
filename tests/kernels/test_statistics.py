from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.filters import threshold_li, threshold_otsu, threshold_triangle

from seamlabel.kernels.statistics import BINS, ImageStatistics

INTEGERS = hnp.arrays(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.int64, np.uint64]),
    st.integers(1, 200),
)
FLOATS = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 200),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(INTEGERS)
def test_integers_are_counted_exactly(pixels):
    statistics = ImageStatistics.of(pixels)
    assert statistics.minimum == float(pixels.min())
    assert statistics.maximum == float(pixels.max())
    assert statistics.counts.sum() == pixels.size
    values, counts = np.unique(pixels, return_counts=True)
    if len(np.unique(values.astype(float))) == len(values):
        assert np.array_equal(statistics.values, values.astype(float))
        assert np.array_equal(statistics.counts, counts)


@given(INTEGERS, st.floats(0, 100))
def test_percentiles_of_integers_are_values_that_so_many_pixels_do_not_exceed(pixels, percent):
    value = ImageStatistics.of(pixels).percentile(percent)
    share = 100 * np.count_nonzero(pixels.astype(float) <= value) / pixels.size
    assert share >= percent - 1e-9
    below = 100 * np.count_nonzero(pixels.astype(float) < value) / pixels.size
    assert below <= percent + 1e-9


@given(FLOATS, st.floats(0, 100))
def test_percentiles_of_floats_are_right_within_a_bin(pixels, percent):
    value = ImageStatistics.of(pixels).percentile(percent)
    exact = float(np.percentile(pixels, percent, method="inverted_cdf"))
    width = (float(pixels.max()) - float(pixels.min())) / BINS
    assert value == pytest.approx(exact, abs=1.01 * width + 1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_otsu_of_integers_parts_the_pixels_as_scikit_image_does(dtype):
    rng = np.random.default_rng(0)
    dark, bright = rng.normal(40, 8, 3000), rng.normal(90, 12, 1000)
    pixels = np.concatenate([dark, bright]).clip(0, 127).astype(dtype)
    ours = ImageStatistics.of(pixels).otsu()
    assert np.array_equal(pixels > ours, pixels > threshold_otsu(pixels))


def test_otsu_of_floats_is_that_of_scikit_image_with_as_many_bins():
    rng = np.random.default_rng(1)
    pixels = np.concatenate([rng.normal(0.2, 0.05, 5000), rng.normal(0.8, 0.1, 3000)])
    assert ImageStatistics.of(pixels).otsu() == pytest.approx(threshold_otsu(pixels, nbins=BINS))


def mixture(seed, mirrored):
    rng = np.random.default_rng(seed)
    pixels = np.concatenate([rng.normal(40, 8, 3000), rng.gamma(3, 12, 1000) + 50]).clip(0, 250)
    return 250 - pixels if mirrored else pixels


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize(("name", "theirs"), [("li", threshold_li), ("triangle", threshold_triangle)])
def test_other_thresholds_of_integers_are_those_of_scikit_image(name, theirs, dtype, mirrored):
    for seed in range(5):
        pixels = mixture(seed, mirrored).astype(dtype) - (90 if np.dtype(dtype).kind == "i" else 0)
        ours = getattr(ImageStatistics.of(pixels), name)()
        assert ours == pytest.approx(theirs(pixels))


@pytest.mark.parametrize("mirrored", [False, True])
def test_other_thresholds_of_floats_are_those_of_scikit_image_within_a_bin(mirrored):
    pixels = mixture(0, mirrored)
    statistics, width = ImageStatistics.of(pixels), np.ptp(pixels) / BINS
    assert statistics.li() == pytest.approx(threshold_li(pixels), abs=2 * width)
    assert statistics.triangle() == pytest.approx(threshold_triangle(pixels, nbins=BINS), abs=width)


def test_the_triangle_does_not_mind_a_camera_that_counts_in_steps_of_16():
    pixels = mixture(0, False).astype(np.uint16)
    assert ImageStatistics.of(16 * pixels).triangle() == 16 * ImageStatistics.of(pixels).triangle()


@pytest.mark.parametrize("name", ["li", "triangle"])
@given(st.integers(-(2**40), 2**40), st.integers(1, 1000), st.integers(1, 50), st.integers(1, 50))
def test_the_others_part_two_values_wherever_they_lie(name, low, gap, n, m):
    pixels = np.repeat(np.array([low, low + gap]), [n, m])
    assert low <= getattr(ImageStatistics.of(pixels), name)() < low + gap


@given(st.one_of(INTEGERS, FLOATS))
def test_thresholds_lie_within_the_pixels_and_leave_some_above(pixels):
    statistics = ImageStatistics.of(pixels)
    for found in (statistics.otsu(), statistics.li(), statistics.triangle()):
        assert statistics.minimum <= found <= statistics.maximum
        assert found < statistics.maximum or len(statistics.values) == 1 or len(set(statistics.values)) == 1


@given(st.integers(-(2**40), 2**40), st.integers(1, 1000), st.integers(1, 50), st.integers(1, 50))
def test_otsu_parts_two_values_wherever_they_lie(low, gap, n, m):
    pixels = np.repeat(np.array([low, low + gap]), [n, m])
    assert low <= ImageStatistics.of(pixels).otsu() < low + gap


@pytest.mark.parametrize("value", [0, 7, np.uint16(65535), 2.5, True, np.float32(1e-40)])
def test_nothing_lies_above_otsu_of_an_even_image(value):
    statistics = ImageStatistics.of(np.full((4, 5), value))
    assert statistics.otsu() == statistics.minimum == statistics.maximum == float(value)
    assert statistics.li() == statistics.triangle() == float(value)
    assert statistics.percentile(50) == float(value)


def test_pixels_that_are_not_finite_are_ignored():
    pixels = np.array([np.nan, 1, 2, np.inf, 9, -np.inf], np.float32)
    statistics = ImageStatistics.of(pixels)
    assert (statistics.minimum, statistics.maximum, statistics.counts.sum()) == (1, 9, 3)


def test_booleans_are_pixels_of_0_and_1():
    assert ImageStatistics.of(np.array([[True, False, False]])).otsu() == 0


def test_a_range_of_denormal_numbers_is_parted():
    assert 0 <= ImageStatistics.of(np.array([0, 0, 5e-324])).otsu() < 5e-324


@pytest.mark.parametrize("pixels", [np.zeros(0, np.uint8), np.full(3, np.nan)])
def test_without_a_pixel_there_are_no_statistics(pixels):
    with pytest.raises(ValueError, match="no finite pixel"):
        ImageStatistics.of(pixels)


def test_a_percentage_above_100_is_refused():
    with pytest.raises(ValueError, match="101"):
        ImageStatistics.of(np.arange(3)).percentile(101)
