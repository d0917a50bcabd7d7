"""A real watershed of touching cells on a noisy image: tiled, against the whole image at once.

Also the job of patchworks on the same image with the same function, which its own Python runs as a
script (``python -m benchmarks.cells IMAGE.npy LABELS.npy TILE OVERLAP LIMIT``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from benchmarks.scores import score
from seamlabel.backends.watershed import WatershedParams, WatershedSegmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scores import Scores

ROOT = Path(__file__).parents[1]
DIAMETER = 32.0
OVERLAPS = (32, 64)
PEER_SECONDS = 300


def params(limit: float) -> dict[str, Any]:
    """Return the parameters of the watershed backend."""
    return {"seeds": "distance", "diameter": DIAMETER, "smoothing": 1.0, "value": limit}


def cells(side: int, seed: int) -> Any:
    """Return a noisy image (y, x) of touching cells with dark borders."""
    from seamlabel.testing import Tissue

    clean = Tissue((side, side), "dense", diameter=int(DIAMETER), seed=seed).image()
    return _noisy(clean, np.random.default_rng(seed), 600)


def foam(side: int, seed: int) -> Any:
    """Return a noisy image (y, x) of irregular masses, many cells wide, that run through tiles."""
    rng = np.random.default_rng(seed)
    masses = ndimage.gaussian_filter(rng.standard_normal((side, side)), 0.6 * DIAMETER)
    return _noisy(2000 + 600 * masses / masses.std(), rng, 300)


def _noisy(clean: Any, rng: np.random.Generator, deviation: float) -> Any:
    return np.clip(clean + rng.normal(0, deviation, clean.shape), 0, 65535).astype(np.uint16)


IMAGES: dict[str, Callable[[int, int], Any]] = {"cells": cells, "foam": foam}
"""Makers of images by name, from the length of a side and a seed."""


def measure(name: str, side: int, tile: int, seed: int, peer_python: str) -> dict[str, Scores | str]:
    """Return scores against the untiled watershed, by who made the labels; or why there are none."""
    from skimage.filters import threshold_otsu

    import seamlabel
    from seamlabel import TileGrid

    image = IMAGES[name](side, seed)
    limit = float(threshold_otsu(image))

    def run(tile_shape: int, overlap: int) -> tuple[Any, float]:
        start = time.process_time()
        result = seamlabel.segment(
            image, "watershed", params=params(limit), tile_shape=tile_shape, overlap=overlap, progress=False
        )
        return np.asarray(result.labels).astype(np.int32), time.process_time() - start

    truth, _ = run(side, 0)
    grid = TileGrid(image.shape, (tile, tile), (0, 0))
    found: dict[str, Scores | str] = {}
    for overlap in OVERLAPS:
        labels, cpu = run(tile, overlap)
        found[f"ours, overlap {overlap}"] = score(truth, labels, grid, cpu)
    for overlap in OVERLAPS:
        theirs = _patchworks(image, tile, overlap, limit, peer_python)
        who = f"patchworks IoU, overlap {overlap}"
        found[who] = theirs if isinstance(theirs, str) else score(truth, theirs[0], grid, theirs[1])
    return found


def _patchworks(image: Any, tile: int, overlap: int, limit: float, python: str) -> tuple[Any, float] | str:
    """Return patchworks' labels and CPU seconds, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "image.npy"), Path(folder, "labels.npy")
        np.save(source, image)
        command = [python, "-m", "benchmarks.cells", source, target, tile, overlap, limit]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=PEER_SECONDS,
            check=False,
        )
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it failed"])[-1]
        return np.load(target), float(done.stdout.split()[-1])


def _job(source: str, target: str, tile: str, overlap: str, limit: str) -> None:
    """Segment an image with patchworks, and print the CPU seconds."""
    import dask.array as da
    from patchworks import tile_process

    image = np.load(source)
    segmenter = WatershedSegmenter(WatershedParams(**params(float(limit))), float(limit))
    start = time.process_time()
    labels = tile_process(
        da.from_array(image, chunks=(int(tile),) * image.ndim),
        segmenter,
        tile_shape=(int(tile),) * image.ndim,
        overlap=int(overlap),
        stitch="iou",
        channel=None,
        progress=False,
    )
    found = np.asarray(labels).astype(np.int32)
    print(time.process_time() - start)
    np.save(target, found)


if __name__ == "__main__":
    _job(*sys.argv[1:])
