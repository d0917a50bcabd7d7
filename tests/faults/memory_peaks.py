"""Peak memory of a run, all its processes together, against what its plan says.

``python -m tests.faults.memory_peaks`` measures every executor with two methods: one that takes just
what a function may take, and the threshold. A run is done in a process of its own, and watched from
outside: the proportional share of what its processes hold (``PSS``), where the system tells it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.faults.crowds import Greedy

import seamlabel
from seamlabel.api import sample

SIDE, TILE = 4096, 1024
FUNCTION_BYTES = 64
EVERY_SECONDS = 0.03
METHODS = ("function", "threshold")
EXECUTORS = ("serial", "threads", "processes", "dask")


@dataclass(frozen=True)
class Peak:
    """What a run took.

    Parameters
    ----------
    measured : int
        Bytes of all processes together, at their worst.
    planned : int
        What the plan said.
    own : int
        Of the measured, what the process of the run itself held.
    others : tuple of int
        And each of the others.
    workers : int
        Tiles at once.
    """

    measured: int
    planned: int
    own: int
    others: tuple[int, ...]
    workers: int

    def __str__(self) -> str:
        """Return it in MB."""
        parts = ", ".join(f"{part / 1e6:.0f}" for part in (self.own, *self.others))
        return f"{self.measured / 1e6:.0f} of {self.planned / 1e6:.0f} MB planned ({parts})"


def held(process: psutil.Process) -> int:
    """Return the bytes of memory that are this process' own, with its part of what it shares."""
    try:
        info = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(info, "pss", 0) or info.uss)


def measure(image: str, method: str, executor: str, workers: int = 2, tile: int = TILE) -> Peak:
    """Segment an image in another process, and return what that took."""
    command = [sys.executable, "-m", "tests.faults.memory_peaks", "--run", image]
    command += ["--methods", method, "--executors", executor, "--workers", str(workers), "--tile", str(tile)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    top, worst = psutil.Process(child.pid), [0]
    while child.poll() is None:
        try:
            now = [held(process) for process in (top, *top.children(recursive=True))]
        except psutil.NoSuchProcess:
            break
        worst = max(worst, now, key=sum)
        time.sleep(EVERY_SECONDS)
    out = child.communicate()[0]
    assert child.returncode == 0
    planned, used = json.loads(out)
    return Peak(sum(worst), planned, worst[0], tuple(worst[1:]), used)


def run(image: str, method: str, executor: str, workers: int, tile: int) -> None:
    """Segment in this process; print what was planned."""
    backend: Any = "threshold" if method == "threshold" else Greedy(FUNCTION_BYTES)
    result = seamlabel.segment(
        image,
        backend,
        executor=executor,
        workers=workers,
        tile_shape=tile,
        overwrite=True,
        progress=False,
    )
    print(json.dumps([result.plan.peak_bytes, result.plan.workers]))


def run_memory_peaks(
    executors: tuple[str, ...] = ("serial", "threads", "processes", "dask"),
) -> dict[str, Any]:
    """Measure every method on every executor; return bytes measured and planned."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        image = sample(Path(folder) / "image.zarr", (SIDE, SIDE))
        for method in METHODS:
            for executor in executors:
                peak = measure(image, method, executor)
                found[f"{method}, {executor}"] = {"measured": peak.measured, "planned": peak.planned}
                print(f"{method:10} {executor:10} {peak}", flush=True)
    return found


def main() -> None:
    """Measure, or be what is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", metavar="IMAGE", help=argparse.SUPPRESS)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--executors", default=",".join(EXECUTORS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tile", type=int, default=TILE)
    args = parser.parse_args()
    if args.run:
        run(args.run, args.methods, args.executors, args.workers, args.tile)
    else:
        run_memory_peaks(tuple(args.executors.split(",")))


if __name__ == "__main__":
    main()
