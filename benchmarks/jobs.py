"""What is measured: a job does one run in a process of its own and says what it took.

Jobs of peers run on a Python that has them but not seamlabel: this module needs numpy, scipy and
zarr only, and everything else is imported where a job begins. Knows nothing of truth or tables.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

THRESHOLD = 1000
SIGMA = 1.5
SLOW_SECONDS = 0.3
LABEL_CHUNKS = {2: (512, 512), 3: (64, 128, 128)}
"""Chunks that seamlabel writes labels in."""


def threshold(image: NDArray[Any]) -> NDArray[np.int32]:
    """Label what is brighter than 1000, diagonal neighbours together."""
    labels, _ = ndimage.label(image > THRESHOLD, np.ones((3,) * image.ndim, bool))
    return labels


def gaussian(image: NDArray[Any]) -> NDArray[np.int32]:
    """Smooth (sigma 1.5, which reaches 6 voxels), then `threshold`."""
    return threshold(ndimage.gaussian_filter(image, SIGMA, output=np.float32))


def slow(image: NDArray[Any]) -> NDArray[np.int32]:
    """Wait for 0.3 s, as for a network on another device, then `threshold`."""
    time.sleep(SLOW_SECONDS)
    return threshold(image)


FUNCTIONS = {"threshold": threshold, "gaussian": gaussian, "slow": slow}


@dataclass(frozen=True)
class Job:
    """One run to measure.

    Parameters
    ----------
    kind : str
        Key of `KINDS`; after a colon which of its jobs.
    image, output, small : str
        OME-Zarr that is segmented; what is made; an image to load late imports with.
    function : str
        Key of `FUNCTIONS`.
    tile : tuple of int
        Shape of the cores in voxels.
    overlap : int
        Voxels that a tile reads past its core.
    workers : int
        Tiles at once.
    shuffle : int or None
        Seed of another order of the tiles; None: the order that the engine chooses.
    count : int
        Size of a job that has no image.
    """

    kind: str
    image: str = ""
    output: str = ""
    small: str = ""
    function: str = "threshold"
    tile: tuple[int, ...] = ()
    overlap: int = 0
    workers: int = 2
    shuffle: int | None = None
    count: int = 0


def floor(job: Job) -> dict[str, Any]:
    """Segment chunk by chunk and write each one's labels: no seams, no pyramid, no second core."""
    import zarr

    image: Any = zarr.open_array(f"{job.image}/0", mode="r")
    labels = _array(job, image.shape, tuple(map(min, LABEL_CHUNKS[image.ndim], job.tile)))
    for box in _boxes(image.shape, job.tile):
        labels[box] = FUNCTIONS[job.function](image[box])
    return {"labels": job.output}


