"""What TIFF files say of their images: voxel sizes, units and channel names of OME-XML and ImageJ.

Reads words and numbers, no pixels. What is not said plainly is not guessed, but noted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from seamlabel.io.convert.inputs import ngff_unit

if TYPE_CHECKING:
    from seamlabel.io.convert.tiff import TiffImage

    Found = tuple[dict[str, float], dict[str, str], tuple[str, ...], tuple[str, ...]]
    """Scale and units by axis letter, channel names, notes."""

_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.I)


def metadata(image: TiffImage) -> Found:
    """Return scale, units, channel names and notes of an image."""
    if image.file.is_ome and image.file.ome_metadata:
        return _of_ome(image.file.ome_metadata, image.number)
    page = image.file.pages.first
    if image.file.is_imagej:
        return _of_imagej(image.file.imagej_metadata or {}, page)
    told = image.file.shaped_metadata
    own = dict(told[image.number]) if told and image.number < len(told) else {}
    if own.get("unit"):
        return _of_imagej(own, page)
    return {}, {}, (), tuple(_resolution_note(page))


def _of_ome(text: str, number: int) -> Found:
    if _DOCTYPE.search(text):
        return {}, {}, (), ("its OME-XML declares entities and was not read",)
    try:
        images = [e for e in ElementTree.fromstring(text).iter() if _tag(e) == "Image"]
        pixels = next(e for e in images[number].iter() if _tag(e) == "Pixels")
    except (ElementTree.ParseError, LookupError, StopIteration):
        return {}, {}, (), ("its OME-XML could not be read",)
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    notes: list[str] = []
    keys = {axis: (f"PhysicalSize{axis.upper()}", "µm") for axis in "zyx"} | {"t": ("TimeIncrement", "s")}
    for axis, (key, usual) in keys.items():
        size = _number(pixels.get(key))
        unit = pixels.get(f"{key}Unit", usual)
        if size and (name := ngff_unit(unit, axis)):
            scale[axis], units[axis] = size, name
        elif size:
            scale[axis] = size
            notes.append(f"unit {unit!r:.20} of {axis} is none that OME-Zarr knows")
    names: list[str] = []
    for channel in (e for e in pixels if _tag(e) == "Channel"):
        count = int(_number(channel.get("SamplesPerPixel")) or 1)
        name = channel.get("Name") or ""
        names += [name] if count == 1 else [f"{name} {i}".strip() for i in range(count)]
    return scale, units, tuple(names) if all(names) else (), tuple(notes)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _number(value: Any) -> float | None:
    """Return a number above 0, None of anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if 0 < found < 1e30 else None


def _of_imagej(told: dict[str, Any], page: Any) -> Found:
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    notes = []
    for axis, key in (("x", "unit"), ("y", "yunit"), ("z", "zunit")):
        unit = told.get(key) or told.get("unit")
        size = _number(told.get("spacing")) if axis == "z" else _per_voxel(page, axis)
        name = ngff_unit(unit, axis) if unit else None
        if unit and size and name:
            scale[axis], units[axis] = size, name
        elif unit and str(unit) not in ("pixel", "pixels", "null"):
            notes.append(f"size of {axis} ({size} {unit}) was not taken")
    if interval := _number(told.get("finterval")):
        scale["t"], units["t"] = interval, ngff_unit(told.get("tunit", "s"), "t") or "second"
    return scale, units, (), tuple(notes)


def _per_voxel(page: Any, axis: str) -> float | None:
    """Return units per voxel, from a resolution that ImageJ gives in voxels per unit."""
    tag = page.tags.get({"x": 282, "y": 283}[axis])
    value = tag.value if tag is not None else None
    if not isinstance(value, tuple) or len(value) != 2 or not value[0]:
        return None
    return _number(value[1] / value[0])


def _resolution_note(page: Any) -> list[str]:
    """Say that a resolution for printers was not taken for the size of voxels."""
    unit = {2: "inch", 3: "cm"}.get(getattr(page.tags.get(296), "value", 1))
    size = _per_voxel(page, "x")
    if unit is None or size is None:
        return []
    told = f"its resolution ({1 / size:.6g} pixels per {unit})"
    return [f"{told} was not taken for the size of voxels: give --scale"]
