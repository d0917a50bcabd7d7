"""Which labels of two tiles are one object, from their voxels where the tiles overlap.

Two ways. *Overlap*: in the box that both tiles have segmented, the two versions of an object are
compared piece by piece. Whole labels must not be compared: a U that is one label in one tile and
two in the other would fit neither. *Touching*: labels whose core voxels are adjacent across the
tile border. Knows arrays only, not where they lie.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.pieces import pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.protocols import SeamRule

Pairs = "NDArray[np.int64]"
_LOW = np.int64(0xFFFFFFFF)


class IouRule:
    """One object if intersection over union is at least `threshold`; exact in integers.

    Parameters
    ----------
    threshold : float
        Above 0, at most 1.
    """

    def __init__(self, threshold: float = 0.2) -> None:
        self._numerator, self._denominator = float(threshold).as_integer_ratio()
        if self._denominator > 1 << 20:  # as precise as a user's decimal, without overflow
            self._numerator, self._denominator = round(threshold * (1 << 20)), 1 << 20

    def __call__(self, common: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        """Return which pairs reach the threshold."""
        passed: NDArray[Any] = common * self._denominator >= self._numerator * (one + other - common)
        return passed


def overlap_pairs(one: NDArray[Any], other: NDArray[Any], rule: SeamRule) -> NDArray[np.int64]:
    """Return the pairs of labels that `rule` takes for one object, from an overlap.

    Fragments (connected pieces of a label inside the overlap) are compared; a pair counts if each
    fragment is the other's best and the rule holds.

    Parameters
    ----------
    one, other : ndarray of int32, same shape
        Both tiles' labels of the same voxels.
    rule : SeamRule
        Judges voxels in common and the sizes of both fragments.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Pairs (label of one, label of other), distinct, sorted.
    """
    a, b, common = _contingency(one, other)
    size_a, size_b = _totals(a, common), _totals(b, common)
    both = (a > 0) & (b > 0)
    same = both & (common == size_a[a]) & (common == size_b[b])
    same_pairs = np.stack([a[same], b[same]], axis=1)[rule(common[same], common[same], common[same])]
    odd_a = np.zeros(size_a.size, bool)
    odd_b = np.zeros(size_b.size, bool)
    odd_a[a[both & ~same]] = True
    odd_b[b[both & ~same]] = True
    if not odd_a.any():
        return _distinct(same_pairs)
    return _distinct(np.concatenate([same_pairs, _fragment_pairs(one, other, odd_a, odd_b, rule)]))


def _fragment_pairs(
    one: NDArray[Any],
    other: NDArray[Any],
    odd_one: NDArray[np.bool_],
    odd_other: NDArray[np.bool_],
    rule: SeamRule,
) -> NDArray[np.int64]:
    """Return pairs among the labels flagged as odd, judged fragment by fragment."""
    pieces_one, names_one = _fragments(one, odd_one)
    pieces_other, names_other = _fragments(other, odd_other)
    a, b, common = _contingency(pieces_one, pieces_other)
    size_a, size_b = _totals(a, common), _totals(b, common)
    both = (a > 0) & (b > 0)
    a, b, common = a[both], b[both], common[both]
    good = rule(common, size_a[a], size_b[b])
    a, b, common = a[good], b[good], common[good]
    union = size_a[a] + size_b[b] - common
    order = np.lexsort((b, a, -common, -(common / union)))  # best first; ties: larger, lower ids
    best_a, best_b = np.zeros(size_a.size, np.int64), np.zeros(size_b.size, np.int64)
    best_a[a[order[::-1]]] = order[::-1]
    best_b[b[order[::-1]]] = order[::-1]
    rows = np.arange(a.size)
    mutual = (best_a[a] == rows) & (best_b[b] == rows)
    return np.stack([names_one[a[mutual]], names_other[b[mutual]]], axis=1)


def _fragments(labels: NDArray[Any], chosen: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return connected pieces of the chosen labels, numbered from 1, and the label of each."""
    return pieces(np.where(np.take(chosen, labels), labels, 0))


def _contingency(
    one: NDArray[Any], other: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct pairs of values at the same voxel, and how many voxels have each."""
    flat_a, flat_b = np.ravel(one), np.ravel(other)
    change = np.ones(flat_a.size, bool)
    np.not_equal(flat_a[1:], flat_a[:-1], out=change[1:])
    change[1:] |= flat_b[1:] != flat_b[:-1]
    starts = np.flatnonzero(change)
    lengths = np.diff(starts, append=flat_a.size)
    packed = (flat_a[starts].astype(np.int64) << 32) | flat_b[starts].astype(np.int64)
    keys, inverse = np.unique(packed, return_inverse=True)
    counts = np.bincount(inverse, weights=lengths, minlength=keys.size).astype(np.int64)
    return keys >> 32, keys & _LOW, counts


def _totals(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the voxels of each value, indexed by value."""
    return np.bincount(values, weights=counts, minlength=1).astype(np.int64)


def _distinct(pairs: NDArray[Any]) -> NDArray[np.int64]:
    """Return the distinct rows, sorted."""
    packed = np.unique((pairs[:, 0].astype(np.int64) << 32) | pairs[:, 1].astype(np.int64))
    return np.stack([packed >> 32, packed & _LOW], axis=1)


def touching_pairs(
    one: NDArray[Any],
    other: NDArray[Any],
    one_box: Box,
    other_box: Box,
    steps: tuple[tuple[int, ...], ...],
) -> NDArray[np.int64]:
    """Return the pairs of labels with voxels next to each other across a border.

    Parameters
    ----------
    one, other : ndarray of int32
        Labels of two tiles' cores.
    one_box, other_box : Box
        The cores' places in the image.
    steps : tuple of tuple of int
        Steps from a voxel of `one` to its neighbours in `other`, see `border_steps`.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Pairs (label of one, label of other), distinct, sorted.
    """
    found = [np.zeros((0, 2), np.int64)]
    for step in steps:
        back = tuple(-s for s in step)
        here = one_box.intersect(other_box.shift(back))
        if not here.size:
            continue
        a = np.ravel(one[here.relative_to(one_box).slices])
        b = np.ravel(other[here.shift(step).relative_to(other_box).slices])
        both = (a > 0) & (b > 0)
        found.append(np.stack([a[both], b[both]], axis=1))
    return _distinct(np.concatenate(found))


def border_steps(
    difference: tuple[int, ...], joined: tuple[bool, ...], connectivity: int | None
) -> tuple[tuple[int, ...], ...]:
    """Return the steps that lead from a tile's core into a neighbour's.

    Parameters
    ----------
    difference : tuple of int
        The neighbour's grid index minus the tile's, each -1, 0 or 1.
    joined : tuple of bool
        Axes along which labels are joined at all.
    connectivity : int or None
        How many axes a step may change: 1 faces, 2 edges too, …; None for any number.
    """
    if any(d and not j for d, j in zip(difference, joined, strict=True)):
        return ()
    most = connectivity or len(joined)
    choices = [(d,) if d or not j else (-1, 0, 1) for d, j in zip(difference, joined, strict=True)]
    return tuple(step for step in product(*choices) if 0 < sum(map(abs, step)) <= most)
