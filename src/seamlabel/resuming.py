"""The Python front of a run that goes on: `resume`. Thin over the engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.engine.rules import merge_fields
from seamlabel.engine.stored import HOW, read_stored
from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.io.journal import unfinished_run
from seamlabel.results import Result, carry_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.engine.stored import StoredRun
    from seamlabel.events import Event
    from seamlabel.plan import Plan
    from seamlabel.protocols import SeamRule, Segmenter


def resume(  # noqa: PLR0913 - one call for everything, all but one by name
    run_dir: str | os.PathLike[str],
    *,
    retry: bool = False,
    image: Any = None,
    backend: Segmenter | None = None,
    rule: SeamRule | None = None,
    mask: Any = None,
    table: bool = False,
    executor: str | None = None,
    scheduler: Any = None,
    workers: int | None = None,
    retries: int | None = None,
    timeout: float | None = None,
    overwrite: bool | None = None,
    accept_changes: bool = False,
    keep: bool | None = None,
    progress: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Go on with a run that was cancelled, was cut short, or in which tiles failed.

    Tiles that are finished are not segmented again; the labels are those of a run that was never
    disturbed. What is not given is as it was in the run.

    Parameters
    ----------
    run_dir : str or path
        The run directory, such as ``IMAGE.zarr.seamlabel/labels``; ``seamlabel info IMAGE`` lists them.
    retry : bool
        Segment tiles that failed, too.
    image : array, str or path, optional
        The image, where the run was of an array, or where it is elsewhere now.
    backend : callable, optional
        The function, where the run was of one that has no file or module.
    rule : callable, optional
        The seam rule, where the run was of a function that has no file or module.
    mask : array, optional
        The mask, where the run skipped tiles outside an array.
    table : bool
        Measure all objects: ``result.table``. A table that the run writes to a file is written anyway.
    executor, scheduler, workers, retries, timeout : optional
        As in `segment`.
    overwrite : bool, optional
        Replace labels of that name, once the new ones are whole.
    accept_changes : bool
        Go on although the method's code or package changed; finished tiles keep what the former gave.
    keep : bool, optional
        Keep the run directory once all is done.
    progress : bool
        Show a progress bar.
    on_event : callable, optional
        Called with every event; of tiles that are finished already, too.

    Returns
    -------
    Result
        With lazy labels.

    Raises
    ------
    OutputError
        If there is no such run or nothing to go on with; or image or method are not as they were: the
        message says what differs.
    SpecError, ImageError, BackendError, TileError
        As `segment`.
    IncompleteError
        If tiles failed, now or before; nothing was written to the output.
    """
    given = dict(locals())
    stored = read_stored(folder := _unfinished(run_dir))
    _check_image(stored, image)
    address = given["scheduler"] = scheduler if isinstance(scheduler, str) else None
    how = {name: given[name] for name in (*HOW, "overwrite") if given[name] is not None}
    return carry_out(
        _located(stored.resumed(stored.asked.replace(**how)), folder),
        image=image,
        segmenter=backend,
        rule=None if rule is None else merge_fields(rule)[1],
        mask=mask,
        measure=table,
        scheduler=None if address else scheduler,
        unfinished="resume",
        retry=retry,
        accept_changes=accept_changes,
        keep=stored.kept if keep is None else keep,
        progress=progress,
        on_event=on_event,
    )


def _check_image(stored: StoredRun, image: Any) -> None:
    """Raise if the run was of an array, and none is given."""
    if stored.spec.image is None and image is None:
        raise SpecError([Problem("image", "the run was of an array", "Give the array again, as image")])


def _located(plan: Plan, folder: Path) -> Plan:
    """Return the plan, if its run directory is this one.

    Raises
    ------
    OutputError
        If the folder was renamed.
    """
    if plan.run_dir is None or os.path.realpath(plan.run_dir) != os.path.realpath(folder):
        msg = f"{folder} was renamed: it is the run of labels '{plan.spec.name}'"
        raise OutputError(msg, f"Name it '{plan.spec.name}' again, in IMAGE.seamlabel beside image or output")
    return plan


def _unfinished(run_dir: Any) -> Path:
    """Return the folder of a run, if there is something to go on with.

    Raises
    ------
    OutputError
        If not.
    """
    try:
        folder = Path(run_dir).expanduser().absolute()
    except TypeError:
        fix = "Give the folder of the run"
        raise SpecError([Problem("run_dir", f"{run_dir!r} is no path", fix)]) from None
    if not folder.is_dir():
        msg = f"there is no folder {folder}"
        raise OutputError(msg, "A finished run leaves none; seamlabel info IMAGE lists the unfinished ones")
    if unfinished_run(folder) is None:
        read_stored(folder)  # tells if there is no run at all
        msg = f"nothing is left to do in {folder}"
        raise OutputError(msg, f"It is whole: seamlabel merge {folder}; or no tile of it was finished")
    return folder
