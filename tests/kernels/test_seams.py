import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.kernels.seams import IouRule, border_steps, overlap_rows


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0.001, 1.0))
def test_the_rule_is_intersection_over_union(common, more_one, more_other, tau):
    one, other = common + more_one, common + more_other
    iou = common / (one + other - common)
    if abs(iou - tau) > 1e-5:
        assert bool(IouRule(tau)(*map(np.array, (common, one, other)))) == (iou >= tau)


def test_an_iou_equal_to_the_threshold_counts():
    assert IouRule(0.2)(np.array([1]), np.array([3]), np.array([3]))[0]
    assert IouRule(1.0)(np.array([5]), np.array([5]), np.array([5]))[0]


def everywhere():
    return slice(None), slice(None)


def everything(labels):
    return np.append(False, np.ones(int(labels.max(initial=0)), bool))


def compared(one, other):
    return overlap_rows(one, other, everything(one), everything(other), everywhere)


def joined(one, other, tau):
    rows, _ = compared(one, other)
    rows = rows[rows["mutual"] == 1]
    counts = (rows[name].astype(np.int64) for name in ("common", "one", "other"))
    rows = rows[IouRule(tau)(*counts)]
    return sorted(set(zip(rows["a"].tolist(), rows["b"].tolist(), strict=True)))


def test_only_the_mutually_best_pair_counts():
    one = np.array([[1, 1, 1, 1, 1, 1, 1, 1]])
    other = np.array([[1, 1, 1, 1, 1, 2, 2, 2]])
    assert joined(one, other, 0.2) == [(1, 1)]
    assert joined(one, other, 0.7) == []


def test_pairs_are_symmetric():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = rng.integers(0, 4, (2, 6, 6))
        there, clean = compared(one, other)
        back, same = compared(other, one)
        names = ["a", "b", "common", "one", "other", "mutual"]
        turned = ["b", "a", "common", "other", "one", "mutual"]
        assert sorted(map(tuple, there[names].tolist())) == sorted(map(tuple, back[turned].tolist()))
        assert clean == same


def test_tiles_agree_if_they_show_the_same_pieces_next_to_the_border_of_their_cores():
    one = np.array([[1, 1, 1, 0, 0, 2, 2, 2]])
    other = np.array([[0, 1, 1, 0, 0, 2, 2, 0]])
    both = everything(one), everything(other)
    assert overlap_rows(one, other, *both, lambda: (slice(None), slice(3, 5)))[1]
    assert overlap_rows(one, other, *both, lambda: (slice(None), slice(2, 6)))[1]
    assert not overlap_rows(one, other, *both, lambda: (slice(None), slice(0, 3)))[1]


def test_a_seam_is_clean_if_all_that_matters_has_the_same_voxels():
    one = np.array([[1, 1, 0, 2, 2]])
    other = np.array([[3, 3, 0, 1, 0]])
    assert compared(one, np.where(one > 0, 3 - one, 0))[1]
    assert not compared(one, other)[1]
    matter = np.array([False, True, False])
    assert overlap_rows(one, other, matter, np.array([False, False, False, True]), everywhere)[1]
    assert not overlap_rows(one, other, np.array([False, False, True]), everything(other), everywhere)[1]
    assert not compared(one, np.where(one == 1, 1, 0))[1]


def test_labels_that_do_not_matter_give_no_rows():
    one, other = np.array([[1, 1, 2, 2]]), np.array([[5, 5, 5, 6]])
    rows, _ = overlap_rows(one, other, np.array([False, False, True]), everything(other), everywhere)
    assert set(zip(rows["a"].tolist(), rows["b"].tolist(), strict=True)) == {(2, 5), (2, 6)}


@pytest.mark.parametrize(
    ("difference", "connectivity", "steps"),
    [
        ((0, 1), 1, {(0, 1)}),
        ((0, 1), 2, {(-1, 1), (0, 1), (1, 1)}),
        ((1, -1), 1, set()),
        ((1, -1), None, {(1, -1)}),
    ],
)
def test_steps_lead_across_the_border_only(difference, connectivity, steps):
    assert set(border_steps(difference, (True, True), connectivity)) == steps


def test_no_step_leads_along_an_axis_that_is_not_joined():
    assert border_steps((1, 0), (False, True), None) == ()
