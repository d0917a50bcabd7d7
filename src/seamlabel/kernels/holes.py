"""Holes of objects, found over tiles: background that one object alone encloses.

A *hole* is a connected part of the background (voxels connected by their faces, as in
`scipy.ndimage.binary_fill_holes`) that does not touch the image's border and whose face neighbours are
voxels of one object only; it becomes part of that object. A ring with another object inside encloses no
hole: the background between them touches both. (`binary_fill_holes` of the ring alone would fill it
all, and the object inside would be gone.)

A tile may see a part of a hole only. What other tiles may see too is therefore left open as numbered
*pieces*. Pieces of two tiles that share a background voxel of both trusted boxes are one; once those
are joined, and labels are objects, `decide` tells which are holes. Exact where every two voxels that
share a face lie in one tile's trusted box: an overlap of one voxel past what a cut changes. A tile
without any label still holds a piece: all of its trusted box.

Knows arrays of space axes only, not where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LABEL_BITS = 32
_LABEL = (1 << _LABEL_BITS) - 1


@dataclass(frozen=True)
class Holes:
    """The background of one tile: what is settled, and the pieces that other tiles help to judge.

    Parameters
    ----------
    labels : ndarray of int32
        As given, with the holes filled that no other tile sees. The array that was given, if none.
    pieces : ndarray of int32 or None
        Same shape: pieces ``1..n``, 0 elsewhere; None if there is none.
    open : ndarray of bool, shape (n,)
        Pieces that go on past the trusted box, where the image does. Entry 0 is piece 1.
    outside : ndarray of bool, shape (n,)
        Pieces that touch the image's border: no part of what they are joined to is a hole.
    adjacent : ndarray of int64, shape (m, 2)
        Distinct rows (piece, label) that share a face inside the trusted box, sorted.
    """

    labels: NDArray[np.int32]
    pieces: NDArray[np.int32] | None
    open: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    adjacent: NDArray[np.int64]


def background_pieces(
    labels: NDArray[Any],
    trusted: tuple[slice, ...],
    borders: Sequence[tuple[bool, bool]],
    interior: tuple[slice, ...] | None = None,
) -> Holes:
    """Fill the holes that a tile can judge alone, and number the rest of its background.

    Pieces inside `interior` are settled: those enclosed by one label become that label, those at the
    image's border are left out; those between several labels stay, for these may be one object. All
    other pieces stay, even where this tile sees them whole: a neighbour may see a part that looks like
    a hole, and the labels of both must stay comparable voxel by voxel.

    Parameters
    ----------
    labels : ndarray of int32
        A tile's labels, not negative; space axes only. 0 outside the trusted box means unknown.
    trusted : tuple of slice
        The trusted box, relative to `labels`; start and stop given.
    borders : sequence of (bool, bool)
        Per axis, whether the low and the high face of the trusted box lie on the image's border.
    interior : tuple of slice, optional
        The voxels that are in no other tile's trusted box, relative to `labels`. Without it, nothing is
        settled.
    """
    inner = np.ascontiguousarray(labels[trusted])
    found: NDArray[np.int32] = np.empty(inner.shape, np.int32)
    n = int(ndimage.label(inner == 0, output=found))
    is_open = _on_faces(found, n, [(not low, not high) for low, high in borders])
    outside = _on_faces(found, n, borders)
    rows = _adjacent(inner, found)
    settled = ~is_open & ~_reaching(found, n, trusted, interior)
    enclosed = settled & ~outside & (np.bincount(rows[:, 0], minlength=n + 1) == 1)
    kept = ~(enclosed | (settled & outside))
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    remain = kept[rows[:, 0]]
    return Holes(
        _filled(labels, trusted, found, enclosed, rows),
        _placed(labels.shape, trusted, np.take(number, found)) if kept.any() else None,
        is_open[kept],
        outside[kept],
        np.stack([number[rows[remain, 0]].astype(np.int64), rows[remain, 1]], axis=1),
    )


def _on_faces(found: NDArray[np.int32], n: int, faces: Sequence[tuple[bool, bool]]) -> NDArray[np.bool_]:
    """Return which of the pieces 0..n have voxels on the chosen faces of the array."""
    seen = np.zeros(n + 1, bool)
    for axis, chosen in enumerate(faces):
        for end, wanted in zip((0, -1), chosen, strict=True):
            if wanted:
                seen[np.take(found, end, axis=axis)] = True
    return seen


def _reaching(
    found: NDArray[np.int32], n: int, trusted: tuple[slice, ...], interior: tuple[slice, ...] | None
) -> NDArray[np.bool_]:
    """Return which of the pieces 0..n have voxels outside the interior."""
    if interior is None or any(part.stop <= part.start for part in interior):
        return np.ones(n + 1, bool)
    seen = np.zeros(n + 1, bool)
    for axis, (box, part) in enumerate(zip(trusted, interior, strict=True)):
        for cut in (slice(0, part.start - box.start), slice(part.stop - box.start, None)):
            seen[found[(slice(None),) * axis + (cut,)]] = True
    return seen


def _adjacent(inner: NDArray[Any], found: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the distinct rows (piece, label) that share a face, sorted."""
    pieces, labels = found.ravel(), inner.ravel()
    ground = pieces > 0
    packed = [np.zeros(0, np.int64)]
    step = found.size
    for extent in found.shape:
        step //= extent
        here = np.flatnonzero(ground[step:] != ground[:-step])
        here = here[(here // step) % extent != extent - 1]  # the raster's next line is no neighbour
        there = here + step
        piece = np.maximum(pieces[here], pieces[there]).astype(np.int64)
        both = (piece << _LABEL_BITS) | np.maximum(labels[here], labels[there])
        packed.append(both[np.flatnonzero(np.diff(both, prepend=-1))])
    rows = np.unique(np.concatenate(packed))
    return np.stack([rows >> _LABEL_BITS, rows & _LABEL], axis=1)


def _filled(
    labels: NDArray[Any],
    trusted: tuple[slice, ...],
    found: NDArray[np.int32],
    enclosed: NDArray[np.bool_],
    rows: NDArray[np.int64],
) -> NDArray[Any]:
    """Return labels with the enclosed pieces filled with the one label beside each."""
    if not enclosed.any():
        return labels
    fill = np.zeros(enclosed.size, labels.dtype)
    mine = enclosed[rows[:, 0]]
    fill[rows[mine, 0]] = rows[mine, 1]
    result = labels.copy()
    result[trusted] += np.take(fill, found)
    return result


def _placed(
    shape: tuple[int, ...], trusted: tuple[slice, ...], inner: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return an array of `shape` that is 0 around `inner`."""
    if inner.shape == shape:
        return inner
    result = np.zeros(shape, np.int32)
    result[trusted] = inner
    return result


def decide(
    roots: NDArray[Any],
    outside: NDArray[np.bool_],
    piece: NDArray[Any],
    objects: NDArray[Any],
) -> NDArray[np.int64]:
    """Return for every piece the object whose hole it is part of, 0 if of none.

    Parameters
    ----------
    roots : ndarray of integers, shape (n,)
        Of all tiles' pieces, what names the component that each is joined to.
    outside : ndarray of bool, shape (n,)
        Which touch the image's border.
    piece : ndarray of integers, shape (m,)
        Adjacency: places in `roots`, from 0.
    objects : ndarray of integers, shape (m,)
        Adjacency: the object that the label beside the piece is part of; 0 where it became background,
        and then the component is no hole.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    keys, component = np.unique(roots, return_inverse=True)
    at = component[piece]
    least = np.full(keys.size, np.iinfo(np.int64).max)
    most = np.zeros(keys.size, np.int64)
    np.minimum.at(least, at, objects)
    np.maximum.at(most, at, objects)
    hole = least == most
    hole[component[outside]] = False
    filled: NDArray[np.int64] = np.where(hole, most, 0)[component]
    return filled


def contacts(one: NDArray[Any], other: NDArray[Any], first: tuple[int, int]) -> NDArray[np.int64]:
    """Return what pieces of two tiles have beside them, or in common.

    Parameters
    ----------
    one, other : ndarray of integers, same shape
        Labels, and above them pieces, of the same voxels or of two layers that share a face.
    first : tuple of int
        The value of the first piece of each.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Distinct pairs of values, one of them a piece; 0 is background that is no part of a hole.
    """
    a, b = np.ravel(one), np.ravel(other)
    here = np.flatnonzero((a >= first[0]) | (b >= first[1]))
    packed = (a[here].astype(np.int64) << _LABEL_BITS) | b[here].astype(np.int64)
    rows = np.unique(packed[np.flatnonzero(np.diff(packed, prepend=-1))])
    return np.stack([rows >> _LABEL_BITS, rows & _LABEL], axis=1)
