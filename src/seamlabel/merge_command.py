"""The commands `merge` and `resume`, and what a command says once labels are written."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SpecError
from seamlabel.events import to_json

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from seamlabel.engine.edits import Edit
    from seamlabel.events import Event
    from seamlabel.results import Result


def merge(args: Namespace) -> int:
    """Merge the tiles of a kept run again."""
    from seamlabel.remerging import remerge

    edits = _edits(args)
    names = ("iou", "z_link", "min_size", "max_size", "drop_border", "name", "output", "table")
    given: dict[str, Any] = {name: getattr(args, name) for name in names}
    for kind in ("join", "cut"):
        given[kind] = [edit.points for edit in edits if edit.kind == kind]

    call = partial(
        remerge,
        args.run_dir,
        rule=args.merge,
        **given,
        remove=[edit.points[0] for edit in edits if edit.kind == "remove"],
        forget_edits=args.no_edits,
        overwrite=args.overwrite,
        again=_tiles(args.again),
        image=args.image,
    )
    return follow(args, call, f"The labels and {args.run_dir} are as they were.")


def resume(args: Namespace) -> int:
    """Go on with a run that did not reach its end."""
    from seamlabel.resuming import resume as go_on

    call = partial(
        go_on,
        args.run_dir,
        retry=args.retry_failed,
        image=args.image,
        executor=args.executor,
        scheduler=args.scheduler,
        workers=args.workers,
        retries=args.retries,
        timeout=args.timeout,
        overwrite=args.overwrite or None,
        accept_changes=args.accept_changes,
    )
    return follow(args, call, run_dir=args.run_dir)


def follow(
    args: Namespace, call: Callable[..., Result], interrupted: str = "", run_dir: str | None = None
) -> int:
    """Carry out a run or a merge and tell of it, as progress or as events in JSON; return the exit code.

    Parameters
    ----------
    args : Namespace
        Says how to tell.
    call : callable
        Takes `progress` and `on_event`.
    interrupted : str
        What to say after Ctrl-C; by default what is left of the run in `run_dir`.
    run_dir : str, optional
        Where its tiles are staged.
    """
    try:
        with events_in_json(args.json) as say_event:
            result = call(progress=not (args.quiet or args.json), on_event=say_event)
    except KeyboardInterrupt:
        if interrupted:
            print(f"\n{interrupted}", file=sys.stderr)
        else:
            say_interrupted(run_dir)
        raise
    if not args.json:
        say_end(result)
    return 0


@contextmanager
def events_in_json(wanted: bool) -> Iterator[Callable[[Event], None] | None]:
    """Give what prints events as lines of JSON, None if they are not wanted.

    Meanwhile all that methods print, from Python or from C, goes to stderr.
    """
    if not wanted:
        yield None
        return
    with ExitStack() as after:
        out = sys.stdout
        after.callback(setattr, sys, "stdout", out)
        with suppress(OSError, ValueError):  # it is no file, but a test's or a notebook's
            if out.fileno() == 1:
                out.flush()
                own = os.dup(1)
                os.dup2(2, 1)
                out = after.enter_context(os.fdopen(own, "w", encoding="utf-8"))
                after.callback(os.dup2, own, 1)
        sys.stdout = sys.stderr
        yield lambda event: print(json.dumps(to_json(event)), file=out, flush=True)


def say_interrupted(run_dir: str | None) -> None:
    """Print what is left of an interrupted run, and how to go on."""
    from seamlabel.io.journal import unfinished_run

    left = unfinished_run(Path(run_dir)) if run_dir else None
    print("\nThe labels were not touched.", file=sys.stderr)
    if left is not None:
        print(f"{left}. Go on: seamlabel resume {left.path}", file=sys.stderr)


def _edits(args: Namespace) -> list[Edit]:
    """Return the edits of the file and of the options."""
    from seamlabel.engine.edits import read_edits, typed_edit
    from seamlabel.engine.stored import read_stored

    found: list[Edit] = []
    if args.edits:
        info = read_stored(Path(args.run_dir)).info
        found += read_edits(Path(args.edits), [info.axes[i].name for i in info.label_axes])
    for kind in ("join", "cut", "remove"):
        found += [typed_edit(kind, text) for text in getattr(args, kind) or []]
    return found


def _tiles(text: str | None) -> Any:
    if text is None or text == "missing":
        return text or ()
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        fix = "Give numbers of tiles, such as 3,7, or 'missing'"
        raise SpecError([Problem("again", f"'{text}' is not understood", fix)]) from None


def say_end(result: Result) -> None:
    """Print what came out, what was doubtful, and how to merge again."""
    from seamlabel.engine.advice import overlap_advice

    print(result.headline)
    report = result.report
    if report is not None and report.n_compared and result.run_dir:
        print(f"seams: {report.summary}")
    if report is not None and (advice := overlap_advice(result.plan, report)):
        print(f"note: {advice}")
    if result.run_dir:
        merge = result.plan.spec.merge
        iou = f" --iou {merge.iou:g}" if merge.has_threshold else ""
        print(f"Merge again: seamlabel merge {result.run_dir}{iou}")
