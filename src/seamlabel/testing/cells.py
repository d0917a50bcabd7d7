"""Synthetic cells with their truth, computable for any box without the rest of the image.

Every voxel is a pure function of its coordinates and a seed, in integer and exactly rounded
arithmetic: the image of a box is bit for bit that part of the whole image, however it is cut.
Knows nothing of files or tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Kind = Literal["dense", "sparse", "tissue3d"]
_FAR = np.int32(2**30)
_CANDIDATE_BITS = 5  # 3**3 lattice cells around one fit into 5 bits
_MEMBRANE = 0.06  # half width of a dark border, in diameters
_DIM = np.float32(0.5)  # light left in it: a threshold glues bright neighbours, a watershed does not


@dataclass(frozen=True)
class Tissue:
    """Cells around the jittered points of a lattice (a Voronoi tessellation), as an image.

    Parameters
    ----------
    shape : tuple of int
        Shape (z, y, x) or (y, x) in voxels.
    kind : {"dense", "sparse", "tissue3d"}
        Touching cells with dark borders, in 2D or 3D, with a background around the tissue and holes
        in it; or round nuclei that do not touch.
    diameter : int or None
        Typical diameter of a cell in voxels; None: 48, in 3D 24.
    seed : int
        Other seeds give other images.
    anisotropy : float
        How many times longer a voxel is along z than along y and x.
    """

    shape: tuple[int, ...]
    kind: Kind = "dense"
    diameter: int | None = None
    seed: int = 0
    anisotropy: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        ValueError
            If one is out of range, or the shape does not fit the kind.
        """
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if self.kind not in ("dense", "sparse", "tissue3d"):
            msg = f"kind {self.kind!r} is none of 'dense', 'sparse', 'tissue3d'"
            raise ValueError(msg)
        if len(self.shape) not in ((3,) if self.kind == "tissue3d" else (2, 3)) or min(self.shape) < 1:
            msg = f"shape {self.shape} of kind '{self.kind}' must be positive and have 2 or 3 axes"
            raise ValueError(msg)
        if not 4 <= self.size <= 512 or not 1 <= self.anisotropy <= self.size / 2:
            msg = f"diameter {self.size} must be 4 to 512, anisotropy {self.anisotropy} 1 to half of it"
            raise ValueError(msg)

    @property
    def dtype(self) -> np.dtype[np.uint16]:
        """Type of the pixels."""
        return np.dtype(np.uint16)

    @property
    def size(self) -> int:
        """Typical diameter of a cell in voxels along y and x."""
        return self.diameter or (48 if len(self.shape) == 2 else 24)

    @property
    def scale(self) -> tuple[float, ...]:
        """Extent of a voxel along each axis, 1 along y and x."""
        return (1.0,) * len(self.shape) if len(self.shape) == 2 else (self.anisotropy, 1.0, 1.0)

    @property
    def pitch(self) -> tuple[int, ...]:
        """Voxels between two points of the lattice, per axis."""
        step = self.size * (2 if self.kind == "sparse" else 1)
        return tuple(max(1, round(step / s)) for s in self.scale)

    @property
    def lattice(self) -> tuple[int, ...]:
        """Lattice points per axis, with one more all around the image."""
        return tuple(ceil(n / p) + 2 for n, p in zip(self.shape, self.pitch, strict=True))

    def image(self, box: Box | None = None) -> NDArray[np.uint16]:
        """Return the pixels of a box (None: all), shape of the box."""
        return self._fill(box, np.dtype(np.uint16), _pixels)

    def truth(self, box: Box | None = None) -> NDArray[np.int32]:
        """Return the true labels of a box (None: all); a cell has one id wherever it is cut."""
        return self._fill(box, np.dtype(np.int32), _labels)

    def __getitem__(self, key: Any) -> NDArray[np.uint16]:
        """Return the pixels at slices with step 1, so that it is an image source."""
        keys = key if isinstance(key, tuple) else (key,)
        keys += (slice(None),) * (len(self.shape) - len(keys))
        ranges = [k.indices(n) for k, n in zip(keys, self.shape, strict=True)]
        return self.image(Box(tuple(r[0] for r in ranges), tuple(r[1] for r in ranges)))

    def _fill(
        self, box: Box | None, dtype: np.dtype[Any], paint: Callable[[_Strip], NDArray[Any]]
    ) -> NDArray[Any]:
        """Paint rows of lattice cells that cover the box, and cut the box out of them."""
        box = Box.whole(self.shape) if box is None else box
        out = np.zeros(box.shape, dtype)
        if box.size:
            spans = zip(box.start, box.stop, self.pitch, strict=True)
            *rows, columns = (range(a // p, -(-b // p)) for a, b, p in spans)
            for row in product(*rows):
                strip = _Strip(self, row, columns)
                part = strip.box.intersect(box)
                out[part.relative_to(box).slices] = paint(strip)[part.relative_to(strip.box).slices]
        return out


class _Strip:
    """A row of lattice cells along x: which lattice points are nearest to each of its voxels.

    Arrays run over (columns, candidates) or (columns, voxels of one lattice cell): points are
    constants per column, so no voxel looks anything up until its nearest one is known.
    """

    def __init__(self, tissue: Tissue, row: tuple[int, ...], columns: range) -> None:
        self.tissue, self.pitch = tissue, np.array(tissue.pitch)
        start, stop = (*row, columns.start), (*(i + 1 for i in row), columns.stop)
        self.box = Box(
            tuple(i * p for i, p in zip(start, tissue.pitch, strict=True)),
            tuple(i * p for i, p in zip(stop, tissue.pitch, strict=True)),
        )
        ndim = len(row) + 1
        offsets = np.array(list(product((-1, 0, 1), repeat=ndim)))
        index = np.tile(offsets, (len(columns), 1, 1)) + np.array((*row, 0))
        index[..., -1] += np.array(columns)[:, None]
        self.cells = np.ravel_multi_index(tuple(np.moveaxis(index + 1, -1, 0)), tissue.lattice)
        reach = np.maximum(self.pitch * (2 if tissue.kind == "sparse" else 3) // 10, 0)
        jitter = np.stack([self.hashed(i) % (2 * r + 1) - r for i, r in enumerate(reach)], -1)
        self.points = index * self.pitch + self.pitch // 2 + jitter
        self.corner = index[:, offsets.shape[0] // 2] * self.pitch

    def hashed(self, salt: int) -> NDArray[np.int64]:
        """Return a number in 0 .. 2**32 - 1 for every candidate, shape (columns, candidates)."""
        keys = self.cells.astype(np.uint32) * np.uint32(16) + np.uint32(salt)
        return _mix(keys ^ _mix(_seed(self.tissue.seed))).astype(np.int64)

    def fraction(self, salt: int) -> NDArray[np.float32]:
        """Return a number in 0 .. 1 for every candidate."""
        return (self.hashed(salt) >> 8).astype(np.float32) / np.float32(2**24)

    def present(self) -> NDArray[np.bool_]:
        """Return which candidates are cells: those within the tissue's outline that are no hole."""
        if self.tissue.kind == "sparse":
            return self.fraction(5) < 0.75
        unit = 2.0 * self.points[..., -2:] / np.array(self.tissue.shape[-2:]) - 1
        outline = (unit * unit * unit * unit).sum(-1)  # a square with round corners
        within: NDArray[np.bool_] = outline < 0.85 + 0.2 * self.fraction(5)
        return within & (self.fraction(6) > 0.02)

    def nearest(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return squared distance and number of the nearest two candidates, packed into integers.

        Shape (columns, one lattice cell); the lower `_CANDIDATE_BITS` bits are the candidate.
        """
        n, m = self.cells.shape
        squares = []
        for axis, (size, scale) in enumerate(zip(self.pitch, self.tissue.scale, strict=True)):
            points = (self.points[..., axis] - self.corner[:, None, axis])[..., None]
            away = np.rint((np.arange(size) - points) * scale).astype(np.int32)
            place = [n, m, *(1,) * len(self.pitch)]
            place[2 + axis] = int(size)
            squares.append((away * away << _CANDIDATE_BITS).reshape(place))
        squares[-1] = squares[-1] + np.arange(m, dtype=np.int32).reshape(1, m, *(1,) * len(self.pitch))
        best = np.full((n, *self.pitch), _FAR, np.int32)
        second, key, worse = best.copy(), np.empty_like(best), np.empty_like(best)
        for c in range(m):
            np.add(sum(s[:, c] for s in squares[:-1]), squares[-1][:, c], out=key)
            np.minimum(second, np.maximum(best, key, out=worse), out=second)
            np.minimum(best, key, out=best)
        return best, second

    def look_up(self, table: NDArray[Any], nearest: NDArray[np.int32]) -> NDArray[Any]:
        """Return for every voxel the entry of its nearest candidate."""
        first = np.arange(len(table)).reshape(-1, *(1,) * len(self.pitch)) * table.shape[1]
        found: NDArray[Any] = table.ravel()[(nearest & ((1 << _CANDIDATE_BITS) - 1)) + first]
        return found

    def in_place(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values over (columns, lattice cell) in the order of the image."""
        return np.moveaxis(values, 0, -2).reshape(self.box.shape)


def _radii(strip: _Strip) -> NDArray[np.float32]:
    """Return the radius of every candidate's nucleus, at most half a diameter."""
    return strip.tissue.size * (np.float32(0.3) + np.float32(0.2) * strip.fraction(7))


def _labels(strip: _Strip) -> NDArray[Any]:
    best, _ = strip.nearest()
    labels = strip.look_up(np.where(strip.present(), strip.cells + 1, 0).astype(np.int32), best)
    if strip.tissue.kind == "sparse":
        inside = (best >> _CANDIDATE_BITS) <= strip.look_up(_radii(strip) ** 2, best)
        labels = np.where(inside, labels, np.int32(0))
    return strip.in_place(labels)


def _pixels(strip: _Strip) -> NDArray[np.uint16]:
    """Return pixels: bright textured cells, dark borders, a noisy background."""
    best, second = strip.nearest()
    size = np.float32(strip.tissue.size)
    away = np.sqrt((best >> _CANDIDATE_BITS).astype(np.float32))
    bright = np.where(strip.present(), 2200 + 1800 * strip.fraction(8), 0).astype(np.float32)
    if strip.tissue.kind == "sparse":
        edge = (strip.look_up(_radii(strip), best) - away) / 3 + np.float32(0.5)
    else:
        edge = np.sqrt((second >> _CANDIDATE_BITS).astype(np.float32))
        edge = (edge - away) / (2 * np.float32(_MEMBRANE) * size)
    np.clip(edge, 0 if strip.tissue.kind == "sparse" else _DIM, 1, out=edge)
    dome = 1 - away * (np.float32(0.5) / size)
    light = strip.in_place(strip.look_up(bright, best) * edge * dome)
    grain = light * (1 + _noise(strip.box, strip.tissue.seed, 4) * np.float32(0.15))
    pixels: NDArray[np.float32] = grain + _noise(strip.box, strip.tissue.seed + 1, 1) * 60 + 500
    return pixels.astype(np.uint16)


def _noise(box: Box, seed: int, grain: int) -> NDArray[np.float32]:
    """Return noise in -1 .. 1, a hash of the coordinates, constant over cubes of `grain` voxels."""
    start = tuple(a // grain for a in box.start)
    stop = tuple(-(-b // grain) for b in box.stop)
    mixed = _seed(seed)
    for a, b in zip(start, stop, strict=True):
        mixed = _mix(np.add.outer(mixed * np.uint32(31), np.arange(a, b, dtype=np.uint32)))
    mixed = mixed[0]
    whole: NDArray[np.float32] = ((mixed & 0xFFFF) + (mixed >> 16)).astype(np.float32) / np.float32(
        65535
    ) - np.float32(1)
    if grain > 1:
        for axis, (a, b) in enumerate(zip(box.start, box.stop, strict=True)):
            whole = whole.take(np.arange(a, b) // grain - start[axis], axis)
    return whole


def _seed(seed: int) -> NDArray[np.uint32]:
    return np.array([seed % 2**32], np.uint32)


def _mix(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return a hash of 32-bit numbers: C. Wellons' lowbias32 (public domain, 2018)."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x
