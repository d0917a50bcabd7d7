"""Which tiles are looked at, nearest to the middle of the view first. Knows grids and boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Box, TileGrid

MOST = 4096
"""Tiles that are put in order: nobody sees which of so many comes first."""


def nearest(grid: TileGrid, view: Box, among: NDArray[np.bool_] | None = None) -> tuple[int, ...]:
    """Return the tiles that a box meets, those nearest to its middle first.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    view : Box
        What is looked at, in voxels, inside the grid.
    among : ndarray of bool, optional
        Which tiles count, by number.
    """
    numbers, away = np.zeros(1, np.int64), np.zeros(1)
    for axis, (start, stop) in enumerate(zip(view.start, view.stop, strict=True)):
        tile = grid.tile_shape[axis]
        index = np.arange(start // tile, -(-stop // tile))
        middle = np.minimum((index + 0.5) * tile, grid.shape[axis])
        far = ((middle - (start + stop) / 2) / max(1, stop - start)) ** 2
        numbers = np.add.outer(numbers * grid.counts[axis], index).ravel()
        away = np.add.outer(away, far).ravel()
    if among is not None:
        kept = among[numbers]
        numbers, away = numbers[kept], away[kept]
    if numbers.size > MOST:
        near = np.argpartition(away, MOST)[:MOST]
        numbers, away = numbers[near], away[near]
    return tuple(numbers[np.argsort(away, kind="stable")].tolist())
