"""Boxes that cover what is drawn: polygons and masks become a few boxes of voxels.

Knows numbers only: no layers, no tiles.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

Spans = tuple[tuple[int, int], ...]
"""Start and stop per axis."""

CELLS = 64
"""Cells per axis that a polygon or mask is looked at in: boxes reach past it by less than one."""
MOST_PIXELS = 1 << 24
"""Of a larger mask only every n-th pixel along each axis is looked at."""


def mask_boxes(mask: NDArray[np.bool_]) -> list[Spans]:
    """Return boxes that cover exactly what is true, equal rows (planes) in one."""
    if mask.ndim == 1:
        return [((start, stop),) for start, stop in _runs(mask)]
    found: list[Spans] = []
    rows = mask.reshape(len(mask), -1)
    same = np.append(False, (rows[1:] == rows[:-1]).all(axis=1))
    starts = [*np.flatnonzero(~same).tolist(), len(mask)]
    for start, stop in pairwise(starts):
        found += [((start, stop), *rest) for rest in mask_boxes(mask[start])]
    return found


def _runs(row: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def polygon_boxes(points: NDArray[Any], closed: bool = True) -> list[NDArray[Any]]:
    """Return boxes that cover a polygon, or a line if it is not closed.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Its corners.
    closed : bool
        Whether what it encloses belongs to it.

    Returns
    -------
    list of ndarray, shape (2, 2)
        Start and stop per axis.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum(high - low, 1e-9)
    if closed and _is_box(points):
        return [np.stack([low, high], axis=1)]
    scaled = (points - low) / size * CELLS
    mask = _inside(scaled) if closed else np.zeros((CELLS, CELLS), bool)
    ends = np.concatenate([scaled, scaled[:1]]) if closed else scaled
    for a, b in pairwise(ends):
        steps = np.linspace(0, 1, int(4 * np.abs(b - a).max()) + 2)[:, None]
        row, column = np.minimum((a + steps * (b - a)).astype(int), CELLS - 1).T
        mask[row, column] = True
    return [low[:, None] + np.array(box) * size[:, None] / CELLS for box in mask_boxes(mask)]


def _is_box(points: NDArray[Any]) -> bool:
    """Return whether these are the four corners of an upright box."""
    if len(points) != 4:
        return False
    return all(len(np.unique(np.round(points[:, axis], 6))) == 2 for axis in (0, 1)) and bool(
        np.isclose(points[0] + points[2], points[1] + points[3]).all()
    )


def _inside(points: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which cells have their middle inside a polygon, by the even-odd rule."""
    middle = np.arange(CELLS) + 0.5
    inside = np.zeros((CELLS, CELLS), bool)
    for (ya, xa), (yb, xb) in pairwise(np.concatenate([points, points[:1]])):
        crosses = (ya > middle) != (yb > middle)
        if crosses.any():
            at = xa + (middle[crosses] - ya) / (yb - ya) * (xb - xa)
            inside[crosses] ^= middle[None, :] < at[:, None]
    return inside


def ellipse(corners: NDArray[Any], points: int = 64) -> NDArray[Any]:
    """Return the ellipse in a box that is given by its four corners, as a polygon."""
    middle, angle = corners.mean(axis=0), np.linspace(0, 2 * np.pi, points, endpoint=False)[:, None]
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    return np.asarray(middle + np.cos(angle) * first + np.sin(angle) * second)


def coarse_mask(labels: Any) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Return where there are labels, in at most `CELLS` cells per axis, and pixels per cell and axis.

    Parameters
    ----------
    labels : array-like
        Labels; 0 is nowhere.
    """
    shape = np.array(labels.shape)
    step = int(np.ceil((np.prod(shape.astype(float)) / MOST_PIXELS) ** (1 / len(shape))))
    mask = np.asarray(labels[tuple(slice(None, None, max(1, step)) for _ in shape)]) != 0
    cell = -(-np.array(mask.shape) // CELLS)
    for axis, n in enumerate(cell.tolist()):
        mask = np.logical_or.reduceat(mask, np.arange(0, mask.shape[axis], n), axis=axis)
    return mask, cell * max(1, step)


def merged(boxes: Sequence[Spans]) -> tuple[Spans, ...]:
    """Return the boxes without those that are there twice or lie in another."""
    unique = list(dict.fromkeys(boxes))
    return tuple(
        box for box in unique if not any(other != box and _contains(other, box) for other in unique[:200])
    )


def _contains(outer: Spans, inner: Spans) -> bool:
    return all(a <= c and d <= b for (a, b), (c, d) in zip(outer, inner, strict=True))
