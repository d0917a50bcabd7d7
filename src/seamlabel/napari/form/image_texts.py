"""An image in words: its summary, levels and channels as the dock lists them. Knows no widget."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.napari.layers.pictures import OWN, channel_shown
from seamlabel.sizes import human

if TYPE_CHECKING:
    from seamlabel.axes import ImageInfo, LevelInfo
    from seamlabel.napari.layers.pictures import Picture

UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "angstrom": "Å", "meter": "m"}


def describe(info: ImageInfo, level: int) -> str:
    """Return an image in a line: ``"YX · 4,096 × 4,096 · uint16 · 34 MB · 0.5 µm"``."""
    shape = info.levels[level].shape
    size = human(prod(shape) * np.dtype(info.dtype).itemsize)
    sizes = " × ".join(f"{n:,}" for n in shape)
    parts = [info.names.upper(), sizes, info.dtype, size, pixel_size(info, info.levels[level])]
    return " · ".join(part for part in parts if part)


def pixel_size(info: ImageInfo, level: LevelInfo) -> str:
    """Return a level's pixel size, ``"0.5 µm"`` or ``"2 × 0.5 × 0.5 µm"``; "" without units."""
    space = [(s, a.unit) for s, a in zip(level.scale, info.axes, strict=True) if a.tiled]
    unit = next((u for _, u in space if u), None)
    if unit is None:
        return ""
    sizes = [f"{s:.3g}" for s, _ in space]
    text = sizes[0] if len(set(sizes)) == 1 else " × ".join(sizes)
    return f"{text} {UNITS.get(unit, unit)}"


def level_items(picture: Picture | None) -> list[tuple[str, Any]]:
    """Return text and number of each level: ``"1: 256×256 · 1 µm"``."""
    items = []
    for k, level in enumerate(picture.levels if picture else ()):
        space = [n for n, a in zip(level.shape, picture.info.axes, strict=True) if a.tiled]
        size = pixel_size(picture.info, level)
        size = size.replace(" × ", "×")
        text = f"{k}: {'×'.join(map(str, space))}" + (f" · {size}" if size else "")
        items.append((text, k))
    return items


def shown_channel(picture: Picture | None) -> int | None:
    """Return the channel that a layer shows, of an OME-Zarr that was split into layers."""
    if picture is None:
        return None
    names, name = picture.info.channels, picture.layer.name
    known = picture.layer.metadata.get(OWN, {}).get("channel")
    if known is not None or name not in names:
        return channel_shown(picture) if known is None else known
    return names.index(name)


def channel_names(picture: Picture | None) -> list[str]:
    """Return the names of an image's channels; none without a channel axis."""
    if picture is None or picture.info.channel_axis is None:
        return []
    count = picture.info.shape[picture.info.channel_axis]
    names = picture.info.channels or tuple(map(str, range(count)))
    return [f"Channel {i}" if name == str(i) else name for i, name in enumerate(names)]


def channel_numbers(
    given: tuple[int | str, ...] | None, names: tuple[str, ...], count: int
) -> tuple[int, ...]:
    """Return the numbers of channels that a spec names; those that the image lacks are left out."""
    if given is None:
        return (0,) if count == 1 else ()
    numbers = [names.index(c) if c in names else int(c) if str(c).isdecimal() else count for c in given]
    return tuple(dict.fromkeys(number for number in numbers if number < count))
