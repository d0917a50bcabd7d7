"""What the merge did and doubted, as data: counts of everything, places of the most doubtful.

Collected while pairs are judged, so that nothing is looked at twice. Knows keys and boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.kernels.components import Edges
    from seamlabel.kernels.views import Objects
    from seamlabel.protocols import SeamRule

MOST = 10_000
"""Places kept of each kind; counts are of all."""
DOUBT = 0.3
"""How far from the threshold a pair is still doubtful, in intersection over union."""

JUDGED = np.dtype([("a", "<i8"), ("b", "<i8"), ("iou", "<f4"), ("joined", "?")])


@dataclass(frozen=True)
class MergeReport:
    """What happened at the seams.

    Labels are named by keys, ``tile << 32 | label``. Lists hold at most 10,000 entries.

    Parameters
    ----------
    n_compared, n_joined : int
        Pairs of pieces that share voxels and fit each other best; those that the rule took for one.
    n_labels, n_objects : int
        Labels that neighbours may see, and the objects that they became.
    n_refused, n_dropped, n_absorbed, n_incomplete : int
        Pairs that were not joined although the rule holds, because one tile saw two objects; objects
        that the tile with the better view does not have; remnants of other objects; objects that no
        tile sees whole.
    doubtful, refused : structured ndarray
        Pairs ``a, b, iou, joined``, the most doubtful first.
    dropped, absorbed, incomplete : structured ndarray
        ``key, start, stop``: a label of the object and its box in the image, in voxels.
    """

    n_compared: int
    n_joined: int
    n_labels: int
    n_objects: int
    n_refused: int
    n_dropped: int
    n_absorbed: int
    n_incomplete: int
    doubtful: NDArray[Any]
    refused: NDArray[Any]
    dropped: NDArray[Any]
    absorbed: NDArray[Any]
    incomplete: NDArray[Any]

    def __repr__(self) -> str:
        """Return counts on one line; the lists are attributes."""
        return f"MergeReport({self.summary}, {self.n_incomplete:,} incomplete)"

    @property
    def summary(self) -> str:
        """What happened, in words, such as ``195 joined of 195 pairs, 0 refused, …``."""
        more = " or more" if self.doubtful.size == MOST else ""
        counts = (
            f"{self.n_joined:,} joined of {self.n_compared:,} pair{'s' * (self.n_compared != 1)}",
            f"{self.n_refused:,} refused",
            f"{self.n_dropped:,} dropped",
            f"{self.n_absorbed:,} absorbed",
            f"{self.doubtful.size:,}{more} doubtful",
        )
        return ", ".join(counts)

    @property
    def counts(self) -> dict[str, int]:
        """All numbers, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name.startswith("n_")}

    def needed_overlap(self, radius: int = 0) -> int:
        """Return the overlap with which some tile would see whole nine of ten incomplete objects.

        An object of extent D lies whole in the tile that it is centred in if the overlap is at least
        ``radius + ceil(D / 2)``; 0 if there is none.
        """
        if not self.incomplete.size:
            return 0
        extent = (self.incomplete["stop"] - self.incomplete["start"]).max(axis=1)
        return radius + int(np.ceil(np.percentile(extent, 90) / 2))


class Reporter:
    """Gathers a `MergeReport` while the merge goes on.

    Parameters
    ----------
    rule : SeamRule
        Judges pairs; its ``threshold``, where it has one, says which are doubtful.
    keys : ndarray of int64
        Keys of all labels, ascending.
    """

    def __init__(self, rule: SeamRule, keys: NDArray[np.int64]) -> None:
        self._threshold = float(getattr(rule, "threshold", 0.5))
        self._keys = keys
        self._counts = {"n_compared": 0, "n_joined": 0, "n_refused": 0, "n_labels": keys.size}
        self._doubtful = np.zeros(0, JUDGED)
        self._refused = np.zeros(0, JUDGED)
        self._gone: dict[str, NDArray[np.int64]] = {}
        self._places: dict[str, NDArray[Any]] = {}

    def judged(self, chunk: NDArray[Any], good: NDArray[np.bool_]) -> None:
        """Take note of pairs and of which of them the rule took for one object."""
        best = chunk["mutual"] == 1
        self._counts["n_compared"] += int(best.sum())
        self._counts["n_joined"] += int(good.sum())
        union = chunk["one"].astype(np.int64) + chunk["other"] - chunk["common"]
        iou = chunk["common"] / np.maximum(union, 1)
        doubtful = best & (iou < 1) & (np.abs(iou - self._threshold) < DOUBT)
        found = _judged(chunk["a"], chunk["b"], iou, good)[doubtful]
        self._doubtful = self._worst(np.concatenate([self._doubtful, found]))

    def _worst(self, pairs: NDArray[Any]) -> NDArray[Any]:
        order = np.lexsort((pairs["b"], pairs["a"], np.abs(pairs["iou"] - self._threshold)))
        return pairs[order[:MOST]]

    def refuse(self, edges: Edges, refused: list[int]) -> None:
        """Take note of pairs that were not joined although the rule holds."""
        self._counts["n_refused"] = len(refused)
        at = np.array(refused[:MOST], np.intp)
        iou = edges.common[at] / np.maximum(edges.union[at], 1)
        self._refused = _judged(
            self._keys[edges.a[at]], self._keys[edges.b[at]], iou, np.zeros(at.size, bool)
        )

    def dropped(self, objects: NDArray[np.int64]) -> None:
        """Take note of objects that a better view denies."""
        self._gone["dropped"] = objects

    def absorbed(self, objects: NDArray[np.int64]) -> None:
        """Take note of remnants of other objects."""
        self._gone["absorbed"] = objects

    def finish(self, objects: Objects, kept: NDArray[np.bool_]) -> None:
        """Take note of the objects that came out."""
        self._counts["n_objects"] = int(kept.sum())
        whole = objects.owner < self._keys.size
        cut = np.ones(objects.size, bool)
        cut[objects.component[objects.complete]] = False
        self._gone["incomplete"] = np.flatnonzero(kept & ~whole & cut & objects.answered)
        for kind in ("dropped", "absorbed", "incomplete"):
            found = self._gone.get(kind, np.zeros(0, np.int64))
            self._counts[f"n_{kind}"] = found.size
            self._places[kind] = self._place(objects, found[:MOST])

    def _place(self, objects: Objects, which: NDArray[np.int64]) -> NDArray[Any]:
        ndim = objects.start.shape[1]
        places = np.zeros(which.size, [("key", "<i8"), ("start", "<i4", (ndim,)), ("stop", "<i4", (ndim,))])
        places["key"] = self._keys[objects.lowest[which]]
        places["start"], places["stop"] = objects.start[which], objects.stop[which]
        return places

    def report(self) -> MergeReport:
        """Return what was gathered."""
        values: dict[str, Any] = {**self._counts, **self._places}
        return MergeReport(**values, doubtful=self._doubtful, refused=self._refused)


def _judged(a: Any, b: Any, iou: Any, joined: Any) -> NDArray[Any]:
    pairs = np.zeros(len(a), JUDGED)
    for name, column in zip(JUDGED.names or (), (a, b, iou, joined), strict=True):
        pairs[name] = column
    return pairs
