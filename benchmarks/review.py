"""`python -m benchmarks review`: how soon another merge of a kept run is there to be looked at.

A run of very many small squares is carried out once and kept; in one block of four the method sees
them a little smaller, so that tiles differ there. Then the merge is previewed with other settings, as
the slider of the dock does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from benchmarks.measure import Options, Table, say
from seamlabel.engine.review import Review
from seamlabel.engine.run import run
from seamlabel.events import RunFinished
from seamlabel.io.sources import image_info
from seamlabel.plan import resolve
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.data import Data

PITCH, OVERLAP = 16, 24
"""Voxels from square to square, and of the overlap."""
LIMIT = 0.5
"""Seconds that a move of the slider may take with a million labels."""
WISHES: dict[str, Callable[[int], dict[str, Any]]] = {
    "slider moved": lambda n: {"merge": {"iou": 0.1 + 0.8 * (n % 10) / 10}},
    "smallest size changed": lambda n: {"min_size": 100 + n},
    "border removed, slider moved": lambda n: {"drop_border": True, "merge": {"iou": 0.2 + 0.01 * (n % 10)}},
}


@dataclass(frozen=True)
class Part:
    """A part of this benchmark: `squares` along both axes of an image, in `tiles` x `tiles` tiles."""

    name: str
    squares: int
    tiles: int


class Squares:
    """An image that is computed when it is read: distance to the middle of a square, and its block.

    Parameters
    ----------
    side, tile : int
        Voxels of the image and of a tile, along both axes.
    """

    dtype, ndim = np.dtype(np.uint16), 2

    def __init__(self, side: int, tile: int) -> None:
        self.shape, self._tile = (side, side), tile

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        """Return the pixels at these slices."""
        y, x = (np.arange(part.start, part.stop) for part in key)
        far = np.maximum.outer(np.abs(y % PITCH - PITCH // 2), np.abs(x % PITCH - PITCH // 2))
        block = 3 * (y[len(y) // 2] // self._tile) + x[len(x) // 2] // self._tile
        return (far + 16 * (block % 4 == 0)).astype(np.uint16)


def squares(tile: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the squares of a tile as labels."""
    small = tile.min() >= 16
    return np.asarray(ndimage.label(tile % 16 < (5 if small else 7))[0])


def cases(*, quick: bool) -> list[Part]:
    """Return the parts, small or of the size of the limit."""
    return [Part("slider", 64, 4) if quick else Part("slider", 1000, 32)]


def main(wanted: Iterable[Part], data: Data, options: Options) -> Iterator[Table]:
    """Measure the parts; yield their tables."""
    for part in wanted:
        say(part.name)
        yield slider(part, data, options)


def slider(part: Part, data: Data, options: Options) -> Table:
    """Measure previews of a kept run."""
    side = part.squares * PITCH
    last = _kept(side, -(-side // part.tiles), data)
    (review, first), took = _timed(lambda: Review(last.run_dir)), {}
    took["opened"] = [first]
    preview, first = _timed(lambda: review.preview({}))
    took["first preview"] = [first]
    labels, first = _timed(review.tables.all)
    took["all tables read, once"] = [first]
    streamed = np.append(0, np.cumsum(labels.n_core)[:-1])
    assert preview.n_objects == last.n_objects, "a preview is what was written"
    for name, wish in WISHES.items():
        took[name] = []
        for number in range(3 * options.rounds):
            took[name].append(_timed(lambda w=wish, n=number: review.preview(w(n)).shown(streamed))[1])
    rows = []
    for name, found in took.items():
        cpu, wall = zip(*found, strict=True)
        rows.append((name, *(f"{seconds:.3f}" for seconds in (max(cpu), min(wall), max(wall)))))
    nodes = int(preview.report.n_labels)
    note = (
        f"{labels.local.size:,} labels in {part.tiles**2:,} tiles, {nodes:,} of them seen by neighbours; "
        f"{last.n_objects:,} objects. With their count and the ids of every label. "
        f"Limit with 10^6 labels: {LIMIT} s."
    )
    return Table(
        "Another merge, looked at", ("what", "CPU s", "least s", "most s"), rows, (note,), {"slider": took}
    )


def _kept(side: int, tile: int, data: Data) -> RunFinished:
    image, output = Squares(side, tile), str(data.scratch("review.zarr"))
    spec = RunSpec(output=output, tile_shape=tile, overlap=OVERLAP, overwrite=True)
    plan = resolve(spec, image_info(image, axes="yx", output=output))
    done = count(1)
    for last in run(plan, image=image, segmenter=squares, keep=True):
        if next(done) % 1000 == 0:
            say(f" {last.done} of {last.total}")
    assert isinstance(last, RunFinished)
    return last


def _timed(action: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return what an action returns, and the CPU and wall seconds that it took."""
    cpu, wall = process_time(), perf_counter()
    found = action()
    return found, (process_time() - cpu, perf_counter() - wall)
