"""Cases in which the backend is right and the merge must lose nothing, in 2D and 3D.

The perfect backend knows the truth; the real one labels what is above a threshold, through
`seamlabel.segment`. Knows no noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

import seamlabel
from benchmarks import tissues
from benchmarks.noise import Noise, Sizes, tile_labels
from benchmarks.rules import RULES
from benchmarks.scores import score
from seamlabel import TileGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

OVERLAPS = (0.0, 0.5, 1.0, 2.0)
"""Overlaps in D; 0 is 2 voxels of evidence."""
EVIDENCE = 2


@dataclass(frozen=True)
class Case:
    """An image, its tiles and the backend.

    Parameters
    ----------
    kind : str
        A tissue, or ``"filaments"``: lines one voxel wide that run along diagonals.
    shape, tile : tuple of int
        Voxels.
    real : bool
        Threshold and label through `seamlabel.segment`; else the perfect backend.
    overlap : int, optional
        The only overlap; all of `OVERLAPS` by default.
    """

    kind: str
    shape: tuple[int, ...]
    tile: tuple[int, ...]
    real: bool = False
    overlap: int | None = None

    @property
    def name(self) -> str:
        """The case in words."""
        sizes, tile = ("x".join(map(str, numbers)) for numbers in (self.shape, self.tile))
        return f"{self.kind} {sizes}, tile {tile}" + (", threshold" if self.real else "")

    def truth(self) -> Labels:
        """Return the true labels of the whole image."""
        if self.kind == "filaments":
            return _filaments(self.shape)
        labels = tissues.make(self.kind, self.shape, 7)
        return tissues.connected(_apart(labels) > 0) if self.real else labels


CASES = (
    Case("voronoi", (1030, 1030), (256, 256)),
    Case("islands", (522, 2048), (256, 256)),
    Case("sizes", (1009, 1013), (97, 101)),
    Case("blobs", (1030, 1030), (300, 300)),
    Case("fibres", (1024, 1024), (150, 150)),
    Case("voronoi", (770, 515), (256, 256)),
    Case("islands", (1, 512, 500), (1, 128, 128)),
    Case("filaments", (700, 700), (128, 128)),
    Case("voronoi", (64, 160, 168), (24, 60, 60)),
    Case("fibres", (64, 160, 168), (24, 48, 48)),
    Case("blobs", (41, 130, 130), (20, 64, 64)),
    Case("voronoi", (40, 270, 270), (8, 128, 128), overlap=16),
    Case("filaments", (60, 120, 120), (20, 40, 40)),
    Case("voronoi", (1030, 1030), (256, 256), real=True),
    Case("islands", (1009, 1013), (97, 101), real=True),
    Case("blobs", (522, 2048), (256, 256), real=True),
    Case("fibres", (1024, 1024), (150, 150), real=True),
    Case("islands", (40, 270, 270), (8, 128, 128), real=True, overlap=16),
    Case("filaments", (700, 700), (128, 128), real=True),
    Case("filaments", (60, 120, 120), (20, 40, 40), real=True),
)
QUICK = (
    Case("voronoi", (250, 261), (64, 64)),
    Case("fibres", (256, 256), (60, 70)),
    Case("voronoi", (30, 70, 64), (20, 32, 32)),
    Case("islands", (1, 200, 190), (1, 64, 64)),
    Case("filaments", (200, 200), (64, 64), real=True),
)


@dataclass(frozen=True)
class Exactness:
    """Percent of identical objects by rule, for one case at one overlap (in D; None: the case's own)."""

    case: str
    real: bool
    factor: float | None
    identical: dict[str, float]


def measure(case: Case, factor: float | None) -> Exactness:
    """Return how many objects each rule leaves untouched; only ours where the backend is real."""
    truth = case.truth()
    sizes = Sizes.of(truth)
    if case.real:
        wanted = case.overlap if factor is None else round(factor * sizes.diameter)
        return Exactness(case.name, True, factor, {"ours": _real(case, truth, int(wanted or 0))})
    grid = grid_of(case, sizes.diameter, factor)
    tiles = tile_labels(truth, grid, Noise(), sizes, 0)
    found = {name: _identical(truth, rule(tiles, grid), grid) for name, rule in RULES.items()}
    return Exactness(case.name, False, factor, found)


def grid_of(case: Case, diameter: float, factor: float | None) -> TileGrid:
    """Return the tiles; the overlap is 2 voxels at least where tiles meet, a tile at most."""
    wanted = case.overlap if factor is None else round(factor * diameter)
    overlap = tuple(
        min(max(int(wanted or 0), EVIDENCE), t) if t < n else 0
        for t, n in zip(case.tile, case.shape, strict=True)
    )
    return TileGrid(case.shape, case.tile, overlap)


def _real(case: Case, truth: Labels, overlap: int) -> float:
    result = seamlabel.segment(
        (truth > 0).astype(np.uint8),
        "threshold",
        params={"value": 0.5, "smoothing": 0.0},
        tile_shape=case.tile,
        overlap=overlap,
        progress=False,
    )
    return _identical(truth, np.asarray(result.labels), TileGrid(case.shape, case.tile, (0,) * truth.ndim))


def _identical(truth: Labels, found: NDArray[Any], grid: TileGrid) -> float:
    """Return the percent of identical objects; below 100 also if there are others beside them."""
    scores = score(truth, found, grid)
    return scores.identical if scores.delta_n <= 0 else min(scores.identical, 99.99)


def _apart(labels: Labels) -> Labels:
    """Return labels with a border of background between touching objects, corners included."""
    out = labels.copy()
    for steps in product((0, 1), repeat=labels.ndim):
        lower = tuple(slice(None, -step or None) for step in steps)
        upper = tuple(slice(step, None) for step in steps)
        out[lower][(labels[lower] != labels[upper]) & (labels[upper] > 0)] = 0
    return out


def _filaments(shape: tuple[int, ...]) -> Labels:
    """Return lines along diagonals, one voxel wide, that hang together at corners of voxels only."""
    rng = np.random.default_rng(len(shape))
    mask = np.zeros(shape, bool)
    for _ in range(int(np.prod(shape)) // 6000):
        steps = np.arange(rng.integers(5, 2 * max(shape) // 3))[:, None]
        line = rng.integers(0, shape) + steps * rng.choice([-1, 1], len(shape))
        inside = ((line >= 0) & (line < shape)).all(1)
        mask[tuple(line[inside].T)] = True
    return tissues.connected(mask)
