"""Objects that share an id without being one piece: joined by hand, or lying over each other in planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seamlabel.kernels.components import Edges, build_again, connected
from seamlabel.kernels.link import link
from seamlabel.kernels.seams import LINK
from seamlabel.staged import LABEL_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.kernels.solve import MergeInput
    from seamlabel.kernels.views import Objects


def grouped(given: MergeInput, objects: Objects) -> NDArray[np.int32]:
    """Return which objects share an id: by hand, or because they lie over each other."""
    pairs = objects.component[np.searchsorted(objects.keys, given.edits.together)].astype(np.int64)
    if given.z_link is not None:
        overlaps = _overlaps(given, objects)
        boxes = np.concatenate([objects.start, objects.stop], axis=1)
        pairs = np.concatenate([pairs, link(overlaps, objects.core_area, boxes, given.z_link)])
    if not pairs.size:
        return np.arange(objects.size, dtype=np.int32)
    groups = connected(objects.size, pairs[:, 0], pairs[:, 1])
    apart = objects.component[np.searchsorted(objects.keys, given.edits.apart)].astype(np.int64)
    broken = np.isin(groups, groups[apart[:, 0]][groups[apart[:, 0]] == groups[apart[:, 1]]])
    if not broken.any():
        return groups
    chosen = np.flatnonzero(broken[pairs[:, 0]])
    by_hand = (chosen < len(given.edits.together)).astype(np.int64)  # these are never refused
    edges = Edges(pairs[chosen, 0], pairs[chosen, 1], by_hand, np.ones_like(by_hand))
    each = np.arange(objects.size, dtype=np.int64) << LABEL_BITS  # a tile of its own: only `apart` counts
    _, refused = build_again(edges, each, np.zeros(objects.size, bool), apart)
    pairs = np.delete(pairs, chosen[refused], axis=0)
    return connected(objects.size, pairs[:, 0], pairs[:, 1])


def _overlaps(given: MergeInput, objects: Objects) -> NDArray[np.int64]:
    """Return (object, object, voxels) of objects of neighbouring planes, lower plane first."""
    parts = [np.zeros((0, 3), np.int64)]
    for chunk in given.rows.chunks():
        found = chunk[chunk["mutual"] == LINK]
        both = objects.component[np.searchsorted(objects.keys, np.stack([found["a"], found["b"]], axis=1))]
        there = ~objects.gone[both].any(axis=1)  # what is not painted links nothing
        parts.append(np.column_stack([both, found["common"].astype(np.int64)])[there])
    return np.concatenate(parts)
