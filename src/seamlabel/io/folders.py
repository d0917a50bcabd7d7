"""Folders of runs, taken away whole or in an order that leaves no half a run. Knows no tiles."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RUN = "run.json"
"""What was asked for; a folder without it is no run."""
AT_ONCE = 1000
"""Files of a folder that is removed whose names are in memory together."""


def remove_folder(folder: Path) -> None:
    """Remove a folder whose subfolders may hold a file for every tile of a million.

    `shutil.rmtree` alone would list them first, in memory. What cannot be removed stays; what says
    that there is a run goes first, so that nobody goes on with the rest of one.
    """
    with suppress(OSError):
        (folder / RUN).unlink(missing_ok=True)
    with suppress(OSError):
        for inside in folder.iterdir():
            if inside.is_dir() and not inside.is_symlink():
                _remove_files(inside)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_files(folder: Path) -> None:
    while True:
        with os.scandir(folder) as entries:
            files = (entry.path for entry in entries if not entry.is_dir(follow_symlinks=False))
            few = list(islice(files, AT_ONCE))
        if not few:
            return
        for file in few:
            os.unlink(file)
