"""Runs in which tiles go wrong, each in a process of its own, and what is to come of them.

``python -m tests.faults.tile_runs JOB.json`` does one run and writes down what it told; faults may end
it. Knows faults as data.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.faults.tile_faults import FAULTS, MARK, Fault, Odd

import seamlabel
from seamlabel.errors import IncompleteError, SeamlabelError
from seamlabel.events import TileDone, TileFailed, TileSkipped, WorkersReduced
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import open_labels
from seamlabel.testing.cells import Tissue

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDE, TILE, OVERLAP = 10, 48, 8
FIRST = 4
"""Tiles before the first mark: a run whose first tiles all fail is given up."""
PATIENCE = 240.0


def numbers(faults: Sequence[Fault]) -> dict[int, Fault]:
    """Return which tile meets which fault."""
    assert len(faults) <= SIDE * SIDE - FIRST
    return {FIRST + place: fault for place, fault in enumerate(faults)}


def marked_image(path: Path, faults: Sequence[Fault]) -> None:
    """Write an image whose tiles have a mark each in their middle, and are cells otherwise."""
    pixels = np.minimum(Tissue((SIDE * TILE,) * 2, "dense").image(), MARK - 1)
    for tile, fault in numbers(faults).items():
        y, x = (TILE * n + TILE // 2 for n in divmod(tile, SIDE))
        pixels[y, x] = MARK + FAULTS.index(fault)
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx", levels=2)


@dataclass
class Told:
    """What a run told before it ended.

    Parameters
    ----------
    end : str
        "complete", "incomplete", the name of an error, or "killed".
    failed : dict of int to str
        Reasons, by tile.
    details : dict of int to str
        Tracebacks, shortened.
    done : list of int
        Tiles that were done in this session or before.
    reduced : list of int
        How many tiles at once, after memory ran out.
    error : str
        What the error said.
    stdout : str
        What the run printed, itself and its workers.
    seconds : float
        Wall time.
    """

    end: str = "killed"
    failed: dict[int, str] = field(default_factory=dict)
    details: dict[int, str] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    reduced: list[int] = field(default_factory=list)
    error: str = ""
    stdout: str = ""
    seconds: float = 0.0

    def listen(self, event: Any) -> None:
        """Take note of an event."""
        if isinstance(event, TileDone | TileSkipped):
            self.done.append(event.tile)
        elif isinstance(event, TileFailed):
            self.failed[event.tile] = event.reason
            self.details[event.tile] = event.detail[:4000]
        elif isinstance(event, WorkersReduced):
            self.reduced.append(event.workers)


class Bench:
    """An image with marks in a folder of its own, and runs of it.

    Parameters
    ----------
    folder : Path
        Is made.
    faults : sequence of Fault
        One tile each.
    scheduler : str, optional
        Of a dask cluster; else every run on dask starts its own.
    """

    def __init__(self, folder: Path, faults: Sequence[Fault], scheduler: str | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder, self.faults, self.scheduler = folder, faults, scheduler
        self.image = folder / "image.zarr"
        marked_image(self.image, faults)
        self.say("never")

    def say(self, mode: str) -> None:
        """Arm the faults, or not."""
        (self.folder / "mode").write_text(mode)
        for file in self.folder.glob("struck-*"):
            file.unlink()

    @property
    def run_dir(self) -> Path:
        """Where a run's tiles are."""
        return Path(f"{self.image}.seamlabel/labels")

    def strikes(self, fault: Fault) -> int:
        """Return how often a fault struck since `say`."""
        file = self.folder / f"struck-{FAULTS.index(fault)}"
        return len(file.read_text().split()) if file.exists() else 0

    def run(self, executor: str, patience: float = PATIENCE, **how: Any) -> Told:
        """Segment in another process, or go on with `resume=True`; one that hangs is killed."""
        job = self.folder / "job.json"
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        job.write_text(json.dumps({"folder": str(self.folder), "executor": executor, **how}))
        command = [sys.executable, "-m", "tests.faults.tile_runs", str(job)]
        begin = time.monotonic()
        done = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            stdout = done.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            done.kill()
            stdout = done.communicate()[0]
        told = Told()
        with suppress(FileNotFoundError):
            values = json.loads(answer.read_text())
            for name in ("failed", "details"):
                values[name] = {int(tile): text for tile, text in values[name].items()}
            told = Told(**values)
        told.stdout, told.seconds = stdout.decode(errors="replace"), time.monotonic() - begin
        return told

    def labels(self) -> list[Any]:
        """Return the labels that were written, all levels; none if there are none."""
        path = self.image / "labels" / "labels"
        return [level[...] for level in open_labels(path)] if path.exists() else []

    def forget(self) -> None:
        """Take labels away, so that another run can write them."""
        shutil.rmtree(self.image / "labels", ignore_errors=True)
        shutil.rmtree(self.run_dir.parent, ignore_errors=True)


def carry_out(job: dict[str, Any]) -> Told:
    """Do one run in this process."""
    folder = job.pop("folder")
    method, told = Odd(folder), Told()
    how = {"progress": False, "on_event": told.listen, **job}
    try:
        if how.pop("resume", False):
            seamlabel.resume(f"{folder}/image.zarr.seamlabel/labels", backend=method, retry=True, **how)
        else:
            seamlabel.segment(f"{folder}/image.zarr", method, tile_shape=TILE, overlap=OVERLAP, **how)
        told.end = "complete"
    except IncompleteError:
        told.end = "incomplete"
    except (SeamlabelError, KeyboardInterrupt) as error:
        told.end, told.error = type(error).__name__, f"{error} | {getattr(error, 'hint', '')}"
    except BaseException as error:  # noqa: BLE001 - a method raises what it likes
        told.end, told.error = f"raised {type(error).__name__}", repr(error)[:500]
    return told


def main(path: str) -> None:
    """Do the run that a file tells of, and write down beside it what it told."""
    job = json.loads(Path(path).read_text())
    told = carry_out(job)
    out = Path(path).with_name("answer.json")
    out.with_suffix(".new").write_text(json.dumps(vars(told)))
    out.with_suffix(".new").replace(out)


if __name__ == "__main__":
    main(sys.argv[1])
