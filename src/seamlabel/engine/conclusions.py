"""What follows from a survey: the numbers to run with, and the sentences that go with them."""

from __future__ import annotations

from dataclasses import fields
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from seamlabel.auto import LEAST_OVERLAP
from seamlabel.engine.needs import Curve, OverlapNeeds
from seamlabel.engine.probing import LEAST_BAND
from seamlabel.kernels.agreement import DIFFER, DIFFER_WHOLE, LOOKED, LOOKED_WHOLE, extents

if TYPE_CHECKING:
    from seamlabel.engine.probing import Tally
    from seamlabel.engine.survey import Survey
    from seamlabel.plan import Plan

LEAST_LIMIT = 16
"""Depth up to which must have been looked at to tell a normalisation per tile."""
ENOUGH_WHOLE = 200
"""Object voxels far away that must belong to objects that are not cut, to judge by them alone."""
FLAT = 0.4
"""Part of the disagreement at a quarter to half of the depth that is left far away, where it is flat."""
EXPECTED = 20.0
"""Voxels of objects that are not cut that would differ, if they were like those that are."""
MOST = 0.9
"""Part of the objects that `extent` is to hold."""
MARGIN = 1.5
"""Extents of an object that tiles overlap by where a cut changes whole objects; as `auto_overlap` has it."""


def all_flat(tallies: list[Tally], least: float) -> bool:
    """Return whether about as many voxels differ far from a change as at half the way, along every axis."""
    rates = [_rates(tally) for tally in tallies if tally.limit >= LEAST_LIMIT]
    near, far = (sum(pair[i] for pair in rates) for i in (0, 1))
    each = all(far > max(least, FLAT / 2 * near) for near, far in rates)
    return bool(rates) and each and far >= FLAT * near


def _rates(tally: Tally) -> tuple[float, float]:
    """Return the part of the voxels that differ in the second quarter of the depth, and in the last."""
    n = tally.limit
    near, far = (tally.rows[:, a:b].sum(axis=1) for a, b in ((n // 4, n // 2), (3 * n // 4, n)))
    whole = far[LOOKED_WHOLE] >= ENOUGH_WHOLE
    looked, differ = (LOOKED_WHOLE, DIFFER_WHOLE) if whole else (LOOKED, DIFFER)
    return near[differ] / max(1, near[looked]), far[differ] / max(1, far[looked])


def conclude(survey: Survey) -> OverlapNeeds:
    """Return what a survey says that the backend needs."""
    every = range(survey.ndim)
    normalises = survey.normalises
    reach = tuple(survey.reach(axis) for axis in every)
    radius = tuple(_radius(survey, axis) for axis in every)
    settled = tuple(not normalises and survey.ended(axis) for axis in every)
    sizes = np.concatenate([extents(window.labels) for window in survey.windows])
    extent = tuple(int(n) for n in np.ceil(np.quantile(sizes, MOST, axis=0)))
    align = tuple(survey.align)
    overlap = tuple(
        _overlap(survey, axis, normalises, reach[axis], radius[axis], extent[axis]) for axis in every
    )
    names = "".join(axis.name for axis in survey.plan.axes if axis.tiled)
    return OverlapNeeds(
        axes=names,
        overlap=overlap,
        radius=radius,
        reach=reach,
        settled=settled,
        align=align,
        normalises_per_tile=normalises,
        steady=survey.noise == 0,
        extent=extent,
        diameter=round(float(np.median(sizes.mean(axis=1))), 1),
        curves=tuple(Curve(*(tuple(map(int, row)) for row in tally.rows)) for tally in survey.tallies),
        looked=tuple(survey.looked(axis) for axis in every),
        places=len(survey.windows),
        objects=len(sizes),
        calls=survey.method.calls,
        seconds=monotonic() - survey.started,
        notes=tuple(_notes(survey, normalises, settled, reach, radius)),
    )


def _radius(survey: Survey, axis: int) -> int:
    """Return the reach in objects that are not cut, if it is less and chance alone cannot be why."""
    tally = survey.tallies[axis]
    reach = tally.reach(survey.floors[axis])
    whole = tally.reach(survey.floors[axis], DIFFER_WHOLE)
    if reach - whole < max(LEAST_BAND, survey.align[axis]):
        return reach  # of what is pooled, a block at a cut changes as one, like an object
    between = tally.fair[:, whole:reach]
    cut_looked = between[LOOKED] - between[LOOKED_WHOLE]
    rate = (between[DIFFER] - between[DIFFER_WHOLE]) / np.maximum(1, cut_looked)
    return whole if (rate * between[LOOKED_WHOLE]).sum() >= EXPECTED else reach


def _overlap(survey: Survey, axis: int, normalises: bool, reach: int, radius: int, extent: int) -> int:
    """Return the overlap to run with along an axis, a multiple of the alignment."""
    size = survey.size[axis]
    if axis not in survey.axes:
        return size
    objects = ceil(MARGIN * extent)
    wanted = objects if normalises else min(reach + 1, radius + objects) if radius < reach else reach + 1
    unit = max(1, survey.align[axis])
    return min(size, -(-max(wanted, LEAST_OVERLAP) // unit) * unit)


def _notes(
    survey: Survey,
    normalises: bool,
    settled: tuple[bool, ...],
    reach: tuple[int, ...],
    radius: tuple[int, ...],
) -> list[str]:
    names = [axis.name for axis in survey.plan.axes if axis.tiled]
    notes = []
    if normalises:
        notes.append(_mend(survey.plan))
    short = [names[axis] for axis in range(survey.ndim) if axis not in survey.axes]
    if short:
        notes.append(f"The image is too short along {', '.join(short)} to measure: let tiles hold all of it.")
    open_ended = [names[axis] for axis in survey.axes if not settled[axis]]
    if open_ended and not normalises:
        notes.append(
            f"Along {', '.join(open_ended)} changes were seen as far as was looked: the reach may be larger. "
            "Let tiles hold all of that axis; or allow more time, if the image is larger than that."
        )
    if survey.noise:
        notes.append(
            f"The same pixels did not give the same labels again ({survey.noise:.2%} of object voxels): "
            "fix its seeds, else tiles differ for no reason."
        )
    unit = max(survey.align)
    if unit > 1:
        notes.append(
            f"Its labels depend on where a tile starts: use tiles of a multiple of {unit} voxels, and let "
            f"the parameters of a backend of your own have the attribute align = {unit}."
        )
    stated = getattr(survey.plan.params, "radius", None)
    if stated is not None and not normalises and max(radius) > ceil(stated):
        notes.append(f"It states a radius of {ceil(stated)}, less than the {max(radius)} that was measured.")
    return notes


def _mend(plan: Plan) -> str:
    """Return how tiles can be made to agree, with the parameter that decides where it is known."""
    named = [f.name for f in fields(plan.params) if "norm" in f.name.lower()]
    if named:
        return f"Mend: normalise by the whole image; its parameter '{named[0]}' decides that."
    return (
        "Mend: take the percentiles or the threshold of the whole image once, not of each tile, and hand "
        "them over as parameters (a backend of your own gets them from context.statistics)."
    )
