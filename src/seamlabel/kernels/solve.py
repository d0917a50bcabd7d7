"""The merge: from the labels and pairs that tiles report to objects. Touches no voxel.

Labels and pairs come in chunks, several times over, so that they may lie on disk: memory is about 40
bytes per label that neighbours may see. The result depends on what is reported, not on its order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from seamlabel.kernels.components import Edges, build_again, conflicts, connected
from seamlabel.kernels.fill import fill
from seamlabel.kernels.groups import grouped
from seamlabel.kernels.remnants import absorb, hidden
from seamlabel.kernels.report import MergeReport, Reporter
from seamlabel.kernels.solution import FOLLOWS, PART_OF, WHOLE, Solution, final_ids
from seamlabel.kernels.views import Objects
from seamlabel.staged import COMPLETE, ObjectFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.geometry import TileGrid
    from seamlabel.protocols import SeamRule

NO_PAIRS = np.zeros((0, 2), np.int64)


class Records(Protocol):
    """Structured arrays that can be read in chunks, as often as wanted."""

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield them in some order."""
        ...


@dataclass(frozen=True)
class Edits:
    """What somebody decided by hand; labels are named by keys.

    Parameters
    ----------
    together, apart : ndarray of int64, shape (n, 2)
        Labels that are one object, and that are not.
    removed : ndarray of int64, shape (n,)
        Labels whose whole object is removed.
    """

    together: NDArray[np.int64] = field(default_factory=lambda: NO_PAIRS)
    apart: NDArray[np.int64] = field(default_factory=lambda: NO_PAIRS)
    removed: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class MergeInput:
    """Everything that the merge depends on.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    nodes : Records of `node_dtype`
        Labels that neighbours may see.
    rows : Records of `ROW`
        What they have in common.
    unclean : ndarray of int64, shape (n, 2)
        Pairs of tiles, lower number first, that differ in labels that take part.
    interior : ndarray of int64, shape (n_tiles,)
        Objects that each tile has alone and that `keep` keeps.
    rule : SeamRule
        Judges pairs of pieces.
    whole : bool
        Whether an object is painted as the tile shows it that sees it best; for rules that compare
        the same voxels.
    z_link : float or None
        Least intersection over union of objects of neighbouring planes that are one.
    keep : ObjectFilter
        Which objects are kept.
    edits : Edits
        What was decided by hand.
    holes : Records of `HOLE`, optional
        Pieces of background; without them no hole is filled.
    asked : ndarray of bool, shape (n_tiles,), optional
        Which tiles were segmented: others deny nothing. All by default.
    """

    grid: TileGrid
    nodes: Records
    rows: Records
    unclean: NDArray[np.int64]
    interior: NDArray[np.int64]
    rule: SeamRule
    whole: bool = True
    z_link: float | None = None
    keep: ObjectFilter = field(default_factory=ObjectFilter)
    edits: Edits = field(default_factory=Edits)
    holes: Records | None = None
    asked: NDArray[np.bool_] | None = None


def solve(given: MergeInput) -> tuple[Solution, MergeReport]:
    """Decide which labels are one object, which version of it is painted, and all final ids.

    Returns
    -------
    Solution
        Ids and roles.
    MergeReport
        What was joined, refused, dropped and doubtful.
    """
    keys, complete = _nodes(given)
    reporter = Reporter(given.rule, keys)
    component = _components(given, keys, complete, reporter)
    sizes = given.keep.removes or given.z_link is not None
    objects = Objects.of(given.grid, keys, complete, component, sizes)
    objects.asked = given.asked
    for chunk in given.nodes.chunks():
        objects.measure(chunk)
    if given.whole:
        _choose_owners(given, objects, reporter)
    groups = grouped(given, objects)
    fills = fill(given.holes, objects, groups)
    kept = objects.kept(given.keep, groups, fills.sizes(objects.size))
    removed = groups[component[np.searchsorted(keys, given.edits.removed)]]
    kept &= ~np.isin(groups, removed)
    reporter.finish(objects, kept)
    objects.forget_boxes()
    return fills.finish(_number(given, objects, kept, groups)), reporter.report()


def _nodes(given: MergeInput) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the keys of all labels, ascending, and which of them their tiles see whole."""
    keys = np.empty(sum(chunk.size for chunk in given.nodes.chunks()), np.int64)
    at = 0
    for chunk in given.nodes.chunks():
        keys[at : at + chunk.size] = chunk["key"]
        at += chunk.size
    keys.sort()
    complete = np.zeros(keys.size, bool)
    for chunk in given.nodes.chunks() if given.whole else ():
        complete[np.searchsorted(keys, chunk["key"])] = (chunk["flags"] & COMPLETE) > 0
    return keys, complete


def _components(
    given: MergeInput, keys: NDArray[np.int64], complete: NDArray[np.bool_], reporter: Reporter
) -> NDArray[np.int32]:
    """Return the component of every label, counted from its lowest."""
    component = connected(keys.size, *_pairs(given, keys, reporter))
    apart = np.searchsorted(keys, given.edits.apart)
    broken = conflicts(component, keys, complete, apart)
    if not broken.any():
        return component
    edges = _edges(given, keys, component, broken)
    roots, refused = build_again(edges, keys, complete, apart)
    reporter.refuse(edges, refused)
    return _replaced(component, broken, roots)


def _pairs(
    given: MergeInput, keys: NDArray[np.int64], reporter: Reporter
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the pairs of nodes that the rule takes for one object."""
    ones, others = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for chunk in given.rows.chunks():
        good = _accepted(given.rule, chunk)
        reporter.judged(chunk, good)
        ones.append(np.searchsorted(keys, chunk["a"][good]).astype(np.int32))
        others.append(np.searchsorted(keys, chunk["b"][good]).astype(np.int32))
    return np.concatenate(ones), np.concatenate(others)


