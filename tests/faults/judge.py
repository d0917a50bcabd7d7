"""What must hold once a disturbed job came to its end. Knows what is on disk, not how it was disturbed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.jobs import Ground


@dataclass
class Verdict:
    """What was found: calls of the function, done tiles that were segmented again, and what is wrong."""

    calls: int = 0
    again: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def judge(ground: Ground, kills: int, *, after_the_end: bool = False, lost: bool = False) -> Verdict:
    """Look at a job's folder.

    Parameters
    ----------
    ground : Ground
        The job.
    kills : int
        How often it was killed.
    after_the_end : bool
        Whether it was killed when the labels were in place already, while it removed what it did not
        need any more: that may lie about.
    lost : bool
        Whether files were damaged, too: tiles that were reported done are done again then.
    """
    found = Verdict()
    if ground.state() != "new":
        found.wrong.append("the labels are not the new ones")
        return found
    written = ground.written()
    names = [name for name in written.keys() | ground.files if written.get(name) != ground.files.get(name)]
    if after_the_end:
        names = [name for name in names if name in ground.files]
    if names:
        found.wrong.append(f"{len(names)} files differ, such as {sorted(names)[:4]}")
    if not after_the_end and (rubbish := ground.rubbish()):
        found.wrong.append(f"left in the folder: {rubbish[:6]}")
    found.calls, found.again = calls(ground)
    if lost:
        return found
    if found.again:
        found.wrong.append(f"tiles segmented again though reported done: {found.again[:5]}")
    most = 2 * ground.job.how["workers"] * kills + len(ground.tiles)
    if found.calls > most:
        found.wrong.append(f"{found.calls} calls, expected at most {most}")
    return found


def calls(ground: Ground) -> tuple[int, list[str]]:
    """Return how often tiles were segmented, and those that an earlier session had told to be done."""
    done: dict[int, int] = {}
    for line in _lines(ground.folder / "done.log"):
        session, tile = int(line[0]), int(line[1])
        done[tile] = min(done.get(tile, session), session)
    made = _lines(ground.folder / "calls.log")
    again = []
    for session_, name in made:
        tile = ground.tiles[name]
        if done.get(tile, 1 << 30) < int(session_):
            again.append(f"tile {tile}, done in session {done[tile]}, again in {session_}")
    return len(made), again


def _lines(file: Path) -> list[list[str]]:
    """Return the lines of a log, split."""
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []
