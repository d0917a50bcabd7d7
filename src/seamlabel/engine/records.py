"""What the merge keeps of a run on disk: labels, pairs, tiles that differ, and what each tile has alone.

All that a merge needs, tile by tile, beside the staged labels; written while tiles come in, read in
chunks. Knows what the records are, not what is made of them.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.io.records import RecordFile, check_sizes, save_sizes
from seamlabel.kernels.local import HOLE, node_dtype
from seamlabel.kernels.seams import ROW
from seamlabel.staged import LABEL_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.kernels.solve import Records

_FILES = ("nodes", "rows", "holes", "unclean", "sums")
TILE = np.dtype(
    [
        ("tile", "<i8"),
        ("n_core", "<i8"),
        ("interior", "<i8"),
        ("seconds", "<f8"),
        ("skipped", "<i8"),
        ("bytes", "<i8"),
        ("digest", "<i8"),
        ("start", "<i8", (len(_FILES),)),
        ("stop", "<i8", (len(_FILES),)),
        ("crc", "<i8", (len(_FILES),)),
        ("check", "<i8"),
    ]
)
"""A tile that is done: labels in its core, objects that it has alone and that are kept, seconds, whether
it was skipped as empty; bytes and CRC-32 of what is staged (0: nothing is); which records of every file
are its, and their CRC-32; and of all that, itself."""
_NOTE = struct.Struct(f"<3qd3q{3 * len(_FILES)}qq")
"""The same, packed without numpy: there may be a thousand a second."""
_CHECK = 8
"""Bytes of `check`, the last ones."""
_NAMING: dict[str, tuple[tuple[str, ...], int]] = {
    "nodes": (("key",), LABEL_BITS),
    "rows": (("a", "b"), LABEL_BITS),
    "holes": (("piece", "beside"), LABEL_BITS),
    "sums": (("key",), LABEL_BITS),
}
"""Which fields name labels of tiles."""


class Note(NamedTuple):
    """What is known of a tile that is done, as in `TILE`."""

    tile: int
    n_core: int
    interior: int
    seconds: float
    skipped: int
    bytes: int
    digest: int


class RunRecords:
    """The record files of a run.

    Parameters
    ----------
    folder : Path
        Where they are; made if it is not there.
    ndim : int
        Label axes.
    sums : numpy.dtype, optional
        Type of the sums of labels, where a table of objects is wanted.
    readonly : bool
        Nothing will be added, and no file is made.

    Raises
    ------
    OutputError
        If they cannot be written, or read.
    """

    def __init__(
        self, folder: Path, ndim: int, sums: np.dtype[Any] | None = None, readonly: bool = False
    ) -> None:
        self.folder = folder
        dtypes = (node_dtype(ndim), ROW, HOLE, np.dtype("<i8"), sums)
        self._files = {
            name: RecordFile(folder / f"{name}.bin", dtype, readonly)
            for name, dtype in zip(_FILES, dtypes, strict=True)
            if dtype is not None
        }
        self.tiles = RecordFile(folder / "tiles.bin", TILE, readonly)
        self.nodes, self.rows, self.holes, self.unclean = (self._files[name] for name in _FILES[:4])
        self.sums = self._files.get("sums")
        self._start = self._sizes()

    def _sizes(self) -> list[int]:
        return [self._files[name].size if name in self._files else 0 for name in _FILES]

    def note(self, tile: Note) -> None:
        """Say that all records of a tile are here; until then they count for nothing."""
        stop = self._sizes()
        crcs = []
        for name in _FILES:
            file = self._files.get(name)
            crcs.append(0 if file is None else file.crc)
            if file is not None:
                file.crc = 0
        body = _NOTE.pack(*tile, *self._start, *stop, *crcs, 0)
        self.tiles.write(body[:-_CHECK] + zlib.crc32(body).to_bytes(_CHECK, "little"))
        self._start = stop

    def sync(self) -> None:
        """Have the disk hold all records."""
        for file in (*self._files.values(), self.tiles):
            file.sync()

    def of_tile(self, noted: NDArray[Any]) -> dict[str, NDArray[Any]] | None:
        """Return the records of a tile, file by file; None if they are not what was written."""
        found, sizes = {}, dict(zip(_FILES, self._sizes(), strict=True))
        for name, start, stop, crc in zip(_FILES, noted["start"], noted["stop"], noted["crc"], strict=True):
            if name not in self._files:
                continue
            if not 0 <= start <= stop <= sizes[name]:
                return None
            records = self._files[name].read(int(start), int(stop)) if stop > start else _NOTHING
            if zlib.crc32(records.tobytes()) != crc or records.size != stop - start:
                return None
            found[name] = records
        return found

    def cut(self) -> NDArray[Any]:
        """Drop what was written after the last tile that was noted; return all notes that are right.

        Returns
        -------
        ndarray of `TILE`
            In the order in which tiles came, each tile once.
        """
        notes = self.all_tiles()
        stops = notes["stop"].max(axis=0, initial=0).tolist()
        self.tiles.cut(self.tiles.size)
        for name, stop in zip(_FILES, stops, strict=True):
            if name in self._files:
                self._files[name].cut(stop)
                self._files[name].crc = 0
        self._start = [stop if name in self._files else 0 for name, stop in zip(_FILES, stops, strict=True)]
        return notes[np.sort(np.unique(notes["tile"], return_index=True)[1])]

    def close(self) -> None:
        """Close all files."""
        for file in (*self._files.values(), self.tiles):
            file.close()

    def seal(self) -> None:
        """Say that nothing will be added any more, so that `check` can tell what was lost.

        Raises
        ------
        OutputError
            If that cannot be written.
        """
        save_sizes(self.folder, (*self._files.values(), self.tiles))

    def check(self) -> None:
        """Tell if records were lost after `seal`; of a run that was cut short nothing is known.

        Raises
        ------
        OutputError
            If a file is not as long as it was.
        """
        check_sizes(self.folder)

    def all_tiles(self) -> NDArray[Any]:
        """Return the notes of `TILE` that are right, in the order in which tiles came."""
        notes = np.concatenate([np.zeros(0, TILE), *self.tiles.chunks()])
        right: NDArray[Any] = notes[notes["check"] == checks(notes)]
        return right

    def check_tiles(self, n_tiles: int) -> None:
        """Tell if records speak of tiles that there are not, so that nobody looks these up.

        Raises
        ------
        OutputError
            If so.
        """
        for name, (fields, shift) in {**_NAMING, "unclean": ((), 0), "tiles": (("tile",), 0)}.items():
            file = self.tiles if name == "tiles" else self._files.get(name)
            for chunk in file.chunks() if file else ():
                tiles = [chunk[field] >> shift for field in fields] or [chunk]
                if any(((found < 0) | (found >= n_tiles)).any() for found in tiles):
                    msg = f"{file.path if file else name} is damaged: it tells of tiles that there are not"
                    raise OutputError(msg, "Put it back from a copy, or segment again")

    def all_unclean(self) -> NDArray[np.int64]:
        """Return the pairs of tiles that differ, shape (n, 2)."""
        return pairs_of(self.unclean)

    def copy_without(self, gone: NDArray[np.bool_], other: RunRecords) -> None:
        """Append to `other` the tiles that are not `gone`, without what these have to do with them.

        Parameters
        ----------
        gone : ndarray of bool, shape (n_tiles,)
            Tiles to leave out.
        other : RunRecords
            Where to.

        Raises
        ------
        OutputError
            If records of a tile that stays are damaged, or `other` cannot be written.
        """
        for chunk in self.tiles.chunks():
            right = (chunk["check"] == checks(chunk)) & (chunk["tile"] < gone.size)
            for noted in chunk[right][~gone[chunk["tile"][right]]]:
                records = self.of_tile(noted)
                if records is None:
                    msg = f"the records of tile {noted['tile']} in {self.folder} are damaged"
                    raise OutputError(msg, "Put them back from a copy, or segment again")
                for name, target in other._files.items():
                    if (found := records.get(name, _NOTHING)).size:
                        target.append(_apart(name, found, gone))
                other.note(Note(*(noted[name].item() for name in Note._fields)))


_NOTHING = np.zeros(0, np.int64)


def checks(notes: NDArray[Any]) -> NDArray[np.int64]:
    """Return what `check` of these notes has to be, of the same shape."""
    flat = np.array(notes, TILE).reshape(-1)
    flat["check"] = 0
    return np.array([zlib.crc32(note.tobytes()) for note in flat], np.int64).reshape(notes.shape)


def measured(notes: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for which of these tiles all is there that a table of objects needs."""
    at = _FILES.index("sums")
    found: NDArray[np.bool_] = (notes["n_core"] == 0) | (notes["stop"][:, at] > notes["start"][:, at])
    return found


def _apart(name: str, chunk: NDArray[Any], gone: NDArray[np.bool_]) -> NDArray[Any]:
    """Return those records that have nothing to do with these tiles."""
    if name == "unclean":
        pairs = chunk[: chunk.size // 2 * 2].reshape(-1, 2)
        apart: NDArray[Any] = pairs[~gone[pairs].any(axis=1)].ravel()
        return apart
    found = np.zeros(chunk.size, bool)
    fields, shift = _NAMING[name]
    for field in fields:
        found |= gone[chunk[field] >> shift]
    return chunk[~found]


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
