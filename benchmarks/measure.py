"""Running jobs in turns, checking their labels, and tables of what came out.

Knows neither which jobs there are nor what is on the images.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from benchmarks.data import size_on_disk, warm
from benchmarks.jobs import command
from seamlabel.geometry import TileGrid
from seamlabel.testing import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.jobs import Job
    from seamlabel.testing import PartitionReport

ROOT = Path(__file__).parents[1]
JOB_SECONDS = 3600
_BLOCK_VOXELS = 1 << 22
_PEERS = ("patchworks", "dask-image")


@dataclass(frozen=True)
class Options:
    """How to measure.

    Parameters
    ----------
    rounds : int
        How often every job is run; all jobs take turns.
    peer_python : str
        A Python that has the peers.
    most_tiles : int
        Runs of more tiles are left out.
    """

    rounds: int = 3
    peer_python: str = sys.executable
    most_tiles: int = 10**6


@dataclass
class Runs:
    """What the runs of one job took.

    Parameters
    ----------
    job : Job
        What was run.
    took : list of dict
        For each run: ``cpu`` and ``wall`` in seconds, ``peak``, ``read``, ``written``, ``kept`` in
        bytes, and what the job ``told``.
    report : PartitionReport, optional
        Its labels against those of the whole image; of the first run that differed, if one did.
    error : str
        Why it failed, in a line.
    """

    job: Job
    took: list[dict[str, Any]] = field(default_factory=list)
    report: PartitionReport | None = None
    error: str = ""

    def least(self, name: str) -> float:
        """Return the minimum over the runs; nan without one."""
        return min((run[name] for run in self.took if name in run), default=float("nan"))

    def middle(self, name: str) -> float:
        """Return the median over the runs; nan without one."""
        values = [run[name] for run in self.took if name in run]
        return median(values) if values else float("nan")

    @property
    def identical(self) -> str:
        """Whether the labels of every run were those of the whole image, as tables say it."""
        return ("yes" if self.report.same else "no") if self.report else "-"

    @property
    def objects(self) -> str:
        """Objects found of objects there are."""
        return f"{self.report.n_b:,} / {self.report.n_a:,}" if self.report else "-"


def carry_out(job: Job, python: str = sys.executable) -> dict[str, Any]:
    """Run a job in a process of its own; return what it took.

    Raises
    ------
    RuntimeError
        If it fails; the message is the last line that it said.
    """
    if job.image:
        warm(Path(job.image) / "0")
    os.sync()  # nobody pays for what the job before wrote
    done = subprocess.run(
        [python, *command(job)], cwd=ROOT, capture_output=True, text=True, timeout=JOB_SECONDS, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it exited with {done.returncode}"]
        raise RuntimeError(lines[-1])
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    kept = took["told"].get("kept", job.output)
    took["kept"] = size_on_disk(Path(kept))
    return took


def take_turns(
    jobs: dict[str, Job], truth: Path | None, options: Options, *, once: Sequence[str] = ()
) -> dict[str, Runs]:
    """Run all jobs in turns (A B C, A B C, ...) and compare the labels of every run.

    Parameters
    ----------
    jobs : dict of str to Job
        By name; those on `peers_of(options)` run on that Python.
    truth : Path, optional
        Array of the labels of the whole image.
    options : Options
        Rounds, and the peers' Python.
    once : sequence of str
        Jobs so slow that one run says enough.

    Raises
    ------
    RuntimeError
        If a job fails that is no peer's.
    """
    runs = {name: Runs(job) for name, job in jobs.items()}
    for number in range(options.rounds):
        for name, run in runs.items():
            if run.error or (number and name in once):
                continue
            peer = run.job.kind.startswith(_PEERS)
            say(f"  round {number + 1}: {name}")
            try:
                run.took.append(carry_out(run.job, options.peer_python if peer else sys.executable))
            except RuntimeError as error:
                if not peer:
                    raise
                run.error = str(error)
                continue
            _check(run, truth)
    return runs


def _check(run: Runs, truth: Path | None) -> None:
    """Compare the labels of the last run, and delete what it wrote."""
    if truth is not None and (run.report is None or run.report.same):
        run.report = compare_arrays(truth, Path(run.took[-1]["told"]["labels"]))
    for path in (run.job.output, f"{run.job.output}.small"):
        rmtree(path, ignore_errors=True)


def compare_arrays(truth: Path, found: Path) -> PartitionReport:
    """Compare the labels in two zarr arrays, block by block.

    The distinct pairs (true label, label found) are themselves two label images with the same
    objects, merges and splits; only ``foreground_differs`` counts pairs, not voxels.
    """
    a: Any = zarr.open_array(truth, mode="r")
    b: Any = zarr.open_array(found, mode="r")
    if a.shape != b.shape:
        msg = f"labels of shape {b.shape} for an image of {a.shape}"
        raise ValueError(msg)
    rows = max(1, _BLOCK_VOXELS // int(np.prod(a.shape[1:])))
    block = (-(-rows // a.chunks[0]) * a.chunks[0], *a.shape[1:])
    pairs = [
        _pairs(a[tile.core.slices], b[tile.core.slices]) for tile in TileGrid(a.shape, block, (0,) * a.ndim)
    ]
    packed = np.unique(np.concatenate(pairs))
    return compare(packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF))


def _pairs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the distinct pairs of labels, packed into 64 bits."""
    if b.size and not 0 <= int(b.min()) <= int(b.max()) < 1 << 32:
        msg = f"labels from {b.min()} to {b.max()} do not fit 32 bits"
        raise ValueError(msg)
    packed = (a.astype(np.uint64) << np.uint64(32) | b.astype(np.uint64)).ravel()
    changes = np.flatnonzero(packed[1:] != packed[:-1]) + 1
    return np.unique(np.concatenate([packed[:1], packed[changes]]))


def peers_of(options: Options, peers: Sequence[str] = _PEERS) -> dict[str, str]:
    """Return the versions of the peers that a Python has, by name."""
    ask = (
        "from importlib.metadata import distributions as d;"
        f"print({{x.name.lower(): x.version for x in d() if x.name.lower() in {tuple(peers)}}})"
    )
    done = subprocess.run(
        [options.peer_python, "-c", ask], capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout.replace("'", '"'))
    return {name: found[name] for name in peers if name in found}


@dataclass(frozen=True)
class Table:
    """A table for people: cells are text already; `data` has the numbers for programs."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return the table in columns, for a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        shown = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        rule = "  ".join("-" * w for w in widths)
        return "\n".join([self.title, shown[0], rule, *shown[1:], *self.notes])

    def markdown(self) -> str:
        """Return the table in Markdown, a heading of the third level above."""
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join([f"### {self.title}", body, *self.notes])


def environment() -> dict[str, Any]:
    """Return what numbers depend on: cores, system, versions."""
    packages = ("seamlabel", "numpy", "scipy", "zarr", "numcodecs")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def say(text: str) -> None:
    """Tell what is going on, where tables do not go."""
    print(text, file=sys.stderr, flush=True)
