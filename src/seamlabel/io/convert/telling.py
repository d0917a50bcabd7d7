"""What a conversion would make, and what it made, in words for people."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from seamlabel.io.ngff.model import open_image
from seamlabel.sizes import human

if TYPE_CHECKING:
    from seamlabel.io.convert.job import Job


def summary(job: Job) -> str:
    """Return what a job would make, in lines for people."""
    said, plan = job.source, job.plan
    sizes = " x ".join(map(str, plan.shape))
    voxel = " x ".join(f"{s:.6g} {a.unit or ''}".strip() for s, a in zip(plan.scale, plan.axes, strict=True))
    size = sum(prod(level.shape) for level in plan.levels) * np.dtype(plan.dtype).itemsize
    cells = [plan.cell(i) for i in range(len(plan.levels))]
    count = sum(
        prod(-(-n // c) for n, c in zip(level.shape, cell, strict=True))
        for level, cell in zip(plan.levels, cells, strict=True)
    )
    files = f", {len(said.files):,} files" if len(said.files) > 1 else ""
    shards = f", shards {' x '.join(map(str, plan.shards))}" if plan.shards else ""
    levels = ", ".join(" x ".join(map(str, level.shape)) for level in plan.levels)
    lines = [
        f"source   {said.name}{files}",
        f"makes    {job.folder}: OME-Zarr {plan.version}, {plan.names} {sizes}, {plan.dtype}",
        f"voxel    {voxel}",
        f"levels   {levels}",
        f"chunks   {' x '.join(map(str, plan.chunks))}{shards}",
        f"size     {human(size)} before compression, {count:,} files at most",
    ]
    lines += [f"channels {', '.join(said.channels)}"] if said.channels else []
    return "\n".join(lines + [f"note     {note}" for note in said.notes])


def shape_made(path: str) -> str:
    """Return axes and shape of an image that was made, for people."""
    info = open_image(path).info
    return f"{info.names} {' x '.join(map(str, info.shape))}, {len(info.levels)} levels"
