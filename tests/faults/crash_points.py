"""Crashes before each durable operation in turn, and within writes; then torn files and power losses.

A session runs in a fork of this process. There an audit hook counts whatever opens a file to write, renames,
links or removes, and wrappers count fsync and appends; at the number given the fork ends at once, with
nothing flushed and nothing tidied. Knows what must hold after that, not how a run does it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.faults.jobs import Ground, Job, environment, make_base
from tests.faults.judge import judge
from tests.faults.method import append, noted

import seamlabel
from seamlabel.errors import SeamlabelError
from seamlabel.io.journal import RunDirectory, unfinished_run
from seamlabel.io.records import RecordFile

if TYPE_CHECKING:
    from collections.abc import Callable

CRASHED = 137
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LIMIT = 60.0
SMALL: tuple[dict[str, Any], ...] = ({}, {"table": "table.csv", "fill_holes": True})


class Tap:
    """Counts durable operations below a folder in this process, and ends it at one of them.

    Parameters
    ----------
    folder : Path
        What lies elsewhere does not count.
    at : int
        The operation before which the process ends; for an append, half-way. 0: none.
    told : Path
        Gets, as JSON, what was seen when the process ends.
    """

    def __init__(self, folder: Path, at: int, told: Path) -> None:
        self._folder, self._at, self._told = str(folder), at, str(told)
        self.seen: list[str] = []
        self.unsynced: dict[str, None] = {}
        self._busy = False

    def install(self) -> None:
        """Begin to count; for good, so call it in a fork."""
        sys.addaudithook(self._hook)
        fsync = os.fsync

        def counted(handle: int) -> None:
            path = os.readlink(f"/proc/self/fd/{handle}")
            self._meet("fsync", path)
            fsync(handle)
            self.unsynced.pop(path, None)

        os.fsync = counted  # type: ignore[assignment]
        self._wrap(RecordFile, "append", lambda file: file._file, lambda file: str(file.path))
        self._wrap(RunDirectory, "record", lambda run: run._open_log(), lambda run: run._log.name)

    def _wrap(self, kind: Any, name: str, stream: Callable[[Any], Any], path: Callable[[Any], str]) -> None:
        """Count calls of a method that appends; at the one that is meant, a few bytes of it are written."""
        original = getattr(kind, name)

        def counted(target: Any, *args: Any, **values: Any) -> Any:
            def tear() -> None:
                stream(target).write(b"\x09\x00\x01"[:2] if name == "append" else "0f0f0f0f {")
                stream(target).flush()

            stream(target)
            self._meet("append", path(target), tear)
            self.unsynced[path(target)] = None
            return original(target, *args, **values)

        setattr(kind, name, counted)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self._busy or event not in ("open", *_EVENTS):
            return
        if event == "open":
            if isinstance(args[0], str | bytes | os.PathLike) and (args[2] or 0) & _WRITING:
                path = os.path.abspath(os.fsdecode(args[0]))
                self._meet("open", path)
                self.unsynced[path] = None
            return
        folder = args[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
        paths = [_absolute(path, folder) for path in args[: 2 if event in ("os.rename", "os.link") else 1]]
        self._meet(event[3:], paths[-1])
        if event != "os.mkdir" and self.unsynced.pop(paths[0], 0) is None and len(paths) == 2:
            self.unsynced[paths[1]] = None

    def _meet(self, what: str, path: str, tear: Callable[[], None] | None = None) -> None:
        if not path.startswith(self._folder + os.sep) or path.endswith(".log"):
            return
        self.seen.append(f"{what} {os.path.relpath(path, self._folder)}")
        if len(self.seen) == self._at:
            self._busy = True
            if tear is not None:
                tear()
            self.tell(self.seen[-1])
            os._exit(CRASHED)

    def tell(self, last: str) -> None:
        """Note what was seen."""
        self._busy = True
        ours = (path for path in list(self.unsynced) if path.startswith(self._folder + os.sep))
        there = [path for path in ours if os.path.isfile(path) and not path.endswith(".log")]
        Path(self._told).write_text(json.dumps({"last": last, "count": len(self.seen), "unsynced": there}))


_EVENTS = frozenset({"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"})


def _absolute(path: Any, folder: int) -> str:
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    if isinstance(folder, int) and folder >= 0:
        text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
    return os.path.abspath(text)


@dataclass
class Figures:
    """What was seen."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class Case:
    """A small job that crashes where it is told, and is resumed."""

    def __init__(self, ground: Ground, luck: random.Random, seen: Figures) -> None:
        self.ground, self.luck, self.seen = ground, luck, seen
        self.number = self.crashes = 0
        self.lost = self.after_the_end = False
        self.story: list[str] = []
        self.told = ground.folder.with_suffix(".told")

    def begin(self, old: bool) -> None:
        """Put everything in place."""
        self.ground.clear(old)

    def session(self, at: int) -> bool:
        """Carry out a session that crashes at an operation; return whether it did."""
        self.number += 1
        self.told.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            self._in_fork(at)
        code = _wait(child)
        self.crashes += code == CRASHED
        told = json.loads(self.told.read_text()) if self.told.exists() else {"last": "?", "count": 0}
        self.count = told["count"]
        if code == CRASHED:
            self.story.append(f"session {self.number} crashed at {at}, {told['last']}")
            self.unsynced = told["unsynced"]
        elif code:
            self.story.append(f"session {self.number} ended with {code}: {told['last']}")
            self.error = told["last"]
        state = self.ground.state() if not self.lost or not code else "new"
        if state not in ("old", "new"):
            self._wrong(state)
        return code == CRASHED

    def _in_fork(self, at: int) -> None:
        ground = self.ground
        os.environ.update(environment(ground, self.number, ""))
        os.environ["SEAMLABEL_FAULT_SECONDS"] = "0"
        tap = Tap(ground.folder, at, self.told)
        code, last = 1, ""
        try:
            tap.install()
            how = dict(ground.job.how) | ({"overwrite": True} if ground.old is not None else {})
            listen = _listener(str(ground.folder / "done.log"), self.number)
            if unfinished_run(ground.run_dir) is not None and at % 2:
                seamlabel.resume(ground.run_dir, progress=False, on_event=listen, **how)
            else:
                seamlabel.segment(
                    str(ground.image), noted, progress=False, on_event=listen, **ground.wishes, **how
                )
            code = 0
        except SeamlabelError as error:
            last = f"{type(error).__name__}: {error}. {error.hint}".replace("\n", " ")
        except BaseException as error:  # noqa: BLE001 - told to the parent
            last = f"BUG {type(error).__name__}: {error}"
        finally:
            tap.tell(last)
            os._exit(code)

    def lose_power(self) -> None:
        """Leave of each file that no fsync was asked for all, nothing, or some."""
        self.lost = True
        for path in self._at_risk():
            if os.path.exists(path):
                size = os.path.getsize(path)
                os.truncate(path, self.luck.choice((0, 0, size, self.luck.randrange(size + 1))))

    def tear(self) -> None:
        """Cut the file that was written last."""
        self.lost = True
        if files := self._at_risk():
            path = files[-1]
            os.truncate(path, self.luck.randrange(os.path.getsize(path) + 1))

    def _at_risk(self) -> list[str]:
        """Return files that were not synced; those of labels that are in place already are left out.

        These are not synced by a commit: a power loss within the seconds that the system keeps them in
        memory takes them.
        """
        shown = self.ground.state() == "new"
        files = [path for path in self.unsynced if shown and "/labels/" in path]
        self.seen.counts["files of labels not synced at a crash after the commit"] += len(files)
        return [path for path in self.unsynced if path not in files]

    def finish(self) -> None:
        """Let the job end; look at what is there."""
        over = self.ground.state() == "new" and unfinished_run(self.ground.run_dir) is None
        self.after_the_end = over
        if not over:
            self.error = ""
            self.session(0)
            if self.error:
                self._wrong("could not go on")
                return
        verdict = judge(self.ground, self.crashes, after_the_end=over, lost=self.lost)
        for wrong in verdict.wrong:
            self._wrong(wrong)

    def _wrong(self, what: str) -> None:
        self.seen.wrong.append(f"{'; '.join(self.story)}: {what}")


