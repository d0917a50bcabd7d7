"""What is left of other objects, and becomes part of them again.

Near its cuts a tile may show pieces of an object that reaches beyond, as labels that fit no other
label. Whether they are objects or pieces is up to the tile that sees the place best. Knows objects and
what labels have in common, no voxels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.components import Parts
from seamlabel.kernels.seams import LINK
from seamlabel.kernels.solution import PART_OF, WHOLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.kernels.solve import MergeInput
    from seamlabel.kernels.views import Objects


def absorb(given: MergeInput, objects: Objects) -> NDArray[np.int64]:
    """Make objects that others cover by half part of these; return which.

    An object is a remnant of another one if half of it is covered

    * by the version of the other that is painted, if it is a single label; or
    * by any labels of the other, if it is a single label that is cut and lies mostly outside its core; or
    * by labels of the other that lie mostly inside their tiles' cores, if all of its own are cut: two
      pieces in a tile that was cut there are one object if the tile that sees them better shows one.

    Labels that a tile sees whole stay apart from others of that tile all the same: a single label is then
    removed, and what is several stays.
    """
    whole = np.zeros(objects.size, bool)
    whole[objects.component[objects.complete]] = True
    overlaps = _overlaps(given, objects, (objects.alone | ~whole) & ~objects.spared & ~objects.gone)
    x, y, cover, single = _covers(objects, overlaps, whole)
    area = _areas(given, objects, x)
    half = np.flatnonzero(2 * np.maximum(cover, single) >= area[x])
    half = half[np.lexsort((y[half], -np.maximum(cover, single)[half], x[half], area[x[half]]))]
    parts = _parts(given, objects, np.unique(np.concatenate([x[half], y[half]])))
    into = np.arange(objects.size)
    for at in half.tolist():  # smaller ones first
        one, other = int(x[at]), int(y[at])
        if objects.gone[one] or objects.gone[other]:
            continue
        if parts.join(int(objects.lowest[one]), int(objects.lowest[other])):
            into[one] = other
            objects.gone[one] = True
        elif 2 * single[at] >= area[one]:
            objects.gone[one] = True
    objects.join(into)
    return np.unique(x[half[objects.gone[x[half]]]])


def hidden(given: MergeInput, objects: Objects, roles: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return labels of objects of which nothing may be left where whole versions of others come first.

    Every object that counts must have a voxel, so these must be painted first themselves.

    Parameters
    ----------
    given : MergeInput
        Labels, and what they have in common.
    objects : Objects
        The objects.
    roles : ndarray of uint8, shape (n_nodes,)
        Which labels are painted first, and which last (`PART_OF`).
    """
    covered = np.zeros(roles.size, np.int64)
    first = (roles == WHOLE) & ~objects.gone[objects.component]
    last = roles == PART_OF
    for chunk in given.rows.chunks():
        rows = chunk[chunk["mutual"] != LINK]
        pair = np.searchsorted(objects.keys, np.stack([rows["a"], rows["b"]], axis=1))
        for one, other in (pair.T, pair.T[::-1]):
            found = last[one] & first[other]
            np.add.at(covered, one[found], rows["common"][found])
    shows = np.zeros(objects.size, bool)
    for chunk in given.nodes.chunks():
        node = np.searchsorted(objects.keys, chunk["key"])
        shows[objects.component[node[chunk["core_area"] > covered[node]]]] = True
    nothing: NDArray[np.bool_] = last & ~shows[objects.component]
    return nothing


def _overlaps(given: MergeInput, objects: Objects, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (label, label of another object, voxels in common) for labels of the chosen objects."""
    parts = [np.zeros((0, 3), np.int64)]
    for chunk in given.rows.chunks():
        rows = chunk[chunk["mutual"] != LINK]
        pair = np.searchsorted(objects.keys, np.stack([rows["a"], rows["b"]], axis=1))
        of = objects.component[pair]
        differ = of[:, 0] != of[:, 1]
        for one, other in ((0, 1), (1, 0)):
            found = differ & chosen[of[:, one]]
            parts.append(np.column_stack([pair[found][:, [one, other]], rows["common"][found]]))
    return np.concatenate(parts).astype(np.int64)


def _summed(overlaps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns of overlaps with one entry per pair of labels, which may share several pieces."""
    overlaps = overlaps[np.lexsort((overlaps[:, 1], overlaps[:, 0]))]
    begin = np.flatnonzero((np.diff(overlaps[:, :2], axis=0, prepend=-1) != 0).any(axis=1))
    one, other = overlaps[begin, 0], overlaps[begin, 1]
    return np.stack([one, other, np.add.reduceat(overlaps[:, 2], begin) if begin.size else one])


def _covers(
    objects: Objects, overlaps: NDArray[np.int64], whole: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], ...]:
    """Return pairs of objects, and how much of the first the second covers.

    Returns
    -------
    ndarray of int64
        The objects that are covered.
    ndarray of int64
        Others that cover each.
    ndarray of int64
        Voxels of the first that labels of the second cover which lie mostly inside their cores.
    ndarray of int64
        Voxels that are covered by the version that is painted, or by any if the first is a stray.
    """
    one, other, common = _summed(overlaps)
    x, y = objects.component[one].astype(np.int64), objects.component[other].astype(np.int64)
    inside = np.where(objects.inside[other] & ~whole[x], common, 0)
    stray = ~whole[x] & ~objects.inside[one] & (~objects.alone[y] | whole[y])
    single = np.where(objects.alone[x] & (stray | (objects.owner[y] == other)), common, 0)
    order = np.lexsort((one, y, x))
    x, y, one, inside, single = x[order], y[order], one[order], inside[order], single[order]
    pair = (np.diff(x, prepend=-1) != 0) | (np.diff(y, prepend=-1) != 0)
    label = np.flatnonzero(pair | (np.diff(one, prepend=-1) != 0))
    begin = np.flatnonzero(pair)
    if not begin.size:
        return x, y, inside, single
    inside = np.maximum.reduceat(inside, label)  # others' labels may lie over each other: count once
    return (
        x[begin],
        y[begin],
        np.add.reduceat(inside, np.searchsorted(label, begin)),
        np.add.reduceat(single, begin),
    )


def _areas(given: MergeInput, objects: Objects, which: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the voxels of all labels of each object; 0 where it is not among these."""
    area = np.zeros(objects.size, np.int64)
    asked = np.zeros(objects.size, bool)
    asked[which] = True
    for chunk in given.nodes.chunks():
        of = objects.component[np.searchsorted(objects.keys, chunk["key"])]
        np.add.at(area, of[asked[of]], chunk["area"][asked[of]])
    return area


def _parts(given: MergeInput, objects: Objects, which: NDArray[Any]) -> Parts:
    """Return these objects as components that know what must stay apart."""
    apart = np.searchsorted(objects.keys, given.edits.apart)
    parts = Parts(objects.keys, objects.complete, apart)
    asked = np.zeros(objects.size, bool)
    asked[which] = True
    for node in np.flatnonzero(asked[objects.component]).tolist():
        parts.join(int(objects.lowest[objects.component[node]]), node)
    return parts
