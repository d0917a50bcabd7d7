"""Grown, shrunk and smoothed labels: against brute force, and away from cuts as in the whole."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import expand_labels

from seamlabel.kernels.outlines import expanded, shrunk, smoothed

REACH = {
    expanded: lambda way, step: int(way / step + 1e-6),
    shrunk: lambda way, step: int(way / step + 1e-6),
    smoothed: lambda way, step: ceil(4 * way / step + 0.5),
}


@st.composite
def pictures(draw):
    ndim = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, {1: 60, 2: 24, 3: 12}[ndim])) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["dust", "blobs", "full"]))
    labels = rng.integers(1, 9, shape) * (rng.random(shape) < draw(st.sampled_from([0.02, 0.2, 0.7])))
    if kind != "dust":
        labels = expand_labels(labels, draw(st.integers(1, 5)) if kind == "blobs" else 99)
    spacing = draw(st.tuples(*[st.sampled_from([1.0, 1.0, 2.0, 0.7])] * ndim))
    return labels.astype(draw(st.sampled_from(["int32", "uint16", "int64"]))), spacing


def distances(labels, spacing, other):
    """Yield every voxel, and its distances from all voxels for which `other` holds, by brute force."""
    places = np.stack(np.indices(labels.shape), -1).reshape(-1, labels.ndim)
    for at in map(tuple, places):
        there = places[other(labels[at]).ravel()]
        yield at, there, np.sqrt((((there - at) * spacing) ** 2).sum(1))


@given(pictures(), st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]))
def test_background_gets_the_label_of_the_nearest_object_the_first_of_equals(picture, distance):
    labels, spacing = picture
    expected = labels.copy()
    for at, there, far in distances(labels, spacing, lambda _own: labels != 0):
        if labels[at] == 0 and len(far) and far.min() <= distance * (1 + 1e-6):
            expected[at] = labels[tuple(there[np.flatnonzero(far <= far.min() * (1 + 1e-6))[0]])]
    found = expanded(labels, distance, spacing)
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found, expected)


@given(pictures(), st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]))
def test_voxels_near_anything_else_are_taken_from_objects(picture, distance):
    labels, spacing = picture
    expected = labels.copy()
    for at, _, far in distances(labels, spacing, lambda own: labels != own):
        if len(far) and far.min() <= distance * (1 + 1e-6):
            expected[at] = 0
    np.testing.assert_array_equal(shrunk(labels, distance, spacing), expected)


@pytest.mark.parametrize("change", [expanded, shrunk, smoothed])
@given(picture=pictures(), way=st.sampled_from([0.5, 1.0, 2.0]), data=st.data())
def test_a_part_gives_what_the_whole_gives_away_from_the_cut(change, picture, way, data):
    labels, spacing = picture
    axis = data.draw(st.integers(0, labels.ndim - 1))
    size = labels.shape[axis]
    low = data.draw(st.integers(0, size - 1))
    high = data.draw(st.integers(low + 1, size))
    reach = REACH[change](way, spacing[axis])
    inner = range(low + reach if low else 0, high - reach if high < size else size)
    part = change(labels.take(range(low, high), axis), way, spacing)
    whole = change(labels, way, spacing)
    np.testing.assert_array_equal(
        part.take(np.array(inner, int) - low, axis), whole.take(np.array(inner, int), axis)
    )


def test_smoothing_rounds_a_square_fills_a_dent_and_keeps_neighbours_apart():
    labels = np.zeros((40, 60), int)
    labels[10:30, 10:30], labels[10:30, 30:50] = 1, 2
    labels[9, 20], labels[10, 40] = 1, 0
    found = smoothed(labels, 2, (1, 1))
    assert found[10, 10] == 0, "the corner is rounded"
    assert found[9, 20] == 0, "a spike is gone"
    assert found[10, 40] == 2, "a dent is filled"
    assert (found[15:25, 29] == 1).all(), "the border between two stays"
    assert (found[15:25, 30] == 2).all()


def test_labels_of_any_size_and_none_at_all_are_taken():
    labels = np.array([[0, 2**40, 0, 0, 7]])
    assert expanded(labels, 1, (1, 1)).tolist() == [[2**40, 2**40, 2**40, 7, 7]]
    for change in (expanded, shrunk, smoothed):
        assert not change(np.zeros((3, 4), int), 2, (1, 1)).any()
