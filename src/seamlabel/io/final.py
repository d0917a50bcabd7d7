"""Final labels as a result hands them out: lazy, and honest once they are gone.

A chunk that is not on disk reads as background, so labels that were replaced or removed would look
empty. Knows one array and its folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.io.sources import open_labels

if TYPE_CHECKING:
    import os

    from numpy.typing import DTypeLike, NDArray


class FinalLabels:
    """One level of labels on disk; read where it is indexed, all of it by ``np.asarray``.

    What else an array on disk has (``shape``, ``dtype``, ``chunks``, …) is that of the zarr array.

    Parameters
    ----------
    array : zarr.Array
        The labels, in a store on a local disk.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self._folder = Path(array.store.root) / array.path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._array, name)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        found: NDArray[Any] = np.asarray(self._array[key])
        if not self._folder.is_dir():  # asked last: they may go while they are read
            msg = f"the labels that were in {self._folder} were replaced or removed"
            raise OutputError(msg, "Take those of the latest result, or write to another name next time")
        return found

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all; `copy` is of no account, every reading is a new array."""
        return np.asarray(self[...], dtype)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __repr__(self) -> str:
        return f"<labels {self.dtype} {' x '.join(map(str, self.shape))} in {self._folder}>"


def final_labels(path: str | os.PathLike[str]) -> FinalLabels:
    """Open the labels of a result at full resolution.

    Raises
    ------
    ImageError
        If there are no finished labels at this path.
    """
    return FinalLabels(open_labels(path)[0])
