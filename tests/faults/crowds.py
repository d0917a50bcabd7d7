"""Methods that fit into memory only a few at once, or that take as much as they may. Knows no runs."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from tests.faults.strikes import OutOfMemoryError, bright, kill_self

LINGER_SECONDS = 0.05


class Crowd:
    """Segments; runs out of memory where more than so many tiles are segmented at once.

    Parameters
    ----------
    folder : str
        Where all processes tell that they are at a tile.
    most : int
        Tiles at once.
    end : {"MemoryError", "OutOfMemoryError", "kill"}
        What then happens: of the machine, of a GPU, or the kernel ends the process.
    """

    def __init__(self, folder: str, most: int, end: str) -> None:
        self.folder, self.most, self.end = folder, most, end

    def __call__(self, tile: Any) -> Any:
        """Segment a tile."""
        mine = Path(self.folder) / f"{uuid.uuid4().hex}.busy"
        mine.touch()
        many = len(list(Path(self.folder).glob("*.busy")))
        time.sleep(LINGER_SECONDS)
        mine.unlink()
        if many > self.most:
            with (Path(self.folder) / "crowded").open("a") as log:
                log.write(f"{os.getpid()}\n")
            self.fail()
        return bright(tile)

    def fail(self) -> None:
        """Run out of memory."""
        if self.end == "kill":
            kill_self()
        raise MemoryError if self.end == "MemoryError" else OutOfMemoryError("CUDA out of memory")


class Greedy:
    """Segments; takes as many bytes for a voxel as it was said to, all of them touched."""

    def __init__(self, bytes_per_voxel: int) -> None:
        self.bytes_per_voxel = bytes_per_voxel

    def __call__(self, tile: Any) -> Any:
        """Segment a tile."""
        own = tile.size * (self.bytes_per_voxel - tile.dtype.itemsize - 16)
        held = np.ones(max(0, own), np.uint8)
        labels = bright(tile)
        time.sleep(LINGER_SECONDS)
        return labels + 0 * int(held[-1])
