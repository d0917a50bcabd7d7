"""The picture of the tile grid: computed from tile states for the pixels that are looked at.

Its cost does not depend on how many tiles there are. Knows grids; nothing of layers or Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.kernels.pyramid import sample_index
from seamlabel.napari.layers.lazy_labels import LazyArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Box, TileGrid
    from seamlabel.napari.layers.lazy_labels import Picks

STATES = ("waiting", "running", "done", "empty", "failed")
"""What a tile can be; its place here is its number."""
LINE = 6
"""Value of grid lines. State n is drawn with the value n + 1."""
OVERLAP = 7
"""Value of the read box of the picked tile, or the one under the pointer, outside its core."""
PICKED = 8
"""Value of the frame of the picked tile."""
FAINT = 9
"""Value of grid lines of tiles that a run is not about."""
COLORS = {
    1: (1.0, 1.0, 1.0, 0.0),
    2: (0.25, 0.70, 1.0, 0.85),
    3: (0.35, 0.90, 0.45, 0.8),
    4: (0.75, 0.75, 0.75, 0.8),
    5: (1.0, 0.30, 0.25, 0.95),
    LINE: (1.0, 1.0, 1.0, 0.55),
    OVERLAP: (1.0, 0.85, 0.2, 0.30),
    FAINT: (1.0, 1.0, 1.0, 0.15),
    PICKED: (1.0, 0.85, 0.2, 1.0),
}
"""Colour of every value, RGBA."""
FRAME = 3
"""Pixels of the frame of the picked tile."""
LEAST = 20
"""Pixels of a tile under which neither lines nor patterns are drawn."""


class TileStates:
    """States of all tiles, and arrays that show them.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    shapes : sequence of tuple of int
        Shapes of the levels to show.
    """

    def __init__(self, grid: TileGrid, shapes: Sequence[tuple[int, ...]]) -> None:
        self.grid = grid
        self.states = np.zeros(len(grid), np.uint8)
        self.within: NDArray[np.bool_] | None = None
        """Which tiles a run is about; None for all."""
        self.selected: int | None = None
        self.picked: int | None = None
        self.only: str | None = None
        self.index = [tuple(map(sample_index, grid.shape, shape)) for shape in shapes]
        self.levels = [self._level(k, tuple(shape)) for k, shape in enumerate(shapes)]

    @property
    def counts(self) -> dict[str, int]:
        """How many tiles are in each state, of those that a run is about."""
        states = self.states if self.within is None else self.states[self.within]
        found = np.bincount(states, minlength=len(STATES)).tolist()
        return dict(zip(STATES, found, strict=True))

    def set(self, tile: int, state: str) -> None:
        """Say what a tile is now."""
        self.states[tile] = STATES.index(state)

    def state(self, tile: int) -> str:
        """Return what a tile is."""
        return STATES[self.states[tile]]

    def tile_at(self, position: Sequence[int]) -> int | None:
        """Return the number of the tile that owns a voxel of the grid's array, or None outside."""
        inside = all(0 <= p < n for p, n in zip(position, self.grid.shape, strict=True))
        if not inside:
            return None
        return self.grid.number(tuple(p // t for p, t in zip(position, self.grid.tile_shape, strict=True)))

    def _level(self, k: int, shape: tuple[int, ...]) -> LazyArray:
        def read(picks: Picks) -> NDArray[np.uint8]:
            return self._draw(k, shape, picks)

        return LazyArray(read, tuple(map(range, shape)), np.dtype(np.uint8))

    def _draw(self, k: int, shape: tuple[int, ...], picks: Picks) -> NDArray[np.uint8]:
        if not all(map(len, picks)):
            return np.zeros(tuple(map(len, picks)), np.uint8)
        source = [i[p.start : p.stop : p.step] for i, p in zip(self.index[k], picks, strict=True)]
        tiles = [s // t for s, t in zip(source, self.grid.tile_shape, strict=True)]
        numbers = _numbers([range(t[0], t[-1] + 1) for t in tiles], self.grid.counts)
        places = [t - t[0] for t in tiles]
        states = self.states[numbers]
        shown = [axis for axis, pick in enumerate(picks) if len(pick) > 1]
        sides = [shape[a] * self.grid.tile_shape[a] / self.grid.shape[a] for a in shown]
        if not sides or min(sides) < LEAST:
            waiting = LINE if self.only == "waiting" else 0
            values = np.where(states == STATES.index("waiting"), waiting, states + 1)
            out = _spread(values.astype(np.uint8), places)
        else:
            state = _spread(states, places)
            out = _patterns(state, set(states.flat), picks, shown, min(sides))
            outside = None if self.within is None else _spread(~self.within[numbers], places)
            self._frame(out, state, source, shown, shape, outside)
        if self.only is not None:
            out[_spread(states != STATES.index(self.only), places)] = 0
        self._mark(out, source, shown, shape)
        return out

    def _frame(
        self,
        out: NDArray[np.uint8],
        state: NDArray[np.uint8],
        source: list[NDArray[np.intp]],
        shown: list[int],
        shape: tuple[int, ...],
        outside: NDArray[np.bool_] | None,
    ) -> None:
        """Draw the grid lines, fainter outside, and inside them the frames of finished tiles."""
        lines, frames = [], []
        for axis in shown:
            tile = self.grid.tile_shape[axis]
            start = source[axis] - source[axis] % tile
            stop = np.minimum(start + tile, self.grid.shape[axis])
            near = np.minimum(source[axis] - start, stop - 1 - source[axis])
            near = near / (self.grid.shape[axis] / shape[axis])
            before = (slice(None),) * axis
            lines.append((*before, np.flatnonzero(near < 1)))
            frames.append((*before, np.flatnonzero(near < 3)))
        done = STATES.index("done")
        for where in frames:
            out[where] = np.where(state[where] == done, np.uint8(1 + done), out[where])
        for where in lines:
            out[where] = LINE
        for where in lines if outside is not None else []:
            out[where] = np.where(outside[where], np.uint8(FAINT), out[where])

    def _mark(
        self,
        out: NDArray[np.uint8],
        source: list[NDArray[np.intp]],
        shown: list[int],
        shape: tuple[int, ...],
    ) -> None:
        """Tint what the selected tile reads past its core, and frame the picked one."""
        if self.selected is None or not 0 <= self.selected < len(self.grid):
            return
        tile = self.grid[self.selected]
        inside = []
        for box in (tile.read, tile.core):
            where = zip(source, box.start, box.stop, strict=True)
            inside.append(tuple(slice(*np.searchsorted(s, (a, b))) for s, a, b in where))
        core = out[inside[1]].copy()
        if self.picked == self.selected:
            for axis in shown:
                place = source[axis][inside[1][axis]]
                near = np.minimum(place - tile.core.start[axis], tile.core.stop[axis] - 1 - place)
                near = _along(near, axis, out.ndim) / (self.grid.shape[axis] / shape[axis])
                core[np.broadcast_to(near < FRAME, core.shape)] = PICKED
        ring = out[inside[0]]
        ring[ring == 0] = OVERLAP
        out[inside[1]] = core


def any_within(tiles: Sequence[int], grid: TileGrid, index: Sequence[NDArray[np.intp]], box: Box) -> bool:
    """Return whether any of these tiles lies in a box of a level.

    Parameters
    ----------
    tiles : sequence of int
        Their numbers.
    grid : TileGrid
        All tiles.
    index : sequence of array
        Per axis, the voxel of the grid's array that each voxel of the level shows.
    box : Box
        What of the level is asked about.
    """
    if not len(tiles) or not box.size:
        return False
    inside = np.ones(len(tiles), bool)
    for axis, place in enumerate(np.unravel_index(np.asarray(tiles), grid.counts)):
        first, last = index[axis][[box.start[axis], box.stop[axis] - 1]] // grid.tile_shape[axis]
        inside &= (place >= first) & (place <= last)
    return bool(inside.any())


def _along(values: NDArray[Any], axis: int, ndim: int) -> NDArray[Any]:
    """Return values along one axis of `ndim`."""
    side = [1] * ndim
    side[axis] = -1
    return values.reshape(side)


def _numbers(spans: list[range], counts: Sequence[int]) -> NDArray[np.intp]:
    """Return the numbers of the tiles in a block of the grid."""
    numbers: Any = 0
    for index, count in zip(np.ix_(*spans), counts, strict=True):
        numbers = numbers * count + index
    return numbers  # type: ignore[no-any-return]


def _spread(values: NDArray[Any], places: list[NDArray[np.intp]]) -> NDArray[Any]:
    """Return the values of tiles for every pixel; the last axis first, so that rows are copied."""
    for axis in reversed(range(len(places))):
        values = np.take(values, places[axis], axis=axis)
    return values


def _patterns(
    state: NDArray[np.uint8], there: set[int], picks: Picks, shown: list[int], side: float
) -> NDArray[np.uint8]:
    """Return the patterns of tiles: stripes run, dots are empty, crosses failed.

    Made from bytes, and only for states that are there: it is drawn while others want the cores.
    """
    out = np.zeros(state.shape, np.uint8)
    period = int(min(32, max(6, side // 6)))
    width = max(1, period // 6)
    ends = [_along(_phase(picks[axis], period), axis, len(picks)) for axis in shown[-2:]]
    i, j = ends if len(ends) == 2 else (ends[0] * 0, ends[0])
    running, empty, failed = map(STATES.index, ("running", "empty", "failed"))
    if there & {running, failed}:
        up = _stripe(i + j, period, width)
        out[(state == running) & up] = running + 1
    if failed in there:
        down = _stripe(i + (period - j), period, width)
        out[(state == failed) & (up | down)] = failed + 1
    if empty in there:
        out[(state == empty) & ((i < 2 * width) & (j < 2 * width))] = empty + 1
    return out


def _phase(pick: range, period: int) -> NDArray[np.uint8]:
    return (np.arange(pick.start, pick.stop, pick.step) % period).astype(np.uint8)


def _stripe(phase: NDArray[np.uint8], period: int, width: int) -> NDArray[np.bool_]:
    """Return where phases, below twice the period, lie on a stripe."""
    return (phase < width) | ((phase >= period) & (phase < period + width))
