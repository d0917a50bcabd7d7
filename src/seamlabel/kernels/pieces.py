"""Connected pieces of labels: fragments in an overlap, and what is left of labels that were cut.

Knows arrays only.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label as connected_components

from seamlabel.kernels.components import connected
from seamlabel.kernels.relabel import run_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_AXES = 3
"""What the library connects; labels of more axes are connected here, voxel by voxel."""


def pieces(labels: NDArray[Any], connectivity: int | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the connected pieces of labels, numbered from 1, and the label of each piece.

    Parameters
    ----------
    labels : ndarray of integers
        Touching voxels of one label are one piece.
    connectivity : int, optional
        How many axes the places of touching voxels may differ along: 1 faces, 2 edges too; by default any
        number, so that corners count.

    Returns
    -------
    ndarray, ndarray of int64
        Pieces, of the shape of `labels`; and their labels, entry 0 for the background.
    """
    most = min(connectivity or labels.ndim, labels.ndim)
    if labels.ndim > MOST_AXES:
        found = _connected_pairs(labels, most)
    else:
        found = connected_components(labels, background=0, connectivity=most)
    flat = np.ravel(found)
    starts = run_starts(flat)
    names = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    names[flat[starts]] = np.ravel(labels)[starts]
    return found, names


def _connected_pairs(labels: NDArray[Any], connectivity: int) -> NDArray[np.int64]:
    """Return the connected pieces of labels of any number of axes, numbered from 1."""
    place = np.arange(labels.size, dtype=np.int32).reshape(labels.shape)
    pairs = [np.zeros((2, 0), np.int32)]
    for step in product((-1, 0, 1), repeat=labels.ndim):
        if step <= (0,) * labels.ndim or sum(map(abs, step)) > connectivity:
            continue  # the other way round, or too far
        one = tuple(slice(max(0, -s), max(0, n - max(0, s))) for s, n in zip(step, labels.shape, strict=True))
        two = tuple(slice(max(0, s), max(0, n + min(0, s))) for s, n in zip(step, labels.shape, strict=True))
        same = (labels[one] == labels[two]) & (labels[one] > 0)
        pairs.append(np.stack([place[one][same], place[two][same]]))
    root = connected(labels.size, *np.concatenate(pairs, axis=1)) + np.int64(1)
    numbers = np.unique(np.where(np.ravel(labels) > 0, root, 0), return_inverse=True)[1]
    return numbers.reshape(labels.shape) + int(bool(labels.all()))


def cut_to(labels: NDArray[Any], trusted: tuple[slice, ...], connectivity: int | None = None) -> NDArray[Any]:
    """Return labels of the trusted box alone, split where only the rest of the array connects them.

    Near a cut a method may see foreground that is not there. A label that reaches there can then
    be two objects in one; inside the trusted box they are apart. What is truly one object is joined
    again by the neighbours that see the connection.

    Parameters
    ----------
    labels : ndarray of integers, not negative
        A tile's labels; memory grows with the largest.
    trusted : tuple of slice
        Where they are those of the whole image, up to their names.
    connectivity : int, optional
        How the method connects voxels, as for `pieces`.

    Returns
    -------
    ndarray
        Same shape, and the same type where that can hold as many labels; 0 outside the trusted box.
    """
    top = int(labels.max(initial=0)) + 1
    inner = labels[trusted]
    several = _reaching(labels, trusted, top)
    several &= _contacts(inner, trusted, labels.shape, top, connectivity) > 1
    several[0] = False
    result = np.zeros(labels.shape, labels.dtype)
    result[trusted] = inner
    if several.any():
        crossing = np.take(several, inner)
        found = pieces(np.where(crossing, inner, 0), connectivity)[0]
        found += top
        if int(found.max()) > np.iinfo(result.dtype).max:
            result = result.astype(np.int64)
        np.copyto(result[trusted], found, casting="unsafe", where=crossing)
    return result


def _reaching(labels: NDArray[Any], trusted: tuple[slice, ...], top: int) -> NDArray[np.bool_]:
    """Return which labels have voxels outside the trusted box."""
    reaching = np.zeros(top, bool)
    for axis, part in enumerate(trusted):
        for cut in (slice(0, part.start), slice(part.stop, None)):
            slab = np.ravel(labels[(slice(None),) * axis + (cut,)])
            reaching[slab[run_starts(slab)]] = True
    return reaching


def _contacts(
    inner: NDArray[Any],
    trusted: tuple[slice, ...],
    shape: tuple[int, ...],
    top: int,
    connectivity: int | None,
) -> NDArray[np.int64]:
    """Return in how many places each label meets the cut faces of the trusted box.

    Pieces that are connected outside only all meet them, so that a label with one place is whole.
    """
    places = np.zeros(top, np.int64)
    for axis, (part, size) in enumerate(zip(trusted, shape, strict=True)):
        for layer, cut in ((0, part.start > 0), (-1, part.stop < size)):
            if cut:
                face = np.atleast_1d(np.take(inner, layer, axis=axis))
                names = face[run_starts(face)] if face.ndim == 1 else pieces(face, connectivity)[1]
                places += np.bincount(names.astype(np.intp), minlength=top)
    return places
