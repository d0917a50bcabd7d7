"""Tolerant reading of an NGFF image group: axes, levels, channels, labels, version.

Understands NGFF 0.1 to 0.6 on zarr 2 and 3. Knows no segmentation and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.axes import Axis, ImageInfo, parse_axes
from seamlabel.errors import ImageError
from seamlabel.io.ngff.arraydocs import MOST_AXES, Refused
from seamlabel.io.ngff.containers import chosen, only_image, split_level
from seamlabel.io.ngff.documents import group_format, read_attributes
from seamlabel.io.ngff.metadata import VERSIONS, WRITABLE, ngff_part
from seamlabel.io.ngff.online import Online
from seamlabel.io.ngff.opening import open_array, open_place
from seamlabel.io.ngff.places import can_stage, can_write, image_place
from seamlabel.io.ngff.strict import is_inside, plain
from seamlabel.io.ngff.transforms import read_levels, world_axes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import zarr

    from seamlabel.io.ngff.opening import Place

MOST_LEVELS, MOST_CHANNELS, MOST_LETTERS = 64, 1 << 16, 32
_MOST_INSIDE = 3
"""A plate holds a well, that an image; more of them in one another is a link that leads in a circle."""


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
        The group that holds ``multiscales``: a folder, a ``.zip`` of one, or an address (``s3://``);
        ``~`` is expanded. A plate, a well or a collection (bioformats2raw) is taken for its image if it
        has only one; of several images in one group, the largest level of one is given.

    Returns
    -------
    OmeImage
        Its info's `path` is that of the group, also where it was found in another. It is `writable`
        where this process may write into the group, and make a folder beside it (tiles are staged
        there).

    Raises
    ------
    ImageError
        If there is none, or it cannot be read safely; the hint says what to give instead.
    """
    text, place, group, image = _find(path)
    ome = ngff_part(dict(group.attrs))
    datasets = _datasets(text, image)
    arrays = tuple(_level(text, place, group, dataset["path"]) for dataset in datasets)
    axes = _axes(text, image, arrays)
    version = plain(image.get("version") or ome.get("version") or _default_version(group), 20)
    folder = Path(text)
    info = ImageInfo(
        axes=axes,
        dtype=np.dtype(arrays[0].dtype).newbyteorder("=").name,
        levels=read_levels(text, image, datasets, arrays),
        channels=_channels(text, ome, axes, arrays[0].shape),
        labels=place.labels() if isinstance(place, Online) else label_names(folder),
        path=text,
        ngff_version=version,
        writable=bool(WRITABLE.fullmatch(version)) and can_write(folder) and can_stage(folder),
    )
    return OmeImage(info, arrays)


def _find(path: str | os.PathLike[str]) -> tuple[str, Place, zarr.Group, dict[str, Any]]:
    """Return the path of an image, its store and group, and what ``multiscales`` says of it."""
    text, level = split_level(image_place(path))
    for _ in range(_MOST_INSIDE):
        place, group = open_place(text)
        ome = ngff_part(dict(group.attrs))
        images = ome.get("multiscales")
        if isinstance(images, list) and images and isinstance(images[0], dict):
            return text, place, group, chosen(text, images, level)
        inner = only_image(text, place, ome)
        try:
            place.check_node(inner)
        except Refused as error:
            raise ImageError(f"{text}: '{inner}': {error}", error.hint) from None
        text = f"{text}/{inner}"
    raise ImageError(f"{text} leads to no image", "Give the path of the image itself")


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
    raw = image.get("axes") or world_axes(image) or list("tczyx"[-ndim:])
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
