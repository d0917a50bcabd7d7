"""What is whole of a run that did not reach its end: its tiles, looked at one by one.

A tile is done if it was noted, its records are what was written, and so is what is staged of it.
Everything else goes, and is done again. Knows no pixels and no settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.records import RunRecords
from seamlabel.io.generations import commit, new_folder, settle

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.engine.tasks import TaskQueue
    from seamlabel.io.staging import StagingStore

BATCH = 64
"""Tiles that one task looks at."""


def recover(
    run_dir: Path,
    n_tiles: int,
    ndim: int,
    sums: np.dtype[Any] | None,
    store: StagingStore,
    queue: TaskQueue,
) -> Generator[None, None, tuple[RunRecords, NDArray[Any]]]:
    """Leave of a run what is whole; yields while it looks.

    Parameters
    ----------
    run_dir : Path
        The run directory, locked by the caller.
    n_tiles : int
        Tiles of the run.
    ndim : int
        Label axes.
    sums : numpy.dtype, optional
        Type of the sums of labels, where the run measures them.
    store : StagingStore
        Its staged tiles.
    queue : TaskQueue
        Where tasks run.

    Returns
    -------
    RunRecords, ndarray of `records.TILE`
        To go on with, and the tiles that are done.

    Raises
    ------
    OutputError
        If what is not whole cannot be removed.
    """
    records = RunRecords(settle(run_dir), ndim, sums)
    notes = records.cut()
    notes = notes[(notes["tile"] >= 0) & (notes["tile"] < n_tiles)]
    whole = np.zeros(notes.size, bool)

    def look(at: int) -> list[bool]:
        return [_whole(note, records, store) for note in notes[at : at + BATCH]]

    tasks = ((("look", at), look, (at,)) for at in range(0, notes.size, BATCH))
    for ended in queue.drain(tasks):
        if ended is not None:
            (_, at), future = ended
            found = future.result()
            whole[at : at + len(found)] = found
        yield
    done = np.zeros(n_tiles, bool)
    done[notes["tile"][whole]] = True
    if not (whole.all() and _follow(notes)):
        records.close()
        records = _without(run_dir, records, ~done, ndim, sums)
        notes = records.all_tiles()
    store.drop(lambda tile: tile >= n_tiles or not done[tile])
    return records, notes


def _whole(note: NDArray[Any], records: RunRecords, store: StagingStore) -> bool:
    """Return whether all of a tile is there as it was written."""
    staged = (int(note["bytes"]), int(note["digest"]))
    return records.of_tile(note) is not None and store.stamp(int(note["tile"])) == staged


def _follow(notes: NDArray[Any]) -> bool:
    """Return whether records of these tiles, one after the other, are all there are."""
    starts = np.concatenate([np.zeros_like(notes["stop"][:1]), notes["stop"][:-1]])
    return bool((notes["start"] == starts).all())


def _without(
    run_dir: Path, records: RunRecords, gone: NDArray[np.bool_], ndim: int, sums: np.dtype[Any] | None
) -> RunRecords:
    """Put records of all tiles but those that are gone in the place of the former."""
    folder = new_folder(run_dir)
    kept = RunRecords(folder, ndim, sums)
    records.copy_without(gone, kept)
    kept.close()
    commit(run_dir, folder, ())
    return RunRecords(settle(run_dir), ndim, sums)
