"""What several tests hold to be true, by brute force on whole images."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def filled_at_once(labels):
    """The truth, untiled: background parts off the border with one label beside their faces."""
    result = labels.copy()
    ground, n = ndimage.label(labels == 0)
    faces = ndimage.generate_binary_structure(labels.ndim, 1)
    for part in range(1, n + 1):
        inside = ground == part
        padded = np.pad(inside, 1)
        border = ndimage.binary_dilation(padded, faces)[(slice(1, -1),) * labels.ndim] & ~inside
        at_edge = any(np.take(inside, end, axis=axis).any() for axis in range(labels.ndim) for end in (0, -1))
        beside = np.unique(labels[border])
        if not at_edge and beside.size == 1:
            result[inside] = beside[0]
    return result


def cut(labels, grid):
    """Labels of tiles, numbered anew in each, pieces that the cut separates by themselves."""
    return [seamless(labels[tile.read.slices]) for tile in grid]


def seamless(labels):
    full = np.ones((3,) * labels.ndim)
    out, top = np.zeros(labels.shape, int), 0
    for value in np.unique(labels[labels > 0]):
        pieces, n = ndimage.label(labels == value, full)
        out[pieces > 0] = pieces[pieces > 0] + top
        top += n
    return out
