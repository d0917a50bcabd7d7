"""kill -9 at random instants: of coordinators, workers and whole groups, in every phase of a run.

Every job runs in chains: killed, resumed, killed again, and at last left to end. Knows what must hold
after that, not how a run does it.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.faults.jobs import Ground, environment, make_base, make_jobs
from tests.faults.judge import judge
from tests.faults.processes import Leftovers, Session
from tests.faults.session import PHASES

from seamlabel.io.journal import unfinished_run

if TYPE_CHECKING:
    from tests.faults.jobs import Job

WEIGHTS = {"start": 2, "recover": 2, "segment": 8, "merge": 1, "paint": 2, "commit": 2, "remove": 2}
USUAL = {
    "start": 1.0,
    "recover": 0.1,
    "segment": 1.0,
    "merge": 0.004,
    "paint": 0.05,
    "commit": 0.005,
    "remove": 0.005,
}
PER_JOB = 7
"""Kills of a job, about."""
MOST_SESSIONS = 12
"""Of a chain; one that needs more does not come on."""
LONG = 120.0
"""Seconds after which a session is said to hang."""


@dataclass
class Figures:
    """What was seen."""

    jobs: int = 0
    chains: int = 0
    sessions: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    tiles: int = 0
    again: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self, leftovers: Leftovers) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "jobs": self.jobs, "chains": self.chains, "sessions": self.sessions,
            "kills": sum(self.kills.values()), "by victim": dict(self.kills), "by phase": dict(self.phases),
            "tiles": self.tiles, "calls": self.calls, "done tiles segmented again": self.again,
            "killed after the end": self.late,
            "wrong": self.wrong, "left behind": leftovers.found, "seconds": round(self.seconds, 1),
        }  # fmt: skip


class Chain:
    """One job, killed several times and then left to end."""

    def __init__(self, ground: Ground, luck: random.Random, seen: Figures, leftovers: Leftovers) -> None:
        self.ground, self.luck, self.seen, self.leftovers = ground, luck, seen, leftovers
        self.usual = USUAL | {"segment": ground.n_tiles * ground.job.seconds / ground.job.how["workers"]}
        self.usual |= ground.usual
        self.killed: Counter[str] = Counter()
        self.number = 0
        self.after_the_end = False
        """Whether it was killed when all was whole, so that what it was removing may lie about."""
        self.story: list[str] = []

    def run(self, kills: int, old: bool) -> None:
        """Disturb the job so often, let it end, and look at what is there."""
        self.ground.clear(old)
        ended = over = False
        while not (ended or over) and self.number < MOST_SESSIONS:
            self.number += 1
            ended = self._session(kills - sum(self.killed.values()))
            state = self.ground.state()
            if state not in ("old", "new"):
                self._wrong(state)
            over = state == "new" and unfinished_run(self.ground.run_dir) is None
            self.after_the_end = over and not ended
        self.seen.chains += 1
        self.seen.late += self.after_the_end
        self._check()

    def _session(self, left: int) -> bool:
        """Carry out one session, killed if any kills are left; return whether it came to its end."""
        token = uuid4().hex
        self.seen.sessions += 1
        log = self.ground.folder / "session.log"
        session = Session(self._given(), environment(self.ground, self.number, token), log)
        try:
            for phase, share, whom in self._blows(left):
                if not self._wait_for(session, phase) or not session.hear(share * self.usual[phase]):
                    break
                if session.kill(whom, self.luck.randrange(100)) and session.told("end") is None:
                    self._count(session, whom)
                if whom != "worker":
                    break
            if session.hear(LONG):
                self._wrong("a session hangs")
                session.kill("group", 0)
        finally:
            session.close()
        self._learn(session)
        self.leftovers.expect_none(token, self.story[-1] if self.story else str(self.ground.job))
        if session.process.returncode not in (0, -9):
            text = (log.read_text(errors="replace")[-1500:]) if log.exists() else ""
            self._wrong(f"a session ended with {session.process.returncode}: {session.error} {text}")
        return session.process.returncode != -9

    def _wait_for(self, session: Session, phase: str) -> bool:
        """Wait for a phase; False if the session has ended."""
        return session.hear(LONG, until=phase) and session.process.poll() is None

    def _blows(self, left: int) -> list[tuple[str, float, str]]:
        """Return where to kill whom in a session: workers first, and at last what ends it."""
        if left <= 0:
            return []
        far = self.ground.job.how["executor"] in ("processes", "dask")
        workers = self.luck.choice((0, 0, 1, 1, 2)) if far else 0
        blows = [("segment", self.luck.uniform(0, 0.6), "worker") for _ in range(min(workers, left - 1))]
        phase = self.luck.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        whom = self.luck.choice(("coordinator", "group")) if far else "coordinator"
        return [*blows, (phase, self.luck.uniform(0, 1.1), whom)]

    def _count(self, session: Session, whom: str) -> None:
        phase = max(session.times, key=lambda name: PHASES.index(name) if name in PHASES else -1, default="")
        self.killed[whom] += 1
        self.seen.kills[f"{whom}, {self.ground.job.how['executor']}"] += 1
        self.seen.phases[phase] += 1
        self.story.append(f"session {self.number}: {whom} killed in {phase}")

    def _learn(self, session: Session) -> None:
        """Take note of how long phases last."""
        known = [name for name in PHASES if name in session.times]
        for one, other in pairwise(known):
            self.usual[one] = self.ground.usual[one] = session.times[other] - session.times[one]

    def _given(self) -> dict[str, Any]:
        """Return what a session is to do: the same call again, or `resume`."""
        ground = self.ground
        run = unfinished_run(ground.run_dir)
        resumes = run is not None and self.luck.random() < 0.5
        how = dict(ground.job.how) | {"overwrite": True} if ground.old is not None else dict(ground.job.how)
        return {
            "session": self.number,
            "image": str(ground.image),
            "done": str(ground.folder / "done.log"),
            "resume": str(ground.run_dir) if resumes else "",
            "wishes": ground.wishes,
            "how": how,
        }

    def _check(self) -> None:
        """Look at what is there at the end."""
        for log in self.ground.folder.glob("session-*.json"):
            log.unlink()
        found = judge(self.ground, sum(self.killed.values()), after_the_end=self.after_the_end)
        self.seen.calls += found.calls
        self.seen.tiles += len(self.ground.tiles)
        self.seen.again += len(found.again)
        for wrong in found.wrong:
            self._wrong(wrong)

    def _wrong(self, what: str) -> None:
        self.seen.wrong.append(f"{self.ground.job}: {'; '.join(self.story)}: {what}")


def run_kills(
    n: int = 216, seed: int = 0, kinds: str = "tptdptptd", folder: str | None = None
) -> dict[str, Any]:
    """Kill at random instants until there were at least `n` kills; return figures.

    Parameters
    ----------
    n : int
        Kills.
    seed : int
        Of jobs and instants.
    kinds : str
        Executors by turns: t(hreads), p(rocesses), d(ask).
    folder : str, optional
        Where to; a temporary folder by default, removed at the end.
    """
    start, luck, seen, leftovers = time.monotonic(), random.Random(seed), Figures(), Leftovers()
    place = Path(folder or tempfile.mkdtemp(prefix="faults-"))
    try:
        base = make_base(place / "base")
        jobs = iter(make_jobs(n + 1, seed, kinds))
        while sum(seen.kills.values()) < n:
            before = sum(seen.kills.values())
            _disturb(next(jobs), Ground, base, place, luck, seen, leftovers, n)
            if sum(seen.kills.values()) == before:
                break
        leftovers.wait()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    seen.seconds = time.monotonic() - start
    return seen.table(leftovers)


def _disturb(
    job: Job,
    make: type[Ground],
    base: Path,
    place: Path,
    luck: random.Random,
    seen: Figures,
    leftovers: Leftovers,
    n: int,
) -> None:
    """Disturb one job in chains of one to four kills."""
    ground = make(job, base, place / f"job-{job.number}")
    ground.refer()
    seen.jobs += 1
    before, wrong = sum(seen.kills.values()), len(seen.wrong)
    old = luck.random() < 0.5
    while (so_far := sum(seen.kills.values()) - before) < PER_JOB and so_far + before < n:
        Chain(ground, luck, seen, leftovers).run(luck.choice((1, 2, 3, 3, 4, 4)), old)
        old = not old
    shutil.rmtree(ground.folder, ignore_errors=True)
    print(
        f"{job}: {sum(seen.kills.values())} kills, {len(seen.wrong) - wrong} wrong",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:3]]
    print(json.dumps(run_kills(*numbers, *sys.argv[3:4]), indent=1))
