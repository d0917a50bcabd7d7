"""From accepted pairs to components of labels, kept apart where they must not be one.

Two labels of one tile cannot be one object if one of them is complete: the tile saw it whole, and saw
that it ends. Where pairs say otherwise, that component alone is built again, best pair first, and the
pairs that break the rule are refused. Knows node numbers only; independent of the order of pairs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.staged import LABEL_BITS, LOCAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

PART = 1 << 20
"""Nodes looked at together, to bound memory."""


@dataclass(frozen=True)
class Edges:
    """Pairs that are one object, unless that breaks a rule.

    Parameters
    ----------
    a, b : ndarray of int64
        Node numbers.
    common, union : ndarray of int64
        Voxels; the ratio says which pair is better.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    common: NDArray[np.int64]
    union: NDArray[np.int64]

    def order(self) -> NDArray[np.intp]:
        """Return the order from the best pair to the worst; ties: larger, lower numbers."""
        iou = self.common / np.maximum(self.union, 1)
        return np.lexsort((self.b, self.a, -self.common, -iou))


def connected(size: int, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Return for each of `size` nodes the number of its component, counted from its lowest node.

    Roots hook onto the lowest root that they have a pair with, all at once, then pairs are contracted
    to roots, until none is left: the number of roots in question halves every time. After Y.
    Shiloach and U. Vishkin, An O(log n) parallel connectivity algorithm, J. Algorithms 3, 57-67 (1982).
    Takes 4 bytes per node and 16 per pair.
    """
    parent = np.arange(size, dtype=np.int32)
    a, b = a.astype(np.int32, copy=False), b.astype(np.int32, copy=False)
    while a.size:
        apart = a != b
        low, high = np.minimum(a[apart], b[apart]), np.maximum(a[apart], b[apart])
        np.minimum.at(parent, high, low)
        while True:
            above = parent[parent[high]]
            if np.array_equal(above, parent[high]):
                break
            parent[high] = above
        a, b = parent[low], parent[high]
    while True:
        above = parent[parent]
        if np.array_equal(above, parent):
            break
        parent = above
    rank = np.cumsum(parent == np.arange(size, dtype=np.int32), dtype=np.int32)
    rank -= 1
    return rank[parent]


def conflicts(
    component: NDArray[np.int32],
    keys: NDArray[np.int64],
    complete: NDArray[np.bool_],
    apart: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which components break a rule.

    Parameters
    ----------
    component : ndarray of int32, shape (n,)
        Component of each node.
    keys : ndarray of int64, shape (n,)
        Keys of the nodes, ascending: labels of a tile lie together.
    complete : ndarray of bool, shape (n,)
        Whether the tile saw the label whole.
    apart : ndarray of int64, shape (m, 2)
        Pairs of nodes that must not be one object.
    """
    count = int(component.max(initial=-1)) + 1
    broken = np.zeros(count, bool)
    start = 0
    while start < keys.size:
        stop = min(start + PART, keys.size)
        stop = int(np.searchsorted(keys, (keys[stop - 1] | LOCAL) + 1))  # whole tiles
        tile = keys[start:stop] >> LABEL_BITS
        part, whole = component[start:stop], complete[start:stop]
        order = np.argsort((tile - tile[0]) * count + part, kind="stable")
        one, two = order[:-1], order[1:]
        twice = (part[one] == part[two]) & (tile[one] == tile[two]) & (whole[one] | whole[two])
        broken[part[one[twice]]] = True
        start = stop
    same = component[apart[:, 0]] == component[apart[:, 1]]
    broken[component[apart[same, 0]]] = True
    return broken


def build_again(
    edges: Edges, keys: NDArray[np.int64], complete: NDArray[np.bool_], apart: NDArray[np.int64]
) -> tuple[dict[int, int], list[int]]:
    """Join nodes by falling quality, refusing what breaks a rule.

    Parameters
    ----------
    edges : Edges
        All pairs of the components in question.
    keys, complete, apart
        As for `conflicts`.

    Returns
    -------
    dict of int to int
        For every node of these pairs the lowest node of its new component.
    list of int
        Positions of the pairs that were refused.
    """
    parts = Parts(keys, complete, apart)
    pairs = list(zip(edges.a.tolist(), edges.b.tolist(), strict=True))
    refused = [at for at in edges.order().tolist() if not parts.join(*pairs[at])]
    return {node: parts.find(node) for node in list(parts.parent)}, refused


class Parts:
    """Components that know the tiles of their members.

    Parameters
    ----------
    keys, complete, apart
        As for `conflicts`.
    """

    def __init__(
        self, keys: NDArray[np.int64], complete: NDArray[np.bool_], apart: NDArray[np.int64]
    ) -> None:
        self.parent: dict[int, int] = {}
        self._keys, self._complete = keys, complete
        self._tiles: dict[int, dict[int, bool]] = {}
        self._enemies: dict[int, set[int]] = defaultdict(set)
        for one, other in apart.tolist():
            self._enemies[one].add(other)
            self._enemies[other].add(one)

    def find(self, node: int) -> int:
        """Return the lowest node of the component."""
        if node not in self.parent:
            self.parent[node] = node
            self._tiles[node] = {int(self._keys[node]) >> LABEL_BITS: bool(self._complete[node])}
        root = node
        while self.parent[root] != root:
            root = self.parent[root]
        while self.parent[node] != root:
            self.parent[node], node = root, self.parent[node]
        return root

    def join(self, one: int, other: int) -> bool:
        """Join two components; return False if that is refused."""
        a, b = sorted((self.find(one), self.find(other)))
        if a == b:
            return True
        if self._clash(a, b):
            return False
        self.parent[b] = a
        many, few = sorted((self._tiles.pop(a), self._tiles.pop(b)), key=len, reverse=True)
        for tile, complete in few.items():
            many[tile] = many.get(tile, False) or complete
        self._tiles[a] = many
        self._enemies[a] |= self._enemies.pop(b, set())
        return True

    def _clash(self, a: int, b: int) -> bool:
        if any(self.find(enemy) == b for enemy in self._enemies.get(a, ())):
            return True
        few, many = sorted((self._tiles[a], self._tiles[b]), key=len)
        return any(tile in many and (complete or many[tile]) for tile, complete in few.items())
