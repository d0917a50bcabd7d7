"""Staging: the labels of finished tiles on disk until the final labels are painted.

One compressed file per tile, together a valid zarr v2 array of shape (tiles, *read box). Written
directly, because opening an array costs more than compressing a tile. Knows nothing of merging.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numcodecs import Zstd

from seamlabel.errors import OutputError

if TYPE_CHECKING:
    from seamlabel.protocols import Labels

CACHE_BYTES = 64_000_000
"""Compressed tiles kept in memory, so that seams and paint seldom read files back."""
FOLDER = "staging-{}.zarr"
"""Of its own for every run: a tile of a cancelled run may come late."""


class StagingStore:
    """A `LabelStore` in a folder; safe to use from many threads.

    Parameters
    ----------
    folder : Path
        The folder of the array.
    read_shape : tuple of int
        Shape of every tile's read box.
    """

    def __init__(self, folder: Path, read_shape: tuple[int, ...]) -> None:
        self._folder = folder
        self._shape = read_shape
        self._suffix = ".0" * len(read_shape)
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def write(self, tile: int, labels: Labels) -> None:
        """Store a tile's labels, int32 of the read box's shape; all or nothing.

        Raises
        ------
        OutputError
            If they cannot be written, such as on a full disk.
        """
        data = np.ascontiguousarray(labels, dtype="<i4")
        packed = bytes(Zstd(level=1).encode(data))
        target = self._folder / f"{tile}{self._suffix}"
        part = target.with_name(f".{target.name}.{threading.get_ident()}")
        try:
            part.write_bytes(packed)
            part.replace(target)
        except OSError as error:
            msg = f"cannot stage tile {tile} in {self._folder}: {error.strerror or error}"
            raise OutputError(msg, "Free some space, or give an output on another disk") from error
        self._keep(tile, packed)

    def read(self, tile: int) -> Labels | None:
        """Return a tile's labels (read-only), or None for a tile that was not written."""
        with self._lock:
            packed = self._recent.get(tile)
        if packed is None:
            try:
                packed = (self._folder / f"{tile}{self._suffix}").read_bytes()
            except FileNotFoundError:
                return None
            self._keep(tile, packed)
        return np.frombuffer(Zstd().decode(packed), "<i4").reshape(self._shape)

    def _keep(self, tile: int, packed: bytes) -> None:
        with self._lock:
            former = self._recent.pop(tile, b"")
            self._recent[tile] = packed
            self._held += len(packed) - len(former)
            while self._held > CACHE_BYTES and len(self._recent) > 1:
                self._held -= len(self._recent.popitem(last=False)[1])


def create_staging(run_dir: Path, tiles: int, read_shape: tuple[int, ...]) -> StagingStore:
    """Make an empty staging store in `run_dir`."""
    folder = run_dir / FOLDER.format(uuid4().hex[:8])
    folder.mkdir(parents=True)
    meta: dict[str, Any] = {
        "zarr_format": 2,
        "shape": [tiles, *read_shape],
        "chunks": [1, *read_shape],
        "dtype": "<i4",
        "compressor": {"id": "zstd", "level": 1},
        "fill_value": 0,
        "order": "C",
        "filters": None,
    }
    (folder / ".zarray").write_text(json.dumps(meta))
    return StagingStore(folder, read_shape)


def open_staging(run_dir: str | Path) -> StagingStore:
    """Open the staging store of a run, to read tiles while it goes on or after it stopped.

    Raises
    ------
    FileNotFoundError
        If there is no staging store in `run_dir`.
    """
    folder = next(Path(run_dir).glob(FOLDER.format("*")), Path(run_dir) / FOLDER.format(""))
    meta = json.loads((folder / ".zarray").read_text())
    return StagingStore(folder, tuple(meta["shape"][1:]))


@cache
def _temporary_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="seamlabel-"))
    owner = os.getpid()

    def clean() -> None:
        if os.getpid() == owner:
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(clean)
    return root


def temporary_folder() -> Path:
    """Return a new folder that lasts as long as this process."""
    return Path(tempfile.mkdtemp(dir=_temporary_root()))
