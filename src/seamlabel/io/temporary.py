"""Folders that last as long as this process, for runs of arrays without output; private to their user."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def _temporary_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="seamlabel-"))
    owner = os.getpid()

    def clean() -> None:
        if os.getpid() == owner:
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(clean)
    return root


def is_temporary(path: Path) -> bool:
    """Return whether a path lies in what `temporary_folder` makes."""
    return path.resolve().is_relative_to(_temporary_root().resolve())


def temporary_folder() -> Path:
    """Return a new folder that lasts as long as this process."""
    return Path(tempfile.mkdtemp(dir=_temporary_root()))
