"""Metadata documents of zarr groups on a local disk: read, replaced in one step, consolidated, locked.

Knows zarr's files (``zarr.json``; ``.zgroup``, ``.zattrs``, ``.zmetadata``), nothing of NGFF and no
pixels. zarr-python is not used here, because it rewrites more than what changed (all of a group's
documents, and on consolidation those of every node below).
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import psutil

from seamlabel.errors import ImageError, OutputError
from seamlabel.io.ngff.strict import load_document
from seamlabel.io.partial import partial_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ZarrFormat = Literal[2, 3]
LOCK = ".seamlabel.lock"
LOCK_WAIT = 30.0
"""Seconds to wait for another writer's commit, which takes milliseconds."""
TORN_SECONDS = 5.0
"""Seconds after which a lock that names nobody counts as forgotten: writing it takes microseconds."""
LOCK_STALE = 300.0
"""Seconds after which a lock left by another machine counts as forgotten."""
_PROCESS = uuid.uuid4().hex
"""Tells this process from former ones of the same number, as in containers."""
_abandoned: set[str] = set()
"""What locks of this process say that could not be removed when they were released."""


def group_format(folder: Path) -> ZarrFormat | None:
    """Return the zarr format of the group in this folder, None if there is no group."""
    if _has(folder / "zarr.json"):
        return 3 if load_document(folder / "zarr.json").get("node_type") == "group" else None
    return 2 if _has(folder / ".zgroup") else None


def is_array(folder: Path) -> bool:
    """Return whether the folder is a zarr array."""
    if _has(folder / "zarr.json"):
        return load_document(folder / "zarr.json").get("node_type") == "array"
    return _has(folder / ".zarray")


def read_attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of the group in this folder, empty if it has none."""
    if _has(folder / "zarr.json"):
        found = load_document(folder / "zarr.json").get("attributes")
        return found if isinstance(found, dict) else {}
    return load_document(folder / ".zattrs") if _has(folder / ".zattrs") else {}


def write_attributes(folder: Path, attributes: dict[str, Any], *, unconsolidate: bool = False) -> None:
    """Replace the attributes of an existing group; readers see the old ones or the new ones.

    With `unconsolidate` the group's own consolidated metadata go in the same step: they describe
    what it held before. (A file of their own goes first: once the attributes are there, nothing
    may fail any more.)
    """
    if _has(folder / "zarr.json"):
        document = {**load_document(folder / "zarr.json"), "attributes": attributes}
        if unconsolidate:
            document.pop("consolidated_metadata", None)
        _save(folder / "zarr.json", document)
        return
    if unconsolidate:
        (folder / ".zmetadata").unlink(missing_ok=True)
    _save(folder / ".zattrs", attributes)


def make_group(folder: Path, zarr_format: ZarrFormat, attributes: dict[str, Any]) -> None:
    """Make a group, and the folders above it; its attributes are there as soon as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    if zarr_format == 3:
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        _save(folder / "zarr.json", document)
    else:
        if attributes:
            _save(folder / ".zattrs", attributes)
        _save(folder / ".zgroup", {"zarr_format": 2})


def consolidated_groups(folder: Path) -> list[Path]:
    """Return the group in this folder and those above it that hold consolidated metadata, nearest first."""
    found = []
    while group_format(folder) is not None:
        if _has(folder / ".zmetadata") or "consolidated_metadata" in _v3(folder):
            found.append(folder)
        if folder.parent == folder:
            break
        folder = folder.parent
    return found


def nodes(folder: Path, without: frozenset[Path] = frozenset()) -> list[Path]:
    """Return the folder and everything below it that is a zarr node, but not `without` and below."""
    if folder in without or not any(_has(folder / name) for name in _NODE_FILES):
        return []
    found = [folder]
    if group_format(folder) is not None:
        for child in sorted(path for path in folder.iterdir() if path.is_dir()):
            found += nodes(child, without)
    return found


