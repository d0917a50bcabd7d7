from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.backends.maps import Objects
from seamlabel.errors import BackendError
from seamlabel.testing.partition import compare

BAR = np.zeros((2, 9, 21), np.float32)
BAR[0, 2:7, 2:19] = 0.9
BAR[1, 2:7, 10] = 0.8


def test_connected_foreground_is_one_object():
    labels = Objects("foreground").labels(BAR)
    assert labels.dtype == np.int32
    assert np.array_equal(labels > 0, BAR[0] > 0)
    assert labels.max() == 1


def test_a_boundary_parts_objects_which_grow_over_it():
    labels = Objects("foreground and boundary").labels(BAR)
    assert labels.max() == 2
    assert np.array_equal(labels > 0, BAR[0] > 0)
    assert labels[4, 3] != labels[4, 17]


def test_foreground_without_a_seed_is_an_object_of_its_own():
    maps = BAR.copy()
    maps[1, 2:7, 2:10] = 0.9
    labels = Objects("foreground and boundary").labels(maps)
    assert np.array_equal(labels > 0, BAR[0] > 0)


def test_classes_that_touch_are_objects_of_their_own():
    maps = np.zeros((3, 6, 8), np.float32)
    maps[0] = 0.5
    maps[1, 1:5, 1:4] = 1
    maps[2, 1:5, 4:7] = 1
    maps[2, 0, 0] = np.nan
    labels = Objects("classes").labels(maps)
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert np.array_equal(labels > 0, (maps[1] > 0) | (np.nan_to_num(maps[2]) > 0))


def test_maxima_of_the_distance_split_what_touches():
    y, x = np.mgrid[:30, :50]
    height = np.maximum(10 - np.hypot(y - 15, x - 15), 10 - np.hypot(y - 15, x - 33)).astype(np.float32)
    labels = Objects("distance", threshold=0.0, diameter=20).labels(height[None])
    assert labels.max() == 2
    assert labels[15, 15] != labels[15, 33]


def test_labels_of_the_network_are_taken_as_they_are():
    maps = np.array([[[0, 3], [7, 7]]], np.float32)
    assert np.array_equal(Objects("labels").labels(maps), maps[0])
    assert np.array_equal(Objects("labels", min_size=2).labels(maps) > 0, maps[0] == 7)
    for wrong in (0.5, -1.0):
        with pytest.raises(BackendError, match="fractions or negative"):
            Objects("labels").labels(maps + np.float32(wrong) * (maps == 3) * 4.2)


@given(st.sampled_from(["sigmoid", "softmax"]), st.integers(0, 99))
def test_an_activation_is_that_of_the_textbook(kind, seed):
    scores = np.random.default_rng(seed).normal(0, 30, (3, 5, 4)).astype(np.float32)
    exact = scores.astype(np.float64)
    odds = np.exp(exact - exact.max(0))
    wanted = 1 / (1 + np.exp(-exact)) if kind == "sigmoid" else odds / odds.sum(0)
    sure = abs(wanted[1] - 0.5) > 1e-6
    found = Objects("foreground", kind, channel=1).labels(scores) > 0
    assert np.array_equal(found[sure], wanted[1][sure] > 0.5)


def test_what_is_no_number_is_background():
    maps = np.full((1, 8, 8), np.nan, np.float32)
    maps[0, 2:4, 2:4] = 0.9
    for output in ("foreground", "distance"):
        assert np.array_equal(Objects(output).labels(maps) > 0, maps[0] == np.float32(0.9))


@given(st.integers(0, 199), st.sampled_from(["foreground", "foreground and boundary", "classes"]))
def test_objects_do_not_depend_on_what_was_cut_off_beside_them(seed, output):
    rng = np.random.default_rng(seed)
    maps = rng.random((2, 12, 40)).astype(np.float32)
    maps[:, :, 18:20] = 0
    maps[0, :, 18:20] = 0.4  # background between the halves, in every sense of it
    objects = Objects(output)
    whole, part = objects.labels(maps), objects.labels(maps[..., 18:])
    if output == "classes":
        whole[:, 18:20] = part[:, :2] = 0
    assert compare(whole[:, 18:], part).same


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        (Objects("foreground"), "no probabilities"),
        (Objects("foreground", "sigmoid", channel=2), "channel 2"),
        (Objects("foreground and boundary", "sigmoid", boundary=9), "channel 9"),
        (Objects("labels"), "fractions"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(objects, says):
    with pytest.raises(BackendError, match=says) as error:
        objects.check(np.linspace(-3, 8, 200, dtype=np.float32).reshape(2, 10, 10), "net.pt")
    assert error.value.hint
    Objects("distance", channel=1).check(
        np.linspace(-3, 8, 200, dtype=np.float32).reshape(2, 10, 10), "net.pt"
    )
