"""Which labels edits mean: from places in the image to the staged labels that lie there.

A point means the object that is painted there without any edits, as the nearest tile shows it. Where
none is, it means the label of the tile whose core owns the voxel; where that tile shows background, the
label of the nearest tile that shows one. Reads staged tiles, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.records import Both
from seamlabel.errors import Problem, SpecError
from seamlabel.geometry import Box
from seamlabel.kernels.components import connected
from seamlabel.kernels.local import describe, node_dtype
from seamlabel.kernels.solve import NO_PAIRS, Edits
from seamlabel.staged import INTERIOR, LABEL_BITS, LOCAL, NODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from seamlabel.engine.compose import Composer
    from seamlabel.engine.edits import Edit
    from seamlabel.engine.seams import SeamFinder
    from seamlabel.geometry import Tile
    from seamlabel.kernels.solve import MergeInput
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelStore
    from seamlabel.staged import StagedTile


@dataclass(frozen=True)
class Located:
    """Edits in terms of labels.

    Parameters
    ----------
    edits : Edits
        By keys.
    nodes : ndarray of `node_dtype`
        Labels that no neighbour sees, and that take part because of an edit.
    tiles : ndarray of int64
        The tile of each of these that would have been an object of its own.
    """

    edits: Edits
    nodes: NDArray[Any]
    tiles: NDArray[np.int64]

    def into(self, given: MergeInput) -> MergeInput:
        """Return what is merged with these edits."""
        interior = given.interior.copy()
        np.subtract.at(interior, self.tiles, 1)
        nodes = Both(given.nodes, self.nodes)
        return replace(given, nodes=nodes, interior=interior, edits=self.edits)


def locate(
    edits: Iterable[Edit],
    plan: Plan,
    finder: SeamFinder,
    store: LabelStore,
    painted: Composer | None = None,
) -> Located:
    """Find the labels that edits mean.

    Parameters
    ----------
    edits : iterable of Edit
        By places.
    plan : Plan
        Of the run.
    finder : SeamFinder
        Knows which tiles see a place.
    store : LabelStore
        Staged tiles.
    painted : Composer, optional
        Paints the labels without any edit; needed only where tiles differ.

    Raises
    ------
    SpecError
        Listing every edit that cannot be carried out, and why.
    """
    search = Search(plan, finder, store, painted)
    problems: list[Problem] = []
    keys: dict[str, list[list[int]]] = {"join": [], "cut": [], "remove": []}
    cuts = []
    for edit in edits:
        found = search.check(edit) or search.find(edit)
        if isinstance(found, list) and edit.kind == "cut":
            found = search.check_cut(edit, found) or found
        if isinstance(found, Problem):
            problems.append(found)
            continue
        keys[edit.kind].append(found)
        if edit.kind == "cut":
            cuts.append(edit)
    together, apart = (
        np.array([*NO_PAIRS.tolist(), *keys[kind]], np.int64).reshape(-1, 2) for kind in ("join", "cut")
    )
    spread, against = _spread(together, apart)
    problems += [Problem(str(cuts[i]), "these two are joined by other edits", _OUT) for i in against]
    if problems:
        raise SpecError(problems)
    removed = np.array(keys["remove"], np.int64).ravel()
    nodes, tiles = search.promoted(np.unique(np.concatenate([together.ravel(), spread.ravel(), removed])))
    return Located(Edits(together, spread, removed), nodes, tiles)


_OUT = "Leave one of them out; edits made before are kept until you ask to forget them"


def _spread(together: NDArray[np.int64], apart: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
    """Return `apart` for all that is joined with either, and which pairs are joined themselves."""
    names, inverse = np.unique(np.concatenate([together, apart]), return_inverse=True)
    places = inverse.reshape(-1, 2)
    group = connected(names.size, *places[: len(together)].T)
    pairs, against = [NO_PAIRS], []
    for i, (one, other) in enumerate(group[places[len(together) :]]):
        if one == other:
            against.append(i)
        sides = names[group == one], names[group == other]
        pairs.append(np.array(list(product(*sides)), np.int64))
    return np.concatenate(pairs), against


class Search:
    """Looks labels up; keeps the tiles that were looked at last. Parameters as of `locate`."""

    def __init__(self, plan: Plan, finder: SeamFinder, store: LabelStore, painted: Composer | None) -> None:
        self._painted = painted
        self._plan, self._finder, self._grid = plan, finder, plan.grid
        self._read = lru_cache(maxsize=32)(store.read)

    def check(self, edit: Edit) -> Problem | None:
        """Return what is wrong with the points as such."""
        names = [axis.name for axis in self._plan.axes]
        for point in edit.points:
            if len(point) != len(names):
                fix = f"Give {','.join(names)} in voxels"
                return Problem(str(edit), f"{len(point)} numbers for {len(names)} axes", fix)
            if not all(0 <= p < n for p, n in zip(point, self._grid.shape, strict=True)):
                size = " x ".join(map(str, self._grid.shape))
                fix = f"Give {','.join(names)} in voxels of level {self._plan.spec.level}, from 0"
                return Problem(str(edit), f"{_text(point)} lies outside the image of {size}", fix)
        times = [i for i, axis in enumerate(self._plan.axes) if axis.kind == "time"]
        if any(point[i] != edit.points[0][i] for point in edit.points for i in times):
            return Problem(str(edit), "objects of different time points are never one", "Leave it out")
        return None

    def find(self, edit: Edit) -> list[int] | Problem:
        """Return the keys of the labels that lie at the points."""
        keys = []
        for point in edit.points:
            key = self.key(point)
            if key is None:
                where = f"{_text(point)} is background in tile {self._owner(point).number}"
                return Problem(str(edit), where, "Give a voxel inside the object, or leave this edit out")
            keys.append(key)
        return keys

    def check_cut(self, edit: Edit, keys: list[int]) -> Problem | None:
        """Return a problem if tiles see one object where two are asked for."""
        views = []
        for key, other in zip(keys, edit.points[::-1], strict=True):
            tile = self._grid[key >> LABEL_BITS]
            if tile.read.contains(_voxel(other)):
                views.append((self._label(tile, other) == key & LOCAL, tile.number))
        if not views or not all(one for one, _ in views):
            return None
        message = f"tile {views[0][1]} sees one object at both points; a cut parts only what tiles see as two"
        fix = f"Segment that tile again with another method (again {views[0][1]}), or leave this cut out"
        return Problem(str(edit), message, fix)

    def _owner(self, point: tuple[int, ...]) -> Tile:
        index = tuple(p // side for p, side in zip(point, self._grid.tile_shape, strict=True))
        return self._grid[self._grid.number(index)]

    def key(self, point: tuple[int, ...]) -> int | None:
        """Return the key of the label that a point means, None for background."""
        own = self._owner(point)
        shown = []
        for tile in (own, *self._around(own, point)):
            label = self._label(tile, point)
            staged = self._read(tile.number)
            if label and staged and (tile == own or staged.flags[label - 1] & NODE):
                shown.append((tile.number, label, staged))
        if self._painted and shown:
            seen = self._painted.labels(_voxel(point))
            number = 0 if seen is None else int(seen.ravel()[0])
            table = self._painted.solution.table
            same = [entry for entry in shown if number and table(entry[0], entry[2])[entry[1]] == number]
            shown = same or shown
        return (shown[0][0] << LABEL_BITS) + shown[0][1] if shown else None

    def _around(self, own: Tile, point: tuple[int, ...]) -> Iterator[Tile]:
        """Yield the neighbours that see a point, the nearest first."""
        tiles = [self._grid[number] for number in self._finder.others(own)]
        seeing = [tile for tile in tiles if tile.read.contains(_voxel(point))]
        yield from sorted(seeing, key=lambda tile: (_steps(tile, own), tile.number))

    def _label(self, tile: Tile, point: tuple[int, ...]) -> int:
        staged: StagedTile | None = self._read(tile.number)
        if staged is None:
            return 0
        inside = tuple(p - a for p, a in zip(point, tile.read.start, strict=True))
        at = np.ravel_multi_index(inside, staged.shape)
        run = np.searchsorted(np.cumsum(staged.lengths, dtype=np.int64), at, side="right")
        label = int(staged.values[run])
        return label if label <= staged.n_all else 0

    def promoted(self, keys: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return records of those labels that do not take part yet, and the tiles that lose an object."""
        nodes, tiles = [np.zeros(0, node_dtype(self._grid.ndim))], []
        for number in np.unique(keys >> LABEL_BITS).tolist():
            staged = self._read(number)
            assert staged is not None  # its labels were found in it
            labels = (keys[keys >> LABEL_BITS == number] & LOCAL).astype(np.intp)
            inner = labels[(staged.flags[labels - 1] & INTERIOR) > 0]
            if not inner.size:
                continue
            view = self._finder.view(self._grid[number], self._finder.trusted(self._grid[number]))
            nobody = tuple(slice(0, 0) for _ in view.alone)
            found = describe(staged.labels(), replace(view, alone=nobody)).nodes  # neighbours see all
            nodes.append(found[np.isin(found["key"] & LOCAL, inner)])
            kept = self._plan.keep.interior(staged)[inner - 1]
            tiles += [number] * int(kept.sum())
        return np.concatenate(nodes), np.array(tiles, np.int64)


def _voxel(point: tuple[int, ...]) -> Box:
    return Box(point, tuple(p + 1 for p in point))


def _steps(one: Tile, other: Tile) -> int:
    return sum(abs(a - b) for a, b in zip(one.index, other.index, strict=True))


def _text(point: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, point))})"
