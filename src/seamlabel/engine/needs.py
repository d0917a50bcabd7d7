"""`OverlapNeeds`: what a backend was found to need of tiles, for people and programs.

Knows numbers only; how they are measured: `seamlabel.engine.probing`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import ceil

UNSEEN = 3.0
"""If none of n voxels differs, fewer than 3 in n do, with 95 % certainty (the rule of three)."""


@dataclass(frozen=True)
class Curve:
    """How labels disagree by distance from what was changed, along one axis.

    Parameters
    ----------
    looked, differ : tuple of int
        Object voxels that were compared, and those that were other than before; entry d of those that
        have d unchanged voxels between them and the change.
    looked_whole, differ_whole : tuple of int
        The same of objects that do not touch the change.
    """

    looked: tuple[int, ...]
    differ: tuple[int, ...]
    looked_whole: tuple[int, ...]
    differ_whole: tuple[int, ...]


@dataclass(frozen=True)
class OverlapNeeds:
    """What a backend needs of tiles; tuples have an entry per space axis.

    Parameters
    ----------
    axes : str
        Names of the space axes, such as ``"yx"``.
    overlap : tuple of int
        What to run with: as `segment` takes it. One more than the reach, where a cut reaches no further;
        where it changes whole objects, no more than the radius and 1.5 times their extent.
    radius : tuple of int
        Voxels from a cut beyond which nothing was seen to change in objects that are not cut.
    reach : tuple of int
        The same for all objects: larger than `radius` where a cut changes the rest of an object.
    settled : tuple of bool
        Whether disagreement was seen to end. Else the reach is the furthest that was looked at.
    align : tuple of int
        Windows that are shifted by multiples of this have the same labels; 0 if it was not found out.
    normalises_per_tile : bool
        Labels change wherever something changes, however far away: no overlap will make tiles agree.
    steady : bool
        The same pixels had the same labels again.
    extent : tuple of int
        Nine of ten objects are no larger, in voxels.
    diameter : float
        Median over objects of the mean of their extents, in voxels.
    curves : tuple of Curve
        Disagreement by distance.
    looked : tuple of int
        Object voxels within two layers right behind `reach`, none of which differed.
    places, objects, calls : int
        Windows and objects that were looked at; how often the backend was called.
    seconds : float
        Wall time.
    notes : tuple of str
        What else there is to say, a sentence each.
    """

    axes: str
    overlap: tuple[int, ...]
    radius: tuple[int, ...]
    reach: tuple[int, ...]
    settled: tuple[bool, ...]
    align: tuple[int, ...]
    normalises_per_tile: bool
    steady: bool
    extent: tuple[int, ...]
    diameter: float
    curves: tuple[Curve, ...]
    looked: tuple[int, ...]
    places: int
    objects: int
    calls: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """The overlap as the command line takes it, such as ``"9"`` or ``"4,9,9"``."""
        same = len(set(self.overlap)) == 1
        return str(self.overlap[0]) if same else ",".join(map(str, self.overlap))

    @property
    def headline(self) -> str:
        """What was found, in a line."""
        if self.normalises_per_tile:
            return "This backend normalises per tile: no overlap will make tiles agree"
        end = "" if all(self.settled) else " at least"
        aligned = f", tiles aligned to {_listed(self.align)}" if max(self.align) > 1 else ""
        return f"Overlap {_listed(self.overlap)}{end}{aligned}"

    def summary(self) -> str:
        """Return what was found as a few lines for people."""
        lines = [self.headline] if self.normalises_per_tile else []
        lines.append(f"overlap    {self._per_axis(self.overlap)}")
        if not self.normalises_per_tile:
            lines.append(f"radius     {self._per_axis(self.radius)}{self._certainty()}")
        if self.reach != self.radius:
            lines.append(
                f"reach      {self._per_axis(self.reach)}: so far a cut changes the rest of an object"
            )
        align = tuple(n or "unknown" for n in self.align)
        lines.append(f"alignment  {self._per_axis(align)}")
        lines.append(
            f"objects    {self._per_axis(self.extent)} or less in nine of ten; "
            f"{self.objects:,} in {self.places} place{'s' * (self.places != 1)}"
        )
        return "\n".join([*lines, *self.notes])

    def to_json(self) -> str:
        """Return everything as JSON text, on one line."""
        return json.dumps({**asdict(self), "option": self.option})

    def _per_axis(self, values: tuple[object, ...]) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(self.axes, values, strict=True))

    def _certainty(self) -> str:
        """Return how sure it is that nothing changes further away."""
        if self.normalises_per_tile or not all(self.settled) or not min(self.looked):
            return ""
        return (
            f": of {min(self.looked):,} object voxels right behind, none changed "
            f"(less than 1 in {max(1, ceil(min(self.looked) / UNSEEN)):,})"
        )


def _listed(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else " × ".join(map(str, values))
