"""Sizes of objects as people write them, such as "50 um2": parsed, and turned into voxels.

Exact in fractions. Knows numbers and units of length, no images.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_METRES = {
    "angstrom": Fraction(1, 10**10),
    "picometer": Fraction(1, 10**12),
    "nanometer": Fraction(1, 10**9),
    "micrometer": Fraction(1, 10**6),
    "millimeter": Fraction(1, 10**3),
    "centimeter": Fraction(1, 10**2),
    "decimeter": Fraction(1, 10),
    "meter": Fraction(1),
    "kilometer": Fraction(10**3),
    "inch": Fraction(254, 10**4),
}
"""Length of NGFF's units of space, as far as objects are measured in them."""
_SHORT = {
    "a": "angstrom",
    "å": "angstrom",
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "µm": "micrometer",
    "μm": "micrometer",
    "micron": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "dm": "decimeter",
    "m": "meter",
    "km": "kilometer",
}
_POWERS = {"": 1, "1": 1, "2": 2, "3": 3, "²": 2, "³": 3}
_FORM = re.compile(r"\s*(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)\s*([^\W\d_²³]+)\s*(?:\^|\*\*)?\s*([123²³]?)\s*", re.I)


def parse_size(text: str) -> tuple[Fraction, str, int]:
    """Return the number, the unit (NGFF's name) and its power of a size such as ``"50 um2"``.

    Raises
    ------
    ValueError
        If it is not understood.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        msg = "not a size"
        raise ValueError(msg)
    number, word, power = found.groups()
    unit = unit_name(word)
    if unit is None:
        msg = f"'{word}' is not a unit of length"
        raise ValueError(msg)
    return Fraction(number), unit, _POWERS[power]


def unit_name(word: str) -> str | None:
    """Return NGFF's name of a unit of length such as ``"µm"`` or ``"microns"``; None if it is not known."""
    word = word.lower()
    unit = _SHORT.get(word) or _SHORT.get(word.removesuffix("s"))
    unit = unit or word.removesuffix("s").replace("metre", "meter")
    return unit if unit in _METRES else None


def size_in_voxels(
    text: str, names: Sequence[str], scale: Sequence[float], units: Sequence[str | None]
) -> Fraction:
    """Return how many voxels a size is.

    Parameters
    ----------
    text : str
        Such as ``"50 um2"`` or ``"0.2 mm^3"``.
    names : sequence of str
        Axes along which objects extend.
    scale : sequence of float
        Units per voxel of each.
    units : sequence of str or None
        NGFF unit of each.

    Raises
    ------
    ValueError
        If the size is of another dimension than the objects, or an axis has no known unit.
    """
    number, unit, power = parse_size(text)
    if power != len(names):
        kind = {1: "a length", 2: "an area", 3: "a volume"}
        wanted = kind.get(len(names), f"a unit to the power of {len(names)}")
        msg = f"'{text}' is {kind[power]}, but objects along {', '.join(names)} have {wanted}"
        raise ValueError(msg)
    unknown = [name for name, axis in zip(names, units, strict=True) if axis not in _METRES]
    if unknown:
        msg = f"the image gives no unit of length along {', '.join(unknown)}"
        raise ValueError(msg)
    size = number * _METRES[unit] ** power
    for step, axis in zip(scale, units, strict=True):
        size /= Fraction(repr(float(step))) * _METRES[axis or ""]
    return size


def human(count: float) -> str:
    """Return a number of bytes for people, such as ``"5.6 MB"``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
