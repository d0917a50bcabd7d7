"""Sizes of objects in words: voxels of the segmented level, and the same in the units of the image."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from seamlabel.napari.form.image_texts import UNITS

if TYPE_CHECKING:
    from seamlabel.axes import Axis
    from seamlabel.plan import Plan

POWERS = {1: "", 2: "²", 3: "³"}


def size_unit(plan: Plan) -> str:
    """Return what sizes of objects are counted in: pixels, or voxels."""
    return "voxels" if len(_axes(plan)) == 3 else "px"


def size_text(plan: Plan, smallest: int, largest: int) -> str:
    """Return sizes in the units of the image, "" where nothing is limited or the image has none."""
    axes = _axes(plan)
    units = {axis.unit for axis in axes}
    unit = UNITS.get(units.pop() or "") if len(units) == 1 else None
    if unit is None or not (smallest or largest):
        return ""
    one = prod(scale for axis, scale in zip(plan.axes, plan.scale, strict=True) if axis in axes)
    power = POWERS[len(axes)]
    parts = [f"from {one * smallest:,.4g}"] if smallest else []
    parts += [f"up to {one * largest:,.4g}"] if largest else []
    return f"Objects {' '.join(parts)} {unit}{power}"


def _axes(plan: Plan) -> list[Axis]:
    """Return the axes that an object extends along: not across planes that are not linked."""
    whole = plan.linked is not None
    return [axis for axis in plan.axes if axis.tiled or (whole and axis.looped)]
