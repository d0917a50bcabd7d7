"""Where two label images of the same place disagree, counted by distance from what was changed.

Knows arrays of labels, whose numbers mean nothing: only what is foreground, and where one object ends
and the next begins, is compared. So an object that is cut in two counts as the same beyond the cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOKED, DIFFER, LOOKED_WHOLE, DIFFER_WHOLE = range(4)
"""Rows of what `disagreement` returns."""


def distances(changed: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return, for every position along an axis, how many unchanged ones lie between it and a change.

    Parameters
    ----------
    changed : array of bool, shape (n,)
        Where pixels were changed; at least one.

    Returns
    -------
    array of int, shape (n,)
        0 beside a change, -1 where it is.
    """
    at = np.flatnonzero(changed)
    here = np.arange(changed.size)
    after = np.clip(np.searchsorted(at, here), 0, at.size - 1)
    before = np.clip(after - 1, 0, None)
    nearest: NDArray[np.intp] = np.minimum(np.abs(here - at[before]), np.abs(at[after] - here)) - 1
    return nearest


def disagreement(
    one: NDArray[Any], other: NDArray[Any], axis: int, depth: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Count object voxels, and those where two label images disagree, by depth along an axis.

    A voxel disagrees if it is background in one image only, or if it and a neighbour are one object in
    one image and two objects in the other; of the two neighbours the one that lies less deep counts.

    Parameters
    ----------
    one, other : array of int
        Labels of the same shape, 0 for background.
    axis : int
        Along which something was changed.
    depth : array of int, shape (one.shape[axis],)
        How deep each position lies; negative ones are not counted.

    Returns
    -------
    array of int, shape (4, most depth + 1)
        By depth: voxels of an object in either image; those that disagree; and both again of objects
        that do not touch the change (that reach no depth of 0 or less) in either image.
    """
    wrong = (one != 0) != (other != 0)
    for along in range(one.ndim):
        _add_borders(wrong, one, other, along, depth if along == axis else None)
    either = (one != 0) | (other != 0)
    whole = ~(_touching(one, axis, depth) | _touching(other, axis, depth))
    others = tuple(i for i in range(one.ndim) if i != axis)
    counted = depth >= 0
    rows = [
        np.bincount(depth[counted], mask.sum(others)[counted])
        for mask in (either, wrong, either & whole, wrong & whole)
    ]
    return np.stack(rows).astype(np.int64)


def _add_borders(
    wrong: NDArray[np.bool_],
    one: NDArray[Any],
    other: NDArray[Any],
    along: int,
    depth: NDArray[np.intp] | None,
) -> None:
    """Mark voxels that are of their neighbour's object along an axis in one of the images only."""
    lower = tuple(slice(None, -1) if i == along else slice(None) for i in range(one.ndim))
    upper = tuple(slice(1, None) if i == along else slice(None) for i in range(one.ndim))
    odd = (one[lower] == one[upper]) != (other[lower] == other[upper])
    odd &= (one[lower] != 0) & (one[upper] != 0) & (other[lower] != 0) & (other[upper] != 0)
    if depth is None:
        wrong[lower] |= odd
        return
    shape = tuple(-1 if i == along else 1 for i in range(one.ndim))
    first = (depth[:-1] <= depth[1:]).reshape(shape)
    wrong[lower] |= odd & first
    wrong[upper] |= odd & ~first


def _touching(labels: NDArray[Any], axis: int, depth: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return where the objects are that reach the change."""
    found = np.unique(np.compress(depth <= 0, labels, axis))
    return np.isin(labels, found[found != 0])


def extents(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the extent along every axis of the objects that do not touch the border.

    Returns
    -------
    array of int, shape (objects, axes)
        Voxels; of all objects, if each touches the border.
    """
    from scipy.ndimage import find_objects

    names, flat = np.unique(labels, return_inverse=True)
    numbers = flat.reshape(labels.shape) + (1 if names.size and names[0] != 0 else 0)
    boxes = [box for box in find_objects(numbers) if box is not None]
    sizes = np.array([[s.stop - s.start for s in box] for box in boxes]).reshape(-1, labels.ndim)
    inside = [
        all(s.start > 0 and s.stop < n for s, n in zip(box, labels.shape, strict=True)) for box in boxes
    ]
    return sizes[inside] if any(inside) else sizes
