"""The whole image segmented at once, without tiles: what tiled results are measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seamlabel.engine.label_steps import in_tile, painted
from seamlabel.engine.segment import NoStore, TileJob
from seamlabel.geometry import Box
from seamlabel.kernels.holes import background_pieces

if TYPE_CHECKING:
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan
    from seamlabel.protocols import Labels


def whole_image_labels(plan: Plan, source: Source) -> Labels:
    """Return what the plan's backend gives on the whole image at once, with the same statistics.

    What tiled results are measured against; needs the image in memory. For images without time, not
    for planes.
    """
    job = TileJob(plan, source, NoStore())
    image = source.read(Box.whole(plan.grid.shape))
    labels = in_tile(np.asarray(job.make_segmenter()(image)), plan)
    if plan.spec.fill_holes:
        whole = tuple(slice(0, n) for n in labels.shape)
        labels = background_pieces(labels, whole, [(True, True)] * labels.ndim, whole).labels
    if plan.keep.removes:
        at_border = np.zeros(int(labels.max(initial=0)) + 1, bool)
        for axis in range(labels.ndim):
            at_border[np.take(labels, (0, -1), axis)] = True
        kept = plan.keep.keeps(np.bincount(labels.ravel()), at_border)
        labels = np.where(kept[labels], labels, 0)
    return painted(labels, plan)