def floor_of_tiny_tiles(job: Job) -> dict[str, Any]:
    """Read and write whole chunks once each, and segment them tile by tile in between."""
    import zarr

    image: Any = zarr.open_array(f"{job.image}/0", mode="r")
    labels = _array(job, image.shape, tuple(c // 2 for c in image.chunks))
    for box in _boxes(image.shape, image.chunks):
        pixels = image[box]
        out = np.empty(pixels.shape, np.int32)
        for tile in _boxes(pixels.shape, job.tile):
            out[tile] = FUNCTIONS[job.function](pixels[tile])
        labels[box] = out
    return {"labels": job.output}


def _array(job: Job, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Any:
    """Return a new array for labels: int32 as functions give it, zstd 1.

    Written chunks are not searched for zeros first: that costs more than it saves.
    """
    import zarr

    return zarr.create_array(
        job.output,
        shape=shape,
        dtype="int32",
        chunks=tuple(map(min, chunks, shape)),
        compressors=zarr.codecs.ZstdCodec(level=1),
        config={"write_empty_chunks": True},
    )


def _boxes(shape: tuple[int, ...], tile: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    starts = (range(0, n, t) for n, t in zip(shape, tile, strict=True))
    for start in product(*starts):
        yield tuple(slice(a, min(a + t, n)) for a, t, n in zip(start, tile, shape, strict=True))


def ours(job: Job) -> dict[str, Any]:
    """`seamlabel.segment` with its defaults: exact merge, journal and pyramid included."""
    import seamlabel

    result = seamlabel.segment(
        job.image,
        FUNCTIONS[job.function],
        tile_shape=job.tile,
        overlap=job.overlap,
        workers=job.workers,
        output=job.output,
        overwrite=True,
        progress=False,
    )
    return {"labels": _levels(result.path)[0]}


def ours_in_order(job: Job) -> dict[str, Any]:
    """`seamlabel.run` with a number of workers and, where it takes one, another order of tiles."""
    import seamlabel
    from seamlabel.io.sources import image_info

    spec = seamlabel.RunSpec(
        image=job.image,
        backend="function",
        params={"target": f"benchmarks.jobs:{job.function}"},
        tile_shape=job.tile,
        overlap=job.overlap,
        workers=job.workers,
        output=job.output,
        overwrite=True,
    )
    plan = seamlabel.resolve(spec, image_info(job.image, output=job.output))
    shuffled = job.shuffle is not None and "order" in inspect.signature(seamlabel.run).parameters
    order = np.random.default_rng(job.shuffle).permutation(len(plan.grid)).tolist()
    events = seamlabel.run(plan, **({"order": order} if shuffled else {}))
    return {"levels": _levels(list(events)[-1].path), "shuffled": shuffled}


def _levels(path: str) -> list[str]:
    """Return the paths of the arrays of a label group, full resolution first."""
    attributes = json.loads(Path(path, "zarr.json").read_text())["attributes"]
    return [str(Path(path, entry["path"])) for entry in attributes["ome"]["multiscales"][0]["datasets"]]


def first_event(job: Job) -> dict[str, Any]:
    """Plan a run of `count` tiles along each axis on an image without chunks, and begin it."""
    import zarr

    import seamlabel
    from seamlabel.io.sources import image_info

    tile = job.tile or (52, 52)
    shape = tuple(t * (job.count or 4) for t in tile)
    image = zarr.create_array(zarr.storage.MemoryStore(), shape=shape, dtype="uint16", chunks=(1040, 1040))
    start = time.perf_counter()
    spec = seamlabel.RunSpec(tile_shape=tile, overlap=job.overlap, workers=job.workers, output=job.output)
    plan = seamlabel.resolve(spec, image_info(image, output=job.output))
    planned = time.perf_counter()
    events = seamlabel.run(plan, image=image, segmenter=threshold)
    next(events)
    begun = time.perf_counter()
    ended = next(event for event in events if type(event).__name__ in ("TileDone", "TileSkipped"))
    first_tile = time.perf_counter()
    events.close()
    return {
        "tiles": ended.total,
        "resolve": planned - start,
        "first_event": begun - start,
        "first_tile": first_tile - start,
        "close": time.perf_counter() - first_tile,
    }


def _other(module: str, name: str) -> Callable[[Job], dict[str, Any]]:
    """Return a job of a module that is imported when it runs, so that others need not be there."""

    def run(job: Job) -> dict[str, Any]:
        found: dict[str, Any] = getattr(import_module(f"benchmarks.{module}"), name)(job)
        return found

    return run


KINDS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "floor": floor,
    "floor of tiny tiles": floor_of_tiny_tiles,
    "seamlabel": ours,
    "seamlabel in order": ours_in_order,
    "first event": first_event,
    "solve": _other("pairs", "solve_pairs"),
    "plain copy": _other("conversion", "plain_copy"),
    "convert": _other("conversion", "convert"),
    "memory": _other("blends", "in_memory"),
    "stored": _other("blends", "stored"),
    "held": _other("blends", "held"),
    "patchworks": _other("peers", "patchworks_default"),
    "patchworks iou": _other("peers", "patchworks_iou"),
    "dask-image": _other("peers", "dask_image_label"),
}


def main() -> None:
    """Carry out the job on the command line; print a line of JSON with what it took."""
    values = json.loads(sys.argv[1])
    job = Job(**{**values, "tile": tuple(values["tile"])})
    work = KINDS[job.kind.partition(": ")[0]]
    rehearsal = replace(job, output=f"{job.output}.small", image=job.small, count=0, function="threshold")
    if job.small:
        tile = tuple(16 if len(job.tile) == 3 else 64 for _ in job.tile)
        work(replace(rehearsal, tile=tile, overlap=min(job.overlap, 2)))
    before = _used()
    told = work(job)
    after = _used()
    used = {name: value - before[name] for name, value in after.items()}
    print(json.dumps({**used, "peak": _peak(), "told": told}))


def command(job: Job) -> list[str]:
    """Return the arguments for a Python that carry out a job."""
    return ["-c", "from benchmarks.jobs import main; main()", json.dumps(asdict(job))]


def _used() -> dict[str, float]:
    """Return CPU seconds of this process and its children, wall seconds, bytes read and written."""
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = {"cpu": sum(r.ru_utime + r.ru_stime for r in own), "wall": time.perf_counter()}
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:  # not Linux, which alone counts the bytes that calls read and wrote
        return found
    counted = {name: int(value) for name, value in (line.split(":") for line in lines)}
    return found | {"read": counted["rchar"], "written": counted["wchar"]}


def _peak() -> int:
    """Return the most memory that this process and its largest child held, in bytes."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    try:
        lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    except OSError:
        return unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children)
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 1024 * own + unit * children
