"""Columns of the table of objects as people read them: titles with units, numbers as text, other names.

Knows what the engine calls its columns; neither widgets nor layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from seamlabel.axes import Axis

SHORT = {
    "micrometer": "µm",
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "angstrom": "Å",
    "picometer": "pm",
}
"""Units of length as they are shown; any other is shown as it is called."""
POWERS = {1: "", 2: "²", 3: "³"}


@dataclass(frozen=True, eq=False)
class Column:
    """A column of the table.

    Parameters
    ----------
    name : str
        What the engine and exported files call it.
    title : str
        What it is called on the screen, with its unit in brackets.
    tip : str
        What it says, in a sentence.
    values : 1-D ndarray
        One per object.
    words : tuple of str
        By what it is known in a filter, in small letters.
    """

    name: str
    title: str
    tip: str
    values: NDArray[Any]
    words: tuple[str, ...]

    def text(self, row: int) -> str:
        """Return a value as it is shown."""
        value = self.values[row]
        if self.values.dtype.kind == "b":
            return "yes" if value else "no"
        if self.values.dtype.kind in "iu":
            return str(value) if self.name == "id" else f"{value:,}"
        return number(float(value))


def number(value: float) -> str:
    """Return a number with at least three digits that count; a dash for none."""
    size = abs(value)
    if np.isnan(value):
        return "–"
    if size >= 1e7 or 0 < size < 1e-3:
        return f"{value:.3g}"
    if size >= 100:
        return f"{value:,.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def make_columns(table: Mapping[str, NDArray[Any]], axes: Sequence[Axis]) -> tuple[Column, ...]:
    """Return the columns of a table in the order in which they are shown, those in units first.

    Places and areas are left out where they say the same as those in pixels: of an image without units.

    Parameters
    ----------
    table : mapping of str to 1-D ndarray
        As `seamlabel.kernels.objects.object_table` makes it.
    axes : sequence of Axis
        Of the labels.
    """
    space = [axis for axis in axes if f"centroid_{axis.name}" in table]
    units = [axis.unit for axis in space]
    known = all(units)
    length = {axis.name: SHORT.get(axis.unit or "", axis.unit or "") for axis in space}
    whole = f"{length[space[0].name]}{POWERS.get(len(space), '')}" if len(set(units)) == 1 and known else ""
    said = _Said("volume" if len(space) == 3 else "area", "voxels" if len(space) == 3 else "pixels", whole)
    found = []
    for name, values in table.items():
        if not known and (name == "area" or name.startswith("position_")):
            continue
        rank, stem, unit, tip = said.about(name, length)
        title = f"{stem} ({unit})" if unit else stem
        words = (stem.lower(), f"{stem} {unit}".lower(), name.lower())
        found.append((rank, Column(name, title, tip, values, words)))
    found.sort(key=lambda pair: pair[0])
    return _distinct([column for _, column in found])


def _distinct(columns: list[Column]) -> tuple[Column, ...]:
    """Return columns that are known by different words first of all."""
    taken: set[str] = set()
    for at, column in enumerate(columns):
        columns[at] = replace(column, words=tuple(w for w in column.words if w not in taken))
        taken.update(columns[at].words)
    return tuple(columns)


@dataclass(frozen=True)
class _Said:
    """How sizes are called and in what they are measured."""

    size: str
    voxels: str
    whole: str

    def about(self, name: str, length: Mapping[str, str]) -> tuple[int, str, str, str]:
        """Return rank, name, unit and meaning of a column."""
        plain = {
            "id": (0, "id", "", "The object's number: its value in the labels"),
            "area": (1, self.size, self.whole, f"The object's {self.size} in units of the image"),
            "area_voxels": (2, self.size, self.voxels, f"How many {self.voxels} the object has"),
            "t": (3, "time", "frame", "The frame that the object is in, from 0 on"),
            "at_border": (6, "at border", "", "Whether the object touches the border of the image"),
            "at_seam": (7, "at seam", "", "Whether the object lies in more than one tile"),
        }
        if name in plain:
            return plain[name]
        first, _, rest = name.partition("_")
        if first == "position":
            return 4, f"centre {rest}", length[rest], f"Where the middle of the object is along {rest}"
        if first == "centroid":
            where = f"Where the middle of the object is along {rest}, in {self.voxels} from 0 on"
            return 8, f"centre {rest}", self.voxels, where
        if first == "bbox":
            axis, _, end = rest.rpartition("_")
            word, what = ("from", "First") if end == "start" else ("to", "One past the last")
            return 9, f"{axis} {word}", self.voxels, f"{what} of the object's {self.voxels} along {axis}"
        if first in _INTENSITY:
            return 5, f"{first} {rest}", "", f"{_INTENSITY[first]} of the object's {self.voxels} in {rest}"
        return 3, f"plane {name}", "", f"The plane along {name} that the object is in, from 0 on"


_INTENSITY = {"mean": "Mean", "min": "Darkest", "max": "Brightest"}
