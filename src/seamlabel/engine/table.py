"""The table of objects: sums of every tile's labels, taken with its pixels, added up after the merge.

Tiles that differ from a neighbour are measured again as they were painted, with their pixels, so that
the table is always that of the final labels. Knows no files of tables.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.reopen import reopen
from seamlabel.errors import Problem, SpecError
from seamlabel.io.tables import check_table, write_table
from seamlabel.kernels.measure import LabelSums, combine, measure_runs, sum_type
from seamlabel.kernels.objects import object_table
from seamlabel.kernels.relabel import run_starts
from seamlabel.staged import LABEL_BITS, LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from seamlabel.engine.compose import Composer
    from seamlabel.engine.tasks import TaskQueue
    from seamlabel.geometry import Box, Tile
    from seamlabel.io.records import RecordFile
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan
    from seamlabel.staged import StagedTile

Table = dict[str, "NDArray[Any]"]
"""Columns by name, see `object_table`."""
FOLD = 1 << 17
"""Rows that are gathered at least before they are added up."""


class ObjectTable:
    """Makes the table of one run.

    Parameters
    ----------
    plan : Plan
        What is done.
    source : Source
        The image.
    on_table : callable, optional
        Called with the table in the end.

    Raises
    ------
    OutputError
        If the table that the plan asks for cannot be written.
    """

    def __init__(self, plan: Plan, source: Source, on_table: Callable[[Table], None] | None = None) -> None:
        if plan.spec.table:
            check_table(plan.spec.table)
        self._plan, self._source, self._on_table = plan, source, on_table
        self._n_channels = max(1, len(plan.channels))
        self.dtype = sums_dtype(plan.grid.ndim, self._n_channels, np.dtype(plan.info.dtype))
        self._totals = Totals()
        self._records: RecordFile | None = None

    def use(self, records: RecordFile | None) -> None:
        """Take sums of tiles from this file, of type `dtype`; without, tiles are measured when painted."""
        self._records = records

    def measure(self, tile: Tile, staged: StagedTile, image: NDArray[Any] | None) -> NDArray[Any]:
        """Return the sums of a tile's labels in its core; runs in workers.

        Parameters
        ----------
        tile : Tile
            The tile.
        staged : StagedTile
            Its labels.
        image : ndarray or None
            The pixels of its read box, in the chosen channels; read here if they are not given.
        """
        core = tile.core.relative_to(tile.read).slices
        starts = np.cumsum(staged.lengths) - staged.lengths
        pixels = self._pixels(tile.read, image)
        sums = measure_runs(starts, staged.values, staged.shape, tile.read.start, core, pixels)
        found = np.zeros(sums.label.size, self.dtype)
        found["key"] = (np.int64(tile.number) << LABEL_BITS) + sums.label
        for name in _COLUMNS:
            found[name] = getattr(sums, name)
        return found

    def _pixels(self, box: Box, image: NDArray[Any] | None = None) -> NDArray[Any]:
        pixels = self._source.read(box) if image is None else image
        return pixels.reshape(self._n_channels, *box.shape)

    def fill(self, composer: Composer, queue: TaskQueue) -> Iterator[None]:
        """Add up all sums by object, a bit at a time; `columns` has them then."""
        region = self._plan.region
        differ = np.union1d(composer.solution.unclean[:, 0], region.beyond)
        changed = any(not step.splits for step in self._plan.steps)
        if self._records is None or changed:
            differ = np.union1d(np.flatnonzero(region.tiles), region.beyond)
        for number, sums in () if changed else self._tiles():
            staged = composer.staged(number)
            if staged is None or composer.solution.differing(number).size:
                continue
            ids = composer.solution.table(number, staged)[sums.label]
            self._totals.add(replace(one := combine([sums], [ids]), parts=np.ones_like(one.area)))
            yield
        tasks = ((("measure", n), self._painted, (composer, n)) for n in differ.tolist())
        for ended in queue.drain(tasks):
            if ended is not None and (found := ended[1].result()) is not None:
                self._totals.add(found)
            yield

    def _tiles(self) -> Iterator[tuple[int, LabelSums]]:
        """Yield the sums of every tile that was measured, named by plain labels."""
        rest = np.zeros(0, self.dtype)
        for chunk in self._records.chunks() if self._records else ():
            found = np.concatenate([rest, chunk])
            begin = np.flatnonzero(np.diff(found["key"] >> LABEL_BITS, prepend=-1))
            rest = found[begin[-1] :]  # the last tile may go on
            for low, high in pairwise(begin):
                yield _one_tile(found[low:high])
        if rest.size:
            yield _one_tile(rest)

    def _painted(self, composer: Composer, number: int) -> LabelSums | None:
        """Return the sums of a tile's core as it is painted; None if nothing is."""
        core = composer.grid[number].core
        labels = composer.labels(core)
        if labels is None or not labels.any():
            return None
        flat = np.ascontiguousarray(labels).ravel()
        starts = run_starts(flat)
        return measure_runs(starts, flat[starts], core.shape, core.start, pixels=self._pixels(core))

    def columns(self) -> Table:
        """Return the table, once it is filled."""
        plan = self._plan
        sums = self._totals.sums(_sums(np.zeros(0, self.dtype)))
        joined = plan.joined
        return object_table(
            sums,
            plan.grid.shape,
            [axis.name for axis in plan.axes],
            space=tuple(tiled or axis == plan.linked for axis, tiled in enumerate(joined)),
            border=joined,
            scale=plan.scale,
            channels=[plan.info.channels[i] for i in plan.channels] if plan.info.channels else self._names(),
        )

    def _names(self) -> list[str]:
        return [f"channel{i}" for i in self._plan.channels] or ["intensity"]

    def hand_over(self) -> None:
        """Write the table where the plan wants it, and give it to who asked for it."""
        columns = self.columns()
        if self._plan.spec.table:
            write_table(self._plan.spec.table, columns)
        if self._on_table:
            self._on_table(columns)


