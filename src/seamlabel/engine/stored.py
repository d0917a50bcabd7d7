"""What a run directory says of its run: the plan with every "auto" pinned, the report, the edits.

From it the merge is done again without looking at the image. Knows JSON, no tiles and no labels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.axes import Axis, ImageInfo, LevelInfo
from seamlabel.engine.rules import check_threshold
from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.geometry import TileGrid
from seamlabel.io.ngff.model import label_names
from seamlabel.io.ngff.strict import load_document
from seamlabel.io.temporary import is_temporary
from seamlabel.plan import Plan, resolve
from seamlabel.region import Region
from seamlabel.spec import RunSpec
from seamlabel.staged import ObjectFilter

if TYPE_CHECKING:
    from collections.abc import Mapping


PLAN = "plan.json"
PLACES = "report.npz"
SETTINGS = "merged.json"
"""With what the labels were merged last, where that was not as in the plan."""
MERGED = ("merge", "min_size", "max_size", "drop_border")
"""Fields of a spec that a merge depends on, and no tile."""
FORMAT = 2
"""Of run directories; others are not read."""
SHOWN = 5
"""Runs that are named where none was found."""
HOW = ("executor", "scheduler", "workers", "retries", "timeout")
"""Fields of a spec that say how a run is carried out, and that no label depends on."""
PLENTY = 1 << 50
"""Bytes: a merge that is done again segments nothing, so tiles need not fit into memory."""


@dataclass(frozen=True)
class StoredRun:
    """A run as its directory tells of it.

    Parameters
    ----------
    spec : RunSpec
        What was asked for, with every "auto" a number, and paths absolute.
    info : ImageInfo
        The image.
    grid : TileGrid
        The tiles.
    keep : ObjectFilter
        Which objects were kept: those that tiles have alone are counted so.
    output : str
        The store that got the labels.
    asked : RunSpec
        What was asked for.
    identity : dict of str to str
        What told image and method.
    kept : bool
        Whether the run directory was to be kept.
    """

    spec: RunSpec
    info: ImageInfo
    grid: TileGrid
    keep: ObjectFilter
    output: str
    asked: RunSpec
    identity: dict[str, str]
    kept: bool = False

    @property
    def region(self) -> Region:
        """Which tiles are segmented."""
        return Region.of(self.grid, self.spec.region)

    def plan(self, changes: Mapping[str, Any], *, segments: bool) -> Plan:
        """Return the plan of a merge with some settings changed.

        Parameters
        ----------
        changes : mapping
            Fields of the spec; `merge` may be a mapping with some of its own fields.
        segments : bool
            Whether tiles are segmented again, so that memory counts.

        Raises
        ------
        SpecError
            If a setting is wrong, or needs other comparisons than those that were made.
        OutputError
            If the run was made by a version that cut tiles in another way.
        """
        merge = changes.get("merge") or {}
        merged = {**self.spec.merge.model_dump(), **merge}
        spec = self._of_others(changes).replace(**{**changes, "merge": merged})
        self._check_rows(spec)
        if "iou" in merge:
            check_threshold(spec.merge)
        target = spec.output or self.output
        info = replace(self.info, labels=label_names(Path(target)), writable=True)
        plan = resolve(spec.replace(output=target), info, memory_bytes=None if segments else PLENTY)
        if plan.grid != self.grid:
            msg = f"this version of seamlabel would cut other tiles ({plan.grid}) than the run ({self.grid})"
            raise OutputError(msg, "Use the version that the run was made with, or segment again")
        return replace(plan, spec=spec)

    def resumed(self, now: RunSpec) -> Plan:
        """Return the plan to go on with; how and where tiles are segmented may have changed.

        Parameters
        ----------
        now : RunSpec
            Says executor, scheduler, workers, retries and time-out, and whether labels may be replaced.

        Raises
        ------
        SpecError, OutputError
            As `plan`; such as if memory does not hold a tile any more.
        """
        how = {name: getattr(now, name) for name in HOW}
        plan = self.plan(how, segments=True)
        return replace(plan, spec=plan.spec.replace(overwrite=now.overwrite), asked=self.asked)

    def _of_others(self, changes: Mapping[str, Any]) -> RunSpec:
        """Return the spec; where labels go elsewhere, what is there and the run's table are left alone."""
        places = {name: changes[name] for name in ("output", "name") if changes.get(name)}
        same = self.replaced_by(self.spec.replace(**places))
        return self.spec if same else self.spec.replace(overwrite=False, table=None)

    def replaced_by(self, spec: RunSpec) -> bool:
        """Return whether labels of that spec take the place of the run's own."""
        target = os.path.realpath(os.path.expanduser(spec.output or self.output))
        return (target, spec.name) == (self.output, self.spec.name)

    def _check_rows(self, spec: RunSpec) -> None:
        """Raise if the rule needs other pairs than those that the run compared."""
        old, new = self.spec.merge, spec.merge
        same = old.overlapping and new.overlapping and old.connectivity == new.connectivity
        if not same and (old.rule, old.connectivity) != (new.rule, new.connectivity):
            made = old.rule + (f", connectivity {old.connectivity}" if old.connectivity else "")
            fix = "Keep that rule, or segment again"
            message = f"the run compared tiles for '{made}', '{new.rule}' needs other comparisons"
            raise SpecError([Problem("merge.rule", message, fix)])
        if (old.z_link is None) != (new.z_link is None):
            state = "were not compared" if old.z_link is None else "were compared"
            raise SpecError([Problem("merge.z_link", f"planes {state} in the run", "Segment again")])


