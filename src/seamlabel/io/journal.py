"""The run directory: who runs, what was asked, which tiles are done.

``run.json`` holds the spec, ``lock`` the live process, ``journal/<writer>.jsonl`` one line per
finished tile (``crc32 json``; one writer per file, so nothing is ever lost to a race).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import zlib
from pathlib import Path
from typing import Any

import psutil

from seamlabel.errors import OutputError


class RunDirectory:
    """A run's own folder, locked while it is open.

    Parameters
    ----------
    path : Path
        The folder; one that an ended run left behind is replaced.
    spec_json : str
        The `RunSpec` as JSON.

    Raises
    ------
    OutputError
        If a live process runs there, or the folder cannot be made.
    """

    def __init__(self, path: Path, spec_json: str) -> None:
        self.path = path
        self._lock = path / "lock"
        _refuse_live(self._lock)
        try:
            shutil.rmtree(path, ignore_errors=True)
            (path / "journal").mkdir(parents=True)
            self._lock.touch(exist_ok=False)
            self._lock.write_text(json.dumps(_me()))
            (path / "run.json").write_text(spec_json)
        except OSError as error:
            msg = f"cannot stage tiles in {path}: {error.strerror or error}"
            raise OutputError(msg, "Give output=PATH in a folder that can be written to") from error
        name = f"{socket.gethostname()}-{os.getpid()}.jsonl"
        self._log = (path / "journal" / name).open("a", encoding="utf-8")

    def record(self, **values: Any) -> None:
        """Append one line; call it once what it tells of is on disk."""
        text = json.dumps(values, separators=(",", ":"))
        self._log.write(f"{zlib.crc32(text.encode()):08x} {text}\n")
        self._log.flush()

    def close(self, keep: bool) -> None:
        """Release the lock; without `keep` remove the folder, and the one above if empty."""
        self._log.close()
        self._lock.unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)
            parent = self.path.parent
            if parent.suffix == ".seamlabel" and parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return all whole lines of a run directory's journal; torn ones are left out."""
    records = []
    for file in sorted((path / "journal").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            crc, _, text = line.partition(" ")
            if crc == f"{zlib.crc32(text.encode()):08x}":
                records.append(json.loads(text))
    return records


def unfinished_runs(target: str | Path) -> list[tuple[Path, int]]:
    """Return the run directories left beside an OME-Zarr, and how many tiles each finished."""
    folder = Path(f"{str(target).rstrip('/')}.seamlabel")
    found = sorted(folder.glob("*/run.json")) if folder.is_dir() else []
    return [(file.parent, len(read_journal(file.parent))) for file in found]


def _me() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def _refuse_live(lock: Path) -> None:
    try:
        owner = json.loads(lock.read_text())
    except (OSError, ValueError):
        return
    same_host = owner.get("host") == socket.gethostname()
    try:
        alive = not same_host or psutil.Process(owner["pid"]).create_time() == owner["started"]
    except (psutil.Error, KeyError):
        alive = False
    if alive:
        msg = f"{lock.parent} is in use by process {owner['pid']} on {owner['host']}"
        hint = f"Wait for it, or remove {lock} if that process is gone; or give another name"
        raise OutputError(msg, hint)
