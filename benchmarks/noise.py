"""Backends that know the truth: a perfect one, and ones that err as real segmenters do near cuts.

A tile sees only its read box. Everything random is seeded by image and tile, so a tile is the same in
every run and for every rule. Knows nothing of rules or scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from benchmarks.tissues import connected, diameter, thickness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel import TileGrid
    from seamlabel.geometry import Tile

    Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Sizes:
    """Typical diameter D and thickness W of a tissue's objects, in voxels; see `tissues`."""

    diameter: float
    thickness: float

    @classmethod
    def of(cls, truth: Labels) -> Sizes:
        """Measure true labels."""
        return cls(diameter(truth), thickness(truth))


@dataclass(frozen=True)
class Noise:
    """How a backend errs in each tile, independently of all others.

    Parameters
    ----------
    jitter : float
        Standard deviation, per axis, of the displacement of the objects' outlines, in W, the typical
        thickness of the tissue's objects.
    drop, split, merge : float
        Probability that an object which an artificial face of the read box cuts is left out, comes
        in two halves, or is one with a neighbour that it touches.
    """

    jitter: float = 0.0
    drop: float = 0.0
    split: float = 0.0
    merge: float = 0.0


LEVELS: dict[int, dict[str, Noise]] = {
    2: {
        "none": Noise(),
        "mild": Noise(jitter=0.045, drop=0.003, split=0.003, merge=0.003),
        "strong": Noise(jitter=0.12, drop=0.09, split=0.09, merge=0.09),
    },
    3: {
        "none": Noise(),
        "mild": Noise(jitter=0.08, drop=0.03, split=0.03, merge=0.03),
        "strong": Noise(jitter=0.195, drop=0.06, split=0.06, merge=0.06),
    },
}
"""Noise by number of axes and name. Set once, by rules other than ours; see docs/benchmarks-accuracy.md."""
_WAVE = 0.6
"""Distance between independent displacements, in D."""


def tile_labels(truth: Labels, grid: TileGrid, noise: Noise, sizes: Sizes, seed: int) -> list[Labels]:
    """Return what a backend gives for every tile: labels over its read box, numbered at random.

    Parameters
    ----------
    truth : ndarray of int32
        True labels of the whole image.
    grid : TileGrid
        The tiles.
    noise : Noise
        The backend's errors.
    sizes : Sizes
        Diameter and thickness of the tissue's objects.
    seed : int
        Seed of all that is random.

    Returns
    -------
    list of ndarray of int32
        One for each tile. What the read box cuts into pieces are separate labels.
    """
    return [_tile(truth, tile, noise, sizes, np.random.default_rng([seed, tile.number])) for tile in grid]


def _tile(truth: Labels, tile: Tile, noise: Noise, sizes: Sizes, rng: np.random.Generator) -> Labels:
    seen = truth[tile.read.slices]
    if noise.jitter:
        seen = _jittered(seen, noise.jitter * sizes.thickness, _WAVE * sizes.diameter, rng)
    labels = connected(seen)
    if noise != Noise():
        labels = connected(_err(labels, truth.shape, tile, noise, rng))
    names = np.concatenate([[0], rng.permutation(int(labels.max())) + 1]).astype(np.int32)
    renamed: Labels = names[labels]
    return renamed


def _jittered(seen: Labels, deviation: float, wave: float, rng: np.random.Generator) -> Labels:
    """Return labels moved by a smooth random displacement; the edge's go on beyond the box."""
    flat = np.zeros(seen.shape, np.int32)
    for axis, length in enumerate(seen.shape):
        place = np.arange(length, dtype=np.float32)
        shift = deviation * _waves(seen.shape, wave, rng)
        shift += place.reshape([-1 if a == axis else 1 for a in range(seen.ndim)])
        np.clip(np.rint(shift, out=shift), 0, length - 1, out=shift)
        flat *= length
        flat += shift.astype(np.int32)
    moved: Labels = seen.ravel()[flat]
    return moved


def _waves(shape: tuple[int, ...], wave: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return noise of deviation 1 that is linear between independent values `wave` voxels apart."""
    counts = [int(n / wave) + 2 for n in shape]
    field = rng.standard_normal(counts, np.float32)
    for axis, (n, count) in enumerate(zip(shape, counts, strict=True)):
        place = np.arange(n) / wave + rng.random()
        place = np.minimum(place, count - 1.001)
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(count)))
        weights /= np.sqrt((weights**2).sum(1, keepdims=True))
        field = np.moveaxis(np.tensordot(weights.astype(np.float32), field, (1, axis)), 0, axis)
    return np.asarray(field)


def _err(
    labels: Labels, shape: tuple[int, ...], tile: Tile, noise: Noise, rng: np.random.Generator
) -> Labels:
    """Return labels in which some objects that artificial faces cut are dropped, split or merged."""
    out = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if not _cut(box, shape, tile):
            continue
        draw = rng.random()
        part = out[box]
        here = labels[box] == number
        if draw < noise.drop:
            part[here] = 0
        elif draw < noise.drop + noise.split:
            _split(part, here, int(labels.max()) + number, rng)
        elif draw < noise.drop + noise.split + noise.merge:
            neighbour = _neighbour(labels, box, number)
            part[here] = neighbour or number
    return out


def _cut(box: tuple[slice, ...], shape: tuple[int, ...], tile: Tile) -> bool:
    """Return whether an object's box touches an artificial face: one that is not the image's."""
    for part, a, b, n in zip(box, tile.read.start, tile.read.stop, shape, strict=True):
        if (a > 0 and part.start == 0) or (b < n and part.stop == b - a):
            return True
    return False


def _split(part: Labels, here: NDArray[Any], name: int, rng: np.random.Generator) -> None:
    """Give the voxels on one side of a random plane through the object's middle another name."""
    voxels = np.argwhere(here)
    away = (voxels - voxels.mean(0)) @ rng.standard_normal(here.ndim)
    part[tuple(voxels[away > 0].T)] = name


def _neighbour(labels: Labels, box: tuple[slice, ...], number: int) -> int:
    """Return the label that touches an object most, 0 if none does."""
    around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    part = labels[around]
    here = part == number
    ring = part[ndimage.binary_dilation(here) & ~here]
    ring = ring[ring > 0]
    return int(np.bincount(ring).argmax()) if ring.size else 0
