"""`python -m benchmarks conversion`: a stack of TIFF planes made into OME-Zarr, against a plain copy.

The plain copy is what a careful user would write by hand: planes decoded slab by slab, level 0 written in the
same chunks and with the same compression, no pyramid, nothing to resume by, no bound on memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from benchmarks.jobs import Job
from benchmarks.measure import Runs, Table, carry_out, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.data import Data
    from benchmarks.measure import Options

KINDS = ("plain copy", "convert")
PATTERN = "plane_z{z}.tif"
CHUNKS = (64, 128, 128)
LEAST_SPEED, MOST_PEAK = 0.5, 500
"""Of the plain copy's speed; MB."""


@dataclass(frozen=True)
class Part:
    """A part of this benchmark: so many planes of 2048² pixels, or of `side`²."""

    name: str
    planes: int
    side: int = 2048


def cases(*, quick: bool) -> list[Part]:
    """Return the parts: 4.3 GB, or a small stack."""
    return [Part("planes", 64, 256) if quick else Part("planes", 512)]


def main(wanted: Iterable[Part], data: Data, options: Options) -> Iterator[Table]:
    """Measure the parts; yield their tables."""
    for part in wanted:
        say(part.name)
        folder = _planes(part, data)
        small = _planes(Part("small", 4, 64), data)
        runs = {
            kind: Runs(Job(kind, str(folder), str(data.scratch(f"{kind}.zarr")), str(small), tile=CHUNKS))
            for kind in KINDS
        }
        for number in range(options.rounds):
            for kind, run in runs.items():
                say(f"  round {number + 1}: {kind}")
                run.took.append(carry_out(run.job))
                _check(folder, run.took[-1]["told"])
                for path in (run.job.output, f"{run.job.output}.small"):
                    rmtree(path, ignore_errors=True)
        yield _table(part, runs)


def _planes(part: Part, data: Data) -> Path:
    """Return a folder with the planes in its folder ``0``; made once."""
    import tifffile

    folder = data.folder / f"planes-{part.planes}x{part.side}"
    if not folder.exists():
        made = folder.with_name(f".{os.getpid()}-{folder.name}")
        (made / "0").mkdir(parents=True)
        random = np.random.default_rng(0)
        smooth = ndimage.gaussian_filter(random.random((part.side,) * 2, dtype=np.float32), 6)
        smooth = (smooth - smooth.min()) / np.ptp(smooth) * 3000
        noise = random.poisson(20, (part.side + 97, part.side))
        for z in range(part.planes):
            plane = np.roll(smooth, (3 * z, 5 * z), (0, 1)) + noise[z * 7 % 97 :][: part.side]
            tifffile.imwrite(made / "0" / PATTERN.format(z=z), plane.astype(np.uint16), metadata=None)
        made.replace(folder)
    return folder


def _check(folder: Path, told: dict[str, Any]) -> None:
    """Compare the pixels that a job wrote with the planes."""
    import tifffile
    import zarr

    array: Any = zarr.open_array(told["array"], mode="r")
    assert array.chunks == tuple(map(min, CHUNKS, array.shape)), "both jobs write the same chunks"
    for start in range(0, array.shape[0], CHUNKS[0]):
        slab = array[start : start + CHUNKS[0]]
        for z, plane in enumerate(slab, start):
            true = tifffile.imread(folder / "0" / PATTERN.format(z=z))
            assert np.array_equal(plane, true), f"plane {z} is another"


def plain_copy(job: Job) -> dict[str, Any]:
    """Decode planes slab by slab and write them in chunks, with zarr-python."""
    import tifffile

    from seamlabel.io.ngff.store import create_array

    files = [Path(job.image, "0", PATTERN.format(z=z)) for z in range(len(os.listdir(Path(job.image, "0"))))]
    first = tifffile.imread(files[0])
    shape = (len(files), *first.shape)
    options: dict[str, Any] = {"zarr_format": 3, "names": ("z", "y", "x"), "shuffle": True}
    array = create_array(Path(job.output), shape, first.dtype.name, job.tile, **options)
    for start in range(0, len(files), job.tile[0]):
        slab = np.stack([tifffile.imread(file) for file in files[start : start + job.tile[0]]])
        array[start : start + len(slab)] = slab
    os.sync()
    return {"array": job.output}


def convert(job: Job) -> dict[str, Any]:
    """`seamlabel.io.convert.convert` with its defaults: pyramid, record of what is done, bounded memory."""
    from seamlabel.io.convert import convert as real

    real(Path(job.image, "0"), job.output, pattern=PATTERN, workers=job.workers)
    return {"array": f"{job.output}/0"}


def _table(part: Part, runs: dict[str, Runs]) -> Table:
    copy, own = (runs[kind] for kind in KINDS)
    rows = []
    for kind, run in runs.items():
        ratios = [copy.least(name) / run.least(name) for name in ("wall", "cpu")]
        numbers = [f"{run.least('wall'):.3g}", f"{run.least('cpu'):.3g}", *(f"{r:.2f}" for r in ratios)]
        rows.append((kind, *numbers, f"{run.least('peak') / 1e6:,.0f}", f"{run.least('kept') / 1e6:,.0f}"))
    speed = copy.middle("wall") / own.middle("wall")
    peak = max(run["peak"] for run in own.took) / 1e6
    notes = (
        f"By medians {speed:.2f} times the speed of the plain copy; limit {LEAST_SPEED}: "
        f"{'met' if speed >= LEAST_SPEED else 'missed'}.",
        f"Largest peak {peak:,.0f} MB; limit {MOST_PEAK}: {'met' if peak <= MOST_PEAK else 'missed'}.",
        "The pixels of every run were compared with the planes.",
    )
    size = part.planes * part.side**2 * 2 / 1e9
    title = f"{part.planes} TIFF planes of {part.side}² pixels, {size:.1f} GB, 2 workers"
    columns = ("job", "wall s", "CPU s", "speed by wall", "speed by CPU", "peak MB", "on disk MB")
    return Table(title, columns, rows, notes, {part.name: {kind: run.took for kind, run in runs.items()}})
