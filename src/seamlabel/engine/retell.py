"""What a run that did not reach its end has come to, told as its events; nothing is run or changed.

Tiles count by the same signs as where the run goes on: noted, and staged as they were written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.gather import Gathered, MemoryRecords
from seamlabel.engine.records import TILE, checks
from seamlabel.engine.stored import read_stored
from seamlabel.errors import OutputError
from seamlabel.events import Event, RunStarted, SeamsMerged, TileDone, TileFailed, TileSkipped
from seamlabel.io.generations import records_folder
from seamlabel.io.staging import open_staging
from seamlabel.kernels.seams import ROW
from seamlabel.staged import LABEL_BITS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.io.journal import Unfinished

ROWS = 1 << 15
"""Pairs that are looked at together."""


def retell(run: Unfinished) -> Generator[Event, None, None]:
    """Tell of all tiles of an unfinished run that are done or failed, and what was joined.

    Parameters
    ----------
    run : Unfinished
        The run; only read.

    Yields
    ------
    Event
        `RunStarted` first; no stage, and no `RunFinished`.

    Raises
    ------
    OutputError, SpecError
        If what is there cannot be understood.
    """
    stored = read_stored(run.path)
    total = stored.region.n_tiles
    yield RunStarted(0, total, str(run.path))
    try:
        tiles = _tiles(run.path, total)
        gathered = Gathered(stored.grid, stored.spec.merge, MemoryRecords(), MemoryRecords())
        firsts = gathered.recall(tiles)
        for done, (tile, first) in enumerate(zip(tiles, firsts.tolist(), strict=True), 1):
            number = int(tile["tile"])
            if tile["skipped"]:
                yield TileSkipped(done, total, number, "empty")
            else:
                yield TileDone(done, total, number, int(tile["n_core"]), first, float(tile["seconds"]))
        for rows in _rows(run.path, tiles):
            if joined := gathered.joins(rows):
                yield SeamsMerged(tiles.size, total, int(tiles["tile"][-1]), joined)
    except OSError as error:
        msg = f"what is in {run.path} cannot be read: {error.strerror or error}"
        raise OutputError(msg, "Check that the disk is there, or start over") from error
    for number, reason in run.failed.items():
        yield TileFailed(tiles.size, total, number, reason, "")


def _tiles(run_dir: Path, total: int) -> NDArray[Any]:
    """Return the notes of `TILE` of the tiles that are whole, each once, in the order in which they came."""
    notes = np.fromfile(records_folder(run_dir) / "tiles.bin", TILE)
    notes = notes[(notes["check"] == checks(notes)) & (notes["tile"] >= 0) & (notes["tile"] < total)]
    notes = notes[np.sort(np.unique(notes["tile"], return_index=True)[1])]
    store = open_staging(run_dir)
    whole = [store.stamp(int(n["tile"])) == (int(n["bytes"]), int(n["digest"])) for n in notes]
    found: NDArray[Any] = notes[np.array(whole, bool)]
    return found


def _rows(run_dir: Path, tiles: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the pairs whose tiles are both here."""
    here = tiles["tile"]
    with (records_folder(run_dir) / "rows.bin").open("rb") as file:
        while (rows := np.fromfile(file, ROW, ROWS)).size:
            known = np.isin(rows["a"] >> LABEL_BITS, here) & np.isin(rows["b"] >> LABEL_BITS, here)
            yield rows[known]
