"""Steps after a method: what is done to labels, by name and one length each.

Objects are split in every tile, before tiles are joined: that is part of the method. All other steps keep
objects what they are, and are done to final labels as these are painted. Knows names, limits and reach;
what steps do to labels is the engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from seamlabel.sizes import parse_size, size_in_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 1000.0
"""Voxels that a step may be about, at most."""


@dataclass(frozen=True)
class StepKind:
    """What a step is called, and how far it looks.

    Parameters
    ----------
    title, tooltip : str
        What people read.
    default : float
        Voxels of the finest axis.
    lengths : float
        How far a voxel looks to become what it becomes, in lengths that the step is given.
    """

    title: str
    tooltip: str
    default: float
    lengths: float


STEPS = {
    "split": StepKind("Split touching", "Objects are split into parts of about this diameter", 30, 2),
    "expand": StepKind("Expand", "Objects grow by so much, until they meet", 3, 1),
    "shrink": StepKind("Shrink", "Objects lose so much of their rim", 1, 1),
    "smooth": StepKind("Smooth", "Outlines are smoothed over about so much", 1, 4),
}


@dataclass(frozen=True)
class Step:
    """A step and its length in voxels of the finest axis."""

    name: str
    length: float

    @property
    def splits(self) -> bool:
        """Whether it makes other objects, in every tile; else it is done to final labels."""
        return self.name == "split"

    @property
    def reach(self) -> int:
        """Voxels beyond which a cut changes nothing."""
        return ceil(STEPS[self.name].lengths * self.length + 1)


def as_steps(value: Any) -> Any:
    """Return what users write of steps as a tuple of ``"name=length"``.

    Parameters
    ----------
    value : None, str, mapping or sequence
        ``"expand=3,smooth=1"``, ``["expand=3"]``, ``[("expand", 3)]``, ``{"expand": "1.5 um"}``.

    Raises
    ------
    ValueError
        If it is something else, there is no such step, or its length is out of range.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, Mapping):
        value = value.items()
    if not hasattr(value, "__iter__"):
        msg = "not a list of steps"
        raise ValueError(msg)
    found = [_parts(each) for each in value]
    if any(name == "split" for name, _ in found[1:]):
        msg = "'split' comes first, and once: it makes other objects"
        raise ValueError(msg)
    return tuple(_text(*each) for each in found)


def _parts(value: Any) -> tuple[str, Any]:
    """Return name and length of a step as it was written."""
    if isinstance(value, str):
        name, _, length = value.partition("=")
    elif isinstance(value, list | tuple) and len(value) == 2:
        name, length = value
    else:
        msg = f"{value!r} is not a step"
        raise ValueError(msg)
    name = str(name).strip()
    if name not in STEPS:
        msg = f"there is no step '{name}'"
        raise ValueError(msg)
    return name, STEPS[name].default if length == "" else length


def _text(name: str, length: Any) -> str:
    if isinstance(length, str):
        length = " ".join(length.split())
        try:
            number = float(length)
        except ValueError:
            if parse_size(length)[2] != 1 or not parse_size(length)[0]:
                msg = f"'{length}' is not a length"
                raise ValueError(msg) from None
            return f"{name}={length}"
    else:
        number = float(length)
    if not 0 < number <= MOST:
        msg = f"{name} by {number:g} is out of range"
        raise ValueError(msg)
    return f"{name}={number:g}"


def in_voxels(
    texts: Sequence[str], names: Sequence[str], scale: Sequence[float], units: Sequence[str | None]
) -> tuple[Step, ...]:
    """Return steps with lengths in voxels of the finest axis.

    Parameters
    ----------
    texts : sequence of str
        As `as_steps` gives them.
    names : sequence of str
        The space axes along which tiles are segmented.
    scale : sequence of float
        Units per voxel of each.
    units : sequence of str or None
        NGFF unit of each.

    Raises
    ------
    ValueError
        If a length has a unit, and the image gives none; or it is too many voxels.
    """
    finest = min(range(len(scale)), key=lambda i: abs(scale[i]))
    found = []
    for text in texts:
        name, _, length = text.partition("=")
        try:
            voxels = float(length)
        except ValueError:
            axis = slice(finest, finest + 1)
            voxels = float(size_in_voxels(length, names[axis], scale[axis], units[axis]))
        if voxels > MOST:
            msg = f"{text} is {voxels:g} voxels"
            raise ValueError(msg)
        found.append(Step(name, voxels))
    return tuple(found)


def spacing_of(scale: Sequence[float]) -> tuple[float, ...]:
    """Return the extent of a voxel per axis in units of the finest axis."""
    finest = min((step for step in scale if step > 0), default=1.0)
    return tuple(step / finest if step > 0 else 1.0 for step in scale)
