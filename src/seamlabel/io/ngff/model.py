"""Tolerant reading of an NGFF image group: axes, levels, channels, labels, version.

Understands NGFF 0.1 to 0.6 on zarr 2 and 3. Knows no segmentation and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.axes import Axis, ImageInfo, LevelInfo, parse_axes
from seamlabel.errors import ImageError
from seamlabel.io.ngff.arraydocs import MOST_AXES, Refused
from seamlabel.io.ngff.documents import group_format, read_attributes
from seamlabel.io.ngff.metadata import VERSIONS, ngff_part
from seamlabel.io.ngff.online import Online
from seamlabel.io.ngff.opening import open_array, open_place
from seamlabel.io.ngff.places import can_stage, can_write, image_place
from seamlabel.io.ngff.strict import is_inside, plain

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import zarr

    from seamlabel.io.ngff.opening import Place

WRITABLE_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")
"""NGFF versions of images that labels are written into; 0.6 is read only, it is not final."""
MOST_LEVELS, MOST_CHANNELS, MOST_LETTERS = 64, 1 << 16, 32
MOST_WORLD = 1e30
"""World units: no voxel is larger, and nothing is farther away."""
_Where = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class OmeImage:
    """An open NGFF image.

    Parameters
    ----------
    info : ImageInfo
        What the metadata say.
    arrays : tuple of zarr.Array
        One per level, full resolution first, opened read-only.
    """

    info: ImageInfo
    arrays: tuple[zarr.Array[Any], ...]


def open_image(path: str | os.PathLike[str]) -> OmeImage:
    """Open the OME-Zarr image (or label) group at a path or address, read-only.

    Parameters
    ----------
    path : str or path-like
        The group that holds ``multiscales``: a folder, a ``.zip`` of one, or an address (``s3://``).

    Returns
    -------
    OmeImage
        Its info is `writable` where this process may write into the group, and make a folder beside
        it (tiles are staged there).

    Raises
    ------
    ImageError
        If there is none, or it cannot be read safely; the hint says what to give instead.
    """
    text = image_place(path)
    place, group = open_place(text)
    attributes = dict(group.attrs)
    ome = ngff_part(attributes)
    multiscales = ome.get("multiscales")
    if not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        raise _no_image(text, ome)
    image = multiscales[0]
    datasets = _datasets(text, image)
    arrays = tuple(_level(text, place, group, dataset["path"]) for dataset in datasets)
    axes = _axes(text, image, arrays)
    version = plain(image.get("version") or ome.get("version") or _default_version(group), 20)
    folder = Path(text)
    info = ImageInfo(
        axes=axes,
        dtype=np.dtype(arrays[0].dtype).newbyteorder("=").name,
        levels=_levels(text, image, datasets, arrays),
        channels=_channels(text, ome, axes, arrays[0].shape),
        labels=place.labels() if isinstance(place, Online) else label_names(folder),
        path=text,
        ngff_version=version,
        writable=version in WRITABLE_VERSIONS and can_write(folder) and can_stage(folder),
    )
    return OmeImage(info, arrays)


def label_names(folder: Path) -> tuple[str, ...]:
    """Return the labels that a store holds: those listed, then whole ones that nobody listed.

    A label that is not listed is named because it must not be overwritten by accident; one that is
    still being written has no ``multiscales`` and is left out.
    """
    labels = folder / "labels"
    if not folder.is_dir() or group_format(labels) is None:
        return ()
    listed = ngff_part(read_attributes(labels)).get("labels")
    names = list(listed) if isinstance(listed, list) else []
    for name in names:
        if not is_inside(name):
            msg = f"{labels} lists the label {name!r:.100}, which is not a path inside it"
            raise ImageError(msg, "Correct the list in its metadata")
    for child in sorted(path for path in labels.iterdir() if path.is_dir()):
        if (
            child.name not in names
            and group_format(child)
            and "multiscales" in ngff_part(read_attributes(child))
        ):
            names.append(child.name)
    return tuple(names)


def _default_version(group: zarr.Group) -> str:
    return VERSIONS[group.metadata.zarr_format]


def _no_image(text: str, ome: dict[str, Any]) -> ImageError:
    """Return the error for a group without ``multiscales``, naming what it is."""
    plate, well = ome.get("plate"), ome.get("well")
    if isinstance(plate, dict):
        field = f"{text}/{_first(plate.get('wells'), 'A/1')}/0"
        return ImageError(f"{text} is a plate of many images", f"Give one of its fields: {field}")
    if isinstance(well, dict):
        images = well.get("images")
        count = len(images) if isinstance(images, list) else 0
        return ImageError(f"{text} is a well of {count} images", f"Give one: {text}/{_first(images, '0')}")
    if "bioformats2raw.layout" in ome:
        return ImageError(f"{text} is a collection of images (bioformats2raw)", f"Give one: {text}/0")
    if isinstance(ome.get("labels"), list):
        named = [{"path": name} for name in ome["labels"][:1]]
        return ImageError(f"{text} is a list of labels", f"Give one: {text}/{_first(named, 'NAME')}")
    return ImageError(f"{text} is a zarr group without NGFF metadata (multiscales)", "Give an OME-Zarr image")


def _first(parts: Any, usual: str) -> str:
    """Return the path of the first part of a plate, well or list, if it is one to be shown."""
    first = parts[0] if isinstance(parts, list) and parts else None
    path = first.get("path") if isinstance(first, dict) else None
    return str(path) if is_inside(path) else usual


def _datasets(text: str, image: dict[str, Any]) -> list[dict[str, Any]]:
    found = image.get("datasets")
    datasets = [d for d in found if isinstance(d, dict)] if isinstance(found, list) else []
    if not datasets:
        msg = f"{text}: its multiscales metadata list no datasets"
        raise ImageError(msg, "Write the image again with another program")
    if len(datasets) > MOST_LEVELS:
        msg = f"{text}: its multiscales metadata list {len(datasets):,} datasets"
        raise ImageError(msg, f"Correct the metadata, an image has at most {MOST_LEVELS} levels")
    for dataset in datasets:
        path = dataset.get("path")
        if not is_inside(path):
            msg = f"{text}: dataset path {path!r:.100} is not a path inside the image"
            raise ImageError(msg, "Correct it in the metadata, such as '0'")
    return datasets


def _level(text: str, place: Place, group: zarr.Group, path: str) -> zarr.Array[Any]:
    try:
        return open_array(place, group, path)
    except Refused as error:
        msg = f"{text}: level '{path}' cannot be opened: {error}"
        raise ImageError(msg, error.hint) from None
    except OSError as error:
        msg = f"{text}: level '{path}' cannot be read: {error.strerror or error}"
        raise ImageError(msg, "Check its permissions") from None


def _axes(text: str, image: dict[str, Any], arrays: Sequence[zarr.Array[Any]]) -> tuple[Axis, ...]:
    ndim = arrays[0].ndim
    systems = image.get("coordinateSystems")
    first = systems[0] if isinstance(systems, list) and systems else None
    raw = image.get("axes") or (first.get("axes") if isinstance(first, dict) else None)
    if not raw:
        raw = list("tczyx"[-ndim:])
    if not isinstance(raw, list | str) or len(raw) > MOST_AXES:
        msg = f"{text}: its axes {raw!r:.100} are not a list of at most {MOST_AXES}"
        raise ImageError(msg, "Correct the metadata")
    axes = tuple(_axis(text, item) for item in raw)
    wrong = [array.ndim for array in arrays if array.ndim != len(axes)]
    if wrong:
        msg = f"{text}: an array has {wrong[0]} dimensions, its metadata name {len(axes)} axes"
        raise ImageError(msg, "Correct the metadata")
    if len({axis.name for axis in axes}) < len(axes) or sum(a.kind == "channel" for a in axes) > 1:
        msg = f"{text}: axes {', '.join(f'{a.name} ({a.kind})' for a in axes)} are not distinct"
        raise ImageError(msg, "Correct the metadata")
    return axes


def _axis(text: str, raw: Any) -> Axis:
    """Return an axis from an NGFF 0.4 dict or an NGFF 0.3 name."""
    values = raw if isinstance(raw, dict) else {"name": raw}
    name, unit, given = values.get("name") or "?", values.get("unit"), values.get("type")
    for word in (name, given or ""):
        if not isinstance(word, str) or len(word) > MOST_LETTERS or not word.isprintable():
            msg = f"{text}: an axis has the name or type {word!r:.50}"
            raise ImageError(msg, f"Correct the metadata, such as 'x': up to {MOST_LETTERS} letters")
    usual = parse_axes(name.lower())[0].kind if len(name) == 1 else "space"
    return Axis(name, (given or usual).lower(), plain(unit) if isinstance(unit, str) and unit else None)


def _levels(
    text: str,
    image: dict[str, Any],
    datasets: list[dict[str, Any]],
    arrays: Sequence[zarr.Array[Any]],
) -> tuple[LevelInfo, ...]:
    ndim = arrays[0].ndim
    top = image.get("coordinateTransformations")
    bare = not any(dataset.get("coordinateTransformations") for dataset in datasets)
    levels = []
    for dataset, array in zip(datasets, arrays, strict=True):
        scale = _ratios(arrays[0].shape, array.shape) if bare else (1.0,) * ndim
        place = _apply(text, dataset.get("coordinateTransformations"), (scale, (0.0,) * ndim))
        scale, translation = _apply(text, top, place)
        if not all(0 < s < MOST_WORLD for s in scale) or not all(abs(t) < MOST_WORLD for t in translation):
            msg = f"{text}: level '{dataset['path']}' has voxels of size {scale} at {translation}"
            raise ImageError(msg, "Correct the coordinate transformations in the metadata")
        levels.append(LevelInfo(dataset["path"], array.shape, array.chunks, scale, translation))
    return tuple(levels)


def _ratios(full: tuple[int, ...], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return voxels of level 0 per voxel of a coarser one, whole numbers where rounding explains the rest."""
    ratios = []
    for n, m in zip(full, shape, strict=True):
        whole = round(n / m) if m else 1
        snapped = whole >= 1 and m in (n // whole, -(-n // whole))
        ratios.append(float(whole) if snapped else n / m)
    return tuple(ratios)


def _apply(text: str, transforms: Any, place: _Where) -> _Where:
    """Return scale and translation after some NGFF coordinate transformations, applied in order."""
    scale, translation = place
    for item in transforms if isinstance(transforms, list) else ():
        kind = item.get("type") if isinstance(item, dict) else item
        if kind == "sequence":
            scale, translation = _apply(text, item.get("transformations"), (scale, translation))
        elif kind == "scale":
            by = _numbers(text, item, "scale", len(scale))
            scale = tuple(a * b for a, b in zip(scale, by, strict=True))
            translation = tuple(a * b for a, b in zip(translation, by, strict=True))
        elif kind == "translation":
            by = _numbers(text, item, "translation", len(scale))
            translation = tuple(a + b for a, b in zip(translation, by, strict=True))
        elif kind != "identity":
            msg = f"{text}: coordinate transformation {kind!r:.50} is not supported"
            raise ImageError(msg, "Use scale and translation, or pass the array of a level instead")
    return scale, translation


def _numbers(text: str, item: dict[str, Any], key: str, ndim: int) -> tuple[float, ...]:
    values = item.get(key)
    good = isinstance(values, list) and len(values) == ndim and all(map(_is_number, values))
    if not good:
        msg = f"{text}: {key} {values!r:.100} is not {ndim} finite numbers, one per axis"
        raise ImageError(msg, "Correct the metadata")
    if key == "scale" and not all(v > 0 for v in values or ()):
        msg = f"{text}: scale {values!r:.100} is not above 0, voxels would have no size"
        raise ImageError(msg, "Correct the metadata")
    return tuple(float(v) for v in values or ())


def _is_number(value: Any) -> bool:
    """Return whether this is a number that is neither infinite nor too large for a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < MOST_WORLD  # false of NaN too


def _channels(
    text: str, ome: dict[str, Any], axes: tuple[Axis, ...], shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Return channel names: those of ``omero`` where it has them, else numbers."""
    count = next((n for axis, n in zip(axes, shape, strict=True) if axis.kind == "channel"), 0)
    if count > MOST_CHANNELS:
        msg = f"{text}: the image has {count:,} channels"
        raise ImageError(msg, "Correct the metadata: one axis is called a channel that is none")
    omero = ome.get("omero")
    listed = omero.get("channels") if isinstance(omero, dict) else None
    entries = listed[:count] if isinstance(listed, list) else []
    names = [c.get("label") if isinstance(c, dict) else None for c in entries]
    names += [None] * (count - len(names))
    return tuple(plain(name) if name else str(i) for i, name in enumerate(names))
