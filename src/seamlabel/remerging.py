"""The Python front of a merge that is done again: `remerge`. Thin over the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seamlabel.engine.edits import make_edits
from seamlabel.engine.remerge import remerge as remerge_events
from seamlabel.engine.rules import merge_fields
from seamlabel.engine.stored import read_stored
from seamlabel.io.sources import open_labels
from seamlabel.results import Result, follow

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from seamlabel.events import Event
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
    again: Sequence[int] | Literal["missing"] = (),
    image: Any = None,
    backend: Segmenter | None = None,
    name: str | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = True,
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
    again : sequence of int, or "missing"
        Tiles to segment again first, with the run's method; or all that failed.
    image : array, optional
        To segment tiles again, where the run was of an array.
    backend : callable, optional
        To segment tiles again with instead.
    name : str, optional
        Another name of the labels.
    output : str or path, optional
        Another OME-Zarr for the labels.
    overwrite : bool
        Replace labels of that name, once the new ones are whole.
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
    path = Path(run_dir)
    changes, judge = _changes(dict(locals()))
    events = remerge_events(
        path,
        changes=changes,
        edits=make_edits(join, cut, remove),
        forget=forget_edits,
        again=again,
        image=image,
        segmenter=backend,
        rule=judge,
    )
    last = follow(events, progress, on_event)
    plan = read_stored(path).plan({**changes, "overwrite": True}, segments=False)
    what = open_labels(last.path)[0], last.n_objects, last.path, dict(last.failed), plan, last.seconds
    return Result(*what, report=last.report, run_dir=last.run_dir)


def _changes(given: dict[str, Any]) -> tuple[dict[str, Any], SeamRule | None]:
    """Return the fields of the spec that change, and the rule if it is a function."""
    merge, judge = {}, None
    if given["rule"] is not None:
        fields, judge = merge_fields(given["rule"])
        merge["rule"] = fields["rule"]
    merge |= {name: given[name] for name in ("iou", "z_link") if given[name] is not None}
    names = ("min_size", "max_size", "drop_border", "name", "overwrite")
    changes = {name: given[name] for name in names if given[name] is not None}
    if given["output"] is not None:
        changes["output"] = str(Path(given["output"]).expanduser())
    return {**changes, "merge": merge}, judge
