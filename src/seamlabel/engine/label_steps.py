"""What is done to labels after a method; `seamlabel.steps` has the names of it, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.backends.watershed import basins
from seamlabel.engine.compose import Composer
from seamlabel.geometry import Box
from seamlabel.kernels.outlines import expanded, grown, objects, shrunk, smoothed
from seamlabel.steps import spacing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.kernels.solution import Solution
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelStore
    from seamlabel.steps import Step


def in_tile(labels: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """Return the labels of a tile over its space axes after those steps of a plan that split objects."""
    steps = [step for step in plan.steps if step.splits]
    return changed(labels, steps, _spacing(plan)) if steps else labels


def painted(labels: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """Return final labels over the label axes after the other steps of a plan."""
    steps = [step for step in plan.steps if not step.splits]
    if not steps or not labels.any():
        return labels
    space = [n for n, joined in zip(labels.shape, plan.joined, strict=True) if joined]
    pictures = labels.reshape(-1, *space)  # looped axes come first
    return np.stack([changed(one, steps, _spacing(plan)) for one in pictures]).reshape(labels.shape)


def _spacing(plan: Plan) -> tuple[float, ...]:
    return spacing_of([scale for scale, axis in zip(plan.scale, plan.axes, strict=True) if axis.tiled])


def composer_of(plan: Plan, store: LabelStore, solution: Solution) -> Composer:
    """Return what makes the final labels of a plan."""
    given = plan.grid, store, solution, plan.region
    return (
        SteppedComposer(*given, plan=plan)
        if any(not step.splits for step in plan.steps)
        else Composer(*given)
    )


@dataclass(frozen=True)
class SteppedComposer(Composer):
    """Makes final labels, and does to them what a plan wants done.

    Parameters
    ----------
    plan : Plan
        With steps.
    seen : ndarray of bool
        Which ids are left of those that were asked for so far.
    """

    plan: Plan = field(kw_only=True)
    seen: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Have seen nothing yet."""
        object.__setattr__(self, "seen", np.zeros(self.solution.n_objects + 1, bool))

    @property
    def n_objects(self) -> int:
        """Objects that are left, once all labels were asked for."""
        return int(np.count_nonzero(self.seen[1:]))

    def labels(self, box: Box) -> NDArray[Any] | None:
        """Return the labels of a box, made of those so far around it as the steps look; None if none are."""
        reach = sum(step.reach for step in self.plan.steps if not step.splits)
        around = box.grow(tuple(reach * joined for joined in self.plan.joined))
        around = around.intersect(Box.whole(self.grid.shape))
        found = super().labels(around)
        if found is None:
            return None
        found = painted(found, self.plan)[box.relative_to(around).slices]
        self.seen[np.unique(found)] = True
        return found


def changed(labels: NDArray[Any], steps: Sequence[Step], spacing: Sequence[float]) -> NDArray[Any]:
    """Return labels after steps, one after the other.

    Parameters
    ----------
    labels : ndarray of int, (z, y, x) or (y, x)
        Labels, 0 is background.
    steps : sequence of Step
        What to do; lengths in units of `spacing`.
    spacing : sequence of float
        Extent of a voxel per axis.
    """
    for step in steps:
        labels = _CHANGES[step.name](labels, step.length, spacing)
    return labels


def split(labels: NDArray[Any], diameter: float, spacing: Sequence[float]) -> NDArray[np.int64]:
    """Return labels in which objects are split into parts, by a watershed of the distance to their rim.

    Parameters
    ----------
    labels : ndarray of int, (z, y, x) or (y, x)
        Labels, 0 is background.
    diameter : float
        Of a part, about, in units of `spacing`.
    spacing : sequence of float
        Extent of a voxel per axis.
    """
    out, last = np.zeros(labels.shape, np.int64), 0
    reach = [ceil(diameter / step) + 1 for step in spacing]
    for value, box in objects(labels):
        near = grown(box, reach, labels.shape)
        mask = labels[near] == value
        parts = basins(mask, tuple(spacing), diameter)
        out[near][mask] = parts[mask] + last
        last += int(parts.max())
    return out


_CHANGES: dict[str, Callable[..., NDArray[Any]]] = {
    "split": split,
    "expand": expanded,
    "shrink": shrunk,
    "smooth": smoothed,
}