def read_stored(run_dir: Path) -> StoredRun:
    """Read what a run directory says of its run.

    Raises
    ------
    OutputError
        If there is no such run, or it cannot be understood.
    """
    try:
        found = load_document(run_dir / PLAN)
        if found["format"] != FORMAT:
            msg = f"{run_dir} was made by another version of seamlabel (format {found['format']})"
            raise OutputError(msg, "Use that version; or start over: --restart, unfinished='restart'")
        spec = RunSpec(**found["spec"])
        grid = TileGrid(**{name: tuple(values) for name, values in found["grid"].items()})
        keep = ObjectFilter(**found["keep"])
        rest = RunSpec(**found["asked"]), dict(found["identity"]), bool(found["kept"])
        stored = StoredRun(spec, _info(found["info"]), grid, keep, str(found["output"]), *rest)
        return _placed(stored, run_dir)
    except OutputError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        msg = f"{run_dir} holds no run"
        near = _near(run_dir)
        names = ", ".join(map(str, near[:SHOWN])) + (", …" if len(near) > SHOWN else "")
        hint = f"Runs near it: {names}" if near else "Keep one: seamlabel segment IMAGE --keep"
        raise OutputError(msg, hint) from None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        msg = f"{run_dir / PLAN} cannot be understood: {error}"
        raise OutputError(msg, "Segment again, or use the version that made it") from error


def _placed(stored: StoredRun, run_dir: Path) -> StoredRun:
    """Return a run with its labels where its directory lies now: it may have been moved with its image.

    Raises
    ------
    OutputError
        If it lies beside nothing: what a run directory says of other places is not believed.
    """
    folder = Path(os.path.realpath(run_dir)).parent
    if folder.suffix != ".seamlabel":
        if is_temporary(folder) and is_temporary(Path(stored.output)):
            return stored
        msg = f"{run_dir} does not lie in a folder IMAGE.seamlabel beside the image or output"
        raise OutputError(msg, "Move it there: that is where its labels go")
    beside, before = str(folder.with_suffix("")), stored.output
    places = {name: getattr(stored.spec, name) for name in ("image", "output")}
    spec = stored.spec.replace(**{k: beside if v == before else v for k, v in places.items()})
    return replace(stored, spec=spec, output=beside)


def _near(path: Path) -> list[Path]:
    """Return the runs that somebody may mean who gave the folder of runs, the image, or a wrong name."""
    image = Path(f"{os.path.realpath(path)}.seamlabel")
    above = [path.parent] if path.parent.suffix == ".seamlabel" else []
    files = [file for folder in (path, image, *above) for file in sorted(folder.glob(f"*/{PLAN}"))]
    inside = path.parent / PLAN
    return [file.parent for file in ([inside] if inside.exists() else files)]


def _info(found: dict[str, Any]) -> ImageInfo:
    levels = tuple(LevelInfo(**_tuples(level)) for level in found["levels"])
    axes = tuple(Axis(**axis) for axis in found["axes"])
    if not levels or not all(_is_sound(level, len(axes)) for level in levels):
        raise ValueError("its levels have no shape or size that can be right")
    return ImageInfo(**{**_tuples(found), "levels": levels, "axes": axes})


def _is_sound(level: LevelInfo, ndim: int) -> bool:
    """Return whether a level is one that an image can have; somebody else may have written it."""
    parts = (level.shape, level.chunks, level.scale, level.translation)
    numbers = [n for part in parts for n in part]
    known = all(len(part) == ndim for part in parts) and all(abs(n) < 1 << 53 for n in numbers)
    whole = all(type(n) is int and n > 0 for n in (*level.shape, *level.chunks))
    return known and whole and prod(level.shape) < 1 << 53 and all(n > 0 for n in level.scale)


def _tuples(found: dict[str, Any]) -> dict[str, Any]:
    """Return values with the lists of JSON as tuples again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
