import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.kernels.pyramid import level_factor, sample, sample_index


@pytest.mark.parametrize(
    ("fine", "coarse", "factor"),
    [
        (8, 4, 2),
        (9, 4, 2),
        (9, 5, 2),
        (8111, 507, 16),
        (100, 30, 100 / 30),
        (5, 5, 1),
        (4, 8, 0.5),
        (7, 1, 7),
    ],
)
def test_ratios_that_come_from_rounding_are_whole(fine, coarse, factor):
    assert level_factor(fine, coarse) == pytest.approx(factor)


@given(n=st.integers(1, 200), factor=st.integers(1, 8), up=st.booleans())
def test_the_sampled_voxel_is_the_centre_of_its_block(n, factor, up):
    m = -(-n // factor) if up else max(1, n // factor)
    whole = level_factor(n, m)
    index = sample_index(n, m)
    assert index.size == m
    assert 0 <= index.min() <= index.max() < n
    if whole == factor:
        expected = np.minimum(np.arange(m) * factor + factor // 2, n - 1)
        assert index.tolist() == expected.tolist()


@given(n=st.integers(1, 60), m=st.integers(1, 60), data=st.data())
def test_a_part_of_the_index_is_a_part_of_the_whole(n, m, data):
    start = data.draw(st.integers(0, m - 1))
    stop = data.draw(st.integers(start + 1, m))
    assert sample_index(n, m, start, stop).tolist() == sample_index(n, m)[start:stop].tolist()


@given(n=st.integers(1, 40), m=st.integers(1, 80))
def test_sampling_equals_plain_indexing(n, m):
    labels = np.random.default_rng(0).integers(0, 9, (n, 7))
    index = (sample_index(n, m), sample_index(7, 3))
    assert np.array_equal(sample(labels, index), labels[np.ix_(*index)])


def test_finer_levels_repeat_voxels():
    assert sample_index(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
