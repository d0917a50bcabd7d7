"""Measures labels that are written already, a box at a time; nothing is segmented and no label changes.

Gives the table that a run makes while its tiles are in memory (`seamlabel.engine.table`). Knows no files
of tables.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.executors import make_executor
from seamlabel.engine.reopen import reopen
from seamlabel.engine.table import Totals, no_sums
from seamlabel.engine.tasks import TaskQueue
from seamlabel.errors import ImageError, Problem, SpecError
from seamlabel.geometry import TileGrid
from seamlabel.io.sources import open_labels
from seamlabel.kernels.measure import LabelSums, measure_runs
from seamlabel.kernels.objects import object_table
from seamlabel.kernels.relabel import run_starts

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from seamlabel.engine.table import Table
    from seamlabel.geometry import Box
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan

BOX_VOXELS = 1 << 22
"""Of the boxes that are measured one by one where there are no tiles."""
WORKERS = 2

if TYPE_CHECKING:
    Measuring = Generator[tuple[int, int], None, Table]
    """Yields (boxes done, boxes), several times a second; returns the table. Closing it cancels."""


@dataclass(frozen=True)
class Measured:
    """What the columns of a table say, and of what.

    Parameters
    ----------
    grid : TileGrid
        The boxes: cores of tiles.
    space, border : sequence of bool
        Which label axes objects extend along, and along which the image's border counts.
    seams : bool
        Whether these are tiles of a run, so that objects in two of them lie at a seam.
    """

    grid: TileGrid
    space: Sequence[bool]
    border: Sequence[bool]
    seams: bool


def measure_run(plan: Plan, path: str, image: Any = None, workers: int = WORKERS) -> Measuring:
    """Measure the labels that a run wrote.

    Parameters
    ----------
    plan : Plan
        Of the run.
    path : str
        The label group.
    image : array-like, str or path, optional
        The image, if it is an array or not where the run found it.
    workers : int
        Boxes at once.

    Raises
    ------
    SpecError
        If the run was of an array that is not given, or another image is given.
    ImageError
        If image or labels cannot be read.
    """
    source = reopen(plan, image)
    if source is None:
        fix = "Open the image again, and segment it again to measure"
        raise SpecError([Problem("image", "measuring needs the image, which was not saved anywhere", fix)])
    space = tuple(tiled or axis == plan.linked for axis, tiled in enumerate(plan.joined))
    return measure_labels(path, source, Measured(plan.grid, space, plan.joined, True), workers)


def measure_labels(
    path: str, source: Source, how: Measured | None = None, workers: int = WORKERS
) -> Measuring:
    """Measure labels, with the pixels of an image, in memory for a few boxes and the table.

    Parameters
    ----------
    path : str
        The label group; its level is that of the source.
    source : Source
        The image; closed in the end.
    how : Measured, optional
        The boxes; by default about `BOX_VOXELS` large, of whole chunks.
    workers : int
        Boxes at once.

    Raises
    ------
    ImageError
        If there are no labels, or they do not belong to the image; or if something cannot be read.
    """
    with closing(source):
        labels = _labels(path, source)
        what = how or _everything(source, labels)
        totals, done, total = Totals(), 0, len(what.grid)
        pool = make_executor("threads", workers)
        try:
            queue = TaskQueue(pool, 2 * workers)
            tasks = (((n,), _sums, (labels, source, what.grid[n].core)) for n in range(total))
            yield 0, total
            for ended in queue.drain(tasks):
                if ended is not None:
                    done += 1
                    if (sums := ended[1].result()) is not None:
                        totals.add(sums)
                yield done, total
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return _table(totals, source, what)


def _labels(path: str, source: Source) -> Any:
    """Return the array of the source's level, if it has its shape."""
    levels = open_labels(path)
    shapes = [source.info.label_values(level.shape) for level in source.info.levels]
    if source.level >= len(levels) or tuple(levels[source.level].shape) != shapes[source.level]:
        found = ", ".join(" x ".join(map(str, level.shape)) for level in levels)
        wanted = " x ".join(map(str, shapes[source.level]))
        msg = f"the labels {os.path.basename(path)} have the shape {found}, the image has {wanted}"
        raise ImageError(msg, "Give labels of this image, or another level of it")
    return levels[source.level]


def _everything(source: Source, labels: Any) -> Measured:
    """Return boxes over all of the labels, and what the image says of its axes."""
    shape = tuple(labels.shape)
    box = [min(c, n) for c, n in zip(labels.chunks, shape, strict=True)]
    for axis in reversed(range(len(box))):
        more = max(1, BOX_VOXELS // prod(box))
        box[axis] = min(shape[axis], box[axis] * more)
    space = tuple(source.info.axes[i].kind == "space" for i in source.info.label_axes)
    return Measured(TileGrid(shape, tuple(box), (0,) * len(shape)), space, space, False)


def _sums(labels: Any, source: Source, box: Box) -> LabelSums | None:
    """Return the sums of the labels in a box; None, and nothing of the image is read, if there are none."""
    flat = np.ascontiguousarray(labels[box.slices]).ravel()
    if not flat.any():
        return None
    starts = run_starts(flat)
    pixels = source.read(box).reshape(max(1, len(source.channels)), *box.shape)
    return measure_runs(starts, flat[starts], box.shape, box.start, pixels=pixels)


def _table(totals: Totals, source: Source, what: Measured) -> Table:
    info = source.info
    nothing = no_sums(what.grid.ndim, max(1, len(source.channels)), np.dtype(info.dtype))
    names = [info.channels[i] for i in source.channels] if info.channels else _names(source)
    table = object_table(
        totals.sums(nothing),
        what.grid.shape,
        [info.axes[i].name for i in info.label_axes],
        space=what.space,
        border=what.border,
        scale=info.label_values(info.levels[source.level].scale),
        channels=names,
    )
    if not what.seams:
        del table["at_seam"]
    return table


def _names(source: Source) -> list[str]:
    return [f"channel{i}" for i in source.channels] or ["intensity"]
