"""Zarr stores of strangers: groups and arrays opened read-only once their metadata have been looked at.

zarr-python is only asked for what was found to be harmless. Knows no NGFF.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr
from zarr.storage import ZipStore

from seamlabel.errors import ImageError, SeamlabelError
from seamlabel.io.addresses import is_remote
from seamlabel.io.guarded import GuardedStore, guard_array
from seamlabel.io.ngff.arraydocs import DAMAGED, Refused, check_array
from seamlabel.io.ngff.documents import group_format
from seamlabel.io.ngff.online import Online
from seamlabel.io.ngff.strict import MOST_BYTES, load_document, parse_document, plain
from seamlabel.io.pictures import INSTALL, PICTURES, register

if TYPE_CHECKING:
    from seamlabel.io.ngff.arraydocs import ArrayShape

DOCUMENTS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_SHOWN, _MOST_LOOKED_AT = 6, 1_000
"""Groups that a message names, and entries of a folder that are looked at to find them."""
_ZIPPED = (".zip", ".ozx")
_GIVE = "Give the folder of an OME-Zarr image (it has .zgroup or zarr.json)"
ZARR_ERRORS = (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError)
_ZIP = (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, zlib.error)
"""RuntimeError: encrypted, or packed in a way that is not known (NotImplementedError)."""


class Folder:
    """A store in a folder.

    Parameters
    ----------
    root : Path
        The folder; may be reached through a link.
    """

    inside = ""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = os.path.realpath(root)

    def store(self) -> GuardedStore:
        """Return the store for zarr-python."""
        return GuardedStore(self._root, read_only=True)

    def document(self, node: str, name: str) -> dict[str, Any] | None:
        """Return a document of a node, None if it has none.

        Raises
        ------
        ImageError
            If something is there that is no such document.
        """
        place = self._root / node / name
        return load_document(place) if os.path.lexists(place) else None

    def groups(self) -> list[str]:
        """Return the names of zarr groups in the folder; for messages."""
        with os.scandir(self._root) as entries:
            names = [entry.name for entry in islice(entries, _MOST_LOOKED_AT) if entry.is_dir()]
        return sorted(
            name for name in names if not is_level(self._root / name) and _is_node(self._root / name)
        )

    def check_node(self, node: str) -> None:
        """Raise `Refused` if a node is elsewhere: a link must not make other files part of the image."""
        real = os.path.realpath(self._root / node)
        if os.path.commonpath([real, self._real]) != self._real:
            msg = "it is a link that leads out of the image"
            raise Refused(msg, "Put the level itself there, or give the image that it belongs to")

    def check_chunks(self, found: ArrayShape) -> None:
        """Nothing to say: files are looked at as they are read."""

    def nested(self, node: str) -> bool:
        """Return whether chunks of a zarr 2 array lie in folders of their own, ``0/0`` and not ``0.0``."""
        for entry in os.scandir(self._root / node):
            if entry.name.isdecimal() and entry.is_dir():
                return True
            if entry.name.replace(".", "").isdecimal():
                break
        return False


class Zipped:
    """A store in a zip file.

    Parameters
    ----------
    path : Path
        The file.
    inside : str
        The group in it; by default what is at its top, or in its only folder (file managers put the
        folder itself into the file).

    Attributes
    ----------
    inside : str
        The group in it.

    Raises
    ------
    ImageError
        If it is no zip file.
    """

    def __init__(self, path: Path, inside: str = "") -> None:
        self._path = path
        self.inside = inside
        try:
            with zipfile.ZipFile(path) as file:
                self._sizes = {entry.filename: entry.file_size for entry in file.infolist()}
        except _ZIP as error:
            raise ImageError(f"{path} is no zip file that can be read: {error}", DAMAGED) from None
        tops = {name.partition("/")[0] for name in self._sizes}
        if len(tops) == 1 and not tops & set(DOCUMENTS):
            self.inside = f"{tops.pop()}/{inside}".strip("/")

    def store(self) -> ZipStore:
        """Return the store for zarr-python."""
        return ZipStore(self._path, mode="r")

    def document(self, node: str, name: str) -> dict[str, Any] | None:
        """Return a document of a node, None if it has none.

        Raises
        ------
        ImageError
            If something is there that is no such document.
        """
        key = "/".join(part for part in (self.inside, node.strip("/"), name) if part)
        if key not in self._sizes:
            return None
        place = f"{self._path}/{key}"
        if self._sizes[key] > MOST_BYTES:
            raise ImageError(f"{place} has {self._sizes[key]:,} bytes", DAMAGED)
        try:
            with zipfile.ZipFile(self._path) as file:
                data = file.read(key)
        except _ZIP as error:
            raise ImageError(f"{place} cannot be read: {error}", DAMAGED) from None
        return parse_document(data, place)

    def groups(self) -> list[str]:
        """Return the names of zarr groups at the top of the file; for messages."""
        tops = {name.partition("/")[0] for name in self._sizes}
        return sorted(top for top in tops if {f"{top}/.zgroup", f"{top}/zarr.json"} & self._sizes.keys())

    def check_node(self, node: str) -> None:
        """Nothing to say: nothing in a zip file leads out of it."""

    def check_chunks(self, found: ArrayShape) -> None:
        """Raise `Refused` if something in it is larger than a chunk of an array can be."""
        limit = max(MOST_BYTES, 2 * found.chunk_bytes)
        if max(self._sizes.values(), default=0) > limit:
            raise Refused(f"the zip file holds more than {limit:,} bytes where a chunk belongs")


Place = Folder | Zipped | Online


def open_place(text: str) -> tuple[Place, zarr.Group]:
    """Open the zarr group at a local path or a clean address, read-only.

    Raises
    ------
    ImageError
        If there is none.
    """
    return _group(text, Online(text)) if is_remote(text) else _open_path(text)


def _open_path(text: str) -> tuple[Place, zarr.Group]:
    path = Path(text)
    file = next((p for p in (path, *path.parents) if p.suffix in _ZIPPED and p.is_file()), None)
    if not path.exists() and file is None:
        raise ImageError(f"{text} does not exist", "Check the path")
    if not path.is_dir() and file is None:
        what = "a file" if path.is_file() else "neither a folder nor a file"
        hint = f"Convert it first: seamlabel convert {path} {path.stem}.zarr"
        raise ImageError(f"{text} is {what}, an OME-Zarr is a folder", hint)
    if is_level(path):
        msg = f"{text} is a single zarr array, one level of an image"
        raise ImageError(msg, f"Give the group above it: {path.parent}")
    place: Place = (
        Folder(path) if file is None else Zipped(file, path.relative_to(file).as_posix().strip("."))
    )
    try:
        for name in DOCUMENTS:
            place.document("", name)
    except (ImageError, OSError) as error:
        raise ImageError(f"{text} is not a zarr group: {error}", _GIVE) from None
    return _group(text, place)


def _group(text: str, place: Place) -> tuple[Place, zarr.Group]:
    try:
        return place, zarr.open_group(place.store(), path=place.inside, mode="r", use_consolidated=False)
    except SeamlabelError:
        raise
    except ZARR_ERRORS as error:
        groups = place.groups()
        named = ", ".join(plain(name) for name in groups[:_SHOWN]) + (", …" if len(groups) > _SHOWN else "")
        hint = f"Give one of the groups in it: {named}" if groups else _GIVE
        raise ImageError(f"{text} is not a zarr group: {error}", hint) from None


def is_level(path: Path) -> bool:
    """Return whether a folder is a zarr array itself, one level of an image."""
    try:
        whole = (path / "zarr.json").is_file() and group_format(path) is None
    except SeamlabelError:  # zarr.json is not JSON: opening it as a group says so
        return False
    return whole or (path / ".zarray").is_file()


def _is_node(path: Path) -> bool:
    return any((path / name).is_file() for name in DOCUMENTS)


def open_array(place: Place, group: zarr.Group, path: str) -> zarr.Array[Any]:
    """Open an array of a group.

    Raises
    ------
    Refused
        If it is none, or should not be read.
    ImageError
        If its metadata cannot be read.
    """
    place.check_node(path)
    documents = {name: place.document(path, name) for name in DOCUMENTS}
    found = documents["zarr.json"] or documents[".zarray"]
    if not found:
        if documents[".zgroup"] is not None:
            raise Refused("it is not an array of numbers but a group", "Correct the metadata")
        raise Refused("there is no array, or its metadata are empty")
    if documents["zarr.json"] and found.get("node_type") == "group":
        raise Refused("it is not an array of numbers but a group", "Correct the metadata")
    size = check_array(found)
    place.check_chunks(size)
    _prepare(found.get("compressor"))
    try:
        array = group[path]
    except SeamlabelError:
        raise
    except ZARR_ERRORS as error:
        raise Refused(str(error)) from None
    if not isinstance(array, zarr.Array) or array.shape != size.shape:
        raise Refused("it is not an array of numbers but a group", "Correct the metadata")
    untold = array.metadata.zarr_format == 2 and "dimension_separator" not in found and array.ndim > 1
    if untold and isinstance(place, Folder) and place.nested(path):
        # Else every chunk would be missing, and the image black: early writers forgot to say "/".
        metadata = replace(array.metadata, dimension_separator="/")
        array = zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path))
    return guard_array(array)


def _prepare(compressor: Any) -> None:
    """Have the codec of a zarr 2 array at hand, if it is one of an extra's.

    Raises
    ------
    Refused
        If it is not installed.
    """
    name = compressor.get("id") if isinstance(compressor, dict) else None
    if name in PICTURES:
        try:
            register(name)
        except ImportError:
            msg = f"its codec '{name}' is one of the package imagecodecs, which is not installed"
            raise Refused(msg, f"Install it: {INSTALL}") from None
