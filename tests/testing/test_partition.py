from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.testing.partition import PartitionReport, compare, same_partition
from seamlabel.testing.strategies import label_images


def brute_force(a, b):
    """Objects as sets of voxels, in plain Python."""
    sets = []
    for labels in (a, b):
        flat = labels.ravel().tolist()
        sets.append({n: frozenset(i for i, v in enumerate(flat) if v == n) for n in set(flat) - {0}})
    one, other = sets
    crossing = [(m, n) for m in one for n in other if one[m] & other[n]]
    return PartitionReport(
        n_a=len(one),
        n_b=len(other),
        identical=len(set(one.values()) & set(other.values())),
        merges=sum([n for _, n in crossing].count(n) > 1 for n in other),
        splits=sum([m for m, _ in crossing].count(m) > 1 for m in one),
        foreground_differs=int(((a > 0) != (b > 0)).sum()),
    )


@given(label_images((8, 9)), label_images((8, 9)))
def test_the_report_equals_counting_by_sets(a, b):
    assert compare(a, b) == brute_force(a, b)
    assert same_partition(a, b) == brute_force(a, b).same


@given(label_images(), st.randoms(use_true_random=False))
def test_names_do_not_matter(labels, random):
    names = list(range(1, int(labels.max()) + 1))
    random.shuffle(names)
    renamed = np.array([0, *names], np.uint64)[labels] * np.uint64(2**40)
    assert same_partition(labels, renamed)


@given(label_images())
def test_a_changed_voxel_is_noticed(labels):
    changed = labels.copy()
    changed.flat[0] = labels.max() + 1
    alone = (labels == labels.flat[0]).sum() == 1 and labels.flat[0] > 0
    assert same_partition(labels, changed) == alone


def test_background_is_no_object_that_could_be_renamed():
    a = np.array([[0, 0, 1, 1]])
    assert not same_partition(a, 1 - a)
    assert compare(a, 1 - a).foreground_differs == 4


def test_merges_and_splits_are_told_apart():
    expected, found = np.array([1, 1, 2, 2, 3, 3]), np.array([5, 5, 5, 5, 6, 7])
    report = compare(expected, found)
    assert (report.merges, report.splits, report.identical) == (1, 1, 0)


def test_images_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        compare(np.zeros((2, 3)), np.zeros((3, 2)))


def test_empty_arrays_are_the_same():
    assert same_partition(np.zeros((0, 3), int), np.zeros((0, 3), int))
