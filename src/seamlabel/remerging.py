"""The Python front of a merge that is done again: `remerge`. Thin over the engine."""

from __future__ import annotations

from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seamlabel.engine.edits import make_edits
from seamlabel.engine.remerge import remerge as remerge_events
from seamlabel.engine.reopen import reopen
from seamlabel.engine.rules import merge_fields
from seamlabel.engine.stored import read_stored
from seamlabel.errors import Problem, SpecError
from seamlabel.io.final import final_labels
from seamlabel.results import Result, follow, table_field

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from seamlabel.engine.table import Table
    from seamlabel.events import Event
    from seamlabel.plan import Plan
    from seamlabel.protocols import SeamRule, Segmenter

    Point = Sequence[int]
    Pair = tuple[Point, Point]


def remerge(  # noqa: PLR0913 - one call for everything, all but one by name
    run_dir: str | os.PathLike[str],
    *,
    iou: float | None = None,
    rule: str | SeamRule | None = None,
    z_link: float | None = None,
    min_size: int | str | None = None,
    max_size: int | str | None = None,
    drop_border: bool | None = None,
    join: Iterable[Pair] = (),
    cut: Iterable[Pair] = (),
    remove: Iterable[Point] = (),
    forget_edits: bool = False,
    again: int | Sequence[int] | Literal["missing"] = (),
    image: Any = None,
    backend: Segmenter | None = None,
    name: str | None = None,
    output: str | os.PathLike[str] | None = None,
    table: bool | str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Merge the tiles of a kept run again, without segmenting them.

    Settings that are not given are those of the run. Edits are kept in the run directory and count in
    every later merge.

    Parameters
    ----------
    run_dir : str or path
        The run directory, ``result.run_dir`` of ``segment(..., keep=True)``.
    iou : float, optional
        Least intersection over union of one object's versions.
    rule : str or callable, optional
        Another rule that compares the same voxels: ``"iou"``, ``"file.py:function"`` or
        ``rule(common, one, other)``.
    z_link : float, optional
        For planes that were linked: least intersection over union of one object in two planes.
    min_size, max_size : int or str, optional
        Objects that are smaller or larger are removed.
    drop_border : bool, optional
        Remove objects at the image's border.
    join, cut : iterable of pairs of points
        Objects that are one, and that are not: ``[((y, x), (y, x)), ...]`` in voxels of the level that
        was segmented, over the axes of the labels. A point means the label that lies there in the
        tile that owns the voxel.
    remove : iterable of points
        Objects to remove.
    forget_edits : bool
        Forget the edits made before.
    again : int or sequence of int, or "missing"
        Tiles to segment again first, with the run's method; or all that failed.
    image : array, str or path, optional
        To segment tiles again, or to measure objects, where the run was of an array, or where the
        image is elsewhere now.
    backend : callable, optional
        To segment tiles again with instead.
    name : str, optional
        Another name of the labels.
    output : str or path, optional
        Another OME-Zarr for the labels.
    table : bool or path, optional
        Measure all objects: ``result.table``; a path (``.csv``, ``.parquet``) is written too. None: where
        the labels of the run are replaced, its file of a table is written anew. This looks at the image.
    overwrite : bool
        With another `name` or `output`: replace labels that are there, once the new ones are whole.
        Labels of the run itself are always replaced.
    progress : bool
        Show a progress bar.
    on_event : callable, optional
        Called with every event.

    Returns
    -------
    Result
        With lazy labels.

    Raises
    ------
    SpecError
        If a setting or an edit cannot be carried out; `.problems` say why.
    OutputError
        If there is no such run, tiles of it are missing, or labels cannot be written.
    IncompleteError
        If tiles failed again; nothing was changed.
    """
    tables: list[Table] = []
    changes, judge = _changes(dict(locals()))
    folder, plan = _planned(run_dir, changes, image)
    events = remerge_events(
        folder,
        changes=changes,
        edits=make_edits(join, cut, remove),
        forget=forget_edits,
        again=_tiles(again),
        image=image,
        segmenter=backend,
        rule=judge,
        on_table=tables.append if table or plan.spec.table else None,
    )
    last = follow(events, progress, on_event)
    what = final_labels(last.path), last.n_objects, last.path, dict(last.failed), plan, last.seconds
    return Result(*what, tables[0] if tables else None, last.report, last.run_dir)


def _planned(run_dir: Any, changes: dict[str, Any], image: Any) -> tuple[Path, Plan]:
    """Return the folder of the run and the plan of its merge, if an image that is given is the run's."""
    try:
        folder = Path(run_dir).expanduser()
    except TypeError:
        fix = "Give result.run_dir of segment(..., keep=True)"
        raise SpecError([Problem("run_dir", f"{run_dir!r} is no path", fix)]) from None
    plan = read_stored(folder).plan({**changes, "overwrite": True}, segments=False)
    if image is not None:
        reopen(plan, image)  # another one is told, though this merge may not look at it
    return folder, plan


def _tiles(again: Any) -> Sequence[int] | Literal["missing"]:
    """Return numbers of tiles, of one or several; or "missing"."""
    if again == "missing":
        return "missing"
    try:
        return [index(n) for n in ([again] if isinstance(again, int) else again)]
    except TypeError:
        fix = "Give numbers of tiles, such as [3, 7], or 'missing'"
        raise SpecError([Problem("again", f"{again!r} is not understood", fix)]) from None


def _changes(given: dict[str, Any]) -> tuple[dict[str, Any], SeamRule | None]:
    """Return the fields of the spec that change, and the rule if it is a function."""
    backend = given["backend"]
    if backend is not None and not callable(backend):
        fix = "Give a function, fn(tile) -> labels, or leave it out to use the run's own method"
        raise SpecError([Problem("backend", f"{backend!r} is no function", fix)])
    merge, judge = {}, None
    if given["rule"] is not None:
        fields, judge = merge_fields(given["rule"])
        merge["rule"] = fields["rule"]
    merge |= {name: given[name] for name in ("iou", "z_link") if given[name] is not None}
    names = ("min_size", "max_size", "drop_border", "name")
    changes = {name: given[name] for name in names if given[name] is not None}
    if given["table"] is not None:
        changes["table"] = table_field(given["table"])
    if given["overwrite"]:
        changes["overwrite"] = True
    if given["output"] is not None:
        changes["output"] = str(Path(given["output"]).expanduser())
    return {**changes, "merge": merge}, judge
