"""The object table: what the sums say about every object, as named columns.

Knows sums and the names of axes; neither pixels nor files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.kernels.measure import LabelSums


def object_table(
    sums: LabelSums,
    shape: tuple[int, ...],
    axes: Sequence[str],
    *,
    space: Sequence[bool] | None = None,
    border: Sequence[bool] | None = None,
    scale: Sequence[float] | None = None,
    channels: Sequence[str] = (),
) -> dict[str, NDArray[Any]]:
    """Return what is known of every object as columns, one row per object, ascending by id.

    ========================================  =======================================================
    ``id``                                    the object's label
    ``area_voxels``                           voxels
    ``area``                                  the same in units of the axes (square or cubic)
    ``t``                                     place along an axis that is not of space, voxels
    ``centroid_y`` …                          mean of the voxels' coordinates, voxels of the image
    ``position_y`` …                          the same in units of the axis: ``centroid_y * scale``
    ``bbox_y_start``, ``bbox_y_stop`` …       bounding box, half open, voxels of the image
    ``mean_C``, ``min_C``, ``max_C`` …        intensity in channel C
    ``at_border``                             touches the image's border along an axis of space
    ``at_seam``                               has voxels in the cores of more than one tile
    ========================================  =======================================================

    Parameters
    ----------
    sums : LabelSums
        Of whole objects.
    shape : tuple of int
        Of the image, without channels.
    axes : sequence of str
        Names of its axes.
    space : sequence of bool, optional
        Which of them are of space; all, if not given.
    border : sequence of bool, optional
        Along which of them the image's border counts; those of space, if not given.
    scale : sequence of float, optional
        Size of a voxel along each axis. Without it there is no ``area`` and no ``position``.
    channels : sequence of str
        Names of the channels of the sums; of equal ones the later get a number.
    """
    of_space = (True,) * len(axes) if space is None else tuple(space)
    inner = [axis for axis, chosen in enumerate(of_space) if chosen]
    table: dict[str, NDArray[Any]] = {"id": sums.label, "area_voxels": sums.area}
    if scale is not None:
        table["area"] = sums.area * float(np.prod([scale[axis] for axis in inner]))
    for axis, name in enumerate(axes):
        if axis not in inner:
            table[name] = sums.start[:, axis]
    centroids = {axis: _centroid(sums, axis) for axis in inner}
    table |= {f"centroid_{axes[axis]}": centroids[axis] for axis in inner}
    if scale is not None:
        table |= {f"position_{axes[axis]}": centroids[axis] * scale[axis] for axis in inner}
    for axis in inner:
        table[f"bbox_{axes[axis]}_start"] = sums.start[:, axis]
        table[f"bbox_{axes[axis]}_stop"] = sums.stop[:, axis]
    for at, name in enumerate(_distinct(channels)):
        table[f"mean_{name}"] = sums.total[:, at] / sums.area
        table[f"min_{name}"] = sums.least[:, at]
        table[f"max_{name}"] = sums.most[:, at]
    ends = np.array(shape, np.int64)
    counted = np.array(of_space if border is None else border, bool)
    table["at_border"] = ((sums.start == 0) | (sums.stop == ends))[:, counted].any(axis=1)
    table["at_seam"] = sums.parts > 1
    return table


def _centroid(sums: LabelSums, axis: int) -> NDArray[np.float64]:
    """Return mean coordinates; NaN where the sum may not have fitted into 64 bits."""
    extent = sums.stop[:, axis] - sums.start[:, axis]
    fits = sums.area.astype(np.float64) * extent < 2.0**63
    mean = sums.start[:, axis] + sums.moment[:, axis] / sums.area
    return np.where(fits, mean, np.nan)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names, those that came before with a number appended."""
    found: list[str] = []
    for name in names:
        number, wanted = 2, name
        while wanted in found:
            wanted, number = f"{name}_{number}", number + 1
        found.append(wanted)
    return found
