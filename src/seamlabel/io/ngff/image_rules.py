"""What NGFF asks of an image: axes, datasets, transformations, levels that lie on one another, channels.

After the specifications 0.4 and 0.5 (https://ngff.openmicroscopy.org), and what older ones have of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError, RemoteError
from seamlabel.io.ngff.arraydocs import Refused, check_array
from seamlabel.io.ngff.nodes import objects
from seamlabel.io.ngff.strict import is_inside, plain

if TYPE_CHECKING:
    from seamlabel.io.ngff.arraydocs import ArrayShape
    from seamlabel.io.ngff.nodes import Findings, Node

AGAIN = "Write the metadata again with another program"
_OLD = ("0.1", "0.2", "0.3")
_VERSIONS = {2: (*_OLD, "0.4"), 3: ("0.5", "0.6")}
_COLOR = re.compile(r"[0-9A-Fa-f]{6}")
_SPACE = {
    *("angstrom", "attometer", "centimeter", "decimeter", "exameter", "femtometer", "foot", "gigameter"),
    *("hectometer", "inch", "kilometer", "megameter", "meter", "micrometer", "mile", "millimeter"),
    *("nanometer", "parsec", "petameter", "picometer", "terameter", "yard", "yoctometer", "yottameter"),
    *("zeptometer", "zettameter"),
}
_TIME = {
    *("attosecond", "centisecond", "day", "decisecond", "exasecond", "femtosecond", "gigasecond"),
    *("hectosecond", "hour", "kilosecond", "megasecond", "microsecond", "millisecond", "minute"),
    *("nanosecond", "petasecond", "picosecond", "second", "terasecond", "yoctosecond", "yottasecond"),
    *("zeptosecond", "zettasecond"),
}
_ORDER = {"time": 0, "channel": 1, "space": 2}


@dataclass(frozen=True)
class Level:
    """A level as its metadata tell.

    Parameters
    ----------
    path : str
        Its array.
    shape : tuple of int
        Voxels.
    kind : str
        Type of its pixels.
    scale : tuple of float or None
        World units per voxel, where they are told in the way that is asked for.
    """

    path: str
    shape: tuple[int, ...]
    kind: str
    scale: tuple[float, ...] | None


def check_image(node: Node, found: Findings) -> list[Level]:
    """Note what is wrong with an image; return the levels of its first pyramid that are arrays."""
    _check_version(node, found)
    images = node.ngff.get("multiscales")
    if node.version.startswith("0.6"):
        found.advice(node, "NGFF 0.6 is not final: it is read, but not checked", "Use 0.5 to publish it")
        return []
    if not isinstance(images, list) or not images or not all(isinstance(one, dict) for one in images):
        found.wrong(node, "multiscales is not a list of images", AGAIN)
        return []
    pyramids = [_check_pyramid(node, image, found) for image in images]
    levels = pyramids[0]
    count = _count(images[0].get("axes"), levels[0].shape) if levels else None
    _check_channels(node, node.ngff.get("omero"), count, found)
    return levels


def axis_names(node: Node) -> tuple[str, ...]:
    """Return the names of an image's axes; empty where they are not told."""
    axes = node.pyramid.get("axes")
    listed = axes if isinstance(axes, list) else []
    names = [axis.get("name") if isinstance(axis, dict) else axis for axis in listed]
    return tuple(name for name in names if isinstance(name, str))


def _check_version(node: Node, found: Findings) -> None:
    zarr_format, told = node.zarr_format or 2, node.version
    if told not in (*_VERSIONS[2], *_VERSIONS[3]):
        found.wrong(node, f"NGFF version {plain(told)!r} is not known", "Correct it, such as '0.5'")
    elif told not in _VERSIONS[zarr_format]:
        usual = _VERSIONS[zarr_format][-1 if zarr_format == 2 else 0]
        found.wrong(
            node, f"NGFF {told} does not go with zarr {zarr_format}", f"Write {usual!r} as its version"
        )
    elif zarr_format == 3 and "ome" not in node.attributes:
        found.wrong(node, "NGFF keys of zarr 3 belong under 'ome'", "Put them there, with 'version'")
    elif zarr_format == 3 and not isinstance(node.ngff.get("version"), str):
        found.wrong(node, "'ome' has no 'version'", f"Add '{_VERSIONS[3][0]}'")
    elif told in _OLD:
        found.advice(node, f"NGFF {told} is old: sizes of voxels are not told", "Convert it to 0.4 or 0.5")


