"""`python -m benchmarks blending`: predictions of patches put together, in memory and from zarr to zarr.

The model changes nothing, so that only reading, weighing, adding and writing are measured; every job checks
that it gave back the image. Targets are those of the design.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from benchmarks.blends import IN_MEMORY, STORED
from benchmarks.jobs import Job
from benchmarks.measure import Runs, Table, carry_out, peers_of, say
from seamlabel.io.ngff.images import write_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.data import Data
    from benchmarks.measure import Options
    from seamlabel.geometry import Box

PEERS = ("monai", "qlty", "patchly", "tiler")
OURS = "seamlabel, gaussian"
BASES = {"memory": "numpy loop", "stored": "chunk copy"}
MOST = {"memory": 1.2, "stored": 2.2}
"""Of our CPU, in that of the base."""
LEAST_PEERS = 5
"""Times our CPU, of peers' ways on disk."""
SLOW = ("read, modify, write", "monai", "qlty")
"""Ways on disk of which one run says enough."""
MIB = 1 << 20
MOST_HELD = 64 * MIB


@dataclass(frozen=True)
class Part:
    """A part of this benchmark: jobs in memory or on disk, on `side`² pixels; or what a long map holds."""

    name: str
    side: int
    patch: int


def cases(*, quick: bool) -> list[Part]:
    """Return the parts: 8192² pixels and a map of 65536 rows, or small ones."""
    side, rows, patch = (512, 2048, 128) if quick else (8192, 65536, 512)
    return [Part("stored", side, patch), Part("memory", side, patch), Part("held", rows, patch)]


def main(wanted: Iterable[Part], data: Data, options: Options) -> Iterator[Table]:
    """Measure the parts; yield their tables."""
    peers = peers_of(options, PEERS)
    for part in wanted:
        say(part.name)
        if part.name == "held":
            yield _held(part)
            continue
        image, small = _image(part.side, part.patch, data), _image(128, 64, data)
        kinds = IN_MEMORY if part.name == "memory" else STORED
        runs = {
            kind: Runs(Job(f"{part.name}: {kind}", str(image), str(data.scratch("blend.zarr")), str(small),
                           tile=(part.patch,) * 2))
            for kind in kinds if kind not in PEERS or kind in peers
        }  # fmt: skip
        for number in range(options.rounds):
            for kind, run in runs.items():
                if not (number and part.name == "stored" and kind in SLOW) and not run.error:
                    say(f"  round {number + 1}: {kind}")
                    _turn(run, options.peer_python if kind in PEERS else None)
        yield _table(part, runs, peers)


def _turn(run: Runs, python: str | None) -> None:
    """Run a job once; a peer may fail."""
    try:
        took = carry_out(run.job, *([python] if python else []))
        run.took.append(took | took["told"])  # what the job alone took
    except RuntimeError as error:
        if not python:
            raise
        run.error = str(error)
    finally:
        for path in (run.job.output, f"{run.job.output}.small"):
            rmtree(path, ignore_errors=True)


def _image(side: int, chunk: int, data: Data) -> Path:
    """Return an OME-Zarr of one level of smooth noise, values from 0 to 1; made once."""
    path = data.folder / f"floats-{side}-chunks-{chunk}.zarr"
    if not path.exists():
        random = np.random.default_rng(0)
        smooth = ndimage.gaussian_filter(random.random((1024, 1024), dtype=np.float32), 6, mode="wrap")
        smooth = (smooth - smooth.min()) / np.ptp(smooth) * np.float32(0.9)

        def block(box: Box) -> Any:
            rows, columns = (np.arange(a, b) % 1024 for a, b in zip(box.start, box.stop, strict=True))
            noise = np.random.default_rng(box.start).random(box.shape, dtype=np.float32)
            return smooth[np.ix_(rows, columns)] + noise * np.float32(0.1)

        made = path.with_name(f".{os.getpid()}-{path.name}")
        write_image(made, (side,) * 2, "float32", block, axes="yx", chunks=(chunk,) * 2, levels=1)
        made.replace(path)
    return path


def _table(part: Part, runs: dict[str, Runs], peers: dict[str, str]) -> Table:
    base, ours = runs[BASES[part.name]], runs[OURS]
    rows = []
    for kind, run in runs.items():
        name = f"{kind} {peers[kind]}" if kind in peers else kind
        if run.error:
            rows.append((name, "failed", "-", "-", "-", "-"))
            continue
        least = [run.least(what) for what in ("cpu", "wall", "extra")]
        ratios = [run.middle("cpu") / one.middle("cpu") for one in (base, ours)]
        rows.append(
            (
                name,
                f"{least[0]:.2f}",
                *(f"{r:.2f}" for r in ratios),
                f"{least[1]:.2f}",
                f"{least[2] / MIB:,.0f}",
            )
        )
    where = "in memory" if part.name == "memory" else "zarr to zarr"
    title = f"{part.side}² float32, patches of {part.patch}² half a patch apart, {where}"
    columns = ("job", "CPU s", f"÷ {BASES[part.name]}", "÷ seamlabel, gaussian", "wall s", "extra MiB")
    failed = tuple(f"{kind}: {run.error}" for kind, run in runs.items() if run.error)
    notes = (*_targets(part, runs), *failed)
    return Table(title, columns, rows, notes, {part.name: {kind: run.took for kind, run in runs.items()}})


def _targets(part: Part, runs: dict[str, Runs]) -> Iterator[str]:
    """Yield what was to be reached, and whether it was; ratios are of medians."""
    ours, base = runs[OURS].middle("cpu"), runs[BASES[part.name]].middle("cpu")
    ratio, limit = ours / base, MOST[part.name]
    told = f"{OURS}: {ratio:.2f} times the CPU of the {BASES[part.name]}"
    yield f"{told}; limit {limit}: {_word(ratio <= limit)}."
    if part.name == "stored":
        for peer in ("monai", "qlty"):
            if peer in runs and runs[peer].took:
                times = runs[peer].middle("cpu") / ours
                met = _word(times >= LEAST_PEERS)
                yield f"{peer}: {times:.1f} times our CPU; at least {LEAST_PEERS}: {met}."


def _held(part: Part) -> Table:
    """Return what is held of long maps: the same, however long."""
    took = [
        carry_out(Job("held", tile=(part.patch,) * 2, count=rows)) for rows in (part.side // 16, part.side)
    ]
    told = [one["told"] for one in took]
    rows = [(f"{one['rows']:,} × 8192", f"{one['patches']:,}", f"{one['held'] / MIB:.1f}") for one in told]
    most = max(one["held"] for one in told)
    notes = (f"At most {most / MIB:.1f} MiB; limit {MOST_HELD // MIB}: {_word(most <= MOST_HELD)}.",)
    title = f"What a blend holds of long maps, float32, patches of {part.patch}² half a patch apart"
    return Table(title, ("map", "patches", "most held, MiB"), rows, notes, {"held": told})


def _word(met: bool) -> str:
    return "met" if met else "missed"
