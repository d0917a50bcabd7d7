"""`Shown`: the run that the result panel is about; and what somebody wishes its merge to be.

Frozen data. Knows neither widgets nor how a merge is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.engine.compared import read_records
from seamlabel.engine.edits import edits_of
from seamlabel.engine.keeping import changes_of, report_of
from seamlabel.engine.stored import read_stored
from seamlabel.io.generations import records_folder
from seamlabel.napari.run.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels

    from seamlabel.engine.edits import Edit
    from seamlabel.kernels.report import MergeReport
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec

SETTINGS = ("min_size", "max_size", "drop_border")
"""Fields of a spec that a merge can change, besides the rule's."""
RULE = ("rule", "iou", "z_link")
"""Fields of `MergeSpec` that it can change."""


@dataclass(frozen=True)
class Wish:
    """How tiles are to be merged.

    Parameters
    ----------
    settings : mapping
        What differs from the run's own spec: fields of `RunSpec` as `seamlabel.engine.remerge` takes
        them; ``"merge"`` is a mapping with some fields of `MergeSpec`.
    edits : tuple of Edit
        All that was decided by hand, those made before first.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, eq=False)
class Shown:
    """A run that ended.

    Parameters
    ----------
    plan : Plan
        What was carried out.
    run_dir : str
        Its run directory; "" if it is gone.
    path : str
        The label group that was written; "" if none was, because tiles failed.
    layer : napari.layers.Labels or None
        The layer that shows the labels.
    progress : Progress
        What became of the tiles.
    report : MergeReport or None
        What happened at the seams; None where it has to be read from the run directory.
    array : array-like or None
        The image, where it has no path.
    saved : bool
        Whether the labels outlast the process.
    n_objects : int
        Objects that were written.
    written : Wish
        How the labels that are written were merged.
    place : mapping
        Fields of the spec that say where they were saved since; empty where the run wrote them.
    """

    plan: Plan
    run_dir: str
    path: str
    layer: Labels | None
    progress: Progress
    report: MergeReport | None = None
    array: Any = None
    saved: bool = True
    n_objects: int = 0
    written: Wish = Wish()
    place: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> RunSpec:
        """What gives the labels as they are written, but for edits: as the form had it, merged as last."""
        asked = self.plan.asked or self.plan.spec
        changes = {**self.written.settings, **self.place}
        if "merge" in changes:
            changes["merge"] = {**asked.merge.model_dump(), **changes["merge"]}
        return asked.replace(**changes) if changes else asked


def kept_run(run_dir: Path, path: str, layer: Labels | None, array: Any = None) -> Shown:
    """Return a run that was kept, to be looked at again.

    Parameters
    ----------
    run_dir : Path
        Its directory.
    path : str
        The label group that it wrote.
    layer : napari.layers.Labels or None
        The layer that shows them.
    array : array-like, optional
        The image, where it has no path.

    Raises
    ------
    OutputError, SpecError
        If the directory cannot be read.
    """
    stored = read_stored(run_dir)
    plan = stored.plan({}, segments=False)
    written = Wish(changes_of(run_dir, stored.spec), tuple(edits_of(run_dir)))
    progress = Progress(plan.workers)
    progress.states.update(states_of(str(run_dir), plan).values())
    report = report_of(run_dir)
    return Shown(plan, str(run_dir), path, layer, progress, report, array=array, written=written)


def states_of(run_dir: str, plan: Plan) -> dict[int, str]:
    """Return what became of the tiles of a run that ended.

    Raises
    ------
    OutputError
        If its records are gone or damaged.
    """
    path = Path(run_dir)
    tiles = read_records(path, records_folder(path), plan.grid).all_tiles()
    found = zip(tiles["tile"].tolist(), tiles["n_core"].tolist(), strict=True)
    return {tile: "done" if count else "empty" for tile, count in found}
