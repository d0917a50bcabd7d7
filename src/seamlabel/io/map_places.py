"""Where maps go: what is in the way there, and whether there is an unfinished one to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import OutputError
from seamlabel.io.addresses import is_remote
from seamlabel.io.convert.journal import Journal
from seamlabel.io.ngff.documents import group_format
from seamlabel.io.ngff.places import local_path, obstacle
from seamlabel.io.partial import sweep

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

JOURNAL = ".seamlabel-blend"
"""Name of the file in a map that notes what is done, as long as it is not finished."""


def check_place(
    path: str | os.PathLike[str], *, overwrite: bool, reads: Iterable[str | os.PathLike[str] | None] = ()
) -> None:
    """Raise what would keep a map from being written there, as far as that is known by now.

    Parameters
    ----------
    path : str or path-like
        The OME-Zarr to make.
    overwrite : bool
        Whether an image that is there is to be replaced.
    reads : iterable of str, path-like or None
        What the map is made of: it is not replaced, whatever is asked.

    Raises
    ------
    OutputError
        If something is there that is no unfinished map, and is not to be replaced; or it cannot be written.
    """
    folder = Path(local_path(path))
    for read in reads:
        if read is not None and not is_remote(read) and _within(Path(local_path(read)), folder):
            msg = f"{folder} holds what the map is made of, it is not replaced"
            raise OutputError(msg, "Give another path")
    if Journal(folder, JOURNAL).exists():
        return
    sweep(folder)
    there = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if there and group_format(folder) is None:
        msg = f"{folder} is not a zarr group, it is not replaced"
        raise OutputError(msg, "Move it away, or give another path")
    if there and not overwrite:
        raise OutputError(f"{folder} exists", "Give another path, or replace it: --overwrite, overwrite=True")
    if hindered := obstacle(folder):
        raise OutputError(hindered, "Give another path, or check its permissions")


def _within(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder, or lies in it, links followed."""
    return path.resolve().is_relative_to(folder.resolve())


def begun(path: str | os.PathLike[str], request: dict[str, Any]) -> dict[str, Any] | None:
    """Return all that was asked of an unfinished map, if it is of this request; else None.

    Raises
    ------
    ImageError
        If what is noted of it cannot be read.
    """
    journal = Journal(Path(local_path(path)), JOURNAL)
    held = journal.read()[0] if journal.exists() else {}
    return held if held and all(held.get(name) == value for name, value in request.items()) else None


def is_unfinished(path: str | os.PathLike[str]) -> bool:
    """Return whether there is a map that was cut short."""
    return Journal(Path(local_path(path)), JOURNAL).exists()
