"""Where the network is applied in a tile, so that overlapping tiles apply it to the same pieces.

A network that pools, or averages over what it sees, answers for the piece that it is given. Pieces
lie on a grid that is counted from the start of the tile, and images are scaled so that whole voxels
fall on whole pixels of that grid: tiles that start at multiples of it get the same answers. Knows
nothing of Cellpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

BLOCK = 32
"""Pixels of the network that a whole number of voxels is scaled to."""
_POOL = 16
"""Networks take sides that are multiples of it."""


def blocks(zoom: float) -> int:
    """Return how many voxels are scaled to `BLOCK` pixels where an image is made `zoom` times as large."""
    return max(1, round(BLOCK / zoom))


class Axis(NamedTuple):
    """Pieces along one axis: where they start, how long each is, and how far they reach."""

    starts: tuple[int, ...]
    side: int

    @property
    def length(self) -> int:
        """Pixels that the pieces cover."""
        return self.starts[-1] + self.side


class Place(NamedTuple):
    """A piece: the plane it is cut from, and its corner."""

    plane: int
    y: int
    x: int


@dataclass(frozen=True)
class Pieces:
    """A grid of overlapping pieces, blended into one another.

    Parameters
    ----------
    size : int
        Side of a piece in pixels of the network.
    step : int
        Pixels from the start of a piece to that of the next.
    fixed : bool
        Whether planes that are shorter are filled up to `size`.
    """

    size: int
    step: int
    fixed: bool

    def axis(self, n: int) -> Axis:
        """Return the pieces along an axis of `n` pixels; the last one ends where the axis does.

        It is shifted inwards, to a multiple of what the network pools, rather than filled up: the
        network answers best for pieces that are full.
        """
        if n <= self.size:
            return Axis((0,), self.size if self.fixed else _POOL * ceil(n / _POOL))
        starts = list(range(0, n - self.size + 1, self.step))
        if starts[-1] + self.size < n:
            starts.append(_POOL * ceil((n - self.size) / _POOL))
        return Axis(tuple(starts), self.size)

    def apply(
        self,
        network: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        planes: NDArray[np.float32],
        batches: Callable[[], int],
    ) -> NDArray[np.float32]:
        """Return what the network says of planes.

        Parameters
        ----------
        network : callable
            Takes (pieces, channels, y, x) and returns (pieces, outputs, y, x), or fewer pieces, where
            it found that it cannot take as many.
        planes : array
            Shape (planes, channels, y, x).
        batches : callable
            Returns how many pieces the network is given at once, asked before each time.

        Returns
        -------
        array
            Shape (planes, outputs, y, x).
        """
        height, width = planes.shape[-2:]
        rows, columns = self.axis(height), self.axis(width)
        room = ((0, 0), (0, 0), (0, rows.length - height), (0, columns.length - width))
        padded = np.pad(planes, room)
        weight = np.outer(self._ramp(rows), self._ramp(columns))
        total, left = None, list(_places(len(planes), rows, columns))
        while left:
            batch = left[: batches()]
            found = network(np.stack([padded[self._cut(p, rows, columns)] for p in batch]))
            if total is None:
                total = np.zeros((len(planes), found.shape[1], *padded.shape[2:]), np.float32)
            for place, answer in zip(batch, found, strict=False):
                total[self._cut(place, rows, columns)] += answer * weight
            left = left[len(found) :]
        assert total is not None, "there is at least one piece"
        total /= np.outer(self._sum(rows), self._sum(columns))
        return total[..., :height, :width]

    def _cut(self, place: Place, rows: Axis, columns: Axis) -> tuple[int, slice, slice, slice]:
        y, x = slice(place.y, place.y + rows.side), slice(place.x, place.x + columns.side)
        return place.plane, slice(None), y, x

    def _ramp(self, axis: Axis) -> NDArray[np.float32]:
        """Return the weight of a piece's pixels: less the nearer to its edge, where it sees one side only."""
        place = np.arange(axis.side, dtype=np.float32) + np.float32(0.5)
        edge = np.minimum(place, axis.side - place)
        ramp: NDArray[np.float32] = np.minimum(edge / np.float32(self.size - self.step), np.float32(1))
        return ramp

    def _sum(self, axis: Axis) -> NDArray[np.float32]:
        """Return the weight that an axis' pixels get from all pieces."""
        total, ramp = np.zeros(axis.length, np.float32), self._ramp(axis)
        for start in axis.starts:
            total[start : start + axis.side] += ramp
        return total


def _places(planes: int, rows: Axis, columns: Axis) -> Iterator[Place]:
    for plane, y, x in product(range(planes), rows.starts, columns.starts):
        yield Place(plane, y, x)


@dataclass(frozen=True)
class Zoom:
    """Scaling of a tile whose sampling points are those of the tiles that start at multiples of `voxels`.

    Parameters
    ----------
    voxels : tuple of int
        Per space axis, how many voxels are scaled to `BLOCK` pixels.
    """

    voxels: tuple[int, ...]

    def pixels(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (channels, *space) scaled for the network."""
        long = [(ceil(n / v) * v, ceil(n / v) * BLOCK) for n, v in self._axes(image)]
        cut = [ceil(n * BLOCK / v) for n, v in self._axes(image)]
        return _scaled(image, long, cut)

    def voxel_values(self, flows: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return (channels, *space) of the network scaled back to a tile of this space shape."""
        blocks = [ceil(n / v) for n, v in zip(shape, self.voxels, strict=True)]
        long = [(k * BLOCK, k * v) for k, v in zip(blocks, self.voxels, strict=True)]
        return _scaled(flows, long, list(shape))

    def _axes(self, image: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
        return zip(image.shape[1:], self.voxels, strict=True)


def _scaled(image: NDArray[np.float32], long: list[tuple[int, int]], cut: list[int]) -> NDArray[np.float32]:
    """Return an image, filled up to the first lengths, scaled linearly to the second ones, and cut."""
    if all(before == after for before, after in long):
        return image
    import torch
    from torch.nn.functional import interpolate

    room = [(0, before - n) for n, (before, _) in zip(image.shape[1:], long, strict=True)]
    filled = torch.from_numpy(np.pad(image, [(0, 0), *room], mode="edge"))[None]
    mode = "bilinear" if len(long) == 2 else "trilinear"
    made = interpolate(filled, size=[after for _, after in long], mode=mode, align_corners=False)
    scaled: NDArray[np.float32] = made[0].numpy()[(slice(None), *(slice(n) for n in cut))]
    return scaled
