"""The main job on a sample: make an image, segment it, write the labels back, check, take a picture."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seamlabel import api
from seamlabel.engine.whole import whole_image_labels
from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.io.sources import open_source
from seamlabel.overview import save_overview
from seamlabel.testing.partition import compare

if TYPE_CHECKING:
    from pathlib import Path

MARK = ".seamlabel-demo"
"""Tells a folder that the demo made, and may replace, from any other."""
CHECKED = 1024
"""Tile side: small enough that even the sample has many seams."""


@dataclass(frozen=True)
class DemoPaths:
    """Where the demo left its things."""

    image: Path
    labels: Path
    picture: Path


def demonstrate(folder: Path, shape: tuple[int, ...]) -> DemoPaths:
    """Segment a sample of dense tissue tile by tile, and compare with segmenting it at once.

    Parameters
    ----------
    folder : Path
        Where to; made if it is not there, an earlier demo in it is replaced.
    shape : tuple of int
        ``(y, x)`` of the sample.

    Returns
    -------
    DemoPaths
        Image, labels and picture.

    Raises
    ------
    SpecError
        If the shape is not that of a plane.
    OutputError
        If the folder holds anything that is not an earlier demo.
    """
    if len(shape) != 2 or min(shape) < 64:
        raise SpecError([Problem("shape", f"{shape} is not a plane of 64 or more", "Give y,x: 4096,4096")])
    image, picture = folder / "tissue.zarr", folder / "tissue.png"
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        msg = f"{folder} holds other things than a demo"
        raise OutputError(msg, "Give another folder: --out DIR")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    print(f"Making a sample of dense tissue, {shape[0]:,} x {shape[1]:,}: {image}")
    api.sample(image, shape, "dense", overwrite=True)
    result = api.segment(image, "watershed", tile_shape=CHECKED, name="cells", overwrite=True)
    print(result.plan.summary(), file=sys.stderr)
    source = open_source(str(image), result.plan.info, 0, result.plan.channels)
    report = compare(np.asarray(result.labels), whole_image_labels(result.plan, source))
    save_overview(picture, result.plan, source, result.labels)
    print(f"\n{result.n_objects:,} cells in {len(result.plan.grid)} tiles, {result.seconds:.1f} s")
    print(
        f"Compared with segmenting the whole image at once: {report.identical:,} of {report.n_b:,} cells "
        f"identical, {report.merges} merged wrongly, {report.splits} split"
    )
    print(f"image    {image}\nlabels   {result.path}\npicture  {picture}")
    return DemoPaths(image, folder / "tissue.zarr" / "labels" / "cells", picture)
