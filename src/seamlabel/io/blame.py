"""Chunk files that zarr-python reads: which one is damaged, empty, or gone with the whole store.

zarr-python takes a file it cannot find, and a shard of no bytes, for chunks that were never written. So a
disk that went away, or a file that lost its bytes in a power cut, would read as background. Knows
zarr's names of chunks, no caches and no images.
"""

from __future__ import annotations

import os
import struct
import zlib
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.storage import LocalStore

from seamlabel.errors import ImageError, RemoteError
from seamlabel.io.remote import RemoteStore
from seamlabel.io.remote_reads import read_remote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Cut = tuple[slice, ...]

DOCUMENTS = ("zarr.json", ".zarray")
MEND = "It is damaged: copy or write the image again"
_DECODING = (ValueError, RuntimeError, OSError, EOFError, LookupError, TypeError, zlib.error, struct.error)
"""What decoders raise for bytes that are not theirs."""


def corrupt(path: str, why: str) -> ImageError:
    """Return the error of a chunk file that holds no chunk."""
    return ImageError(f"{path} is no chunk of this image: {why}", MEND)


def unreadable(path: str, error: OSError) -> OSError:
    """Return an error of the system with the file's name in it; `open` says it, but reading does not."""
    return OSError(error.errno, error.strerror, path)


def check_there(folder: str) -> None:
    """Raise if an array's folder has no metadata any more: then its chunks are not missing, but out of reach.

    Raises
    ------
    FileNotFoundError
        With the folder's name.
    """
    if not any(os.path.isfile(os.path.join(folder, name)) for name in DOCUMENTS):
        msg = "the image is gone (a disk that was unmounted?)"
        raise FileNotFoundError(2, msg, folder)


def is_there(path: str) -> bool:
    """Return whether there is something where a chunk's file belongs.

    Raises
    ------
    OSError
        If the system does not tell: that is not the same as no.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_zarr(array: Any, cut: Cut) -> NDArray[Any]:
    """Return ``array[cut]``.

    Raises
    ------
    ImageError
        If a chunk is damaged; the file is named. `RemoteError` if a server does not give it.
    OSError
        If the system cannot read it, or the image is gone.
    """
    store = array.store
    missed = getattr(store, "missed", 0)
    try:
        pixels = read_remote(array, cut) if isinstance(store, RemoteStore) else np.asarray(array[cut])
    except RemoteError:
        raise
    except _DECODING as error:
        _blame(array, cut)
        raise error from None
    if isinstance(array.store, LocalStore):
        _check_files(array, cut)
    if isinstance(store, RemoteStore) and store.missed > missed:
        store.check_there(array.path)
    return pixels


def _blame(array: Any, cut: Cut) -> None:
    """Raise for the first chunk file of a box that cannot be read by itself."""
    for name, part in _files(array, cut):
        try:
            array[part]
        except _DECODING as error:
            if isinstance(error, OSError) and error.errno:
                raise unreadable(name, error) from error
            raise corrupt(name, str(error)) from None


def _check_files(array: Any, cut: Cut) -> None:
    """Raise where what was read as the fill value may be none."""
    missing = False
    for name, _ in _files(array, cut):
        try:
            size = os.stat(name).st_size
        except (FileNotFoundError, NotADirectoryError):
            missing = True
            continue
        if not size:
            raise corrupt(name, "0 bytes")
    if missing:
        check_there(os.path.join(str(array.store.root), array.path))


def _files(array: Any, cut: Cut) -> Iterator[tuple[str, Cut]]:
    """Yield the chunk files (shards) that a box meets, and the part of the box in each."""
    sizes = getattr(array, "shards", None) or array.chunks
    local = isinstance(array.store, LocalStore)
    folder = os.path.join(str(array.store.root), array.path) if local else str(array.store_path)
    spans = [range(s.start // n, -(-s.stop // n)) for s, n in zip(cut, sizes, strict=True)]
    for index in product(*spans):
        part = tuple(
            slice(max(s.start, i * n), min(s.stop, (i + 1) * n))
            for s, i, n in zip(cut, index, sizes, strict=True)
        )
        yield os.path.join(folder, *array.metadata.encode_chunk_key(index).split("/")), part
