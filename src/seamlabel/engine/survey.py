"""Measures what a backend needs of tiles: overlap, alignment, and whether any overlap will do.

Decides which windows are probed, how, and when enough was seen; `seamlabel.engine.probing` probes one, and
`seamlabel.engine.conclusions` says what follows.
"""

from __future__ import annotations

from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel import memory
from seamlabel.engine.conclusions import all_flat, conclude
from seamlabel.engine.places import best_places, window_shape
from seamlabel.engine.probing import LEAST_BAND, Method, Tally, Window, bands
from seamlabel.engine.segment import NoStore, TileJob
from seamlabel.errors import BackendError
from seamlabel.fitting import bytes_per_voxel
from seamlabel.kernels.agreement import DIFFER, LOOKED, disagreement

if TYPE_CHECKING:
    from collections.abc import Generator

    from seamlabel.engine.needs import OverlapNeeds
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan
    from seamlabel.protocols import Segmenter

    Surveying = Generator[tuple[int, int], None, OverlapNeeds]
    """Yields (parts done, parts) after every call of the backend; returns what was found."""

PLACES = 4
SECONDS = 60.0
WINDOW_VOXELS = {1: 1 << 14, 2: 1 << 18, 3: 1 << 20}
"""Of a window at first: 512 x 512, or about 100 voxels a side."""
MOST_VOXELS = {1: 1 << 18, 2: 1 << 22, 3: 1 << 23}
"""Of a window where the reach is found to be large."""
LEAST_SIDE = 8
"""Of a window; along axes that are shorter nothing can be measured."""
FAINT = 1e-4
"""Part of the object voxels that may differ far away or after a shift by rounding errors alone."""
NEAR = 0.75
"""Part of the furthest that is looked at, within which disagreement must end to count as ended."""
MOST_SHIFT = 64
MOST_ROUNDS = 32
QUIET_ROUNDS = 8
"""After which nothing new is expected, if enough voxels were looked at."""
ENOUGH = 50_000
"""Object voxels in the two layers behind the reach."""
PARTS = 100


def measure_needs(
    plan: Plan,
    source: Source,
    *,
    segmenter: Segmenter | None = None,
    places: int = PLACES,
    seconds: float = SECONDS,
) -> Surveying:
    """Measure what the plan's backend needs, from windows at a few places of the image.

    Memory is bounded by a window, time by `seconds` and the least number of calls that tells anything.

    Parameters
    ----------
    plan : Plan
        Image, level, channels, backend and parameters; its tiles do not matter.
    source : Source
        The image; closed in the end.
    segmenter : callable, optional
        Used instead of the plan's backend.
    places : int
        Windows to look at.
    seconds : float
        After which no more than that is done.

    Raises
    ------
    BackendError
        If the backend fails, or finds no object in any place.
    ImageError
        If the image cannot be read.
    """
    with closing(source):
        survey = Survey(plan, source, segmenter, seconds)
        yield from survey.look(places)
        while True:
            yield from survey.broad()
            if not survey.grow():
                break
            yield from survey.look(places)
        yield from survey.shifts()
        yield from survey.cuts()
        yield from survey.fine()
        return conclude(survey)


