"""Staging: the labels of finished tiles on disk until the final labels are painted.

One compressed file per tile, written whole: its labels as runs (a third of the work and half the bytes
of compressed voxels), and a table of them. Knows nothing of merging.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.io.packing import most_packed, pack, unpack
from seamlabel.io.regular import Irregular, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from seamlabel.staged import StagedTile

CACHE_BYTES = 2_000_000
"""Compressed tiles kept in memory, so that small runs seldom read files back."""
Stamp = tuple[int, int]
"""Size in bytes and CRC-32 of what is staged of a tile."""
FOLDER = "staging-{}"
"""Of its own for every run: a tile of a cancelled run may come late."""


class StagingStore:
    """A `LabelStore` in a folder; safe to use from many threads.

    Parameters
    ----------
    folder : Path or str
        The folder of the tiles.
    read_shape : tuple of int
        Shape of every tile's read box.
    """

    def __init__(self, folder: Path | str, read_shape: tuple[int, ...]) -> None:
        self.folder = os.fspath(folder)
        self._shape = read_shape
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()
        self._own = uuid4().hex[:12]  # of all workers on all machines

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> Stamp:
        """Store a tile's labels; all or nothing.

        Parameters
        ----------
        tile : int
            Its number.
        staged : StagedTile
            Its labels.
        durable : bool
            Wait until the disk holds them.

        Returns
        -------
        tuple of int
            What `stamp` gives from now on.

        Raises
        ------
        OutputError
            If they cannot be written, such as on a full disk.
        """
        packed = pack(staged)
        self._put(tile, packed, durable, os.replace)
        self._keep(tile, packed)
        return len(packed), zlib.crc32(packed)

    def add(self, tile: int, staged: StagedTile, durable: bool = False) -> Stamp | None:
        """Do as `write`, unless there are labels of that tile; None then, and they stay."""
        packed = pack(staged)
        added = self._put(tile, packed, durable, _link)
        return (len(packed), zlib.crc32(packed)) if added else None

    def _put(self, tile: int, packed: bytes, durable: bool, move: Callable[[str, str], None]) -> bool:
        """Write a tile's file under another name and move it; return False if there is one that stays."""
        part = f"{self.folder}/.{tile}.{self._own}.{threading.get_ident()}"
        try:
            with open(part, "wb") as file:
                file.write(packed)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            move(part, self._file(tile))
        except FileExistsError:
            os.unlink(part)
            return False
        except OSError as error:
            msg = f"cannot stage tile {tile} in {self.folder}: {error.strerror or error}"
            raise OutputError(msg, "Free some space, or give an output on another disk") from error
        return True

    def load(self, tile: int) -> tuple[Stamp, StagedTile | None]:
        """Return what is on disk for a tile now, and its size and CRC-32; (0, 0) and None for nothing.

        Raises
        ------
        OutputError
            If what is there is not what was written.
        """
        packed = self._whole(tile)
        if packed is None:
            return (0, 0), None
        return (len(packed), zlib.crc32(packed)), self._unpacked(tile, packed)

    def stamp(self, tile: int) -> Stamp:
        """Return size and CRC-32 of what is on disk for a tile; (0, 0) if nothing is, (-1, 0) for no file.

        Raises
        ------
        OutputError
            If it cannot be read, so that nothing is known of it.
        """
        try:
            packed = self._on_disk(tile)
        except Irregular:
            return -1, 0
        return (0, 0) if packed is None else (len(packed), zlib.crc32(packed))

    def drop(self, unwanted: Callable[[int], bool]) -> None:
        """Remove the tiles of these numbers, and what was left half written."""
        with os.scandir(self.folder) as entries:
            for entry in entries:
                number, _, kind = entry.name.partition(".")
                if not number or (kind == "tile" and number.isdecimal() and unwanted(int(number))):
                    os.unlink(entry.path)

    def read(self, tile: int) -> StagedTile | None:
        """Return a tile's labels, or None for a tile that was not written.

        Raises
        ------
        OutputError
            If what is there is not what was written.
        """
        with self._lock:
            packed = self._recent.get(tile)
        if packed is None:
            packed = self._whole(tile)
            if packed is None:
                return None
            self._keep(tile, packed)
        return self._unpacked(tile, packed)

    def _on_disk(self, tile: int) -> bytes | None:
        """Return what is on disk for a tile, None for nothing."""
        try:
            return read_regular(self._file(tile), most_packed(self._shape))
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = f"cannot read the staged tile {tile} in {self.folder}: {error.strerror or error}"
            raise OutputError(msg, "Look after that disk, then go on: seamlabel resume") from error

    def _whole(self, tile: int) -> bytes | None:
        try:
            return self._on_disk(tile)
        except Irregular as error:
            raise self._damaged(tile) from error

    def _unpacked(self, tile: int, packed: bytes) -> StagedTile:
        try:
            return unpack(packed, self._shape)
        except (ValueError, RuntimeError, struct.error) as error:
            raise self._damaged(tile) from error

    def _damaged(self, tile: int) -> OutputError:
        msg = f"the staged tile {tile} in {self.folder} is damaged"
        return OutputError(msg, "Go on with the run (seamlabel resume), or segment it again")

    def _file(self, tile: int) -> str:
        return f"{self.folder}/{tile}.tile"

    def _keep(self, tile: int, packed: bytes) -> None:
        with self._lock:
            former = self._recent.pop(tile, None)
            self._recent[tile] = packed
            self._held += _size(packed) - _size(former)
            while self._held > CACHE_BYTES and len(self._recent) > 1:
                self._held -= _size(self._recent.popitem(last=False)[1])


