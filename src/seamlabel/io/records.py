"""Records of a run that are appended tile by tile and read back in chunks: labels and pairs.

They lie on disk, so that memory does not grow with the image. Knows record types only.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.io.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

CHUNK = 1 << 15
SIZES = "sizes.json"
"""How long the files of a folder are that nothing is added to any more."""


class RecordFile:
    """A file of records of one type; one writer.

    Parameters
    ----------
    path : Path
        The file; records that are there stay.
    dtype : numpy.dtype
        Their type.
    readonly : bool
        Nothing will be added, and no file is made.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], readonly: bool = False) -> None:
        self.path = path
        self.dtype = dtype
        self.crc = 0
        """CRC-32 of what was appended since it was last set to 0."""
        try:
            if path.exists() and not path.is_file():  # a pipe would be waited for
                raise OSError("it is not a file")
            if not readonly:
                path.parent.mkdir(exist_ok=True)
            self._file = path.open("rb" if readonly else "a+b", buffering=0)
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise (self._unreadable(error) if readonly else self._cannot(error)) from error

    @property
    def size(self) -> int:
        """Number of records."""
        end = self.path.stat().st_size if self._file.closed else self._file.tell()
        return end // self.dtype.itemsize

    def append(self, records: NDArray[Any]) -> None:
        """Add records at the end.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        if not records.size:
            return
        self.write(records.astype(self.dtype, copy=False).tobytes())

    def write(self, records: bytes) -> None:
        """Add the bytes of whole records at the end.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        self.crc = zlib.crc32(records, self.crc)
        data = memoryview(records)
        try:
            while data.nbytes:  # an unbuffered file may take a part only
                data = data[self._file.write(data) :]
        except OSError as error:
            raise self._cannot(error) from error

    def cut(self, size: int) -> None:
        """Drop all records from number `size` on, and what is left of one that was not written whole.

        Raises
        ------
        OutputError
            If that cannot be done.
        """
        try:
            self._file.truncate(min(size, self.size) * self.dtype.itemsize)
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._cannot(error) from error

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return some records; fewer where the file ends."""
        size = self.dtype.itemsize
        if hasattr(os, "pread") and not self._file.closed:
            data = os.pread(self._file.fileno(), (stop - start) * size, start * size)
            return np.frombuffer(data, self.dtype, len(data) // size)
        with self.path.open("rb", buffering=0) as file:
            file.seek(start * size)
            return np.fromfile(file, self.dtype, stop - start)

    def sync(self) -> None:
        """Have the disk hold what was appended.

        Raises
        ------
        OutputError
            If it does not.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> OutputError:
        msg = f"cannot write {self.path}: {error.strerror or error}"
        return OutputError(msg, "Free some space, or give an output on another disk")

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield all records, in the order they came, in parts of bounded size."""
        try:
            with self.path.open("rb") as file:
                while (part := np.fromfile(file, self.dtype, CHUNK)).size:
                    yield part
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> OutputError:
        msg = f"cannot read {self.path}: {error.strerror or error}"
        return OutputError(msg, "If its disk is there again, run once more")

    def close(self) -> None:
        """Close the file; it can still be read."""
        self._file.close()


def save_sizes(folder: Path, files: Iterable[RecordFile]) -> None:
    """Note how long these files of a folder are, once they are whole.

    Raises
    ------
    OutputError
        If that cannot be written.
    """
    part = folder / f".{SIZES}"
    try:
        part.write_text(json.dumps({file.path.name: file.path.stat().st_size for file in files}))
        part.replace(folder / SIZES)
    except OSError as error:
        msg = f"cannot write {folder / SIZES}: {error.strerror or error}"
        raise OutputError(msg, "Free some space, or give an output on another disk") from error


def check_sizes(folder: Path) -> None:
    """Tell if a file of a folder is not as long as it was; nothing is known where nothing was noted.

    Raises
    ------
    OutputError
        If records are missing, or too many.
    """
    try:
        sizes = json.loads(read_regular(folder / SIZES, 1 << 20))
        wrong = [name for name in sizes if Path(name).name != name]
        if wrong or not isinstance(sizes, dict):
            raise TypeError(wrong)
    except FileNotFoundError:
        return
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"{folder / SIZES} is damaged"
        raise OutputError(msg, "Put it back from a copy, or segment again") from error
    for name, size in sizes.items():
        file = folder / name
        found = file.stat().st_size if file.exists() else 0
        if found != size:
            msg = f"{file} is damaged: it has {found:,} bytes, not {size:,}"
            raise OutputError(msg, "Put it back from a copy, or segment again")
