"""The run directory: who runs, what was asked, which tiles are done.

``run.json`` holds the spec, ``journal/<writer>.jsonl`` one line per finished or failed tile
(``crc32 json``; one writer per file, so nothing is ever lost to a race). The lock lies beside the
directory, so that it can be held while the directory is replaced.
"""

from __future__ import annotations

import json
import os
import socket
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from seamlabel.errors import OutputError
from seamlabel.io.folders import RUN, remove_folder
from seamlabel.io.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = "report.json"
"""What the merge of a run that is whole, and was kept, came to."""
MOST_LINE = 1 << 20
"""Bytes of the longest line that is written; a traceback is cut to fit."""
ELSEWHERE = "Free some space, or give an output in a folder that can be written to"


class RunDirectory:
    """A run's own folder, locked while it is open.

    Parameters
    ----------
    path : Path
        The folder.
    spec_json : str or None
        The `RunSpec` as JSON, to `begin` with; None leaves what is in the folder as it is.

    Raises
    ------
    OutputError
        If a live process runs there, or the folder cannot be made.
    """

    def __init__(self, path: Path, spec_json: str | None = None) -> None:
        self.path = path
        self._aside = path.with_name(f"{path.name}~")
        self._log: Any = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(path.with_name(f"{path.name}.lock"))
        except OutputError:
            raise
        except OSError as error:
            raise _cannot_stage(path, error) from error
        if spec_json is not None:
            self.begin(spec_json)

    def begin(self, spec_json: str) -> None:
        """Make the folder anew: an unfinished run that is there goes, a finished one is put aside.

        Raises
        ------
        OutputError
            If the folder cannot be made; the lock is let go then.
        """
        try:
            if (self.path / REPORT).exists():
                remove_folder(self._aside)
                self.path.rename(self._aside)
            remove_folder(self.path)
            self.path.mkdir(parents=True)
            self.save(RUN, spec_json)
            self._open_log()
        except OSError as error:
            self.close(keep=(self.path / REPORT).exists())
            raise _cannot_stage(self.path, error) from error

    def _open_log(self) -> Any:
        if self._log is None:
            (self.path / "journal").mkdir(exist_ok=True)
            name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}.jsonl"
            self._log = (self.path / "journal" / name).open("a", encoding="utf-8")
        return self._log

    def record(self, **values: Any) -> None:
        """Append one line; call it once what it tells of is on disk.

        Raises
        ------
        OutputError
            If it cannot be written, or another process has taken the folder.
        """
        self.check()
        text = json.dumps(values, separators=(",", ":"))
        try:
            log = self._open_log()
            log.write(f"{zlib.crc32(text.encode()):08x} {text}\n")
            log.flush()
        except OSError as error:
            raise _cannot_stage(self.path, error) from error

    def sync(self) -> None:
        """Have the disk hold all lines.

        Raises
        ------
        OutputError
            If it does not.
        """
        try:
            os.fsync(self._open_log().fileno())
        except OSError as error:
            raise _cannot_stage(self.path, error) from error

    def check(self) -> None:
        """Tell if another process has taken the folder.

        Raises
        ------
        OutputError
            If so; nothing may be written any more.
        """
        self._lock.check()

    def save(self, name: str, content: str | bytes) -> None:
        """Write a file of the folder, whole or not at all, whatever the disk's cache loses.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        part = self.path / f".{name}"
        try:
            with part.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path / name)
        except OSError as error:
            raise _cannot_stage(self.path, error) from error

    def close(self, keep: bool, done: bool = False) -> None:
        """Release the lock; without `keep` remove the folder, and the one above if empty.

        A finished run that was put aside goes once another is `done`, and comes back where nothing
        of the other is kept.
        """
        with suppress(OSError):  # a full disk: what could not be flushed was told when it was written
            if self._log is not None:
                self._log.close()
        if not keep:
            remove_folder(self.path)
        if done:
            remove_folder(self._aside)
        elif not self.path.exists():
            with suppress(OSError):  # there is none
                self._aside.rename(self.path)
        self._lock.release()
        parent = self.path.parent
        if parent.suffix == ".seamlabel":
            with suppress(OSError):  # other runs are still there
                parent.rmdir()


def _cannot_stage(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot stage tiles in {path}: {error.strerror or error}", ELSEWHERE)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return all whole lines of a run directory's journal; torn ones are left out."""
    return list(journal_lines(path))


