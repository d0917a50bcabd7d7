"""`Result`, and the loop that follows a run's events to its end.

Knows events and what is left when they end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel.engine.run import run
from seamlabel.errors import IncompleteError, Problem, SpecError
from seamlabel.events import RunFinished
from seamlabel.io.final import final_labels
from seamlabel.progress import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from seamlabel.engine.table import Table
    from seamlabel.events import Event
    from seamlabel.kernels.report import MergeReport
    from seamlabel.plan import Plan


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Parameters
    ----------
    labels : lazy array
        Labels at full resolution, axes ``(t)zyx`` or ``(t)yx``; ``np.asarray(result.labels)`` reads
        all of them, slices only what they need. Once these labels are replaced, such as by `remerge`,
        that raises `OutputError`.
    n_objects : int
        Ids are 1..n_objects.
    path : str
        The label group, an NGFF image. Temporary (until the process ends) for arrays without output.
    failed : dict of int to str
        Tiles that failed, with reasons; empty, because a run that is not whole raises.
    plan : Plan
        What was carried out.
    seconds : float
        Wall time.
    table : dict of str to 1-D ndarray, or None
        What is known of every object, by column, if it was asked for.
    report : MergeReport
        What was joined, refused, dropped and doubtful where tiles meet.
    run_dir : str or None
        The run directory, if it was kept: `remerge` merges it again.
    """

    labels: Any
    n_objects: int
    path: str
    failed: dict[int, str]
    plan: Plan
    seconds: float
    table: dict[str, Any] | None = None
    report: MergeReport | None = None
    run_dir: str | None = None

    def __repr__(self) -> str:
        """Return what came out, in a few lines; all of it is in the attributes."""
        lines = [self.headline]
        if self.table is not None:
            lines.append(f"table of {len(self.table)} columns")
        if self.report is not None and self.report.n_compared:
            lines.append(f"seams: {self.report.summary}")
        if self.run_dir:
            lines.append(f"run kept in {self.run_dir}")
        return f"Result({(chr(10) + ' ' * 7).join(lines)})"

    @property
    def headline(self) -> str:
        """How many objects there are, how long it took and where they are."""
        objects = f"{self.n_objects:,} object{'s' * (self.n_objects != 1)}"
        return f"{objects} in {self.seconds:.1f} s: {self.path}"


def table_field(table: bool | str | os.PathLike[str]) -> str | None:
    """Return what the spec says of a table: a path, None for one in memory or none.

    Raises
    ------
    SpecError
        If it is something else.
    """
    if isinstance(table, bool):
        return None
    try:
        return os.fspath(table)
    except TypeError:
        fix = "Give True, or a path that ends in .csv or .parquet"
        raise SpecError([Problem("table", f"{table!r} is no path", fix)]) from None


def follow(
    events: Generator[Event, None, None], progress: bool, on_event: Callable[[Event], None] | None
) -> RunFinished:
    """Take events to their end, showing and handing them on.

    Raises
    ------
    IncompleteError
        If tiles failed.
    """
    bar = ProgressBar() if progress else None
    last: Event | None = None
    try:
        for last in events:
            if bar:
                bar(last)
            if on_event:
                on_event(last)
    finally:
        events.close()
        if bar:
            bar.close()
    assert isinstance(last, RunFinished)
    if last.failed:
        raise IncompleteError(last.failed, last.run_dir)
    return last


def carry_out(
    plan: Plan,
    *,
    measure: bool = False,
    progress: bool = True,
    on_event: Callable[[Event], None] | None = None,
    **handed: Any,
) -> Result:
    """Run a plan to its end and return the result; see `seamlabel.segment` for parameters and errors.

    What else is `handed` goes to `run`: image, segmenter, rule, mask, keep, unfinished, …
    """
    tables: list[Table] = []
    take = tables.append if measure else None
    events = run(plan, **handed, on_table=take)
    last = follow(events, progress, on_event)
    labels, table = final_labels(last.path), tables[0] if tables else None
    where = last.run_dir if handed.get("keep") else None
    return Result(labels, last.n_objects, last.path, {}, plan, last.seconds, table, last.report, where)
