"""What two tiles' labels have in common where the tiles meet, as rows of numbers.

*Overlap*: in the box that both tiles have segmented, the two versions of an object are compared piece
by piece. Whole labels must not be compared: a U that is one label in one tile and two in the other
would fit neither. *Touching*: labels whose core voxels are adjacent across the tile border. Knows
arrays only, not where they lie, and judges nothing but which pieces fit each other best.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Box

_LOW = np.int64(0xFFFFFFFF)

ROW = np.dtype(
    [("a", "<i8"), ("b", "<i8"), ("common", "<u4"), ("one", "<u4"), ("other", "<u4"), ("mutual", "u1")]
)
"""Two pieces that share voxels: their labels (keys), voxels in common and of each, and whether each
is the other's best (1) or not (0); `LINK` for planes."""
LINK = 2


class IouRule:
    """One object if intersection over union is at least `threshold`; exact in integers.

    Parameters
    ----------
    threshold : float
        Above 0, at most 1.
    """

    def __init__(self, threshold: float = 0.2) -> None:
        self.threshold = threshold
        self._numerator, self._denominator = float(threshold).as_integer_ratio()
        if self._denominator > 1 << 20:  # as precise as a user's decimal, without overflow
            self._numerator, self._denominator = round(threshold * (1 << 20)), 1 << 20

    def __call__(self, common: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        """Return which pairs reach the threshold."""
        passed: NDArray[Any] = common * self._denominator >= self._numerator * (one + other - common)
        return passed


def any_contact(common: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return that every pair is one object; the rule for labels that touch."""
    return np.ones(len(common), bool)


def rows(*columns: Any) -> NDArray[Any]:
    """Return rows made of columns in the order of `ROW`."""
    found = np.zeros(len(columns[0]), ROW)
    for name, column in zip(ROW.names or (), columns, strict=True):
        found[name] = column
    return found


def overlap_rows(
    one: NDArray[Any],
    other: NDArray[Any],
    matter_one: NDArray[np.bool_],
    matter_other: NDArray[np.bool_],
    border: Callable[[], tuple[slice, ...]],
) -> tuple[NDArray[Any], bool]:
    """Return what pieces of two tiles' labels have in common in an overlap.

    Parameters
    ----------
    one, other : ndarray of int32, same shape
        Both tiles' labels of the same voxels.
    matter_one, matter_other : ndarray of bool
        Which labels matter, indexed by label.
    border : callable
        Returns the slices of the voxels next to the border between the tiles' cores; seldom asked.

    Returns
    -------
    ndarray of `ROW`
        Pieces (connected parts of a label inside the overlap) of labels that matter, ``a`` and ``b``
        being plain labels.
    bool
        Whether the tiles agree at the border, so that no step shows where each paints its own core.
        Farther away each tile is nearer to its own cut, and may err without harm.
    """
    a, b, common = _contingency(one, other)
    size_a, size_b = _totals(a, common, matter_one.size), _totals(b, common, matter_other.size)
    matters = matter_one[a] | matter_other[b]
    same = (a > 0) & (b > 0) & (common == size_a[a]) & (common == size_b[b])
    plain = same & matter_one[a] & matter_other[b]
    found = rows(a[plain], b[plain], common[plain], common[plain], common[plain], 1)
    if not (matters & ~same).any():
        return found, True
    odd = matters & ~same & (a > 0) & (b > 0)
    if odd.any():
        odd_a, odd_b = np.zeros(size_a.size, bool), np.zeros(size_b.size, bool)
        odd_a[a[odd]] = odd_b[b[odd]] = True
        more = _fragment_rows(one, other, odd_a, odd_b)
        found = np.concatenate([found, more[matter_one[more["a"]] & matter_other[more["b"]]]])
    near = border()
    return found, _agree(one[near], other[near], matter_one, matter_other, found)


def _agree(
    one: NDArray[Any],
    other: NDArray[Any],
    matter_one: NDArray[np.bool_],
    matter_other: NDArray[np.bool_],
    found: NDArray[Any],
) -> bool:
    """Return whether all voxels that matter belong to pieces that fit each other best."""
    a, b, _ = _contingency(one, other)
    one_sided = (matter_one[a] & (b == 0)) | (matter_other[b] & (a == 0))
    if one_sided.any():
        return False
    both = matter_one[a] & matter_other[b]
    best = found[found["mutual"] == 1]
    return bool(np.isin((a << 32 | b)[both], best["a"] << 32 | best["b"]).all())


def _fragment_rows(
    one: NDArray[Any], other: NDArray[Any], odd_one: NDArray[np.bool_], odd_other: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return rows among the labels flagged as odd, piece by piece.

    Voxels that touch at a corner are one piece, or each stray one would be a piece of its own. But where
    both tiles show just the same pieces if corners do not count, these are compared: methods that connect
    by faces only may call them one object here and two there, by what lies outside.
    """
    odd = [
        np.where(np.take(flags, labels), labels, 0) for flags, labels in ((odd_one, one), (odd_other, other))
    ]
    (pieces_one, names_one), (pieces_other, names_other) = map(pieces, odd)
    a, b, common, size_a, size_b = _shared(pieces_one, pieces_other)
    union = size_a[a] + size_b[b] - common
    order = np.lexsort((b, a, -common, -(common / union)))  # best first; ties: larger, lower ids
    best_a, best_b = np.zeros(size_a.size, np.int64), np.zeros(size_b.size, np.int64)
    best_a[a[order[::-1]]] = order[::-1]
    best_b[b[order[::-1]]] = order[::-1]
    at = np.arange(a.size)
    mutual = (best_a[a] == at) & (best_b[b] == at)
    found = rows(names_one[a], names_other[b], common, size_a[a], size_b[b], mutual)
    if mutual.all():
        return found
    agreed, by_faces = _rows_by_faces(odd, (pieces_one, pieces_other))
    return np.concatenate([found[~(agreed[0][a] & agreed[1][b])], by_faces])


def _rows_by_faces(
    labels: Sequence[NDArray[Any]], wholes: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[list[NDArray[np.bool_]], NDArray[Any]]:
    """Return which pieces both tiles show alike if corners do not count, and rows of their parts."""
    fine = [pieces(part, 1) for part in labels]
    a, b, common, size_a, size_b = _shared(fine[0][0], fine[1][0])
    same = (common == size_a[a]) & (common == size_b[b])
    a, b, common = a[same], b[same], common[same]
    parents, agreed = [], []
    for (parts, names), whole, matched in zip(fine, wholes, (a, b), strict=True):
        parent = np.zeros(names.size, np.int64)
        parent[np.ravel(parts)] = np.ravel(whole)
        differing = np.ones(names.size, bool)
        differing[matched] = False
        alike = np.ones(int(parent.max(initial=0)) + 1, bool)
        alike[parent[differing]] = False
        parents.append(parent)
        agreed.append(alike)
    kept = agreed[0][parents[0][a]] & agreed[1][parents[1][b]]
    a, b, common = a[kept], b[kept], common[kept]
    return agreed, rows(fine[0][1][a], fine[1][1][b], common, common, common, 1)


def _shared(one: NDArray[Any], other: NDArray[Any]) -> tuple[NDArray[np.int64], ...]:
    """Return pairs of pieces with voxels in common, how many, and the voxels of every piece of each."""
    a, b, common = _contingency(one, other)
    size_a, size_b = _totals(a, common), _totals(b, common)
    both = (a > 0) & (b > 0)
    return a[both], b[both], common[both], size_a, size_b


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


def _totals(values: NDArray[np.int64], counts: NDArray[np.int64], size: int = 1) -> NDArray[np.int64]:
    """Return the voxels of each value, indexed by value."""
    return np.bincount(values, weights=counts, minlength=size).astype(np.int64)


def touching_rows(
    one: NDArray[Any],
    other: NDArray[Any],
    one_box: Box,
    other_box: Box,
    steps: tuple[tuple[int, ...], ...],
) -> NDArray[Any]:
    """Return the labels with voxels next to each other across a border.

    Parameters
    ----------
    one, other : ndarray of int32
        Labels of parts of two tiles' cores.
    one_box, other_box : Box
        The places of these parts in the image.
    steps : tuple of tuple of int
        Steps from a voxel of `one` to its neighbours in `other`, see `border_steps`.

    Returns
    -------
    ndarray of `ROW`
        One row per pair of labels, with the number of contacts in all three counts.
    """
    found = [np.zeros(0, np.int64)]
    for step in steps:
        back = tuple(-s for s in step)
        here = one_box.intersect(other_box.shift(back))
        if not here.size:
            continue
        a = np.ravel(one[here.relative_to(one_box).slices]).astype(np.int64)
        b = np.ravel(other[here.shift(step).relative_to(other_box).slices])
        found.append(((a << 32) | b)[(a > 0) & (b > 0)])
    packed, contacts = np.unique(np.concatenate(found), return_counts=True)
    return rows(packed >> 32, packed & _LOW, contacts, contacts, contacts, 1)


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


def link_rows(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return the labels of two planes that lie over each other, and in how many voxels.

    Parameters
    ----------
    one, other : ndarray of int32, same shape
        The same part of two neighbouring planes.

    Returns
    -------
    ndarray of `ROW`
        With `LINK` in place of ``mutual``: judged later, by whole objects.
    """
    a, b, common = _contingency(one, other)
    both = (a > 0) & (b > 0)
    return rows(a[both], b[both], common[both], common[both], common[both], LINK)
