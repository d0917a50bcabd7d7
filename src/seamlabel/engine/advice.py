"""What a merge says of the tiles: whether a larger overlap would let them see more objects whole."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from seamlabel.engine.seams import SeamFinder
from seamlabel.kernels.views import ENOUGH_MARGIN

if TYPE_CHECKING:
    from seamlabel.kernels.report import MergeReport
    from seamlabel.plan import Plan

MOST = 0.9
"""Part of the objects that the overlap is to be large enough for."""


@dataclass(frozen=True)
class Need:
    """What a larger overlap would give.

    Parameters
    ----------
    n_objects : int
        Objects that no tile sees whole, and that would fit into one.
    overlap : int
        With which nine of ten of them are seen whole.
    """

    n_objects: int
    overlap: int


def overlap_need(plan: Plan, report: MergeReport) -> Need | None:
    """Return the overlap that objects need which are whole in no tile; None if it would change nothing.

    An object of extent D lies whole in the tile that it is centred in if the overlap is at least
    ``radius + ceil(D / 2)``. Objects that no tile can hold are no reason for another overlap;
    nor is any, where the method's reach is known and the overlap is larger: the labels are exact then.
    """
    grid = plan.grid
    cut = np.array([n > 1 and joined for n, joined in zip(grid.counts, plan.joined, strict=True)])
    if not plan.spec.merge.overlapping or not report.incomplete.size or not cut.any():
        return None
    radius = SeamFinder.of(plan).radius
    least = min(n for n, crossed in zip(grid.overlap, cut, strict=True) if crossed)
    if radius is not None and least > radius:
        return None
    margin = np.ceil(np.array(grid.overlap) * ENOUGH_MARGIN)
    room = np.where(cut, np.array(grid.read_shape) - 2 * margin, grid.shape)
    extent = report.incomplete["stop"] - report.incomplete["start"]
    fits = extent[(extent <= room).all(axis=1)][:, cut]
    if not len(fits):
        return None
    needed = ceil(np.quantile(fits.max(axis=1), MOST) / 2) + (radius or 0)
    return Need(len(fits), needed) if needed > least else None


def overlap_advice(plan: Plan, report: MergeReport) -> str:
    """Return a sentence if `overlap_need` finds that a larger overlap would help; else nothing."""
    need = overlap_need(plan, report)
    if need is None:
        return ""
    objects = f"{need.n_objects:,} object{'s' * (need.n_objects != 1)}"
    return f"overlap too small for {objects} that no tile sees whole: use >= {need.overlap}"
