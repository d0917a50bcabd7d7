"""Holes of one tile: filled where it can judge alone, else numbered for the merge. Runs in workers.

Background of value 0 is known to be no part of a hole: it meets the image's border, or an object that
no other tile sees. Knows one tile and its boxes, or what two tiles have where they meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.holes import Holes, background_pieces, contacts
from seamlabel.kernels.local import HOLE, LocalTile, View, describe, node_dtype
from seamlabel.kernels.relabel import Renaming
from seamlabel.staged import INTERIOR, LABEL_BITS, StagedTile

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ground:
    """Where one tile looks for holes.

    Parameters
    ----------
    view : View
        The tile's boxes.
    part : tuple of slice
        Where its background is that of the image, relative to its read box.
    border : tuple of (bool, bool)
        Per axis, whether the faces of that part lie on the image's border.
    space : tuple of int
        Axes along which background is connected; others have an extent of 1.
    settles : bool
        Whether holes that no neighbour sees are filled before labels are compared.
    """

    view: View
    part: tuple[slice, ...]
    border: tuple[tuple[bool, bool], ...]
    space: tuple[int, ...]
    settles: bool = True

    def describe(self, labels: NDArray[Any]) -> tuple[NDArray[Any], LocalTile]:
        """Return a tile's labels, holes filled that no neighbour sees, and their description.

        Parameters
        ----------
        labels : ndarray of integers, not negative
            Over the read box, below 2^31.
        """
        flat = labels.astype(np.int32, copy=False).reshape(self._of(labels.shape))
        alone = self._of(self.view.alone) if self.settles else None
        found = background_pieces(flat, self._of(self.part), self._of(self.border), alone)
        labels = found.labels.reshape(labels.shape)
        return labels, self._with_pieces(describe(labels, self.view), found)

    def empty(self, shape: tuple[int, ...]) -> LocalTile | None:
        """Return the description of a tile without labels; None if it is no part of a hole."""
        size = int(np.prod(shape))
        if not size or any(map(any, self.border)):
            return None
        one = np.ones(1, np.int64)
        none = np.zeros(0, np.int64)
        staged = StagedTile(shape, one, one * size, 0, none, none.astype(np.uint8), n_pieces=1)
        voxels = np.prod([part.stop - part.start for part in self.view.core])
        key = (np.int64(self.view.tile) << LABEL_BITS) + 1
        nodes = np.zeros(0, node_dtype(len(shape)))
        rename = Renaming(0, None, np.zeros(1, np.int32))
        return LocalTile(
            staged, nodes, rename, np.broadcast_to(np.int32(1), shape), _records(key, key, voxels)
        )

    def _of(self, values: Any) -> tuple[Any, ...]:
        return tuple(values[axis] for axis in self.space)

    def _with_pieces(self, local: LocalTile, found: Holes) -> LocalTile:
        """Return the description with those pieces of background that may be part of a hole."""
        staged = local.staged
        beside = local.rename(found.adjacent[:, 1])
        piece = found.adjacent[:, 0]
        never = np.append(True, found.outside)
        never[piece[(staged.flags[beside - 1] & INTERIOR) > 0]] = True
        if found.pieces is None or never.all():
            return local
        number = np.where(never, 0, np.cumsum(~never) + staged.n_all).astype(np.int32)
        pieces = np.take(number, found.pieces).reshape(staged.shape)
        n_pieces = int((~never).sum())
        # a neighbour knows what labels outside the core are, and sees all that they are beside
        known = (beside <= staged.n_core) & ~never[piece]
        voxels = np.bincount(pieces[self.view.core].ravel(), minlength=staged.n_all + n_pieces + 1)
        first = np.int64(self.view.tile) << LABEL_BITS
        own = first + np.arange(staged.n_all + 1, staged.n_all + n_pieces + 1)
        records = [
            _records(own, own, voxels[staged.n_all + 1 :]),
            _records(first + number[piece[known]], first + beside[known], 0),
        ]
        values = _with_runs(staged, pieces, self.part[-1])
        return replace(
            local,
            staged=replace(staged, values=values, n_pieces=n_pieces),
            pieces=pieces,
            holes=np.concatenate(records),
        )


def _records(piece: Any, beside: Any, voxels: Any) -> NDArray[Any]:
    found = np.zeros(np.size(piece), HOLE)
    found["piece"], found["beside"], found["voxels"] = piece, beside, voxels
    return found


def _with_runs(staged: StagedTile, pieces: NDArray[Any], part: slice) -> NDArray[Any]:
    """Return the values of all runs, those of background being pieces.

    A run of background is of one piece, the one that it has in the part where pieces are known.
    """
    ends = np.cumsum(staged.lengths)
    starts = ends - staged.lengths
    ground = np.flatnonzero(staged.values == 0)
    width = staged.shape[-1]
    row = starts[ground] // width * width
    at = np.maximum(starts[ground], row + part.start)
    values = staged.values.copy()
    values[ground] = np.where(at < ends[ground], pieces.ravel()[np.minimum(at, pieces.size - 1)], 0)
    return values


def hole_records(
    tiles: tuple[int, int],
    strips: tuple[NDArray[Any] | None, NDArray[Any] | None],
    matter: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> NDArray[Any]:
    """Return what two neighbours' pieces of background have in common or beside them.

    Parameters
    ----------
    tiles : tuple of int
        Their numbers.
    strips : tuple of ndarray or None
        Labels, and above them pieces, where they meet: of the same voxels, or of layers that share a
        face. None is background that is no part of a hole.
    matter : tuple of ndarray of bool
        For each, which labels take part, indexed by label.

    Returns
    -------
    ndarray of `HOLE`
    """
    shape = next((strip.shape for strip in strips if strip is not None), (0,))
    one, other = (np.zeros(shape, np.int32) if strip is None else strip for strip in strips)
    n_one, n_other = (known.size for known in matter)
    pairs = contacts(one, other, (n_one, n_other))
    found = []
    for mine, theirs in ((0, 1), (1, 0)):
        rows = pairs[pairs[:, mine] >= matter[mine].size]
        beside = rows[:, theirs]
        named = np.append(matter[theirs], True)[np.minimum(beside, matter[theirs].size)]
        keys = (np.int64(tiles[theirs]) << LABEL_BITS) + np.where(named, beside, 0)
        found.append(_records((np.int64(tiles[mine]) << LABEL_BITS) + rows[:, mine], keys, 0))
    return np.concatenate(found)


def without_pieces(strip: NDArray[Any] | None, n_all: int) -> NDArray[Any] | None:
    """Return labels alone, None if there is none."""
    if strip is None or int(strip.max(initial=0)) <= n_all:
        return strip
    labels = np.where(strip > n_all, 0, strip)
    return labels if labels.any() else None