def _check_pyramid(node: Node, image: dict[str, Any], found: Findings) -> list[Level]:
    datasets = image.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        found.wrong(node, "multiscales list no datasets", AGAIN)
        return []
    names = _check_axes(node, image.get("axes"), found)
    levels = [level for entry in datasets if (level := _check_level(node, entry, names, found)) is not None]
    _check_transforms(node, image, len(names), found, whole=True)
    _check_together(node, levels, found)
    return levels


def _check_axes(node: Node, axes: Any, found: Findings) -> tuple[str, ...]:
    """Note what is wrong with the axes; return their names, empty where there are none."""
    if node.version in _OLD and not axes:
        return ()
    if not isinstance(axes, list) or not axes:
        found.wrong(node, "axes are missing", "Add them: a name, a type and a unit for every dimension")
        return ()
    dicts = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    names = tuple(str(axis.get("name")) for axis in dicts)
    if len(set(names)) < len(names) or not all(isinstance(axis.get("name"), str) for axis in dicts):
        found.wrong(node, f"axes {', '.join(map(plain, names))} are not distinct names", "Rename them")
    if node.version in _OLD:
        return names
    kinds = [axis.get("type") for axis in dicts]
    if not 2 <= kinds.count("space") <= 3:
        mend = "Give x, y and z the type 'space'"
        found.wrong(node, f"{kinds.count('space')} axes are of type 'space', not 2 or 3", mend)
    if kinds.count("time") > 1 or kinds.count("channel") > 1:
        found.wrong(node, "there is more than one axis of time or of channels", "Correct their types")
    ranks = [_ORDER.get(str(kind), 1) for kind in kinds]
    if ranks != sorted(ranks):
        found.wrong(
            node, f"axes {', '.join(map(plain, names))} are not in the order time, channel, space", AGAIN
        )
    _check_units(node, dicts, found)
    return names


def _check_units(node: Node, axes: list[dict[str, Any]], found: Findings) -> None:
    known = {"space": _SPACE, "time": _TIME}
    for axis in axes:
        name, kind, unit = plain(axis.get("name")), str(axis.get("type")), axis.get("unit")
        if kind in known and unit is None:
            mend = "Add it, such as 'micrometer' or 'second': sizes mean nothing without"
            found.advice(node, f"axis {name} has no unit", mend)
        elif kind in known and str(unit) not in known[kind]:
            mend = "Write it out in full, such as 'micrometer'"
            found.advice(node, f"the unit {plain(unit)!r} of axis {name} is not one of NGFF's", mend)


def _check_level(node: Node, entry: Any, names: tuple[str, ...], found: Findings) -> Level | None:
    path = entry.get("path") if isinstance(entry, dict) else None
    if not is_inside(path):
        found.wrong(
            node, f"the dataset path {path!r:.100} is not a path inside the image", "Correct it, such as '0'"
        )
        return None
    assert isinstance(path, str)
    array = node.child(path)
    read = _read(array, found)
    if read is None:
        return None
    document, size = read
    if names and len(names) != len(size.shape):
        what = f"{len(size.shape)} dimensions, but the image names {len(names)} axes"
        found.wrong(array, what, "Correct the axes")
    called = document.get("dimension_names")
    if node.version == "0.5" and names and called != list(names):
        what = f"dimension_names {called!r:.100} are not the axes {', '.join(map(plain, names))}"
        found.wrong(array, what, "Correct them in its zarr.json")
    scale = _check_transforms(array, entry, len(size.shape), found, whole=False)
    kind = str(document.get("data_type", document.get("dtype"))).lstrip("<>|=")
    return Level(path, size.shape, kind, scale)


def _read(array: Node, found: Findings) -> tuple[dict[str, Any], ArrayShape] | None:
    try:
        document = array.array
        if not document:
            found.wrong(array, "there is no array", "Write it, or take it out of 'datasets'")
            return None
        return document, check_array(document)
    except RemoteError:
        raise
    except ImageError as error:
        found.wrong(array, str(error), error.hint)
    except Refused as error:
        found.wrong(array, f"it cannot be opened: {error}", error.hint)
    return None