def _link(part: str, place: str) -> None:
    """Move a file to a place where there is none."""
    try:
        os.link(part, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.replace(part, place)
    else:
        os.unlink(part)


def _size(packed: bytes | None) -> int:
    """Return what a tile takes in memory, its entry included."""
    return 0 if packed is None else len(packed) + 300


def create_staging(run_dir: Path, read_shape: tuple[int, ...]) -> StagingStore:
    """Make an empty staging store in `run_dir`; OutputError if that cannot be done."""
    folder = run_dir / FOLDER.format(uuid4().hex[:8])
    try:
        folder.mkdir(parents=True)
        (folder / "staging.json").write_text(json.dumps({"read_shape": list(read_shape)}))
    except OSError as error:
        msg = f"cannot stage tiles in {folder}: {error.strerror or error}"
        raise OutputError(msg, "Free some space, or give an output on another disk") from error
    return StagingStore(folder, read_shape)


def open_staging(run_dir: str | Path) -> StagingStore:
    """Open the staging store of a run, to read tiles while it goes on or after it stopped.

    Raises
    ------
    FileNotFoundError
        If there is no staging store in `run_dir`.
    OutputError
        If it cannot be understood.
    """
    folder = staging_folder(run_dir)
    try:
        shape = tuple(json.loads(read_regular(folder / "staging.json", 1 << 16))["read_shape"])
        if not shape or not all(type(n) is int and 0 < n < 1 << 31 for n in shape):
            raise ValueError(shape)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{folder / 'staging.json'} is damaged"
        raise OutputError(msg, "Segment again: staged tiles cannot be read without it") from error
    return StagingStore(folder, shape)


def staging_folder(run_dir: str | Path) -> Path:
    """Return the folder of a run's staged tiles."""
    return next(Path(run_dir).glob(FOLDER.format("*")), Path(run_dir) / FOLDER.format(""))


def staged_tiles(run_dir: str | Path, n_tiles: int) -> NDArray[np.bool_]:
    """Return which tiles of a run have labels staged, shape (n_tiles,)."""
    found = np.zeros(n_tiles, bool)
    with os.scandir(staging_folder(run_dir)) as entries:
        for entry in entries:
            number, _, kind = entry.name.partition(".")
            if kind == "tile" and number.isdecimal() and int(number) < n_tiles:
                found[int(number)] = True
    return found


class Overlay:
    """A `LabelStore` in which some tiles are replaced, without touching the one below.

    Parameters
    ----------
    below : StagingStore
        All tiles.
    above : StagingStore
        Those that are replaced; gets what is written.
    replaced : ndarray of bool, shape (n_tiles,)
        Which these are.
    """

    def __init__(self, below: StagingStore, above: StagingStore, replaced: NDArray[np.bool_]) -> None:
        self._below, self._above, self._replaced = below, above, replaced

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> Stamp:
        """Store a tile that is replaced."""
        return self._above.write(tile, staged, durable)

    def read(self, tile: int) -> StagedTile | None:
        """Return a tile's labels, None for an empty one."""
        return (self._above if self._replaced[tile] else self._below).read(tile)
