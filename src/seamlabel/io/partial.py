"""Files that are written beside the place that they are renamed to, and those that the dead left there.

A name says which process of which machine writes the file, so that others can tell what nobody will
finish. Knows no contents.
"""

from __future__ import annotations

import os
import re
import socket
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

if TYPE_CHECKING:
    from pathlib import Path

FORGOTTEN_SECONDS = 86_400.0
"""After so long a file of another machine counts as left over."""
ENDING = ".partial"
_NAME = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{32}\.partial")


def partial_of(place: Path) -> Path:
    """Return a name beside a place, for what is to be renamed to it; nobody else has the same."""
    return place.with_name(f"{place.name}.{_host()}-{os.getpid()}-{uuid4().hex}{ENDING}")


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what processes that are gone left of files of this name; what cannot be removed stays."""
    with suppress(OSError):
        for path in folder.glob(f"{name}.*{ENDING}"):
            with suppress(OSError):
                if (match := _NAME.search(path.name)) and _is_gone(match, path):
                    path.unlink()


def _is_gone(match: re.Match[str], path: Path) -> bool:
    if match["host"] == _host():
        return not psutil.pid_exists(int(match["pid"]))
    return time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"
