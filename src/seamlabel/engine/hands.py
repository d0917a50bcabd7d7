"""Who segments tiles: threads of this process, or workers elsewhere; and what becomes of their answers.

Knows tasks and answers; not what is tried again, nor what is told to the user.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from seamlabel.engine import remote
from seamlabel.engine.compare import together
from seamlabel.engine.failure import Failure, failure_of
from seamlabel.kernels.local import HOLE
from seamlabel.kernels.seams import ROW

if TYPE_CHECKING:
    from concurrent.futures import Future

    from seamlabel.engine.compare import Compared
    from seamlabel.engine.remote import Met, RemoteRecord
    from seamlabel.engine.segment import TileJob, TileRecord
    from seamlabel.engine.tasks import TaskQueue

    Task = tuple[Any, Any, tuple[Any, ...]]
    Stamp = tuple[int, int]


MOST_ASKED = 5
"""How often a tile is compared again, before what lies on the disk must have been changed by others."""


class Hands(Protocol):
    """Segments tiles."""

    queue: TaskQueue

    def task(self, number: int, attempt: int) -> Task:
        """Return the task of a tile: its key, a function and arguments."""
        ...

    def taken(self, key: Any, future: Future[Any]) -> TileRecord | Failure | None:
        """Return what a task came to; None if more is to be done for its tile first."""
        ...

    def is_done(self, number: int, stamp: Stamp) -> None:
        """Take note of a tile that is done: what is staged of it now counts."""
        ...


def _outcome(future: Future[Any]) -> Any:
    """Return a task's result, or what it failed of.

    Raises
    ------
    KeyboardInterrupt
        Which is no failure of a tile: somebody wants the run to end.
    """
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KeyboardInterrupt):
        raise error
    return failure_of(error)


class OwnHands:
    """Threads of this process; they share what they know of finished tiles.

    Parameters
    ----------
    job : TileJob
        What segments a tile.
    queue : TaskQueue
        Where tasks run.
    """

    def __init__(self, job: TileJob, queue: TaskQueue) -> None:
        self._job, self.queue = job, queue

    def task(self, number: int, attempt: int) -> Task:
        """Return the task of a tile, and have its pixels read soon."""
        if not self.queue.here and not attempt:
            self._job.expect(number)
        return ("tile", number, attempt), self._job.segment, (number, attempt)

    def taken(self, _key: Any, future: Future[Any]) -> TileRecord | Failure | None:
        """Return what a task came to."""
        outcome: TileRecord | Failure = _outcome(future)
        return outcome

    def is_done(self, number: int, stamp: Stamp) -> None:
        """Do nothing: threads know."""


class FarHands:
    """Workers in other processes, which know of finished tiles what is staged.

    Every pair of neighbours counts once, when the second of them is done: by what either of them saw of
    the version of the other that counts, else by another task that compares them.

    Parameters
    ----------
    job : TileJob
        What the workers do; only its plan is looked at.
    queue : TaskQueue
        Where tasks run.
    """

    def __init__(self, job: TileJob, queue: TaskQueue) -> None:
        self._grid, self._seams, self.queue = job.plan.grid, job.seams, queue
        size, crc = np.full(len(self._grid), -1, np.int64), np.zeros(len(self._grid), np.int64)
        self._sizes, self._crcs = size, crc
        self._met: dict[tuple[int, int], Met] = {}
        self._pending: dict[int, RemoteRecord] = {}
        self._asked: dict[int, int] = {}

    def task(self, number: int, attempt: int) -> Task:
        """Return the task of a tile."""
        others = self._seams.others(self._grid[number])
        empty = tuple(other for other in others if self._sizes[other] == 0)
        return ("tile", number, attempt), remote.segment, (number, empty)

    def taken(self, key: Any, future: Future[Any]) -> TileRecord | Failure | None:
        """Return what a task came to; None if its tile waits for a comparison."""
        kind, number, attempt = key
        outcome = _outcome(future)
        if isinstance(outcome, Failure):
            self._forget(number)
            return outcome
        if kind == "tile":
            self._pending[number] = outcome
        else:
            self._pending[number].met.update(outcome)
        return self._settled(number, attempt)

    def _forget(self, number: int) -> None:
        self._pending.pop(number, None)
        self._asked.pop(number, None)

    def _settled(self, number: int, attempt: int) -> TileRecord | Failure | None:
        """Return the record of a tile with all that it has in common with finished ones, if that is known."""
        answer = self._pending[number]
        found: list[Compared] = []
        differ: list[tuple[int, int]] = []
        missing = []
        others = self._seams.others(self._grid[number])
        for other in others:
            if self._sizes[other] < 0 or (self._sizes[other] == 0 and answer.record.stamp == (0, 0)):
                continue  # not done; or both are empty, and have nothing in common
            met = self._valid(number, other, answer)
            if met is None:
                missing.append(other)
                continue
            found.append(met.found)
            if not met.found.clean:
                differ.append((min(number, other), max(number, other)))
        if missing:
            self._asked[number] = self._asked.get(number, 0) + 1
            if self._asked[number] > MOST_ASKED:
                self._forget(number)
                names = ", ".join(map(str, (number, *missing)))
                return Failure(f"what is staged of these tiles is not what was written: {names}", "")
            self.queue.add(("seams", number, attempt), remote.compare, (number, tuple(missing)))
            return None
        self._forget(number)
        for other in others:
            self._met.pop((other, number), None)
            if self._sizes[other] < 0 and other in answer.met:
                self._met[number, other] = answer.met[other]
        return replace(answer.record, arrival=_with(answer.record.arrival, found, differ))

    def _valid(self, number: int, other: int, answer: RemoteRecord) -> Met | None:
        """Return a comparison of the versions that count, made for either of two tiles."""
        stamp, counts = answer.record.stamp, (int(self._sizes[other]), int(self._crcs[other]))
        mine = answer.met.get(other)
        if mine is not None and mine.theirs == counts and mine.mine == stamp:
            return mine
        theirs = self._met.get((other, number))
        if theirs is not None and theirs.theirs == stamp and theirs.mine == counts:
            return theirs
        return None

    def is_done(self, number: int, stamp: Stamp) -> None:
        """Take note of what counts of a tile."""
        self._sizes[number], self._crcs[number] = stamp


def _with(arrival: Any, found: list[Compared], differ: list[tuple[int, int]]) -> Any:
    return replace(
        arrival,
        rows=together([each.rows for each in found], ROW),
        holes=together([arrival.holes, *(each.holes for each in found)], HOLE),
        unclean=np.array(differ, np.int64).reshape(-1, 2),
    )
