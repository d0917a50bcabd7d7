"""`python -m benchmarks accuracy`: our merge and other rules against the truth, in tables.

Decides what is measured and how it is shown; tissues, noise, rules, scores and cases have modules of
their own.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from benchmarks import accuracy_tables, cells, exactness, tissues
from benchmarks.measure import say
from benchmarks.noise import LEVELS, Sizes, tile_labels
from benchmarks.rules import RULES, upper_bound
from benchmarks.scores import score
from seamlabel import TileGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.measure import Table
    from benchmarks.scores import Scores

    Labels = NDArray[np.int32]

UPPER = "upper bound"
EVIDENCE = 2


@dataclass(frozen=True)
class Setting:
    """What one run measures: shapes and tiles by number of axes, seeds, side of the watershed image."""

    shapes: dict[int, tuple[int, ...]]
    tiles: dict[int, tuple[int, ...]]
    seeds: int
    side: int
    tile: int
    cases: tuple[exactness.Case, ...]


FULL = Setting(
    {2: (1024, 1024), 3: (64, 160, 168)}, {2: (200, 232), 3: (24, 60, 60)}, 3, 1700, 512, exactness.CASES
)
QUICK = Setting(
    {2: (400, 420), 3: (40, 80, 84)}, {2: (136, 150), 3: (24, 44, 44)}, 1, 500, 200, exactness.QUICK
)


@dataclass(frozen=True)
class Sample:
    """One noisy image: tissue, axes, seed, noise level, and overlap in D."""

    tissue: str
    ndim: int
    seed: int
    noise: str
    factor: float


def measure(sample: Sample, setting: Setting) -> dict[str, Scores]:
    """Return the scores of all rules, by name, on the same tiles."""
    truth, grid, tiles = prepare(sample, setting)
    rules = {UPPER: partial(upper_bound, truth=truth), **RULES}
    found = {}
    for name, rule in rules.items():
        start = time.process_time()
        labels = rule(tiles, grid)
        found[name] = score(truth, labels, grid, time.process_time() - start)
    return found


def prepare(sample: Sample, setting: Setting) -> tuple[Labels, TileGrid, list[Labels]]:
    """Return the truth, the tiles and their labels. An overlap is 2 voxels at least, a tile at most."""
    shape, tile = setting.shapes[sample.ndim], setting.tiles[sample.ndim]
    truth = tissues.make(sample.tissue, shape, sample.seed)
    sizes = Sizes.of(truth)
    wanted = max(EVIDENCE, round(sample.factor * sizes.diameter))
    grid = TileGrid(shape, tile, tuple(min(wanted, t) for t in tile))
    noise = LEVELS[sample.ndim][sample.noise]
    return truth, grid, tile_labels(truth, grid, noise, sizes, sample.seed)


def samples(setting: Setting) -> list[Sample]:
    """Return all images: noise at 1 D with all seeds; other overlaps, and no noise, with one.

    2 D under strong noise in 3D is left out: it would take a fifth of the whole time.
    """
    return [
        Sample(tissue, ndim, seed, noise, factor)
        for ndim in (3, 2)
        for factor in (2.0, 1.0, 0.5, 0.0)
        for noise in LEVELS[ndim]
        for tissue in tissues.TISSUES
        for seed in range(setting.seeds if factor == 1 and noise != "none" else 1)
        if factor == 1 or (noise != "none" and (ndim, factor, noise) != (3, 2.0, "strong"))
    ]


def main(quick: bool = False, peer_python: str = sys.executable) -> list[Table]:
    """Measure, and return the tables.

    Parameters
    ----------
    quick : bool
        Small images and one seed, to see that it works.
    peer_python : str
        A Python that has patchworks and scikit-image.
    """
    setting = QUICK if quick else FULL
    chosen = samples(setting)
    trials = [
        (case, factor)
        for case in setting.cases
        for factor in (exactness.OVERLAPS if case.overlap is None else (None,))
    ]
    say(f"{len(chosen)} noisy images, {len(trials)} exact cases, watershed")
    jobs: list[Callable[[], Any]] = [partial(measure, sample, setting) for sample in chosen]
    jobs += [partial(exactness.measure, case, factor) for case, factor in trials]
    jobs += [
        partial(cells.measure, name, setting.side, setting.tile, seed, peer_python)
        for name in cells.IMAGES
        for seed in range(setting.seeds)
    ]
    results = carry_out(jobs)
    noisy = list(zip(chosen, results, strict=False))
    exact = results[len(chosen) : len(chosen) + len(trials)]
    names = [name for name in cells.IMAGES for _ in range(setting.seeds)]
    watershed = list(zip(names, results[len(chosen) + len(trials) :], strict=True))
    tables = accuracy_tables.noisy_tables(noisy)
    tables += accuracy_tables.exact_tables(exact)
    tables.append(accuracy_tables.watershed_table(watershed))
    tables[0].data["accuracy"] = [
        {**asdict(sample), "rule": rule, **asdict(scores)}
        for sample, found in noisy
        for rule, scores in found.items()
    ]
    return tables


def carry_out(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return the results of jobs, each carried out in one of as many processes as there are cores."""
    results = []
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        for result in pool.imap(_call, jobs):
            results.append(result)
            if len(results) % 25 == 0:
                say(f"  {len(results)} of {len(jobs)}")
    return results


def _call(job: Callable[[], Any]) -> Any:
    return job()
