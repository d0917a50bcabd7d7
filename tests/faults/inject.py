"""Faults at the k-th operation on files below a folder: an error, the process killed, the folder gone.

Python tells an audit hook of every file that is opened, renamed, linked or removed, before it happens; the
hook counts, and at the k-th raises or kills. Writing into an open file is not told of: a disk that is
really full (`full_disk`) and a limit on the length of files (`short_files`) are for that. Knows nothing
of seamlabel.

Another process is armed through its environment: ``SEAMLABEL_FAULT_FOLDER``, ``_AT``, ``_KIND`` and,
if wanted, ``_OPS`` and ``_LASTING``; its script calls `arm_from_environment` first.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ERRORS = ("ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "ESTALE", "EMFILE")
KINDS = (*ERRORS, "exit", "kill", "vanish", "count")
"""What happens: an error of that name; `os._exit`; SIGKILL; the folder is moved away; nothing."""
WRITES = frozenset({"write", "rename", "link", "symlink", "mkdir", "remove", "rmdir", "truncate"})
READS = frozenset({"read"})
_EVENTS = {
    "os.rename": "rename",
    "os.link": "link",
    "os.symlink": "symlink",
    "os.mkdir": "mkdir",
    "os.remove": "remove",
    "os.rmdir": "rmdir",
    "os.truncate": "truncate",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FREEING = frozenset({"remove", "rmdir", "truncate"})
AWAY = ".away"


@dataclass
class Fault:
    """One fault, and what was seen until it is disarmed.

    Parameters
    ----------
    folder : str
        Only what happens at or below it counts.
    at : int
        The operation at which it happens, from 1.
    kind : str
        One of `KINDS`.
    ops : frozenset of str
        Operations that count.
    lasting : bool
        An error happens at all later operations too; on a full disk not at those that free space.
    name : str
        Only files whose path holds this count.
    """

    folder: str
    at: int
    kind: str
    ops: frozenset[str] = WRITES
    lasting: bool = False
    name: str = ""
    seen: list[str] = field(default_factory=list)
    happened: str = ""

    def meet(self, op: str, path: str) -> None:
        """Count an operation, and let the fault happen at the right one."""
        if op not in self.ops or self.name not in path:
            return
        if path != self.folder and not path.startswith(self.folder + os.sep):
            return
        self.seen.append(f"{op} {os.path.relpath(path, self.folder)}")
        number = len(self.seen)
        full = self.kind in ("ENOSPC", "EDQUOT")
        later = self.lasting and number > self.at and not (full and op in _FREEING)
        if self.kind != "count" and (number == self.at or (later and self.kind in ERRORS)):
            self.happened = self.happened or self.seen[-1]
            self._happen(path)

    def _happen(self, path: str) -> None:
        if self.kind == "exit":
            os._exit(3)
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "vanish":
            os.rename(self.folder, self.folder + AWAY)
            return
        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number), path)


_lock = RLock()
_armed: Fault | None = None
_installed = False
_within: set[int] = set()
"""Threads that are in the hook: what it does itself is not counted."""


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _armed is None or (event != "open" and event not in _EVENTS):
        return
    with _lock:
        fault, thread = _armed, get_ident()
        if fault is None or thread in _within:
            return
        _within.add(thread)
        try:
            for op, path in _operations(event, args):
                fault.meet(op, path)
        finally:
            _within.discard(thread)


def _operations(event: str, args: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    """Yield the operation and the file it changes: of a renamed one the new name."""
    if event == "open":
        path, _, flags = args
        if isinstance(path, str | bytes | os.PathLike):
            yield ("write" if (flags or 0) & _WRITING else "read"), os.path.abspath(os.fsdecode(path))
        return
    op = _EVENTS[event]
    path = args[1] if op in ("rename", "link", "symlink") else args[0]
    folder = args[-1] if op in ("remove", "rmdir", "mkdir") else -1
    if isinstance(path, str | bytes | os.PathLike):
        text = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0 and os.path.isdir("/proc/self/fd"):
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        yield op, os.path.abspath(text)


@contextmanager
def armed(
    folder: str | Path,
    at: int,
    kind: str,
    *,
    ops: frozenset[str] = WRITES,
    lasting: bool = False,
    name: str = "",
) -> Iterator[Fault]:
    """Let a fault happen within the block; see `Fault`."""
    global _armed
    _install()
    if kind not in KINDS:
        msg = f"{kind!r} is no fault: use one of {', '.join(KINDS)}"
        raise ValueError(msg)
    fault = Fault(os.path.abspath(folder), at, kind, ops, lasting, name)
    _armed = fault
    try:
        yield fault
    finally:
        _armed = None


def arm_from_environment() -> Fault | None:
    """Arm this process for good, if its environment says so."""
    global _armed
    values = {name: os.environ.get(f"SEAMLABEL_FAULT_{name}", "") for name in ("FOLDER", "AT", "KIND", "OPS")}
    if not values["FOLDER"]:
        return None
    _install()
    ops = frozenset(values["OPS"].split(",")) if values["OPS"] else WRITES
    lasting = os.environ.get("SEAMLABEL_FAULT_LASTING") == "1"
    _armed = Fault(os.path.abspath(values["FOLDER"]), int(values["AT"]), values["KIND"], ops, lasting)
    return _armed


def environment(folder: str | Path, at: int, kind: str, *, lasting: bool = False) -> Mapping[str, str]:
    """Return the environment that arms another process."""
    fault = {"FOLDER": os.fspath(folder), "AT": str(at), "KIND": kind, "LASTING": str(int(lasting))}
    return os.environ | {f"SEAMLABEL_FAULT_{key}": value for key, value in fault.items()}


def _install() -> None:
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True


@contextmanager
def full_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mount a disk of `size` bytes in memory at a folder; gives False where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    allowed = sys.platform == "linux" and os.geteuid() == 0
    mounted = allowed and not subprocess.run(mount, check=False, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@contextmanager
def short_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: writing fails half-way, with EFBIG."""
    import resource

    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