def journal_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Return all whole lines of a run directory's journal; torn ones are left out."""
    return (found for text in _texts(path) if (found := _plain(text)) is not None)


def _texts(path: Path) -> Iterator[bytes]:
    files = [file for file in (path / "journal").glob("*.jsonl") if file.is_file()]
    for file in sorted(files, key=os.path.getmtime):
        with file.open("rb") as lines:
            while line := lines.readline(MOST_LINE):
                crc, _, text = line.rstrip(b"\n").partition(b" ")
                if crc == b"%08x" % zlib.crc32(text):
                    yield text


def _plain(text: bytes) -> dict[str, Any] | None:
    """Return what a line says, if it is of the kind that is written here."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    numbers = (found.get("tile", 0), found.get("tiles", 0)) if isinstance(found, dict) else ("",)
    return found if all(isinstance(number, int) and number >= 0 for number in numbers) else None


def finished_tiles(path: Path) -> set[int]:
    """Return the tiles that a run directory's journal tells to be staged."""
    return {line["tile"] for line in journal_lines(path) if "tile" in line and "failed" not in line}


@dataclass(frozen=True)
class Unfinished:
    """A run that did not reach its end, as its journal tells.

    Parameters
    ----------
    path : Path
        The run directory.
    done : int
        Tiles that are staged.
    total : int
        Tiles there are; 0 if that is not known.
    failed : dict of int to str
        Tiles that failed, with reasons.
    """

    path: Path
    done: int
    total: int
    failed: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return how far it is, such as "812 of 1,024 tiles done, 2 failed"."""
        total = f"{self.total:,} tile{'s' * (self.total != 1)}" if self.total else "its tiles"
        failed = f", {len(self.failed):,} failed" if self.failed else ""
        return f"{self.done:,} of {total} done{failed}"


def unfinished_run(path: Path) -> Unfinished | None:
    """Return how far the run in a directory is; None if there is none, or it is whole, or no tile is done."""
    if not (path / RUN).is_file() or (path / REPORT).exists():
        return None
    done: set[int] = set()
    failed: dict[int, str] = {}
    total = 0
    for text in _texts(path):
        number, _, rest = text.removeprefix(b'{"tile":').partition(b",")
        if number.isdigit() and b'"failed":' not in rest:  # most lines: there may be a million
            done.add(int(number))
        elif (line := _plain(text)) is not None:
            total = line.get("tiles", total)
            if "failed" in line:
                failed[line["tile"]] = str(line["failed"])
            elif "tile" in line:
                done.add(line["tile"])
    failed = {tile: reason for tile, reason in failed.items() if tile not in done}
    return Unfinished(path, len(done), total, failed) if done else None


def unfinished_runs(target: str | Path) -> list[Unfinished]:
    """Return the runs beside an OME-Zarr that did not reach their end."""
    found = [unfinished_run(path) for path in _run_directories(target)]
    return [run for run in found if run is not None]


def kept_runs(target: str | Path) -> list[Path]:
    """Return the run directories beside an OME-Zarr that were kept to be merged again."""
    return [path for path in _run_directories(target) if (path / REPORT).exists()]


def _run_directories(target: str | Path) -> list[Path]:
    folder = Path(f"{os.path.realpath(target)}.seamlabel")
    return [file.parent for file in sorted(folder.glob(f"*/{RUN}"))] if folder.is_dir() else []