def _listener(file: str, session: int) -> Callable[[Any], None]:
    def listen(event: Any) -> None:
        if type(event).__name__ in ("TileDone", "TileSkipped"):
            append(file, f"{session} {event.tile}")

    return listen


def _wait(child: int) -> int:
    """Return the exit code of a child; of one that hangs -9."""
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def run_crash_points(every: int = 1, seed: int = 0, kinds: str = "crash,twice,torn,power") -> dict[str, Any]:
    """Crash a small job at every `every`-th operation; return figures.

    Parameters
    ----------
    every : int
        1 for all operations.
    seed : int
        Of second crashes and of damage.
    kinds : str
        What is done at each: "crash"; "twice", once more in the resume; "torn", the file written last is
        cut; "power", what was not synced is lost.
    """
    start, luck, seen = time.monotonic(), random.Random(seed), Figures()
    place = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        base = make_base(place / "base")
        for number, wishes in enumerate(SMALL):
            fields = {"tile_shape": (200, 150), "overlap": 8, "name": "cells", **wishes}
            how = {"executor": "threads", "workers": 2, "retries": 1, "keep": False}
            ground = Ground(Job(number, False, fields, how, 0.0), base, place / f"job-{number}")
            ground.refer()
            for kind in kinds.split(","):
                _all_points(ground, kind, every, luck, seen)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    seconds = round(time.monotonic() - start, 1)
    return {**seen.counts, "wrong": seen.wrong, "seconds": seconds}


def _all_points(ground: Ground, kind: str, every: int, luck: random.Random, seen: Figures) -> None:
    """Crash one job at each operation."""
    at, old = 1 + luck.randrange(every), False
    while True:
        case = Case(ground, luck, seen)
        case.begin(old)
        if not case.session(at):
            return
        seen.counts["operations crashed at"] += kind == "crash"
        seen.counts[f"crashes, {kind}"] += 1
        if kind == "twice" and not (ground.state() == "new" and unfinished_run(ground.run_dir) is None):
            seen.counts["crashes in a resume"] += case.session(1 + luck.randrange(60))
        elif kind == "torn":
            case.tear()
        elif kind == "power":
            case.lose_power()
        case.finish()
        at, old = at + every, not old


if __name__ == "__main__":
    np.seterr(all="ignore")
    print(json.dumps(run_crash_points(*map(int, sys.argv[1:3]), *sys.argv[3:4]), indent=1))