def _accepted(rule: SeamRule, chunk: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows say that two labels are one object."""
    good: NDArray[np.bool_] = chunk["mutual"] == 1
    counts = (chunk[name][good].astype(np.int64) for name in ("common", "one", "other"))
    good[good] = rule(*counts)
    return good


def _columns(chunk: NDArray[Any]) -> NDArray[np.int64]:
    return np.stack([chunk["a"], chunk["b"]], axis=1)


def _edges(
    given: MergeInput, keys: NDArray[np.int64], component: NDArray[np.int32], broken: NDArray[np.bool_]
) -> Edges:
    """Return all pairs of the components that have to be built again."""
    parts = [(NO_PAIRS, NO_PAIRS)]
    for chunk in given.rows.chunks():
        found = chunk[_accepted(given.rule, chunk)]
        nodes = np.searchsorted(keys, _columns(found))
        chosen = broken[component[nodes[:, 0]]]
        found, nodes = found[chosen], nodes[chosen]
        common = found["common"].astype(np.int64)
        union = found["one"].astype(np.int64) + found["other"] - common
        parts.append((nodes, np.stack([common, union], axis=1)))
    nodes, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Edges(nodes[:, 0], nodes[:, 1], counts[:, 0], counts[:, 1])


def _replaced(
    component: NDArray[np.int32], broken: NDArray[np.bool_], roots: dict[int, int]
) -> NDArray[np.int32]:
    """Return components with the broken ones replaced, counted anew from their lowest nodes."""
    _, first = np.unique(component, return_index=True)
    lowest = first[component]
    for node in np.flatnonzero(broken[component]).tolist():
        lowest[node] = roots.get(node, node)
    return np.unique(lowest, return_inverse=True)[1].astype(np.int32)


def _choose_owners(given: MergeInput, objects: Objects, reporter: Reporter) -> None:
    """Decide which tile's version of each object is painted, and what a better view denies."""
    for chunk in given.nodes.chunks():
        objects.compare(chunk)
    keys = objects.keys
    objects.spared[objects.component[np.searchsorted(keys, given.edits.apart)]] = True
    if given.unclean.size:
        for chunk in given.rows.chunks():
            found = chunk[_accepted(given.rule, chunk)]
            union = found["one"].astype(np.int64) + found["other"] - found["common"]
            objects.disagree(objects.component[np.searchsorted(keys, found["a"])], found["common"] / union)
    reporter.dropped(objects.drop())
    if given.unclean.size:
        reporter.absorbed(absorb(given, objects))


def _number(
    given: MergeInput, objects: Objects, kept: NDArray[np.bool_], groups: NDArray[np.int32]
) -> Solution:
    """Give final ids, and say who paints what."""
    keys = objects.keys
    leading = np.full(objects.size, keys.size, np.int32)
    np.minimum.at(leading, groups[kept], objects.lowest[kept])
    alive = np.flatnonzero(leading < keys.size).astype(np.int32)
    alive = alive[np.argsort(leading[alive], kind="stable")]
    ids, base, count = final_ids(keys, leading[alive], given.interior)
    of_group = np.zeros(objects.size, ids.dtype)
    of_group[alive] = ids
    del ids, leading, alive
    of_object = np.where(kept, of_group[groups], of_group.dtype.type(0))
    roles, owner = _roles(given, objects)
    both = np.concatenate([given.unclean, given.unclean[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return Solution(base, keys, of_object[objects.component], roles, owner, both, count, given.keep)


def _roles(given: MergeInput, objects: Objects) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return whose version counts, where versions differ at all; empty if they nowhere do."""
    if not given.whole or not given.unclean.size:
        return np.zeros(0, np.uint8), np.zeros(0, np.int32)
    size = objects.keys.size
    roles = np.zeros(size, np.uint8)
    node = objects.owner[objects.component]
    owned = node < size
    mine = owned & (node == np.arange(size))
    roles[mine] = WHOLE
    roles[~owned & ~objects.complete] = PART_OF
    roles[hidden(given, objects, roles)] = 0
    other = np.flatnonzero(owned & ~mine)
    tile, owner = objects.tile(other), objects.tile(node[other])
    pair = np.minimum(tile, owner) * len(given.grid) + np.maximum(tile, owner)
    differ = np.isin(pair, given.unclean[:, 0] * len(given.grid) + given.unclean[:, 1])
    roles[other[differ]] = FOLLOWS
    owners = np.full(size, -1, np.int32)
    owners[other[differ]] = owner[differ]
    return roles, owners
