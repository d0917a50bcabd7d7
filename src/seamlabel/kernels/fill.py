"""Which pieces of background are holes of which objects, once labels are objects. Touches no voxel.

Knows keys of pieces and labels, and what the tiles said of them; memory grows with the pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.components import connected
from seamlabel.kernels.holes import decide
from seamlabel.kernels.local import HOLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.kernels.solution import Solution
    from seamlabel.kernels.solve import Records
    from seamlabel.kernels.views import Objects


@dataclass(frozen=True)
class Fills:
    """Pieces of background and the groups of objects that they fill.

    Parameters
    ----------
    keys : ndarray of int64, ascending
        Names of the pieces.
    group : ndarray of int64
        Group of each, counted from 1; 0 for what stays background.
    voxels : ndarray of int64
        Of each, in its tile's core.
    labels : ndarray of int64
        Group of each label that takes part, counted from 1; 0 if it became background.
    """

    keys: NDArray[np.int64]
    group: NDArray[np.int64]
    voxels: NDArray[np.int64]
    labels: NDArray[np.int64]

    def sizes(self, n_groups: int) -> NDArray[np.int64]:
        """Return the voxels that are filled in each group."""
        sizes = np.bincount(self.group, weights=self.voxels, minlength=n_groups + 1)
        return sizes[1:].astype(np.int64)

    def finish(self, solution: Solution) -> Solution:
        """Return the solution with the final ids of the pieces."""
        if not self.keys.size:
            return solution
        ids = np.zeros(int(max(self.group.max(), self.labels.max(initial=0))) + 1, np.int64)
        kept = np.flatnonzero(solution.ids)
        ids[self.labels[kept]] = solution.ids[kept]  # all that is kept of a group has one id
        return replace(solution, piece_keys=self.keys, piece_ids=ids[self.group])


def fill(records: Records | None, objects: Objects, groups: NDArray[Any]) -> Fills:
    """Decide which pieces are holes.

    Parameters
    ----------
    records : Records of `HOLE`, optional
        What the tiles said.
    objects : Objects
        Components of labels.
    groups : ndarray of integers, shape (n_objects,)
        Which objects share an id.
    """
    none = np.zeros(0, np.int64)
    if records is None:
        return Fills(none, none, none, none)
    labels = np.where(objects.gone, 0, groups.astype(np.int64) + 1)[objects.component]
    found = np.concatenate([np.zeros(0, HOLE), *records.chunks()])
    own = found["piece"] == found["beside"]
    order = np.argsort(found["piece"][own])
    keys, voxels = found["piece"][own][order], found["voxels"][own][order]
    rest = found[~own]
    piece = np.searchsorted(keys, rest["piece"])
    joined, other = _lookup(keys, rest["beside"])
    at_label, label = _lookup(objects.keys, rest["beside"])
    roots = connected(keys.size, piece[joined], other[joined])
    # what is beside it is neither: background that is no hole, or a label that is of no object
    outside = np.zeros(keys.size, bool)
    outside[piece[~joined & ~at_label]] = True
    return Fills(keys, decide(roots, outside, piece[at_label], labels[label[at_label]]), voxels, labels)


def _lookup(keys: NDArray[np.int64], wanted: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which of `wanted` are among ascending keys, and where."""
    place = np.searchsorted(keys, wanted)
    if not keys.size:
        return np.zeros(wanted.size, bool), place
    return np.take(keys, place, mode="clip") == wanted, place
