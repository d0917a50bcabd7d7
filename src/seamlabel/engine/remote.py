"""Tiles segmented in other processes: what a worker gets, does and gives back.

A worker gets the job once, and then numbers. It stages a tile, then compares it with every neighbour
that it finds staged; of two neighbours that are under way together at least the later one finds the
other. What it read of a neighbour it names by size and CRC-32, so that the coordinator knows whether
that is the version that counts. Knows no executors, and not which tiles are done.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudpickle

from seamlabel.engine.compare import EMPTY, Compared, Comparer, Side, matter_of
from seamlabel.engine.failure import Failure, failure_of
from seamlabel.engine.front import arrival_of
from seamlabel.engine.segment import DURABLE_SECONDS, Segmented, TileJob, TileRecord
from seamlabel.engine.table import ObjectTable
from seamlabel.errors import BackendError, OutputError
from seamlabel.functions import is_installed
from seamlabel.io.sources import open_source
from seamlabel.io.staging import StagingStore

if TYPE_CHECKING:
    from collections.abc import Collection

    from seamlabel.geometry import Tile
    from seamlabel.plan import Plan
    from seamlabel.protocols import Segmenter, Statistics

    Stamp = tuple[int, int]


class Met(NamedTuple):
    """A neighbour that a tile was compared with: size and CRC-32 of both as they were, and what came out."""

    mine: Stamp
    theirs: Stamp
    found: Compared


@dataclass(frozen=True)
class RemoteRecord:
    """What the coordinator is told of a tile: of itself, and of the neighbours that it met."""

    record: TileRecord
    met: dict[int, Met] = field(default_factory=dict)


@dataclass(frozen=True)
class Payload:
    """What a worker needs to segment tiles of one run.

    Parameters
    ----------
    plan : Plan
        What to do.
    image : str or array
        The image: a path, or an array that passes no pixels when it is pickled.
    segmenter : callable, optional
        Used instead of the plan's backend.
    mask : array, optional
        What to skip by, where the plan has no path of it.
    staging : str
        Folder of the staged tiles.
    table : bool
        Whether labels are measured.
    known : dict of Statistics
        Image-wide statistics that were taken already.
    cache_bytes : int
        For decoded chunks.
    method : str
        Digest of the code of the plan's function.
    """

    plan: Plan
    image: Any
    segmenter: Segmenter | None
    mask: Any
    staging: str
    table: bool
    known: dict[Any, Statistics]
    cache_bytes: int
    method: str = ""

    def pack(self) -> bytes:
        """Return it as bytes; a function of a module that is not installed goes along with its code.

        Raises
        ------
        BackendError
            If it holds what only this process can use, such as a lock or an open file.
        """
        own = _inner(self.segmenter or self.plan.backend.own)
        module = sys.modules.get(getattr(own, "__module__", None) or "")
        by_value = not (module is None or module.__name__ == "__main__" or is_installed(module))
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        try:
            packed: bytes = cloudpickle.dumps(self)
        except Exception as error:  # objects raise what they like when pickled
            msg = f"the method cannot be handed to other processes: {type(error).__name__}: {error}"
            hint = "Let it make locks, files and models when it is first called; or use threads"
            raise BackendError(msg, hint) from error
        finally:
            if by_value:
                cloudpickle.unregister_pickle_by_value(module)
        return packed


def _inner(function: Any) -> Any:
    """Return the function that arguments were filled into."""
    return function.func if isinstance(function, partial) else function


class Worker:
    """Segments tiles in a process of its own.

    Parameters
    ----------
    given : Payload
        What it works on.

    Raises
    ------
    OutputError
        If the folder of the staged tiles is not there.
    """

    def __init__(self, given: Payload) -> None:
        plan, folder = given.plan, Path(given.staging)
        if not folder.is_dir():
            msg = f"a worker does not see {folder}"
            raise OutputError(msg, "Give an image or output in a folder that all workers share")
        place = plan.info, plan.spec.level, plan.channels
        source = open_source(given.image, *place, given.cache_bytes, plan.spec.axes)
        table = ObjectTable(plan, source) if given.table else None
        store = StagingStore(folder, plan.grid.read_shape)
        job = TileJob(plan, source, store, given.segmenter, given.mask, table, dict(given.known))
        job.method, self.job = given.method, job
        self.store, self.seams = store, self.job.seams
        self._comparer = Comparer(self.seams)

    def segment(self, number: int, empty: Collection[int]) -> RemoteRecord:
        """Segment and stage a tile, and compare it with the neighbours that are staged or `empty`."""
        start = time.perf_counter()
        found, stamp = self._kept(number) or self._staged(number)
        tile = self.job.plan.grid[number]
        matter = matter_of(found.local)
        met = {}
        for other in self.seams.others(tile):
            theirs = self._theirs(other, tile, other in empty)
            if theirs is not None:
                strip = self._comparer.strip(tile, other, found.labels, found.local)
                mine = Side(strip, matter)
                met[other] = Met(stamp, theirs[0], self._compared(tile, other, mine, theirs[1]))
        plan = self.job.plan
        arrival = arrival_of(number, found.local, {}, plan.keep, plan.grid.ndim)
        seconds = time.perf_counter() - start
        return RemoteRecord(TileRecord(arrival, seconds, found.skipped, found.sums, stamp), met)

    def _staged(self, number: int) -> tuple[Segmented, Stamp]:
        """Segment and stage a tile; labels that another worker staged meanwhile stay, and count."""
        start = time.perf_counter()
        found = self.job.labelled(number)
        if found.local is None:
            return found, (0, 0)
        durable = time.perf_counter() - start >= DURABLE_SECONDS
        stamp = self.store.add(number, found.local.staged, durable)
        return (found, stamp) if stamp else self._kept(number) or (found, self._replaced(number, found))

    def _kept(self, number: int) -> tuple[Segmented, Stamp] | None:
        """Return what is staged of a tile already, by a worker that could not tell of it any more.

        There is one version of a tile, whoever is late: neighbours may have been compared with it.
        """
        try:
            stamp, staged = self.store.load(number)
        except OutputError:  # damaged: to be segmented, and replaced
            return None
        if staged is None:
            return None
        job, tile = self.job, self.job.plan.grid[number]
        labels, local = self.seams.describe(tile, staged.labels())
        sums = job.table.measure(tile, staged, None) if job.table else None
        return Segmented(labels, local, "", sums), stamp

    def _replaced(self, number: int, found: Segmented) -> Stamp:
        assert found.local is not None
        return self.store.write(number, found.local.staged)

    def compare(self, number: int, others: Collection[int]) -> dict[int, Met]:
        """Compare a finished tile with others, by what is staged of them; none staged means empty."""
        tile = self.job.plan.grid[number]
        met = {}
        for other in others:
            mine = self._theirs(number, self.job.plan.grid[other], True)
            theirs = self._theirs(other, tile, True)
            assert mine is not None  # for "empty" there is always an answer
            assert theirs is not None
            met[other] = Met(mine[0], theirs[0], self._compared(tile, other, mine[1], theirs[1]))
        return met

    def _compared(self, tile: Tile, other: int, mine: Side, theirs: Side) -> Compared:
        return self._comparer.compare(tile, self.job.plan.grid[other], mine, theirs)

    def _theirs(self, number: int, seen_by: Tile, empty: bool) -> tuple[Stamp, Side] | None:
        """Return what a staged tile shows to another; None for one that is not staged, nor `empty`."""
        stamp, staged = self.store.load(number)
        if staged is None:
            return ((0, 0), Side(None, EMPTY)) if empty else None
        return stamp, self._comparer.staged_side(self.job.plan.grid[number], seen_by, staged)


def install(payload: bytes) -> Worker:
    """Return what a worker process works with, from `Payload.pack`."""
    return Worker(cloudpickle.loads(payload))


def segment(worker: Worker, number: int, empty: tuple[int, ...]) -> RemoteRecord | Failure:
    """Run `Worker.segment`; what goes wrong is given back as plain data, which can always be pickled."""
    try:
        return worker.segment(number, empty)
    except KeyboardInterrupt:  # somebody wants the run to end
        raise
    except BaseException as error:  # noqa: BLE001 - the border of a worker: all of it is told
        return failure_of(error)


def compare(worker: Worker, number: int, others: tuple[int, ...]) -> dict[int, Met] | Failure:
    """Run `Worker.compare`, as `segment` does."""
    try:
        return worker.compare(number, others)
    except Exception as error:  # noqa: BLE001 - the border of a worker: all of it is told
        return failure_of(error)