def table_again(
    plan: Plan, image: Any, on_table: Callable[[Table], None] | None = None
) -> ObjectTable | None:
    """Return what makes the table of a run anew; None if nobody wants one.

    Raises
    ------
    SpecError
        If the image was an array and is not given: its pixels are needed; or if another is given.
    """
    if plan.spec.table is None and on_table is None:
        return None
    source = reopen(plan, image)
    if source is None:
        fix = "Give the array, as image; or table=False"
        raise SpecError([Problem("image", "the table of objects needs its pixels", fix)])
    return ObjectTable(plan, source, on_table)


_COLUMNS = tuple(field.name for field in fields(LabelSums) if field.name not in ("label", "parts"))


def sums_dtype(ndim: int, n_channels: int, pixel: np.dtype[Any]) -> np.dtype[Any]:
    """Return the record of a label's sums in one tile's core, in image coordinates."""
    per_axis = [(name, "<i8", (ndim,)) for name in ("start", "stop", "moment")]
    channels = (n_channels,)
    total = ("total", np.dtype(sum_type(pixel)), channels)
    ends = [("least", pixel, channels), ("most", pixel, channels)]
    return np.dtype([("key", "<i8"), ("area", "<i8"), *per_axis, total, *ends])


def no_sums(ndim: int, n_channels: int, pixel: np.dtype[Any]) -> LabelSums:
    """Return the sums of no object, to begin with."""
    return _sums(np.zeros(0, sums_dtype(ndim, n_channels, pixel)))


def _one_tile(found: NDArray[Any]) -> tuple[int, LabelSums]:
    """Return a tile's number and its sums."""
    return int(found["key"][0] >> LABEL_BITS), _sums(found)


def _sums(found: NDArray[Any]) -> LabelSums:
    """Return the sums of one tile, named by plain labels."""
    columns = {name: found[name] for name in _COLUMNS}
    return LabelSums(label=found["key"] & LOCAL, parts=np.ones(found.size, np.int64), **columns)


class Totals:
    """Sums by object, added up whenever as much is new as was there."""

    def __init__(self) -> None:
        self._parts: list[LabelSums] = []
        self._rows = 0
        self._limit = FOLD

    def add(self, sums: LabelSums) -> None:
        """Take in sums, named by final ids."""
        self._parts.append(sums)
        self._rows += sums.label.size
        if self._rows > self._limit:
            self._parts = [combine(self._parts)]
            self._rows = self._parts[0].label.size
            self._limit = max(FOLD, 2 * self._rows)

    def sums(self, nothing: LabelSums) -> LabelSums:
        """Return the sums of all objects; `nothing` has their columns."""
        return combine([nothing, *self._parts])
