"""Places on disk that labels may go to: rights, what is there already, what they would lie in.

Looks only, writes nothing; knows neither plans nor pixels.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamlabel.errors import ImageError, OutputError
from seamlabel.io.addresses import clean_address, is_remote
from seamlabel.io.ngff.documents import LOCK, group_format, is_array, read_attributes
from seamlabel.io.ngff.generations import is_remainder
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.strict import without_secrets

if TYPE_CHECKING:
    from pathlib import Path


def image_place(path: str | os.PathLike[str]) -> str:
    """Return where an image lies: a path with ``~`` expanded, or a clean address.

    Raises
    ------
    ImageError
        If it can be neither.
    """
    return clean_address(path) if is_remote(path) else _expanded(path, ImageError)


def local_path(path: str | os.PathLike[str]) -> str:
    """Return where labels are to go, with ``~`` expanded.

    Raises
    ------
    OutputError
        If that is no local path.
    """
    if is_remote(path):
        msg = f"{without_secrets(os.fspath(path))}: labels are not written into remote stores"
        raise OutputError(msg, "Give an output on a local disk or in a mounted folder, and copy it there")
    return _expanded(path, OutputError)


def local_source(path: str | os.PathLike[str]) -> str:
    """Return where files to be converted lie, with ``~`` expanded.

    Raises
    ------
    ImageError
        If that is no local path.
    """
    if is_remote(path):
        msg = f"{without_secrets(os.fspath(path))}: files are converted from a local disk"
        raise ImageError(msg, "Copy it here first; an OME-Zarr at an address is segmented as it is")
    return _expanded(path, ImageError)


def _expanded(path: str | os.PathLike[str], error: type[ImageError | OutputError]) -> str:
    text = os.fspath(path)
    if isinstance(text, str) and "\0" in text:
        raise error(f"{text!r:.100} is no path", "Check the path")
    return os.path.expanduser(text)


def is_elsewhere(folder: Path) -> bool:
    """Return whether a folder is a link: what is written into it would lie outside of what holds it."""
    there = os.path.join(os.path.realpath(folder.parent), folder.name)
    return os.path.normcase(os.path.realpath(folder)) != os.path.normcase(there)


def can_write(folder: Path) -> bool:
    """Return whether this process can make files in this folder, and in its ``labels`` if it has one."""
    if is_elsewhere(folder / "labels"):
        return False
    places = [folder, folder / "labels"] if (folder / "labels").exists() else [folder]
    return all(place.is_dir() and os.access(place, os.W_OK | os.X_OK) for place in places)


def can_stage(store: Path) -> bool:
    """Return whether a folder can be made beside a store, links followed: tiles are staged there."""
    return _can_make_in(store.resolve().parent)


def obstacle(store: Path) -> str:
    """Return why labels cannot be put into a store, which may not exist yet; "" where they can."""
    if _is_inside_part(store):
        return f"{store} lies inside a zarr array or a label"
    if is_elsewhere(store / "labels"):
        return f"{store / 'labels'} is a link, labels would be written somewhere else"
    if group_format(store) is not None:
        return "" if can_write(store) else f"{store} cannot be written to"
    if store.exists():
        if not _is_free(store):
            return f"{store} exists and is not a zarr group"
        return "" if can_write(store) else f"{store} cannot be written to"
    return "" if _can_make_in(store.parent) else f"{store} cannot be made: no right to write above it"


def image_around(path: Path) -> Path | None:
    """Return the OME-Zarr image that a path is, or lies in; None if there is none."""
    for folder in (path, *path.parents):
        image = group_format(folder) is not None and "multiscales" in ngff_part(read_attributes(folder))
        if image and not _is_label(folder):
            return folder
    return None


def _can_make_in(folder: Path) -> bool:
    """Return whether something can be made in a folder, made itself if it does not exist."""
    above = folder.absolute()
    while not above.exists():
        above = above.parent
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _is_free(store: Path) -> bool:
    """Return whether a folder that is no group is empty, or holds only what stopped writers left."""
    if not store.is_dir() or {path.name for path in store.iterdir()} - {LOCK, "labels"}:
        return False
    labels = store / "labels"
    return not labels.exists() or (
        labels.is_dir() and all(is_remainder(path) for path in labels.iterdir() if path.name != LOCK)
    )


def _is_inside_part(store: Path) -> bool:
    """Return whether a store is, or lies in, an array or a label: nobody would look for labels there."""
    place = store.resolve()
    return any(is_array(folder) or _is_label(folder) for folder in (place, *place.parents))


def _is_label(folder: Path) -> bool:
    if folder.parent.name != "labels" or group_format(folder) is None:
        return False
    attributes = read_attributes(folder)
    return "seamlabel" in attributes or "image-label" in ngff_part(attributes)
