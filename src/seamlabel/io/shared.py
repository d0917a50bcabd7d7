"""Arrays that other processes can open: pixels are never passed to them, only where these are.

Knows arrays, no images' axes and no tiles.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.lib.format import open_memmap
from zarr.storage import MemoryStore

from seamlabel.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray

SLAB_BYTES = 1 << 26


class MappedArray:
    """An array in a ``.npy`` file, mapped into memory where it is used; pickled as the path.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        self.shape, self.dtype = self._array.shape, self._array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._array[key]
        return found

    def __reduce__(self) -> Any:
        return MappedArray, (self._path,)


def shared(image: Any, path: Path) -> Generator[None, None, Any]:
    """Return an image, or a path, in a form that can be passed to other processes without its pixels.

    Paths, zarr arrays on disks and dask arrays are that already; others are written to a file at
    `path`, a part at a time: yields between the parts.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    if isinstance(image, str) or hasattr(image, "dask"):
        return image
    if isinstance(image, zarr.Array) and not isinstance(image.store, MemoryStore):
        return image
    try:
        out = open_memmap(path, "w+", np.dtype(image.dtype), tuple(image.shape))
        step = max(1, SLAB_BYTES // max(1, prod(out.shape[1:]) * out.dtype.itemsize))
        for at in range(0, out.shape[0], step):
            out[at : at + step] = np.asarray(image[at : at + step])
            yield
        out.flush()
    except OSError as error:
        msg = f"the image cannot be handed to other processes, in {path}: {error.strerror or error}"
        raise OutputError(msg, "Free some space, give an output on another disk, or use threads") from error
    return MappedArray(path)
