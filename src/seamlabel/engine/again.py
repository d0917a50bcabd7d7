"""Some tiles of an ended run segmented again, and put in place of the former ones at one stroke.

New labels, and all that is known of the seams of these tiles, are written beside the old; then one
rename makes them count. Knows nothing of the merge that follows.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from seamlabel.engine.records import RunRecords
from seamlabel.engine.segmenting import Segmenting
from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.io.generations import commit, new_folder, settle
from seamlabel.io.staging import Overlay, StagingStore, open_staging, staged_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.engine.segment import TileJob
    from seamlabel.engine.tasks import TaskQueue
    from seamlabel.events import Event, RunFinished
    from seamlabel.io.journal import RunDirectory
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelSink, LabelStore, SeamRule

SHOWN = 20
"""Missing tiles that are named."""


def segment_again(
    job: TileJob,
    tiles: Sequence[int],
    folder: RunDirectory,
    records: RunRecords,
    queue: TaskQueue,
    sink: LabelSink,
    rule: SeamRule,
    hold: Callable[[], bool] | None = None,
) -> Generator[Event, None, RunFinished | None]:
    """Segment tiles again and replace them, all or none.

    Parameters
    ----------
    job : TileJob
        Segments a tile, as the run did.
    tiles : sequence of int
        Their numbers.
    folder : RunDirectory
        The run's, locked.
    records : RunRecords
        The records that count so far; only read.
    queue : TaskQueue
        Where tasks run.
    sink : LabelSink
        Where labels go, later.
    rule : SeamRule
        Judges pairs, for the ids that are shown meanwhile.
    hold : callable, optional
        While it returns true no tile is begun.

    Returns
    -------
    RunFinished or None
        What is left to say if tiles failed; nothing was replaced then.
    """
    grid = job.plan.grid
    replaced = np.zeros(len(grid), bool)
    replaced[list(tiles)] = True
    below, place = open_staging(folder.path), new_folder(folder.path)
    counts = False
    try:
        new = RunRecords(place, grid.ndim)
        records.copy_without(replaced, new)
        job.use(Overlay(below, StagingStore(place, grid.read_shape), replaced))
        state = Segmenting(job, sink, folder, queue, new, rule)
        state.total, state.hold = int(replaced.sum()), hold
        state.gathered.recall(new.all_tiles())
        try:
            order = (n for n in job.plan.order() if replaced[n])
            yield from state.stage(
                "segment", state.total, state.segment(recalling(job, below, replaced, order))
            )
        finally:
            state.close()
        if state.failed:
            return state.finished(0, "")
        empty = [n for n in np.flatnonzero(replaced).tolist() if not (place / f"{n}.tile").exists()]
        new.seal()
        counts = True
        commit(folder.path, place, empty)
    finally:
        if not counts:
            settle(folder.path)  # takes away what never counted
    return None


def recalling(
    job: TileJob, store: LabelStore, replaced: NDArray[np.bool_], tiles: Iterator[int]
) -> Iterator[int]:
    """Yield tiles, each once the front knows those neighbours that stay as they are."""
    grid, known = job.plan.grid, np.zeros(replaced.size, bool)
    for number in tiles:
        for other in job.seams.others(grid[number]):
            if not replaced[other] and not known[other]:
                known[other] = True
                later = {n for n in job.seams.others(grid[other]) if replaced[n]}
                job.front.recall(other, store.read(other), later)
        yield number


def tiles_again(path: Path, records: RunRecords, plan: Plan, again: Sequence[int] | str) -> list[int]:
    """Return the tiles to segment again, if no other is missing.

    Raises
    ------
    SpecError
        If there is no such tile.
    OutputError
        If other tiles are missing.
    """
    grid = plan.grid
    missing = plan.wanted.copy()
    here = records.all_tiles()
    whole = (here["n_core"] == 0) | staged_tiles(path, len(grid))[here["tile"]]
    missing[here["tile"][whole]] = False
    if again == "missing":
        return [int(n) for n in np.flatnonzero(missing)]
    tiles = sorted({int(n) for n in again})
    strange = [n for n in tiles if not 0 <= n < len(grid)]
    if strange:
        fix = f"The run has tiles 0 to {len(grid) - 1}"
        raise SpecError([Problem("again", f"there is no tile {', '.join(map(str, strange))}", fix)])
    outside = [n for n in tiles if not plan.wanted[n]]
    if outside:
        message = f"tile {', '.join(map(str, outside))} lies outside the region of the run"
        raise SpecError([Problem("again", message, "Segment that part of the image in a run of its own")])
    missing[tiles] = False
    left = int(missing.sum())
    if left:
        names = ", ".join(str(n) for n in islice(np.flatnonzero(missing), SHOWN)) + (
            ", …" if left > SHOWN else ""
        )
        count = f"{left} of {plan.n_tiles} tiles"
        msg = f"{count} of {path} are missing, they failed or were never reached: {names}"
        raise OutputError(msg, f"Segment them: seamlabel merge {path} --again missing")
    return tiles
