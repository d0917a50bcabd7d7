"""`Leftover`: a run that did not reach its end, as the dock needs to know it.

Reads run directories; knows neither Qt nor layers.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from time import time
from typing import TYPE_CHECKING, Any

from seamlabel import registry
from seamlabel.engine.claim import other_wishes
from seamlabel.engine.keeping import pinned
from seamlabel.engine.stored import read_stored
from seamlabel.errors import OutputError
from seamlabel.io.journal import unfinished_run
from seamlabel.io.lock import STALE_SECONDS
from seamlabel.io.owner import is_alive, is_elsewhere
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seamlabel.engine.stored import StoredRun
    from seamlabel.io.journal import Unfinished
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec

SHOWN = 3
"""Differences that are listed before "and N more"."""
WORDS = {"backend": "method", "target": "function"}
"""Names of fields of the spec that are others in the dock."""
Stamp = tuple[tuple[str, int, int], ...]
"""Names, times and sizes of the files that tell of unfinished runs."""


@dataclass(frozen=True)
class Leftover:
    """A run that did not reach its end.

    Parameters
    ----------
    run : Unfinished
        How far it is.
    stored : StoredRun or None
        What was asked for; None if that cannot be read.
    trouble : str
        Why it cannot go on now, "" if it can.
    busy : bool
        Whether another process works on it.
    """

    run: Unfinished
    stored: StoredRun | None
    trouble: str = ""
    busy: bool = False

    @property
    def all_tried(self) -> bool:
        """Whether nothing but failed tiles is left."""
        return self.run.done + len(self.run.failed) >= self.run.total > 0

    def trouble_on(self, plan: Plan) -> str:
        """Return why it cannot go on on the image of a plan, "" if it can."""
        if self.trouble or self.stored is None:
            return self.trouble
        shapes = [[level.shape for level in info.levels] for info in (self.stored.info, plan.info)]
        return "" if shapes[0] == shapes[1] else "It was of an image of another shape."

    def differences(self, plan: Plan) -> list[str]:
        """Return in words in what a plan differs from what was asked for, as far as labels depend on it."""
        if self.stored is None:
            return []
        before, now = _comparable(self.stored, plan)
        texts = other_wishes(before.replace(params={}), now.replace(params={}))
        if before.backend == now.backend:
            names = [*before.params, *(name for name in now.params if name not in before.params)]
            pairs = ((name, before.params.get(name), now.params.get(name)) for name in names)
            texts += [f"{name} was {_short(a)}, is {_short(b)}" for name, a, b in pairs if a != b]
        return [_plain(text) for text in texts]

    def reasons(self) -> str:
        """Return why most tiles failed, and how many other causes there are; "" if none failed."""
        counts = Counter(reason.split("\n")[0][:90] for reason in self.run.failed.values()).most_common()
        if not counts:
            return ""
        others = f"; and {many(len(counts) - 1, 'other cause')}" if len(counts) > 1 else ""
        return f"{many(counts[0][1], 'tile')}: {counts[0][0]}{others}"

    def resumed(self, now: RunSpec) -> Plan:
        """Return the plan to go on with.

        Parameters
        ----------
        now : RunSpec
            Says where tiles are segmented, and whether labels may be replaced.

        Raises
        ------
        SpecError, OutputError
            If it cannot go on.
        """
        assert self.stored is not None
        return self.stored.resumed(now)


def listed(texts: list[str]) -> str:
    """Return the first few of some texts as one."""
    left = len(texts) - SHOWN
    return "; ".join([*texts[:SHOWN], *([f"and {left:,} more"] if left > 0 else [])])


def look(run_dir: Path) -> Leftover | None:
    """Return the unfinished run of a directory, or else the latest of those beside it, None if there is none.

    Parameters
    ----------
    run_dir : Path
        The run directory of a plan; need not exist.
    """
    own = unfinished_run(run_dir)
    if own is not None:
        return _leftover(own)
    others = sorted(_runs(run_dir.parent), key=_time, reverse=True)
    found = next((run for run in map(unfinished_run, others) if run is not None), None)
    return None if found is None else _leftover(found)


def stamp(run_dir: Path) -> Stamp:
    """Return what changes whenever `look` may have another answer; costs a few looks at the disk."""
    files = []
    for folder in sorted({run_dir, *_runs(run_dir.parent)}):
        lock = folder.with_name(f"{folder.name}.lock")
        names = [folder / name for name in ("run.json", "plan.json", "report.json")]
        files += [lock, *names, *sorted((folder / "journal").glob("*.jsonl"))]
    return tuple(_seen(file) for file in files)


def _seen(file: Path) -> tuple[str, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0
    held = file.suffix == ".lock"  # it is touched every few seconds, which changes nothing
    return str(file), 1 if held else found.st_mtime_ns, found.st_size


def _runs(folder: Path) -> Iterator[Path]:
    if folder.suffix == ".seamlabel" and folder.is_dir():
        yield from (file.parent for file in folder.glob("*/run.json"))


def _time(run_dir: Path) -> float:
    times = [_seen(file)[1] for file in (run_dir / "journal").glob("*.jsonl")]
    return max(times, default=0)


def _leftover(run: Unfinished) -> Leftover:
    try:
        stored = read_stored(run.path)
    except OutputError as error:
        return Leftover(run, None, f"It cannot be read: {error}. {error.hint}.")
    total = run.total or stored.region.n_tiles
    busy = in_use(run.path)
    trouble = "It is under way in another window or process." if busy else ""
    return Leftover(replace(run, total=total), stored, trouble, busy)


def in_use(run_dir: Path) -> bool:
    """Return whether a process that lives holds the lock of a run."""
    lock = run_dir.with_name(f"{run_dir.name}.lock")
    try:
        owner = json.loads(lock.read_text())
        if is_elsewhere(owner):
            return time() - lock.stat().st_mtime < STALE_SECONDS
    except (OSError, ValueError):
        return False
    return is_alive(owner)


def _comparable(stored: StoredRun, plan: Plan) -> tuple[RunSpec, RunSpec]:
    """Return what was and what is asked for, written in one way."""
    before, now, exact = stored.asked, plan.asked or plan.spec, pinned(plan)
    for field in ("channels", "tile_shape", "overlap"):
        if getattr(before, field) != getattr(now, field):
            before = before.replace(**{field: getattr(stored.spec, field)})
            now = now.replace(**{field: getattr(exact, field)})
    return _filled(before), _filled(now)


def _filled(spec: RunSpec) -> RunSpec:
    """Return a spec with all parameters of its backend, also those that were left out."""
    record = registry.backends().get(spec.backend)
    params = record.parse(spec.params)[0] if record else None
    return spec if params is None else spec.replace(params=asdict(params))


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 40 else f"'…{text[-37:]}"  # paths differ at their ends


def _plain(text: str) -> str:
    """Return a difference with the field's name, and lists, as people write them."""
    name, _, rest = text.partition(" ")
    return f"{WORDS.get(name, name).replace('_', ' ')} {rest.replace('[', '(').replace(']', ')')}"
