"""Jobs that sessions carry out and kills disturb: images, wishes, and what undisturbed runs give.

Knows what has to be on disk after a run; not how it is disturbed.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from tests.faults.method import noted

import seamlabel
from seamlabel.errors import SeamlabelError
from seamlabel.events import TileDone, TileSkipped
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import label_names
from seamlabel.io.sources import open_labels
from seamlabel.testing.cells import Tissue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "cells"
FLAT: tuple[dict[str, Any], ...] = (
    {},
    {"merge": "touching"},
    {"fill_holes": True},
    {"min_size": 40},
    {"table": "table.csv"},
    {"keep": True},
    {"skip_empty": 3000.0},
    {"output": "own.zarr"},
    {"array": True},
    {"drop_border": True, "max_size": 400},
    {"fill_holes": True, "table": "table.csv", "min_size": 20},
)
DEEP: tuple[dict[str, Any], ...] = (
    {},
    {"planes": True, "z_link": 0.3},
    {"planes": True},
    {"merge": "touching", "min_size": 60},
    {"fill_holes": True, "keep": True},
)


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Parameters
    ----------
    number : int
        Of the job.
    deep : bool
        Whether the image has three dimensions.
    wishes : dict
        Arguments of `seamlabel.segment`.
    how : dict
        Those of them that say how: executor, workers, retries, keep.
    seconds : float
        What a tile takes.
    array : bool
        Whether the image is handed over as an array.
    """

    number: int
    deep: bool
    wishes: dict[str, Any]
    how: dict[str, Any]
    seconds: float
    array: bool = False

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"job {self.number} {'3D' if self.deep else '2D'} {self.wishes} {self.how} array={self.array}"


