"""The run directory: who runs, what was asked, which tiles are done.

``run.json`` holds the spec, ``journal/<writer>.jsonl`` one line per finished tile (``crc32 json``; one
writer per file, so nothing is ever lost to a race). The lock lies beside the directory, so that it
can be held while the directory is replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import zlib
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from seamlabel.errors import OutputError
from seamlabel.io.owner import is_alive, this_process

REPORT = "report.json"
"""What the merge of a run that is whole, and was kept, came to."""
AT_ONCE = 1000
"""Files of a folder that is removed whose names are in memory together."""
ELSEWHERE = "Free some space, or give an output in a folder that can be written to"


class RunDirectory:
    """A run's own folder, locked while it is open.

    Parameters
    ----------
    path : Path
        The folder; one that an ended run left behind is replaced.
    spec_json : str or None
        The `RunSpec` as JSON; None opens the folder of an ended run and keeps what is in it.

    Raises
    ------
    OutputError
        If a live process runs there, or the folder cannot be made.
    """

    def __init__(self, path: Path, spec_json: str | None) -> None:
        self.path = path
        self._lock = path.with_name(f"{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _acquire(self._lock)
        except OutputError:
            raise
        except OSError as error:
            raise _cannot_stage(path, error) from error
        try:
            self._log: Any = None
            self._log = self._make(spec_json)
        except OSError as error:
            self.close(keep=spec_json is None)
            raise _cannot_stage(path, error) from error

    def _make(self, spec_json: str | None) -> Any:
        if spec_json is not None:
            remove_folder(self.path)
            self.path.mkdir(parents=True)
            (self.path / "run.json").write_text(spec_json)
        (self.path / "journal").mkdir(exist_ok=True)
        name = f"{socket.gethostname()}-{os.getpid()}.jsonl"
        return (self.path / "journal" / name).open("a", encoding="utf-8")

    def record(self, **values: Any) -> None:
        """Append one line; call it once what it tells of is on disk.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        text = json.dumps(values, separators=(",", ":"))
        try:
            self._log.write(f"{zlib.crc32(text.encode()):08x} {text}\n")
            self._log.flush()
        except OSError as error:
            raise _cannot_stage(self.path, error) from error

    def save(self, name: str, content: str | bytes) -> None:
        """Write a file of the folder, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        part = self.path / f".{name}"
        try:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
            part.replace(self.path / name)
        except OSError as error:
            raise _cannot_stage(self.path, error) from error

    def close(self, keep: bool) -> None:
        """Release the lock; without `keep` remove the folder, and the one above if empty."""
        with suppress(OSError):  # a full disk: what could not be flushed was told when it was written
            if self._log is not None:
                self._log.close()
        if keep:
            self._lock.unlink(missing_ok=True)
        else:
            self._remove()

    def _remove(self) -> None:
        remove_folder(self.path)
        self._lock.unlink(missing_ok=True)
        parent = self.path.parent
        if parent.suffix == ".seamlabel":
            with suppress(OSError):  # other runs are still there
                parent.rmdir()


def _cannot_stage(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot stage tiles in {path}: {error.strerror or error}", ELSEWHERE)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return all whole lines of a run directory's journal; torn ones are left out."""
    records = []
    for file in sorted((path / "journal").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            crc, _, text = line.partition(" ")
            if crc == f"{zlib.crc32(text.encode()):08x}":
                records.append(json.loads(text))
    return records


def finished_tiles(path: Path) -> set[int]:
    """Return the tiles that a run directory's journal tells to be staged."""
    return {record["tile"] for record in read_journal(path) if "failed" not in record}


def unfinished_runs(target: str | Path) -> list[tuple[Path, int]]:
    """Return the run directories left beside an OME-Zarr, and how many tiles each finished."""
    found = [path for path in _run_directories(target) if not (path / REPORT).exists()]
    return [(path, len(finished_tiles(path))) for path in found]


def kept_runs(target: str | Path) -> list[Path]:
    """Return the run directories beside an OME-Zarr that were kept to be merged again."""
    return [path for path in _run_directories(target) if (path / REPORT).exists()]


def _run_directories(target: str | Path) -> list[Path]:
    folder = Path(f"{os.path.realpath(target)}.seamlabel")
    return [file.parent for file in sorted(folder.glob("*/run.json"))] if folder.is_dir() else []


def _acquire(lock: Path) -> None:
    """Take a lock, which appears whole or not at all; one of a dead process is taken over."""
    mine = lock.with_name(f".{lock.name}.{uuid4().hex}")
    mine.write_text(json.dumps(this_process()))
    try:
        for _ in range(5):
            try:
                _link(mine, lock)
            except FileExistsError:
                _retire(lock)
            else:
                return
    finally:
        mine.unlink(missing_ok=True)
    raise OutputError(f"{lock} is being taken by others", "Try again")


def _link(mine: Path, lock: Path) -> None:
    try:
        os.link(mine, lock)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with lock.open("x") as file:
            file.write(mine.read_text())


def _retire(lock: Path) -> None:
    """Move a dead process's lock out of the way.

    Raises
    ------
    OutputError
        If its process is alive.
    """
    try:
        text = lock.read_text()
    except FileNotFoundError:
        return
    with suppress(ValueError):
        owner = json.loads(text)
        if is_alive(owner):
            msg = f"{lock.with_suffix('')} is in use by process {owner['pid']} on {owner['host']}"
            raise OutputError(msg, f"Wait for it; or remove {lock} if it is gone; or give another name")
    gone = lock.with_name(f".{lock.name}.{uuid4().hex}")
    with suppress(FileNotFoundError):
        lock.rename(gone)
        if gone.read_text() != text:  # somebody was faster, and this is a live lock
            with suppress(FileExistsError):
                os.link(gone, lock)
        gone.unlink()


def remove_folder(folder: Path) -> None:
    """Remove a folder whose subfolders may hold a file for every tile of a million.

    `shutil.rmtree` alone would list them first, in memory. What cannot be removed stays.
    """
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
