"""A lock file that names who holds it, and is touched while they live.

Taken by a link that appears whole or not at all, so that it is safe on network disks. Knows no runs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from seamlabel.errors import OutputError
from seamlabel.io.owner import is_alive, is_elsewhere, this_process
from seamlabel.io.partial import partial_of, sweep
from seamlabel.io.regular import Irregular, read_regular

if TYPE_CHECKING:
    from pathlib import Path

BEAT_SECONDS = 15.0
"""How often a held lock is touched."""
STALE_SECONDS = 600.0
"""After so long without a touch a process of another machine counts as gone. By the clock of the disk."""
TORN_SECONDS = 0.5
"""After so long an empty lock is one whose process died before it wrote anything: that takes microseconds,
and only where there are no links is it seen at all."""
MOST_BYTES = 1 << 16
_held: set[str] = set()
"""What the locks that this process holds say: others of it could not be removed when they were released."""


class Lock:
    """A lock, held from when it is made until `release`.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    OutputError
        If somebody who lives holds it.
    OSError
        If the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = False
        """Whether somebody else took it, thinking that its holder is gone."""
        self._text = json.dumps({**this_process(), "lock": uuid4().hex})
        _held.add(self._text)
        try:
            _acquire(path, self._text)
        except BaseException:
            _held.discard(self._text)
            raise
        self._ended, self._touched = threading.Event(), time.time()
        threading.Thread(target=self._beat, name="seamlabel-lock", daemon=True).start()

    def check(self) -> None:
        """Tell if the lock was lost; looks at the file if it was not touched for long.

        Raises
        ------
        OutputError
            If somebody else took it.
        """
        if time.time() - self._touched > STALE_SECONDS / 4:  # this process was stopped, or its disk
            self._touch()
        if self.lost:
            msg = f"{self.path} was taken by another process while this one did not answer"
            raise OutputError(msg, "Let that one finish, or resume the run when it has ended")

    def release(self) -> None:
        """Let go of the lock."""
        self._ended.set()
        _held.discard(self._text)
        with suppress(OSError):
            if _text(self.path) == self._text:
                self.path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self._touch()

    def _touch(self) -> None:
        try:
            self.lost = self.lost or _text(self.path) != self._text
            if not self.lost:
                os.utime(self.path)
                self._touched = time.time()
        except FileNotFoundError:
            self.lost = not self._ended.is_set()
        except OSError:  # a disk that does not answer now may later
            return


def _settled(lock: Path) -> str:
    """Return what a lock says; of one that says nothing only after a while, as it may be being written."""
    end = time.monotonic() + TORN_SECONDS
    while not (text := _text(lock)) and time.monotonic() < end:
        time.sleep(0.02)
    return text


def _text(path: Path) -> str:
    """Return what a lock says; nothing if it is no plain file."""
    try:
        return read_regular(path, MOST_BYTES).decode(errors="replace")
    except Irregular:
        return ""


def _acquire(lock: Path, text: str) -> None:
    """Take a lock, which appears whole or not at all; one of a dead process is taken over."""
    hidden = lock.with_name(f".{lock.name}")
    sweep(lock.parent, hidden.name)
    mine = partial_of(hidden)
    mine.write_text(text)
    try:
        for _ in range(5):
            try:
                _link(mine, lock)
            except FileExistsError:
                _retire(lock, mine.stat().st_mtime)
            else:
                return
    finally:
        with suppress(OSError):  # the lock may be taken already: that counts
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


def _retire(lock: Path, now: float) -> None:
    """Move a dead process's lock out of the way; `now` is the time by the clock of the disk.

    Raises
    ------
    OutputError
        If its process is alive.
    """
    try:
        text = _settled(lock)
    except FileNotFoundError:
        return
    with suppress(ValueError, RecursionError):
        owner = json.loads(text)
        if text in _held if _is_ours(owner) else _lives(owner, lock, now):
            msg = f"{lock.with_suffix('')} is in use by process {owner['pid']} on {owner['host']}"
            raise OutputError(msg, f"Wait for it; or remove {lock} if it is gone; or give another name")
    gone = partial_of(lock.with_name(f".{lock.name}"))
    with suppress(FileNotFoundError):
        lock.rename(gone)
        if _text(gone) != text:  # somebody was faster, and this is a live lock
            with suppress(FileExistsError):
                os.link(gone, lock)
        gone.unlink()


def _is_ours(owner: Any) -> bool:
    """Return whether this very process wrote a lock."""
    mine = isinstance(owner, dict) and owner.get("pid") == os.getpid() and not is_elsewhere(owner)
    return mine and is_alive(owner)


def _lives(owner: Any, lock: Path, now: float) -> bool:
    """Return whether the holder lives; of one elsewhere all that can be seen is when it touched the lock."""
    if not is_elsewhere(owner):
        return is_alive(owner)
    try:
        return now - lock.stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False
