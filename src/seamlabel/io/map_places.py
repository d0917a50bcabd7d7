"""Where maps go: what is in the way there, and whether there is an unfinished one to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import OutputError
from seamlabel.io.convert.journal import Journal
from seamlabel.io.ngff.documents import group_format
from seamlabel.io.ngff.places import local_path, obstacle
from seamlabel.io.partial import sweep

if TYPE_CHECKING:
    import os

JOURNAL = ".seamlabel-blend"
"""Name of the file in a map that notes what is done, as long as it is not finished."""


def check_place(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise what would keep a map from being written there, as far as that is known by now.

    Raises
    ------
    OutputError
        If something is there that is no unfinished map, and is not to be replaced; or it cannot be written.
    """
    folder = Path(local_path(path))
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