class Survey:
    """What was found so far.

    Parameters
    ----------
    plan, source, segmenter, seconds
        As for `measure_needs`.
    """

    def __init__(self, plan: Plan, source: Source, segmenter: Segmenter | None, seconds: float) -> None:
        self.plan, self._source = plan, source
        self.started, self._seconds = monotonic(), seconds
        made = segmenter or TileJob(plan, source, NoStore()).make_segmenter()
        self.method = Method(made, self.started + seconds)
        self.size = tuple(n for n, tiled in zip(plan.grid.shape, plan.joined, strict=True) if tiled)
        self.ndim = len(self.size)
        cost = bytes_per_voxel(plan.backend, plan.info, plan.channels)
        self._most = min(MOST_VOXELS.get(self.ndim, 1 << 22), max(1, memory.available() // 2 // cost))
        self._voxels = min(WINDOW_VOXELS.get(self.ndim, 1 << 20), self._most)
        self.shape = window_shape(self.size, self._voxels)
        self.windows: list[Window] = []
        self.noise = 0.0
        self.normalises = False
        self.floors = [0.0] * self.ndim
        self.align = [0] * self.ndim
        self._random = np.random.default_rng(0)
        self._begin()

    def _begin(self) -> None:
        self.tallies = [Tally(n // 2) for n in self.shape]
        self.axes = [axis for axis, n in enumerate(self.shape) if n >= LEAST_SIDE]

    # -- steps, each a generator that yields after every call ------------------------------------

    def look(self, places: int) -> Generator[tuple[int, int], None, None]:
        """Segment windows at the best places, as many as have objects."""
        boxes = best_places(self.plan, self._source, self.shape, 3 * places)
        self.windows, found = [], []
        for box in boxes:
            pixels = self._source.read(box).reshape(-1, *self.shape)
            pixels = pixels if len(self.plan.channels) > 1 else pixels[0]
            found.append((pixels, self.method(pixels, self.ndim)))
            yield self._progress(0)
            useful = sum(bool(labels.any()) for _, labels in found)
            if useful == places or (useful and self.method.over()):
                break
        useful_ones = [(pixels, labels) for pixels, labels in found if labels.any()]
        if not useful_ones:
            msg = f"'{self.plan.backend.name}' finds no object in {len(boxes)} places of the image"
            raise BackendError(msg, "Nothing can be measured without objects: look at its parameters")
        fills = _fills([pixels for pixels, _ in found], self.ndim)
        loud = _louder(fills, fills[0].dtype)
        self.windows = [Window(pixels, labels, fills, loud) for pixels, labels in useful_ones]
        if self.method.calls == len(found):
            first = self.windows[0]
            again = self.method(first.pixels, self.ndim)
            counts = disagreement(first.labels, again, 0, np.zeros(self.shape[0], np.intp)).sum(axis=1)
            self.noise = float(counts[DIFFER] / counts[LOOKED])
            yield self._progress(5)

    def broad(self) -> Generator[tuple[int, int], None, None]:
        """Fill one band of every window along every axis."""
        for number, window in enumerate(self.windows):
            for axis in self.axes:
                if number and self.method.over():
                    return
                changed = bands(self.shape[axis], None, self._random)
                for counts, fair in window.filled(self.method, axis, changed, loud=True):
                    self.tallies[axis].add(counts, fair)
                    yield self._progress(10 + 20 * number // len(self.windows))
        self.normalises = all_flat([self.tallies[axis] for axis in self.axes], self.faint)

    def grow(self) -> bool:
        """Note what is rounding alone; make windows larger if disagreement did not end, and there is time."""
        for axis in self.axes:
            self.floors[axis] = self._floor(axis)
        calls = 2 + 2 * len(self.axes)
        room = self._seconds - (monotonic() - self.started) > 4 * self.method.slowest * calls
        voxels = min(4 * self._voxels, self._most)
        shape = window_shape(self.size, voxels)
        if self.settled() or shape == self.shape or not room:
            return False
        self._voxels, self.shape = voxels, shape
        self._begin()
        return True

    def shifts(self) -> Generator[tuple[int, int], None, None]:
        """Find the least shift that changes nothing, along every axis."""
        for axis in self.axes:
            if self.normalises or self.method.over():
                return
            most = 1 << (min(MOST_SHIFT, self.shape[axis] // 4).bit_length() - 1)
            reach = self.reach(axis)
            probe = self.windows[0].shifted(self.method, axis, most, reach + max(LEAST_BAND, reach // 2))
            for shift, differ in probe:
                yield self._progress(35)
                if differ <= self.faint:
                    self.align[axis] = shift
                    break
                if self.method.over():
                    break

    def cuts(self) -> Generator[tuple[int, int], None, None]:
        """Cut every window in two along every axis; the second part where it begins as alignment wants."""
        for number, window in enumerate(self.windows):
            for axis in self.axes:
                if self.normalises or (number and self.method.over()):
                    return
                n, unit = self.shape[axis], self.align[axis]
                at = n // 2 - n // 2 % max(1, unit)
                for counts, fair in window.cut(self.method, axis, at, both=unit > 0):
                    self.tallies[axis].add(counts, fair)
                    yield self._progress(40 + 10 * number // len(self.windows))

    def fine(self) -> Generator[tuple[int, int], None, None]:
        """Fill many bands as far apart as the reach needs, until nothing new shows."""
        quiet = 0
        for number in range(0 if self.normalises else MOST_ROUNDS):
            before = [self.reach(axis) for axis in self.axes]
            window = self.windows[number % len(self.windows)]
            for axis in self.axes:
                if self.method.over():
                    return
                changed = bands(self.shape[axis], self.reach(axis), self._random)
                for counts, fair in window.filled(self.method, axis, changed, loud=number % 2 == 0):
                    self.tallies[axis].add(counts, fair)
                    yield self._progress(50 + 50 * number // MOST_ROUNDS)
            quiet = quiet + 1 if before == [self.reach(axis) for axis in self.axes] else 0
            if quiet >= QUIET_ROUNDS and min((self.looked(axis) for axis in self.axes), default=0) >= ENOUGH:
                return

    # -- what follows ----------------------------------------------------------------------------

    def reach(self, axis: int) -> int:
        """Return how far a change is seen along an axis, as far as it is known."""
        return self.tallies[axis].reach(self.floors[axis])

    def looked(self, axis: int) -> int:
        """Return how many object voxels were looked at in the two layers behind the reach."""
        reach = self.reach(axis)
        return int(self.tallies[axis].rows[LOOKED, reach : reach + 2].sum())

    def settled(self) -> bool:
        """Return whether disagreement was seen to end along every axis that can be measured."""
        return all(map(self.ended, self.axes))

    def ended(self, axis: int) -> bool:
        """Return whether disagreement was seen to end along an axis."""
        return axis in self.axes and self.reach(axis) <= NEAR * self.tallies[axis].limit

    @property
    def faint(self) -> float:
        """Part of the object voxels that may differ without a reason that matters."""
        return max(FAINT, 3 * self.noise)

    def _floor(self, axis: int) -> float:
        """Return the part of the object voxels that differ for no reason, as far away as was looked."""
        tally = self.tallies[axis]
        counts = tally.rows[:, int(NEAR * tally.limit) :].sum(axis=1)
        far = counts[DIFFER] / max(1, counts[LOOKED])
        return float(max(self.noise, far if far < FAINT else 0.0))

    def _progress(self, part: int) -> tuple[int, int]:
        """Return how much is done: of the steps, or of the time, whatever is more."""
        spent = (monotonic() - self.started) / max(self._seconds, 1e-9)
        return min(PARTS - 1, max(part, int(PARTS * spent))), PARTS


def _fills(places: list[Any], ndim: int) -> tuple[Any, Any]:
    """Return the darkest and brightest value of every channel, over all places."""
    space = tuple(range(-ndim, 0))
    finite = [
        np.where(np.isfinite(pixels), pixels, np.nan) if pixels.dtype.kind == "f" else pixels
        for pixels in places
    ]
    low = np.nanmin([np.nanmin(pixels, space, keepdims=True) for pixels in finite], 0)
    high = np.nanmax([np.nanmax(pixels, space, keepdims=True) for pixels in finite], 0)
    return low, high


def _louder(fills: tuple[Any, Any], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return values as far again below and above, as far as the type has them."""
    low, high = (np.asarray(value, np.float64) for value in fills)
    if dtype.kind not in "iu":
        return 2 * low - high, 2 * high - low
    limits = np.iinfo(dtype)
    return np.maximum(2 * low - high, limits.min), np.minimum(2 * high - low, limits.max)
