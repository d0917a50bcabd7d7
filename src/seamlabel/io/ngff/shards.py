"""`Shards`: chunks of zarr 3 in files of many, added one by one; and which labels are stored so.

The index is at the start of a file, so that chunks can be added behind it. Knows no NGFF and no pixels.
"""

from __future__ import annotations

from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs import CRC32C

from seamlabel.io.ngff.strict import load_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MANY_FILES = 50_000
"""Chunks of labels from which on they go into shards: file systems and copies get slow."""
_MISSING = 2**64 - 1
_CHECKSUM = CRC32C()


def shard_shapes(
    shapes: Sequence[tuple[int, ...]],
    chunks: Sequence[tuple[int, ...]],
    blocks: Sequence[tuple[int, ...]],
    image: Path,
) -> list[tuple[int, ...] | None]:
    """Return the shard shape of each level, None where chunks are files of their own.

    Parameters
    ----------
    shapes, chunks, blocks : sequence of tuple of int
        Shape, chunk shape, and shape of what is written together, of each level; no blocks, no shards.
    image : Path
        The image's array, which may not exist: if it has shards, labels have, however few they are.
    """
    pairs = list(zip(shapes, chunks, strict=True))
    files = sum(prod(-(-n // c) for n, c in zip(*pair, strict=True)) for pair in pairs)
    if not blocks or not (files > MANY_FILES or is_sharded(image)):
        return [None] * len(pairs)
    return [_whole(chunk, block) for chunk, block in zip(chunks, blocks, strict=True)]


def _whole(chunk: tuple[int, ...], block: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return a block's shape in whole chunks; None if that is one."""
    shard = tuple(c * -(-b // c) for b, c in zip(block, chunk, strict=True))
    return None if shard == chunk else shard


def is_sharded(array: Path) -> bool:
    """Return whether the array in this folder has shards."""
    place = array / "zarr.json"
    codecs: Any = load_document(place).get("codecs") if place.is_file() else None
    names = (
        [part.get("name") for part in codecs if isinstance(part, dict)] if isinstance(codecs, list) else []
    )
    return "sharding_indexed" in names


class Shards:
    """The shard files of one array; safe to use from several threads of one process.

    Parameters
    ----------
    folder : Path
        Where the files are, those of chunks ``c`` included.
    counts : tuple of int
        Chunks in a shard, per axis.
    """

    def __init__(self, folder: Path, counts: tuple[int, ...]) -> None:
        self._folder = folder
        self._counts = counts
        self._index_bytes = 16 * prod(counts)
        self._lock = Lock()

    def put(self, index: tuple[int, ...], packed: bytes) -> None:
        """Add an encoded chunk.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        file, at = self._place(index)
        with self._lock:
            entries = self._entries(file)
            if entries is None:
                file.parent.mkdir(parents=True, exist_ok=True)
                entries = np.full((prod(self._counts), 2), _MISSING, "<u8")
                file.write_bytes(_CHECKSUM.encode(entries))
            with file.open("r+b") as stream:
                entries[at] = stream.seek(0, 2), len(packed)
                stream.write(packed)
                stream.seek(0)
                stream.write(_CHECKSUM.encode(entries))

    def get(self, index: tuple[int, ...]) -> bytes:
        """Return an encoded chunk.

        Raises
        ------
        FileNotFoundError
            If it was never put.
        OSError
            If the file cannot be read.
        """
        file, at = self._place(index)
        entries = self._entries(file)
        if entries is None or entries[at, 0] == _MISSING:
            raise FileNotFoundError(file)
        with file.open("rb") as stream:
            stream.seek(int(entries[at, 0]))
            return stream.read(int(entries[at, 1]))

    def _place(self, index: tuple[int, ...]) -> tuple[Path, int]:
        """Return the file of a chunk, and its number in it."""
        pairs = [divmod(i, n) for i, n in zip(index, self._counts, strict=True)]
        at = int(np.ravel_multi_index([rest for _, rest in pairs], self._counts))
        return self._folder.joinpath(*(str(number) for number, _ in pairs)), at

    def _entries(self, file: Path) -> NDArray[np.uint64] | None:
        """Return offset and length of every chunk in a file, None if there is no file."""
        try:
            with file.open("rb") as stream:
                return np.frombuffer(stream.read(self._index_bytes), "<u8").reshape(-1, 2).copy()
        except FileNotFoundError:
            return None