def make_jobs(count: int, seed: int, kinds: str = "tpd") -> list[Job]:
    """Return jobs of all sorts; executors by turns: Threads, Processes, Dask."""
    names = {"t": "threads", "p": "processes", "d": "dask", "s": "serial"}
    luck, jobs = random.Random(seed), []
    for number in range(count):
        executor = names[kinds[number % len(kinds)]]
        deep = number % 3 == 2
        variants = DEEP if deep else FLAT
        wishes = dict(variants[(number + number // 3) % len(variants)])
        array = wishes.pop("array", False)
        if array:
            wishes["output"] = "own.zarr"
        keep = wishes.pop("keep", False)
        sizes: tuple[tuple[int, ...], ...] = (
            ((7, 36, 40), (5, 48, 32)) if deep else ((60, 60), (48, 80), (72, 64))
        )
        if wishes.get("planes"):
            sizes = ((70, 64), (70, 40))
        wishes |= {"tile_shape": luck.choice(sizes), "overlap": 4 if deep else 8, "name": NAME}
        how = {"executor": executor, "workers": luck.choice((2, 3)), "retries": 6, "keep": keep}
        seconds = luck.choice((0.005, 0.01, 0.02, 0.03)) * (1 + (executor == "dask"))
        jobs.append(Job(number, deep, wishes, how, seconds, array))
    return jobs


@dataclass
class Ground:
    """A job's folder, fresh for every chain of kills, and what is right in it.

    Parameters
    ----------
    job : Job
        The job.
    base : Path
        Folder of the images that all jobs share.
    folder : Path
        Of this job.
    """

    job: Job
    base: Path
    folder: Path
    tiles: dict[str, int] = field(default_factory=dict)
    n_tiles: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    usual: dict[str, float] = field(default_factory=dict)
    new: NDArray[Any] | None = None
    old: NDArray[Any] | None = None

    @property
    def image(self) -> Path:
        """What is segmented."""
        name = "deep" if self.job.deep else "flat"
        return self.base / f"{name}.npy" if self.job.array else self.folder / "image.zarr"

    @property
    def store(self) -> Path:
        """What gets the labels."""
        return self.folder / "own.zarr" if "output" in self.job.wishes else self.folder / "image.zarr"

    @property
    def run_dir(self) -> Path:
        """The run directory."""
        return self.folder / f"{self.store.name}.seamlabel" / NAME

    @property
    def wishes(self) -> dict[str, Any]:
        """Arguments with paths in the folder."""
        paths = {
            n: str(self.folder / self.job.wishes[n]) for n in ("output", "table") if n in self.job.wishes
        }
        return {**self.job.wishes, **paths}

    def clear(self, old: bool) -> None:
        """Put the image in place, and an old label if wanted."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        name = "deep" if self.job.deep else "flat"
        own = "output" in self.job.wishes
        shutil.copytree(self.base / f"{name}{'-old' * (old and not own)}.zarr", self.folder / "image.zarr")
        if own and old:
            shutil.copytree(self.base / f"{name}-old.zarr", self.folder / "own.zarr")
        self.old = np.load(self.base / f"{name}-old.npy") if old else None

    def refer(self, method: Callable[[NDArray[Any]], NDArray[Any]] = noted) -> None:
        """Carry the job out undisturbed with this method; keep what it gives, and which tile is which."""
        self.clear(old=False)
        numbers: list[int] = []

        def listen(event: Any) -> None:
            if isinstance(event, TileDone):
                numbers.append(event.tile)
            self.n_tiles += isinstance(event, TileDone | TileSkipped)

        image = np.load(self.image) if self.job.array else str(self.image)
        wishes = self.wishes | {"executor": "serial", "progress": False, "on_event": listen}
        log = self.folder / "calls.log"
        with patch.dict(os.environ, SEAMLABEL_FAULT_CALLS=str(log), SEAMLABEL_FAULT_SESSION="0"):
            seamlabel.segment(image, method, **wishes)
        names = [line.split()[1] for line in log.read_text().splitlines()] if method is noted else []
        self.tiles = dict(zip(names, numbers, strict=False))
        assert len(self.tiles) == len(names), "two tiles have the same pixels"
        self.files = self.written()
        self.new = self.labels()

    def written(self) -> dict[str, bytes]:
        """Return every file of the label and of the table.

        Left out is what may differ: the number of the generation of arrays, and which executor,
        workers and retries were asked for and whether labels might be replaced.
        """
        group, found = self.store / "labels" / NAME, {}
        for path in sorted(group.rglob("*")):
            if path.is_file():
                name = re.sub(r"^\d+\.(\d+)/", r"G.\1/", path.relative_to(group).as_posix())
                data = path.read_bytes()
                if name == "zarr.json" or name == ".zattrs":
                    data = re.sub(rb'"path": "\d+\.', b'"path": "G.', data)
                    data = re.sub(rb'"(executor|workers|retries|overwrite)": [^,]*,', b"", data)
                found[f"{name}{' again' * (name in found)}"] = data
        table = self.folder / "table.csv"
        if "table" in self.job.wishes and table.exists():
            found["table"] = table.read_bytes()
        return found

    def labels(self) -> NDArray[Any] | None:
        """Return the labels that a reader sees now; None if there are none."""
        group = self.store / "labels" / NAME
        listed = label_names(self.store) if self.store.exists() else ()
        return np.asarray(open_labels(group)[0]) if NAME in listed else None

    def state(self) -> str:
        """Return which labels a reader sees: "old" (also for none), "new", or what is wrong."""
        try:
            found = self.labels()
        except (SeamlabelError, ValueError, RuntimeError, OSError) as error:
            return f"labels cannot be read: {error}"
        if self.new is not None and found is not None and np.array_equal(found, self.new):
            return "new"
        if (found is None and self.old is None) or (
            found is not None and self.old is not None and np.array_equal(found, self.old)
        ):
            return "old"
        return "labels are neither the old nor the new ones"

    def rubbish(self) -> list[str]:
        """Return what is left behind in the folder that belongs to no result."""
        kept = self.run_dir if self.job.how["keep"] else None
        found = []
        for path in self.folder.rglob("*"):
            ours = path.name.startswith(".") and path.name not in (".zattrs", ".zgroup", ".zarray")
            lock = path.suffix in (".lock", ".partial")
            run = path.parent.suffix == ".seamlabel" and path != kept
            if ours or lock or run or (path.suffix == ".seamlabel" and kept is None):
                found.append(str(path.relative_to(self.folder)))
        if kept is not None and not (kept / "report.json").exists():
            found.append("the run that was to be kept is not there")
        return found


def make_base(folder: Path) -> Path:
    """Write the images that jobs share, each with and without a label of another method."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in (("flat", (400, 380)), ("deep", (20, 130, 120))):
        pixels = Tissue(shape, "dense" if len(shape) == 2 else "tissue3d", seed=3).image()
        pixels = pixels.astype(np.int64) + np.random.default_rng(1).integers(0, 90, shape)
        if name == "flat":
            pixels[120:260, 150:300] = np.random.default_rng(2).integers(0, 900, (140, 150))
        pixels = pixels.clip(0, 65535).astype(np.uint16)
        np.save(folder / f"{name}.npy", pixels)
        axes, image = "zyx"[-len(shape) :], folder / f"{name}.zarr"
        write_image(image, shape, "uint16", lambda box, p=pixels: p[box.slices], axes=axes, levels=2)
        shutil.copytree(image, folder / f"{name}-old.zarr")
        old = folder / f"{name}-old.zarr"
        seamlabel.segment(str(old), params={"value": 9000}, name=NAME, progress=False)
        np.save(folder / f"{name}-old.npy", np.asarray(open_labels(old / "labels" / NAME)[0]))
    return folder


def environment(ground: Ground, session: int, token: str) -> dict[str, str]:
    """Return the environment of a session; workers have it, too."""
    return os.environ | {
        "SEAMLABEL_FAULT_CALLS": str(ground.folder / "calls.log"),
        "SEAMLABEL_FAULT_SESSION": str(session),
        "SEAMLABEL_FAULT_SECONDS": str(ground.job.seconds),
        "SEAMLABEL_FAULT_TOKEN": token,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
