"""Images that are measured on, and the labels of each taken at once: made once, kept in a folder.

The same bytes on every machine with the same numpy and scipy. Knows nothing of jobs or timing.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from scipy import ndimage

from benchmarks.jobs import FUNCTIONS, THRESHOLD
from seamlabel.geometry import Box, TileGrid
from seamlabel.io.ngff.images import write_image
from seamlabel.testing import Tissue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

LEVELS = 5
DIAMETER = {2: 18, 3: 16}
"""Of nuclei in voxels: some 600 of them on 1024² pixels."""
BRIGHT, DARK = 3 * THRESHOLD, THRESHOLD // 2
BAR, PITCH = 8, 64


@dataclass(frozen=True)
class Image:
    """An image to measure on.

    Parameters
    ----------
    kind : {"nuclei", "net", "comb", "spiral", "percolation"}
        What is on it. Nuclei are round and apart; the others but percolation are one object each.
    shape, chunks : tuple of int
        Voxels along (z) y x.
    """

    kind: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of its file, without suffix."""
        cut = "x".join(map(str, self.chunks))
        return f"{self.kind}-{'x'.join(map(str, self.shape))}-chunks-{cut}"

    @property
    def title(self) -> str:
        """What tables call it."""
        square = len(set(self.shape)) == 1 and len(self.shape) == 2
        size = f"{self.shape[0]}²" if square else "×".join(map(str, self.shape))
        return f"{self.kind} {size}"


class Data:
    """A folder of images and of their labels taken at once.

    Parameters
    ----------
    folder : Path
        Is made; what is there from before is used again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)

    def image(self, image: Image) -> Path:
        """Return the path of an image, an OME-Zarr 0.5; made if it is not there."""
        return self._made(f"{image.name}.zarr", lambda path: _write(image, path))

    def truth(self, image: Image, function: str) -> Path:
        """Return the path of a zarr array: what the function gives on the whole image at once."""
        source = self.image(image) / "0"
        return self._made(f"{image.name}-{function}-truth.zarr", lambda path: _label(source, function, path))

    def small(self, ndim: int) -> Path:
        """Return the path of an image of a few tiles, on which jobs load what they load late."""
        side = {2: 128, 3: 32}[ndim]
        return self.image(Image("nuclei", (side,) * ndim, (side // 2,) * ndim))

    def scratch(self, name: str) -> Path:
        """Return a path below the folder at which nothing is; its parent exists."""
        path = self.folder / "scratch" / name
        path.parent.mkdir(exist_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a path, made under another name first: one that was broken off is not used."""
        path = self.folder / name
        if not path.exists():
            part = self.folder / f".{os.getpid()}-{name}"
            make(part)
            part.replace(path)
        return path


def warm(path: Path) -> int:
    """Read all files below a path, so that every job finds them in memory; return their bytes."""
    return sum(len(file.read_bytes()) for file in path.rglob("*") if file.is_file())


def size_on_disk(path: Path) -> int:
    """Return the bytes of all files below a path."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _write(image: Image, path: Path) -> None:
    if image.kind == "nuclei":
        tissue = Tissue(image.shape, "sparse", diameter=DIAMETER[len(image.shape)])
        block: Callable[[Box], NDArray[Any]] = tissue.image
    else:
        pixels = PATTERNS[image.kind](image.shape)

        def block(box: Box) -> NDArray[Any]:
            return pixels[box.slices]

    axes = "zyx"[-len(image.shape) :]
    write_image(path, image.shape, "uint16", block, axes=axes, chunks=image.chunks, levels=LEVELS)


def _label(source: Path, function: str, path: Path) -> None:
    pixels: Any = zarr.open_array(source, mode="r")
    labels = FUNCTIONS[function](pixels[...]).astype(np.uint32, copy=False)
    out = zarr.create_array(path, shape=labels.shape, dtype=labels.dtype, chunks=pixels.chunks)
    for tile in TileGrid(labels.shape, pixels.chunks, (0,) * labels.ndim):
        out[tile.core.slices] = labels[tile.core.slices]


def _drawn(bright: NDArray[np.bool_]) -> NDArray[np.uint16]:
    return np.where(bright, np.uint16(BRIGHT), np.uint16(DARK))


def net(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Return bars of 8 voxels every 64 along both axes: one object through all tiles."""
    rows, columns = (np.arange(n) % PITCH < BAR for n in shape)
    return _drawn(rows[:, None] | columns)


def comb(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Return teeth of 8 voxels every 16 that meet in the first rows only: unions in long chains."""
    rows, columns = np.arange(shape[0]) < BAR, np.arange(shape[1]) % (2 * BAR) < BAR
    return _drawn(rows[:, None] | columns)


def spiral(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Return a square spiral, bar and gap of 8 voxels: one object, some 30 pieces in every tile.

    Rings around the centre, each cut beside its first corner and led on to the next one there.
    """
    n = shape[0] // BAR
    row, column = np.arange(n)[:, None], np.arange(n)
    depth = np.minimum(np.minimum(row, n - 1 - row), np.minimum(column, n - 1 - column))
    bright = depth % 2 == 0
    cut = np.arange(n // 2 - 1)
    bright[cut + 1, cut] = cut % 2 == 1
    return _drawn(bright.repeat(BAR, 0).repeat(BAR, 1))


def percolation(shape: tuple[int, ...], smoothing: float = 3.0) -> NDArray[np.uint16]:
    """Return smooth noise, half of it bright: at that fraction objects of every size appear."""
    noise = np.random.default_rng(0).random(shape, dtype=np.float32) - np.float32(0.5)
    noise = ndimage.gaussian_filter(noise, smoothing, output=np.float32)
    noise *= np.float32(THRESHOLD / 5) / noise.std(dtype=np.float64)
    noise += np.float32(THRESHOLD + 0.5)
    return np.clip(noise, 0, 2 * THRESHOLD).astype(np.uint16)


PATTERNS = {"net": net, "comb": comb, "spiral": spiral, "percolation": percolation}
