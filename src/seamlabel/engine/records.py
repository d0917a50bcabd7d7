"""What the merge keeps of a run on disk: labels, pairs, tiles that differ, and what each tile has alone.

All that a merge needs, tile by tile, beside the staged labels; written while tiles come in, read in
chunks. Knows what the records are, not what is made of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.io.records import RecordFile, check_sizes, save_sizes
from seamlabel.kernels.local import HOLE, node_dtype
from seamlabel.kernels.seams import ROW
from seamlabel.staged import LABEL_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.engine.front import Arrival
    from seamlabel.kernels.solve import Records

TILE = np.dtype([("tile", "<i8"), ("n_core", "<i8"), ("interior", "<i8")])
"""A tile that is whole: labels in its core, and objects that it has alone and that are kept."""
_NAMING: dict[str, tuple[tuple[str, ...], int]] = {
    "nodes": (("key",), LABEL_BITS),
    "rows": (("a", "b"), LABEL_BITS),
    "holes": (("piece", "beside"), LABEL_BITS),
    "tiles": (("tile",), 0),
}
"""Which fields name tiles or labels, and how many bits of them are the label."""


class RunRecords:
    """The record files of a run.

    Parameters
    ----------
    folder : Path
        Where they are; made if it is not there.
    ndim : int
        Label axes.

    Raises
    ------
    OutputError
        If they cannot be written.
    """

    def __init__(self, folder: Path, ndim: int) -> None:
        self.folder = folder
        self._files = {
            name: RecordFile(folder / f"{name}.bin", dtype)
            for name, dtype in (
                ("nodes", node_dtype(ndim)),
                ("rows", ROW),
                ("holes", HOLE),
                ("unclean", np.dtype("<i8")),
                ("tiles", TILE),
            )
        }
        self.nodes, self.rows, self.holes, self.unclean, self.tiles = self._files.values()

    def note(self, arrival: Arrival) -> None:
        """Say that all records of a tile are here; until then they count for nothing."""
        self.tiles.append(np.array([(arrival.tile, arrival.n_core, arrival.interior)], TILE))

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def seal(self) -> None:
        """Say that nothing will be added any more, so that `check` can tell what was lost.

        Raises
        ------
        OutputError
            If that cannot be written.
        """
        save_sizes(self.folder, self._files.values())

    def check(self) -> None:
        """Tell if records were lost after `seal`; of a run that was cut short nothing is known.

        Raises
        ------
        OutputError
            If a file is not as long as it was.
        """
        check_sizes(self.folder)

    def all_tiles(self) -> NDArray[Any]:
        """Return the records of `TILE`, in the order in which tiles came."""
        return np.concatenate([np.zeros(0, TILE), *self.tiles.chunks()])

    def all_unclean(self) -> NDArray[np.int64]:
        """Return the pairs of tiles that differ, shape (n, 2)."""
        return pairs_of(self.unclean)

    def copy_without(self, gone: NDArray[np.bool_], other: RunRecords) -> None:
        """Append to `other` what has nothing to do with some tiles.

        Parameters
        ----------
        gone : ndarray of bool, shape (n_tiles,)
            These tiles.
        other : RunRecords
            Where to.
        """
        for name, file in self._files.items():
            target = other._files[name]
            for chunk in file.chunks():
                target.append(chunk[~_of(name, chunk, gone)] if name != "unclean" else _apart(chunk, gone))


def _of(name: str, chunk: NDArray[Any], gone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which records speak of these tiles."""
    found = np.zeros(chunk.size, bool)
    fields, shift = _NAMING[name]
    for field in fields:
        found |= gone[chunk[field] >> shift]
    return found


def _apart(chunk: NDArray[Any], gone: NDArray[np.bool_]) -> NDArray[np.int64]:
    pairs = chunk[: chunk.size // 2 * 2].reshape(-1, 2)
    kept: NDArray[np.int64] = pairs[~gone[pairs].any(axis=1)].ravel()
    return kept


def pairs_of(records: Records) -> NDArray[np.int64]:
    """Return records of plain numbers as pairs, shape (n, 2)."""
    numbers = np.concatenate([np.zeros(0, np.int64), *records.chunks()])
    return numbers[: numbers.size // 2 * 2].reshape(-1, 2)


class Both:
    """Records from two places, one after the other.

    Parameters
    ----------
    first : Records
        Some.
    more : ndarray
        And some in memory.
    """

    def __init__(self, first: Records, more: NDArray[Any]) -> None:
        self._first, self._more = first, more

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield all of them."""
        yield from self._first.chunks()
        if self._more.size:
            yield self._more
