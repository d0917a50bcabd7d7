"""Whether what a run writes fits on the disk. Knows plans and folders, no widget."""

from __future__ import annotations

import shutil
import tempfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from seamlabel.plan import STAGED_BYTES_PER_VOXEL
from seamlabel.sizes import human

if TYPE_CHECKING:
    from seamlabel.plan import Plan

SURE = 0.2
"""Share of the estimate that is written at least: the best that was measured, with room to err."""


def needed(plan: Plan) -> int:
    """Return the bytes that a run takes at most: staged tiles, and labels on all levels."""
    voxels = sum(prod(shape) for shape in plan.level_shapes[plan.spec.level :])
    return int(plan.stage_bytes + voxels * STAGED_BYTES_PER_VOXEL)


def free(plan: Plan) -> int | None:
    """Return the bytes that are free where a plan writes; None if that cannot be told."""
    place = Path(plan.output or tempfile.gettempdir())
    if "://" in str(plan.output):
        return None
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def lack(plan: Plan) -> tuple[str, bool]:
    """Return what to say of the space on the disk, "" if it is enough; and whether it surely is not."""
    wanted, there = needed(plan), free(plan)
    if there is None or wanted <= there:
        return "", False
    going_on = plan.run_dir is not None and Path(plan.run_dir).exists()  # much may be written already
    text = f"the disk has {human(there)} left, this may take up to {human(wanted)}"
    return text, wanted * SURE > there and not going_on
