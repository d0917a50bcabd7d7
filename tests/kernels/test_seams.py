import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.kernels.seams import IouRule, border_steps, overlap_pairs


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0.001, 1.0))
def test_the_rule_is_intersection_over_union(common, more_one, more_other, tau):
    one, other = common + more_one, common + more_other
    iou = common / (one + other - common)
    if abs(iou - tau) > 1e-5:
        assert bool(IouRule(tau)(*map(np.array, (common, one, other)))) == (iou >= tau)


def test_an_iou_equal_to_the_threshold_counts():
    assert IouRule(0.2)(np.array([1]), np.array([3]), np.array([3]))[0]
    assert IouRule(1.0)(np.array([5]), np.array([5]), np.array([5]))[0]


def test_only_the_mutually_best_pair_counts():
    one = np.array([[1, 1, 1, 1, 1, 1, 1, 1]])
    other = np.array([[1, 1, 1, 1, 1, 2, 2, 2]])
    assert overlap_pairs(one, other, IouRule(0.2)).tolist() == [[1, 1]]
    assert overlap_pairs(one, other, IouRule(0.7)).tolist() == []


def test_pairs_are_symmetric():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = rng.integers(0, 4, (2, 6, 6))
        there = overlap_pairs(one, other, IouRule(0.3))
        back = overlap_pairs(other, one, IouRule(0.3))
        assert sorted(map(tuple, there)) == sorted(map(tuple, back[:, ::-1]))


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