def _check_transforms(
    node: Node, entry: dict[str, Any], ndim: int, found: Findings, *, whole: bool
) -> tuple[float, ...] | None:
    """Note what is wrong with coordinate transformations; return the scale. Of the `whole` they may lack."""
    given = entry.get("coordinateTransformations")
    if given is None and (whole or node.version in _OLD):
        return None
    listed = objects(given)
    kinds = [one.get("type") for one in listed]
    if kinds not in (["scale"], ["scale", "translation"]):
        what = f"its coordinate transformations are {', '.join(map(plain, kinds)) or 'missing'}"
        found.wrong(node, what, "Give one 'scale', and then a 'translation' if there is one")
        return None
    for one, kind in zip(listed, kinds, strict=True):
        values = one.get(str(kind))
        good = isinstance(values, list) and all(_is_number(v) and (kind != "scale" or v > 0) for v in values)
        if not good or (ndim and len(values or ()) != ndim):
            what = f"its {kind} {values!r:.100} is not one number for each axis"
            found.wrong(node, what, "Correct it; sizes of voxels are above 0")
            return None
    return tuple(map(float, listed[0]["scale"]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _check_together(node: Node, levels: list[Level], found: Findings) -> None:
    """Note levels that do not lie on the first one."""
    for level in levels[1:]:
        first, array = levels[0], node.child(level.path)
        if level.kind != first.kind:
            what = f"pixels are {plain(level.kind)}, those of level '{first.path}' {plain(first.kind)}"
            found.wrong(array, what, "Write all levels with one type")
        if len(level.shape) != len(first.shape):
            continue
        if any(m > n for m, n in zip(level.shape, first.shape, strict=True)):
            found.wrong(
                array, f"shape {level.shape} is larger than {first.shape} of the level before all", AGAIN
            )
        elif level.scale and first.scale and not _fits(first, level):
            what = f"shape {level.shape} and scale {level.scale} do not fit {first.shape} and {first.scale}"
            mend = f"Multiply its scale by what its shape is smaller by; {_usual(first, level)}"
            found.wrong(array, f"{what} of level '{first.path}': they do not lie on one another", mend)


def _fits(first: Level, level: Level) -> bool:
    """Return whether a level is as long as the first one along every axis, but for a voxel of its own."""
    assert first.scale is not None
    assert level.scale is not None
    sides = zip(first.shape, first.scale, level.shape, level.scale, strict=True)
    return all(abs(n * s - m * t) <= 1.001 * max(s, t) for n, s, m, t in sides)


def _usual(first: Level, level: Level) -> str:
    """Say which scale would fit."""
    assert first.scale is not None
    factors = [max(1, round(n / max(1, m))) for n, m in zip(first.shape, level.shape, strict=True)]
    return f"about {tuple(round(s * f, 9) for s, f in zip(first.scale, factors, strict=True))}"


def _count(axes: Any, shape: tuple[int, ...]) -> int | None:
    """Return how many channels there are; None if that is not told."""
    kinds = [axis.get("type") for axis in objects(axes)]
    if len(kinds) != len(shape):
        return None
    return shape[kinds.index("channel")] if "channel" in kinds else 1


def _check_channels(node: Node, omero: Any, count: int | None, found: Findings) -> None:
    if omero is None:
        return
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list) or not all(isinstance(one, dict) for one in channels):
        found.wrong(node, "omero has no list of channels", "Correct it, or remove 'omero'")
        return
    if count is not None and len(channels) != count:
        found.advice(
            node, f"omero tells of {len(channels)} channels, the image has {count}", "Correct 'omero'"
        )
    for number, channel in enumerate(channels):
        color, window = channel.get("color"), channel.get("window")
        if not isinstance(color, str) or not _COLOR.fullmatch(color):
            what = f"the colour {color!r:.20} of channel {number} is not six hexadecimal digits"
            found.wrong(node, what, "Correct it, such as '00FF00'")
        if not isinstance(window, dict) or not {"min", "max", "start", "end"} <= window.keys():
            what = f"channel {number} has no window with min, max, start and end"
            found.wrong(node, what, "Add it")
