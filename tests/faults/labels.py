"""Small images with an old label, ways to replace it, and what is left in a folder afterwards.

For tests that break a run off; knows nothing of how.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from scipy import ndimage

import seamlabel
from seamlabel.io.sources import image_info, open_labels
from seamlabel.testing.cells import Tissue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (96, 96)
PART = ".partial"
"""Parts of files that a crash leaves: hidden from everybody, so they are counted but not wrong."""
LITTER = (".lock", ".seamlabel.owner")


@dataclass(frozen=True)
class Case:
    """One way to write labels.

    Parameters
    ----------
    name : str
        For reports.
    version : int
        zarr format of the image.
    own : bool
        Labels go to a store of their own.
    keep, table : bool
        The run directory is kept, a table is written.
    consolidated : bool
        The store has consolidated metadata.
    executor : str
        Where tiles are segmented.
    """

    name: str
    version: int = 3
    own: bool = False
    keep: bool = False
    table: bool = False
    consolidated: bool = False
    executor: str = "serial"

    def run(self, folder: Path, limit: int) -> None:
        """Segment the image in a folder; other limits, other labels."""
        extra: dict[str, Any] = {"output": folder / "own.zarr"} if self.own else {}
        seamlabel.segment(
            folder / "image.zarr",
            above(limit),
            tile_shape=48,
            overlap=12,
            name="cells",
            overwrite=True,
            keep=self.keep,
            table=folder / "cells.csv" if self.table else False,
            executor=self.executor,
            progress=False,
            **extra,
        )

    def labels(self, folder: Path) -> list[NDArray[Any]]:
        """Return all levels of the label."""
        store = folder / ("own.zarr" if self.own else "image.zarr")
        assert "cells" in image_info(folder / "image.zarr", output=store).labels
        return [np.asarray(level[...]) for level in open_labels(store / "labels" / "cells")]


CASES = (
    Case("zarr 2", 2),
    Case("zarr 3"),
    Case("consolidated", consolidated=True),
    Case("output of its own", own=True),
    Case("kept, with a table", keep=True, table=True),
    Case("threads", executor="threads"),
)


@cache
def above(limit: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a segmenter."""

    def bright(tile: NDArray[Any]) -> NDArray[Any]:
        labels: NDArray[Any] = ndimage.label(tile > limit)[0]
        return labels

    return bright


def write_image(path: Path, version: int) -> None:
    """Write a small OME-Zarr of two levels with zarr alone."""
    image = Tissue(SHAPE, "dense").image()
    group = zarr.create_group(str(path), zarr_format=version)
    datasets = []
    for level, step in enumerate((1, 2)):
        array = group.create_array(
            str(level), shape=tuple(n // step for n in SHAPE), dtype=image.dtype, chunks=(32, 32)
        )
        array[...] = image[::step, ::step]
        scale = {"type": "scale", "scale": [float(step)] * 2}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    multiscale = {"name": "image", "axes": axes, "datasets": datasets}
    if version == 2:
        group.attrs["multiscales"] = [{"version": "0.4", **multiscale}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


def checksums(folder: Path) -> dict[str, str]:
    """Return a digest of every file of the image; consolidated metadata hold labels' too and are left out."""
    image = folder / "image.zarr"
    return {
        file.relative_to(image).as_posix(): hashlib.sha256(content(file)).hexdigest()
        for file in sorted(image.rglob("*"))
        if file.is_file() and file.relative_to(image).parts[0] not in ("labels", ".zmetadata")
        if file.name != ".seamlabel.lock" and not file.name.endswith(PART)
    }


def content(file: Path) -> bytes:
    """Return what counts of a file."""
    data = file.read_bytes()
    if file.name != "zarr.json" or b"consolidated_metadata" not in data:
        return data
    return json.dumps({k: v for k, v in json.loads(data).items() if k != "consolidated_metadata"}).encode()


def same(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> bool:
    """Return whether all levels are equal."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def litter(work: Path) -> list[str]:
    """Return what a run should have taken away: locks, arrays that no label shows."""
    left = [path for path in work.rglob("*") if path.name.endswith(LITTER)]
    groups = [path for path in work.glob("*.zarr/labels/cells") if path.is_dir()]
    arrays = [path for group in groups for path in group.iterdir() if path.is_dir()]
    extra = len(arrays) - 2 * len(groups)
    return [path.relative_to(work).as_posix() for path in left] + ["an array"] * extra
