"""Connected pieces of labels: fragments in an overlap, and what is left of labels that were cut.

Knows arrays only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label as connected_components

from seamlabel.kernels.relabel import run_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_AXES = 3
"""What the library connects; labels of more axes are taken as one piece each."""


def pieces(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the connected pieces of labels, numbered from 1, and the label of each piece.

    Parameters
    ----------
    labels : ndarray of int32
        Of up to three axes; touching voxels (corners count) of one label are one piece.

    Returns
    -------
    ndarray, ndarray of int64
        Pieces, of the shape of `labels`; and their labels, entry 0 for the background.
    """
    if labels.ndim > MOST_AXES:
        return labels, np.arange(int(labels.max(initial=0)) + 1, dtype=np.int64)
    found = connected_components(labels, background=0, connectivity=labels.ndim)
    flat = np.ravel(found)
    starts = run_starts(flat)
    names = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    names[flat[starts]] = np.ravel(labels)[starts]
    return found, names


def cut_to(labels: NDArray[Any], trusted: tuple[slice, ...]) -> NDArray[Any]:
    """Return labels of the trusted box alone, split where only the rest of the array connects them.

    Near a cut a method may see foreground that is not there. A label that reaches there can then
    be two objects in one; inside the trusted box they are apart. What is truly one object is joined
    again by the neighbours that see the connection.

    Parameters
    ----------
    labels : ndarray of int32
        A tile's labels, numbered from 1 without large gaps, see `number_locally`.
    trusted : tuple of slice
        Where they are those of the whole image, up to their names.

    Returns
    -------
    ndarray of int32
        Same shape; 0 outside the trusted box.
    """
    reaching = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis, part in enumerate(trusted):
        for cut in (slice(0, part.start), slice(part.stop, None)):
            slab = np.ravel(labels[(slice(None),) * axis + (cut,)])
            reaching[slab[run_starts(slab)]] = True
    reaching[0] = False
    inner = labels[trusted]
    crossing = np.take(reaching, inner)
    result = np.zeros(labels.shape, np.int32)
    if crossing.any():
        found, _ = pieces(np.where(crossing, inner, 0))
        inner = np.where(crossing, found + reaching.size, inner)
    result[trusted] = inner
    return result
