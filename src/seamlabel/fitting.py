"""How a backend and the steps after it fit an image: channels, memory, lengths in voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import Problem
from seamlabel.steps import in_voxels

if TYPE_CHECKING:
    from seamlabel.axes import ImageInfo
    from seamlabel.registry import Backend
    from seamlabel.spec import RunSpec
    from seamlabel.steps import Step


def bytes_per_voxel(backend: Backend, info: ImageInfo, channels: tuple[int, ...]) -> int:
    """Return peak bytes per voxel of a tile's read box for these channels."""
    return backend.bytes_per_voxel + max(0, len(channels) - 1) * np.dtype(info.dtype).itemsize


def misfit(backend: Backend, params: Any, channels: tuple[int, ...]) -> list[Problem]:
    """Return the problem of parameters that ask for another number of channels."""
    wanted, given = getattr(params, "n_channels", None), len(channels) or 1
    if wanted is None or wanted == given:
        return []
    message = f"'{backend.name}' takes {wanted} with these parameters, not {given}"
    return [Problem("channels", message, f"Choose {wanted}, or other parameters")]


def find_steps(spec: RunSpec, info: ImageInfo, problems: list[Problem]) -> tuple[Step, ...]:
    """Return the steps after the method, in voxels of the level that is segmented."""
    level = info.levels[min(spec.level, len(info.levels) - 1)]
    tiled = [i for i, axis in enumerate(info.axes) if axis.tiled]
    names, units = [info.axes[i].name for i in tiled], [info.units[i] for i in tiled]
    try:
        return in_voxels(spec.steps, names, [level.scale[i] for i in tiled], units) if tiled else ()
    except ValueError as error:
        problems.append(Problem("steps", str(error), "Give voxels, such as 'expand=3'"))
        return ()
