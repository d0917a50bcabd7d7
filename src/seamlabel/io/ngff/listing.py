"""What a store holds, for people: images of plates and collections, arrays with their codecs, labels.

Sizes on disk are counted where files can be looked at. Knows nothing of what is wrong.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seamlabel.io.ngff.nodes import is_image, objects
from seamlabel.io.ngff.opening import Folder, Zipped
from seamlabel.io.ngff.strict import is_inside, plain
from seamlabel.io.ngff.validate import kind_of, series_of

if TYPE_CHECKING:
    from seamlabel.io.ngff.nodes import Node

MOST_FILES = 200_000
"""Files of an array that are counted; more are not, it would take minutes."""


@dataclass(frozen=True)
class StoredArray:
    """An array as it is stored.

    Parameters
    ----------
    path : str
        In the store.
    codec : str
        How chunks are compressed, such as ``"blosc (zstd)"``; "" for not at all.
    shards : tuple of int or None
        Voxels that lie in one file together, where chunks do.
    bytes, files : int or None
        On the disk; None where that cannot be counted, or takes too long.
    """

    path: str
    codec: str
    shards: tuple[int, ...] | None
    bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True)
class LabelTold:
    """Labels that an image holds.

    Parameters
    ----------
    name : str
        Theirs.
    dtype : str
        Of their pixels.
    made : dict
        What they were made with, if seamlabel made them: ``version``, ``spec``; empty else.
    """

    name: str
    dtype: str
    made: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """An image of a plate, well or collection.

    Parameters
    ----------
    path : str
        In the store.
    full : str
        The path or address that chooses it.
    well : str
        Well that it lies in; "" outside of plates.
    """

    path: str
    full: str
    well: str = ""


def place_kind(node: Node) -> str:
    """Return "folder", "zip" or "remote"."""
    return (
        "folder" if isinstance(node.place, Folder) else "zip" if isinstance(node.place, Zipped) else "remote"
    )


def members(node: Node) -> list[Member]:
    """Return the images of a plate, well or collection; of a plate's wells the first field, if many."""
    kind = kind_of(node)
    if kind == "series":
        return [Member(image.path, image.full) for image in series_of(node)]
    if kind == "well":
        return _fields(node)
    if kind != "plate":
        return []
    plate = node.ngff["plate"]
    wells = node.parts(plate.get("wells") if isinstance(plate, dict) else None)
    return [member for well in wells for member in _fields(well)]


def _fields(well: Node) -> list[Member]:
    about = well.ngff.get("well")
    images = about.get("images") if isinstance(about, dict) else None
    return [Member(image.path, image.full, well.path) for image in well.parts(images)]


def plate_size(node: Node) -> tuple[int, int]:
    """Return how many rows and columns a plate has."""
    plate = node.ngff.get("plate")
    about = plate if isinstance(plate, dict) else {}
    return len(objects(about.get("rows"))), len(objects(about.get("columns")))


def arrays(node: Node) -> list[StoredArray]:
    """Return the arrays of an image's levels."""
    return [_stored(array) for array in node.parts(node.pyramid.get("datasets")) if array.array]


def _stored(array: Node) -> StoredArray:
    document = array.array
    folder = array.folder
    size, files = (None, None) if folder is None else _on_disk(str(folder))
    codec, shards = _codec(document)
    return StoredArray(array.path, codec, shards, size, files)


def _codec(document: dict[str, Any]) -> tuple[str, tuple[int, ...] | None]:
    """Return how chunks are compressed, and the shape of shards."""
    if "codecs" not in document:
        return _named(document.get("compressor"), "id"), None
    shards = None
    codecs = document["codecs"] if isinstance(document["codecs"], list) else []
    for codec in codecs:
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
            grid = document.get("chunk_grid") or {}
            shards = tuple((grid.get("configuration") or {}).get("chunk_shape") or ())
            codecs = (codec.get("configuration") or {}).get("codecs") or []
    names = [_named(codec, "name") for codec in codecs]
    return ", ".join(name for name in names if name not in ("", "bytes", "crc32c")), shards


def _named(codec: Any, key: str) -> str:
    if not isinstance(codec, dict):
        return ""
    settings = codec if key == "id" else codec.get("configuration") or {}
    inner = settings.get("cname")
    return plain(codec.get(key) or "", 30) + (f" ({plain(inner, 30)})" if inner else "")


def _on_disk(folder: str) -> tuple[int | None, int | None]:
    """Return bytes and number of a folder's files."""
    size, files, left = 0, 0, [folder]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        size, files = size + entry.stat().st_size, files + 1
        except OSError:
            return None, None
        if files > MOST_FILES:
            return None, None
    return size, files


def labels(node: Node, names: tuple[str, ...]) -> list[LabelTold]:
    """Return what labels of these names are in a group of labels."""
    told = []
    for name in filter(is_inside, names):
        label = node.child(name)
        found = label.parts(label.pyramid.get("datasets"))[:1] if is_image(label) else []
        document = found[0].array if found else {}
        dtype = str(document.get("data_type", document.get("dtype", "?"))).lstrip("<>|=")
        made = label.attributes.get("seamlabel")
        told.append(LabelTold(name, plain(dtype, 30), made if isinstance(made, dict) else {}))
    return told


def colors(node: Node) -> tuple[str, ...]:
    """Return the colours of an image's channels, such as ``"00FF00"``; "" where none is told."""
    omero = node.ngff.get("omero")
    found = [one.get("color") for one in objects(omero.get("channels") if isinstance(omero, dict) else None)]
    return tuple(color if isinstance(color, str) and color.isalnum() else "" for color in found)
