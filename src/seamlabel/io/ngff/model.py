"""Tolerant reading of an NGFF image group: axes, levels, channels, labels, version.

Understands NGFF 0.1 to 0.6 on zarr 2 and 3. Knows no segmentation and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import ZipStore

from seamlabel import memory
from seamlabel.axes import Axis, ImageInfo, LevelInfo, parse_axes
from seamlabel.errors import ImageError, SeamlabelError
from seamlabel.io.ngff.documents import group_format, read_attributes
from seamlabel.io.ngff.metadata import VERSIONS, ngff_part
from seamlabel.io.ngff.places import can_stage, can_write, local_path

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

WRITABLE_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")
"""NGFF versions of images that labels are written into; 0.6 is read only, it is not final."""
_Place = tuple[tuple[float, ...], tuple[float, ...]]


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
    """Open the OME-Zarr image (or label) group at a local path, read-only.

    Parameters
    ----------
    path : str or path-like
        The group that holds ``multiscales``: a folder, or a ``.zip`` of one; ``~`` is expanded.

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
    text = local_path(path, ImageError)
    group = _open_group(text)
    attributes = dict(group.attrs)
    ome = ngff_part(attributes)
    multiscales = ome.get("multiscales")
    if not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        raise _no_image(text, ome)
    image = multiscales[0]
    datasets = _datasets(text, image)
    arrays = tuple(_open_array(text, group, dataset["path"]) for dataset in datasets)
    axes = _axes(text, image, arrays)
    version = str(image.get("version") or ome.get("version") or _default_version(group))
    folder = Path(text)
    info = ImageInfo(
        axes=axes,
        dtype=np.dtype(arrays[0].dtype).newbyteorder("=").name,
        levels=_levels(text, image, datasets, arrays),
        channels=_channels(ome, axes, arrays[0].shape),
        labels=label_names(folder) if folder.is_dir() else (),
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
    if group_format(labels) is None:
        return ()
    listed = ngff_part(read_attributes(labels)).get("labels")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
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


def _open_group(text: str) -> zarr.Group:
    path = Path(text)
    if not path.exists():
        msg = f"{text} does not exist"
        raise ImageError(msg, "Check the path")
    if path.is_file() and path.suffix not in (".zip", ".ozx"):
        msg = f"{text} is a file, an OME-Zarr is a folder"
        raise ImageError(msg, "Convert it to OME-Zarr first")
    if (path / ".zarray").is_file() or ((path / "zarr.json").is_file() and _is_array(path)):
        msg = f"{text} is a single zarr array, one level of an image"
        raise ImageError(msg, f"Give the group above it: {path.parent}")
    try:
        store = ZipStore(path, mode="r") if path.is_file() else str(path)
        return zarr.open_group(store, mode="r", use_consolidated=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{text} is not a zarr group: {error}"
        raise ImageError(msg, "Give the folder of an OME-Zarr image (it has .zgroup or zarr.json)") from None


def _is_array(path: Path) -> bool:
    try:
        return group_format(path) is None
    except SeamlabelError:  # zarr.json is not JSON: opening it as a group says so
        return False


def _no_image(text: str, ome: dict[str, Any]) -> ImageError:
    """Return the error for a group without ``multiscales``, naming what it is."""
    plate, well = ome.get("plate"), ome.get("well")
    if isinstance(plate, dict):
        wells = [w.get("path") for w in plate.get("wells") or () if isinstance(w, dict)]
        field = f"{text}/{wells[0]}/0" if wells else f"{text}/A/1/0"
        return ImageError(f"{text} is a plate of many images", f"Give one of its fields: {field}")
    if isinstance(well, dict):
        fields = [f.get("path") for f in well.get("images") or () if isinstance(f, dict)]
        return ImageError(
            f"{text} is a well of {len(fields)} images", f"Give one: {text}/{fields[0] if fields else 0}"
        )
    if "bioformats2raw.layout" in ome:
        return ImageError(f"{text} is a collection of images (bioformats2raw)", f"Give one: {text}/0")
    if isinstance(ome.get("labels"), list):
        names = [str(name) for name in ome["labels"]] or ["NAME"]
        return ImageError(f"{text} is a list of labels", f"Give one: {text}/{names[0]}")
    return ImageError(f"{text} is a zarr group without NGFF metadata (multiscales)", "Give an OME-Zarr image")


def _datasets(text: str, image: dict[str, Any]) -> list[dict[str, Any]]:
    found = image.get("datasets")
    datasets = [d for d in found if isinstance(d, dict)] if isinstance(found, list) else []
    if not datasets:
        msg = f"{text}: its multiscales metadata list no datasets"
        raise ImageError(msg, "Write the image again with another program")
    for dataset in datasets:
        path = dataset.get("path")
        if not isinstance(path, str) or not _inside(path):
            msg = f"{text}: dataset path {path!r} is not a path inside the image"
            raise ImageError(msg, "Correct it in the metadata, such as '0'")
    return datasets


def _inside(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    return bool(path) and parts[0] != "" and ".." not in parts and ":" not in parts[0]


def _open_array(text: str, group: zarr.Group, path: str) -> zarr.Array[Any]:
    try:
        array = group[path]
        dtype = np.dtype(array.dtype) if isinstance(array, zarr.Array) else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{text}: level '{path}' cannot be opened: {error}"
        raise ImageError(msg, "Check that it was written completely") from None
    if dtype is None or dtype.kind not in "biuf":
        msg = f"{text}: level '{path}' is not an array of numbers but {dtype or 'a group'}"
        raise ImageError(msg, "Give an image of integers or floats")
    chunk_bytes = prod(array.shards or array.chunks) * dtype.itemsize
    if chunk_bytes > memory.available():
        msg = f"{text}: one chunk of level '{path}' takes {chunk_bytes:,} bytes, more memory than is free"
        raise ImageError(msg, "Rechunk the image, or use a machine with more memory")
    return array


def _axes(text: str, image: dict[str, Any], arrays: Sequence[zarr.Array[Any]]) -> tuple[Axis, ...]:
    ndim = arrays[0].ndim
    systems = image.get("coordinateSystems")
    raw = image.get("axes") or (systems[0].get("axes") if systems else None)
    if not raw:
        raw = list("tczyx"[-ndim:])
    axes = tuple(_axis(item) for item in raw)
    wrong = [array.ndim for array in arrays if array.ndim != len(axes)]
    if wrong:
        msg = f"{text}: an array has {wrong[0]} dimensions, its metadata name {len(axes)} axes"
        raise ImageError(msg, "Correct the metadata")
    if len({axis.name for axis in axes}) < len(axes) or sum(a.kind == "channel" for a in axes) > 1:
        msg = f"{text}: axes {', '.join(f'{a.name} ({a.kind})' for a in axes)} are not distinct"
        raise ImageError(msg, "Correct the metadata")
    return axes


def _axis(raw: Any) -> Axis:
    """Return an axis from an NGFF 0.4 dict or an NGFF 0.3 name."""
    values = raw if isinstance(raw, dict) else {"name": raw}
    name = str(values.get("name") or "?")
    usual = parse_axes(name.lower())[0].kind if len(name) == 1 else "space"
    unit = values.get("unit")
    kind = str(values.get("type") or usual).lower()
    return Axis(name, kind, unit if isinstance(unit, str) and unit else None)


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


def _apply(text: str, transforms: Any, place: _Place) -> _Place:
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
            msg = f"{text}: coordinate transformation {kind!r} is not supported"
            raise ImageError(msg, "Use scale and translation, or pass the array of a level instead")
    return scale, translation


def _numbers(text: str, item: dict[str, Any], key: str, ndim: int) -> tuple[float, ...]:
    values = item.get(key)
    good = isinstance(values, list) and len(values) == ndim
    if not good or not all(isinstance(v, int | float) and isfinite(v) for v in values or ()):
        msg = f"{text}: {key} {values!r} is not {ndim} finite numbers, one per axis"
        raise ImageError(msg, "Correct the metadata")
    return tuple(float(v) for v in values or ())


def _channels(ome: dict[str, Any], axes: tuple[Axis, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return channel names: those of ``omero`` where it has them, else numbers."""
    count = next((n for axis, n in zip(axes, shape, strict=True) if axis.kind == "channel"), 0)
    omero = ome.get("omero")
    listed = omero.get("channels") if isinstance(omero, dict) else None
    names = [c.get("label") if isinstance(c, dict) else None for c in listed or ()]
    names += [None] * count
    return tuple(str(name) if name else str(i) for i, name in enumerate(names[:count]))
