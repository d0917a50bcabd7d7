"""The tiles of a dense prediction: where they lie, and what reads them."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

from seamlabel.blending.context import Context, ContextChannels
from seamlabel.blending.padding import Padded
from seamlabel.errors import Problem, SpecError
from seamlabel.patch_grid import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.plan import Plan


def read_grid(plan: Plan, edge: Any, align: Any, overlap: Sequence[int] | None = None) -> PatchGrid:
    """Return tiles as they are read: as the plan cuts them, in multiples of the alignment.

    Parameters
    ----------
    plan : Plan
        Says tile shape and overlap.
    edge : str
        As `PatchGrid` has it.
    align : int, sequence of int or None
        Per space axis; None: as the plan's grid has it.
    overlap : sequence of int, optional
        Per space axis, in place of the plan's.

    Raises
    ------
    SpecError
        If there is no such edge, or no such alignment.
    """
    shape = plan.grid.shape
    tiled = [axis.tiled for axis in plan.axes]
    steps = list(plan.grid.align)
    if align is not None:
        count = sum(tiled)
        each = [align] * count if isinstance(align, int) else list(align)
        if len(each) != count or min(each) < 1:
            fix = f"Give one number from 1 on, or {count} of them"
            raise SpecError([Problem("align", f"{align} does not fit {count} axes that are cut", fix)])
        left = iter(each)
        steps = [int(next(left)) if t else 1 for t in tiled]
    given = iter(overlap if overlap is not None else ())
    wide = list(plan.grid.overlap)
    if overlap is not None:
        wide = [next(given) if t else 0 for t in tiled]
    sides, apart = [], []
    for n, tile, beyond, step in zip(shape, plan.grid.tile_shape, wide, steps, strict=True):
        length = ceil(tile / step) * step
        side = min(length + 2 * ceil(beyond / step) * step, ceil(n / step) * step)
        sides.append(side)
        apart.append(min(length, side))
    try:
        return PatchGrid(shape, tuple(sides), tuple(apart), edge, align=tuple(steps))
    except ValueError as error:
        raise SpecError([Problem("edge", str(error), "Use snap, even, shrink or pad")]) from None


def padded_reader(read: Callable[[Box], NDArray[Any]], grid: PatchGrid, mode: str) -> Padded:
    """Return what reads tiles of an image, and what lies beyond its ends.

    Raises
    ------
    SpecError
        If numpy has no such padding.
    """
    try:
        return Padded(read, grid.shape, mode, grid.padding)
    except ValueError as error:
        raise SpecError([Problem("padding", str(error), "Use reflect, or another of these")]) from None


def with_context(context: Context, padded: Padded, plan: Plan) -> ContextChannels:
    """Return what reads planes with their context.

    Raises
    ------
    SpecError
        If planes do not lie along that axis.
    """
    try:
        names = [axis.name for axis in plan.axes]
        place = names.index(context.axis) if isinstance(context.axis, str) else context.axis
        found = ContextChannels(padded.read, replace(context, axis=place), shape=padded.shape)
        looped = not plan.axes[place].tiled
    except (ValueError, IndexError) as error:
        told = str(error) if "z_slices" in str(error) else f"there is no axis {context.axis!r} to look along"
        raise SpecError([Problem("context", told, f"The image has {', '.join(names)}")]) from None
    if not looped:
        msg = f"planes lie along an axis that is tiled, {names[place]}"
        raise SpecError([Problem("context", msg, "Give z, or t")])
    return found
