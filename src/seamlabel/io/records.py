"""Records of a run that are appended tile by tile and read back in chunks: labels and pairs.

They lie on disk, so that memory does not grow with the image. Knows record types only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

CHUNK = 1 << 15


class RecordFile:
    """A file of records of one type; one writer.

    Parameters
    ----------
    path : Path
        The file; records that are there stay.
    dtype : numpy.dtype
        Their type.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        try:
            path.parent.mkdir(exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise self._cannot(error) from error

    @property
    def size(self) -> int:
        """Number of records."""
        return self._file.tell() // self.dtype.itemsize

    def append(self, records: NDArray[Any]) -> None:
        """Add records at the end.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        if not records.size:
            return
        data = memoryview(records.astype(self.dtype, copy=False).tobytes())
        try:
            while data.nbytes:  # an unbuffered file may take a part only
                data = data[self._file.write(data) :]
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> OutputError:
        msg = f"cannot write {self.path}: {error.strerror or error}"
        return OutputError(msg, "Free some space, or give an output on another disk")

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield all records, in the order they came, in parts of bounded size."""
        with self.path.open("rb") as file:
            while (part := np.fromfile(file, self.dtype, CHUNK)).size:
                yield part

    def close(self) -> None:
        """Close the file; it can still be read."""
        self._file.close()