def reconsolidate(group: Path, changed: Iterable[Path], gone: Path) -> None:
    """Bring consolidated metadata up to date with the documents on disk, in one step.

    Only what changed is read again: a plate has tens of thousands of other nodes.

    Parameters
    ----------
    group : Path
        A group that holds consolidated metadata (``.zmetadata``, or within ``zarr.json``).
    changed : iterable of Path
        Nodes below it whose documents are taken from disk.
    gone : Path
        A node below it; entries at and below it that are not in `changed` are dropped.
    """
    prefix = gone.relative_to(group).as_posix()
    if _has(group / ".zmetadata"):
        document = load_document(group / ".zmetadata")
        fresh = {
            (node / name).relative_to(group).as_posix(): load_document(node / name)
            for node in changed
            for name in (".zgroup", ".zarray", ".zattrs")
            if _has(node / name)
        }
        document["metadata"] = _merged(document.get("metadata"), prefix, fresh)
        _save(group / ".zmetadata", document)
    inline = _v3(group).get("consolidated_metadata")
    if isinstance(inline, dict):
        fresh = {node.relative_to(group).as_posix(): _entry(node) for node in changed if node != group}
        inline = {**inline, "metadata": _merged(inline.get("metadata"), prefix, fresh)}
        _save(group / "zarr.json", {**load_document(group / "zarr.json"), "consolidated_metadata": inline})


_NODE_FILES = ("zarr.json", ".zgroup", ".zarray")


def _merged(old: Any, prefix: str, fresh: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in (old or {}).items() if k != prefix and not k.startswith(f"{prefix}/")}
    return {**kept, **fresh}


def _entry(node: Path) -> dict[str, Any]:
    """Return a node's document as zarr puts it into consolidated metadata: groups hold an empty one."""
    document = _v3(node)
    if document.get("node_type") == "group":
        empty = {"kind": "inline", "must_understand": False, "metadata": {}}
        document = {**document, "consolidated_metadata": empty}
    return document


def _v3(folder: Path) -> dict[str, Any]:
    place = folder / "zarr.json"
    return load_document(place) if _has(place) else {}


def _has(place: Path) -> bool:
    """Return whether there is such a document; something else in its place is refused."""
    if place.is_file():
        return True
    if os.path.lexists(place):
        msg = f"{place} is not a file, or a link to none"
        raise ImageError(msg, "Remove what is there, or take the file from a backup")
    return False


def _save(place: Path, document: dict[str, Any]) -> None:
    """Write a document so that a crash leaves the old one or the new one, never half of one."""
    temporary = partial_of(place)
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(place)
    except BaseException:  # not where all went well: then nothing may fail any more
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other writers out of a group's documents while the block runs.

    Raises
    ------
    OutputError
        If another writer holds the lock for too long.
    """
    lock, text = folder / LOCK, f"{socket.gethostname()} {os.getpid()} {_PROCESS} {uuid.uuid4().hex}"
    _wait_for(lock, text)
    try:
        yield
    finally:
        try:
            lock.unlink()
        except OSError:  # what was done under it stands; a disk that went away may come back with the lock
            _abandoned.add(text)


def _wait_for(lock: Path, text: str) -> None:
    end = time.monotonic() + LOCK_WAIT
    while not _take(lock, text):
        if _forgotten(lock):
            lock.unlink(missing_ok=True)
        elif time.monotonic() > end:
            msg = f"{lock.parent} is being written by another process (host and process id in {LOCK})"
            raise OutputError(msg, f"Wait for it to end; if there is none, delete {lock}")
        else:
            time.sleep(0.01)


def _take(lock: Path, text: str) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
    except OSError:  # disk full: a lock without a name would keep everybody out
        lock.unlink(missing_ok=True)
        raise
    return True


def _forgotten(lock: Path) -> bool:
    """Return whether the process that made the lock is gone."""
    try:
        text = lock.read_text()
        age = time.time() - lock.stat().st_mtime
    except OSError:  # released meanwhile
        return False
    host, pid, process = [*text.split(" "), "", ""][:3]
    if not pid:  # cut: its process died before it had written all, or the disk lost power
        return age > TORN_SECONDS
    if host == socket.gethostname() and pid.isdecimal():
        if int(pid) == os.getpid() and process:
            return process != _PROCESS or text in _abandoned
        return not psutil.pid_exists(int(pid))
    return age > LOCK_STALE
