"""Objects of planes that were segmented one by one: which are one object in depth.

Whole objects are compared, not what single tiles see of them, so the result is that of whole planes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.seams import IouRule

if TYPE_CHECKING:
    from numpy.typing import NDArray


def link(
    overlaps: NDArray[np.int64], area: NDArray[np.int64], boxes: NDArray[Any], least: float
) -> NDArray[np.int64]:
    """Return the objects of neighbouring planes that are each other's best match.

    Of equal matches the larger is best, then the one whose box comes first: so it does not depend on
    how objects are numbered, unless even the boxes are equal.

    Parameters
    ----------
    overlaps : ndarray of int64, shape (n, 3)
        Object of the lower plane, object of the upper plane, voxels over each other; pairs may come
        in several parts.
    area : ndarray of int64, shape (n_objects,)
        Voxels of each object in its plane.
    boxes : ndarray of int, shape (n_objects, k)
        Their bounding boxes, starts before stops.
    least : float
        Least intersection over union.

    Returns
    -------
    ndarray of int64, shape (m, 2)
        Pairs that are one object.
    """
    order = np.lexsort((overlaps[:, 1], overlaps[:, 0]))
    a, b, parts = overlaps[order].T
    begin = np.flatnonzero((np.diff(a, prepend=-1) != 0) | (np.diff(b, prepend=-1) != 0))
    a, b = a[begin], b[begin]
    common = np.add.reduceat(parts, begin) if begin.size else parts[:0]
    good = IouRule(least)(common, area[a], area[b])
    a, b, common = a[good], b[good], common[good]
    place = np.empty(area.size, np.int64)
    place[np.lexsort(boxes.T[::-1])] = np.arange(area.size)
    mutual = _best(a, b, common, area, place) & _best(b, a, common, area, place)
    return np.stack([a[mutual], b[mutual]], axis=1)


def _best(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    common: NDArray[np.int64],
    area: NDArray[Any],
    place: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which pairs are the best of their first object; ties: larger, first in `place`."""
    iou = common / (area[one] + area[other] - common)
    order = np.lexsort((place[other], -common, -iou, one))
    best = np.zeros(one.size, bool)
    best[order[np.diff(one[order], prepend=-1) != 0]] = True
    return best
