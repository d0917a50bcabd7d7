"""Generations: the arrays that one run writes for a label, beside those of other runs.

Arrays are named ``<generation>.<level>``. Until the commit a marker file in level 0 names the
process that writes them, so that nobody takes them for left over. Knows no NGFF and no pixels.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel.io.owner import is_alive, is_elsewhere, this_process
from seamlabel.io.partial import ENDING

if TYPE_CHECKING:
    from pathlib import Path

OURS = re.compile(r"(\d+)\.(\d+)")
"""Names of our arrays: generation and level."""
MARKER = ".seamlabel.owner"
STALE = 7 * 86_400.0
"""Seconds after which arrays of a writer on another machine count as forgotten."""
_DOCUMENTS = ("zarr.json", ".zarray")
_own: set[str] = set()
"""Markers of this process that count: others of it could not be deleted when their writer gave up."""


@dataclass(frozen=True)
class Generation:
    """The arrays of one writer.

    Parameters
    ----------
    group : Path
        Label group that they lie in.
    names : tuple of str
        One per level, full resolution first.
    marker : str
        Text of the marker; no other generation has the same.
    """

    group: Path
    names: tuple[str, ...]
    marker: str

    @classmethod
    def claim(cls, group: Path, levels: int) -> Generation:
        """Take the next free number; callers hold the lock that `left_over` is called under.

        The folder of level 0 and its marker exist afterwards, but no array.
        """
        matches = [OURS.fullmatch(path.name) for path in group.iterdir()]
        number = 1 + max((int(m[1]) for m in matches if m), default=0)
        owner = {**this_process(), "run": uuid.uuid4().hex}
        made = cls(group, tuple(f"{number}.{level}" for level in range(levels)), json.dumps(owner))
        first = group / made.names[0]
        first.mkdir()
        _own.add(made.marker)
        try:
            (first / MARKER).write_text(made.marker)
        except OSError:
            made.remove()
            raise
        return made

    def is_whole(self) -> bool:
        """Return whether all arrays are still there, and still those of this writer."""
        try:
            same = (self.group / self.names[0] / MARKER).read_text() == self.marker
        except OSError:
            return False
        return same and all(
            any((self.group / name / document).is_file() for document in _DOCUMENTS) for name in self.names
        )

    def release(self) -> None:
        """Take the marker away: from now on the label's metadata say that the arrays are used."""
        _own.discard(self.marker)
        (self.group / self.names[0] / MARKER).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the arrays, the marked one last."""
        _own.discard(self.marker)
        for name in reversed(self.names):
            remove(self.group / name)


def left_over(group: Path, names: set[str]) -> set[str]:
    """Return those of these arrays whose writer is gone."""
    return {name for name in names if not _has_live_writer(group / f"{name.partition('.')[0]}.0")}


def is_remainder(folder: Path) -> bool:
    """Return whether a folder holds nothing but arrays of ours and half of documents, or nothing."""
    return folder.is_dir() and all(
        OURS.fullmatch(path.name) or path.name.endswith(ENDING) for path in folder.iterdir()
    )


def remove(folder: Path) -> None:
    """Delete a folder; what cannot be deleted stays, hidden, and the next commit tries again."""
    shutil.rmtree(folder, ignore_errors=True)


def _has_live_writer(first: Path) -> bool:
    try:
        text = (first / MARKER).read_text()
        owner: Any = json.loads(text)
        age = time.time() - (first / MARKER).stat().st_mtime
    except (OSError, ValueError):
        return False
    if is_elsewhere(owner):
        return age < STALE
    return is_alive(owner) and (owner["pid"] != os.getpid() or text in _own)
