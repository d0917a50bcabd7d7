"""What a run writes of itself into its directory: the plan with every "auto" pinned, and the report.

`stored` reads it again. Knows JSON, no tiles and no labels.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from seamlabel.engine.stored import FORMAT, MERGED, PLACES, PLAN, SETTINGS
from seamlabel.errors import OutputError, SeamlabelError
from seamlabel.io.addresses import absolute
from seamlabel.io.journal import REPORT
from seamlabel.io.ngff.strict import load_document
from seamlabel.io.regular import read_regular
from seamlabel.kernels.report import MergeReport

if TYPE_CHECKING:
    from seamlabel.io.journal import RunDirectory
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec

MOST_PLACES = 1 << 26
"""Bytes of the lists of a report, at most: five of 10,000 entries."""


def save_plan(folder: RunDirectory, plan: Plan, output: str, identity: dict[str, str], kept: bool) -> None:
    """Keep what a run needs to go on, and a merge to be done again.

    Parameters
    ----------
    folder : RunDirectory
        Where.
    plan : Plan
        What is done.
    output : str
        The store that gets the labels.
    identity : dict of str to str
        What tells image and method.
    kept : bool
        Whether the folder is to be kept when all is done.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    found = {
        "format": FORMAT,
        "spec": pinned(plan).model_dump(mode="json"),
        "info": asdict(plan.info),
        "grid": asdict(plan.grid),
        "keep": asdict(plan.keep),
        "output": os.path.realpath(os.path.expanduser(output)),
        "asked": (plan.asked or plan.spec).model_dump(mode="json"),
        "identity": identity,
        "kept": kept,
    }
    folder.save(PLAN, json.dumps(found, indent=1))


def pinned(plan: Plan) -> RunSpec:
    """Return the plan's spec with every "auto" a number and every path absolute."""
    spec, joined = plan.spec, plan.joined
    changes: dict[str, Any] = {
        "tile_shape": tuple(n for n, tiled in zip(plan.grid.tile_shape, joined, strict=True) if tiled),
        "overlap": tuple(n for n, tiled in zip(plan.grid.overlap, joined, strict=True) if tiled),
        "overwrite": True,
        "params": {k: _absolute(v) if k == "target" else v for k, v in spec.params.items()},
        "merge": spec.merge.model_copy(update={"rule": _absolute(spec.merge.rule)}),
    }
    if any(spec.params.get(name) for name in plan.backend.whole_object):
        changes["params"] |= dict.fromkeys(plan.backend.whole_object, 0)
        changes["min_size"] = plan.keep.min_size
    if plan.info.channel_axis is not None:
        changes["channels"] = plan.channels
    for field in ("image", "output", "table"):
        if (path := getattr(spec, field)) is not None:
            changes[field] = absolute(path)
    if isinstance(spec.skip_empty, str) and spec.skip_empty not in ("otsu", "mask"):
        changes["skip_empty"] = absolute(spec.skip_empty)
    return spec.replace(**changes)


def portable(plan: Plan) -> Plan:
    """Return the plan with every path absolute, for processes and functions that work in another folder."""
    params, target = plan.params, getattr(plan.params, "target", None)
    if target is not None:
        params = replace(params, target=_absolute(target))
    spec = pinned(plan).replace(overwrite=plan.spec.overwrite)
    output = None if plan.output is None else os.path.realpath(os.path.expanduser(plan.output))
    return replace(plan, spec=spec, params=params, output=output, asked=plan.asked or plan.spec)


def _absolute(target: Any) -> Any:
    """Return the name of a function with the path of its file, if it has one, absolute."""
    place, _, name = str(target).rpartition(":")
    if not place.endswith(".py"):
        return target
    return f"{Path(place).expanduser().absolute()}:{name}"


def save_settings(folder: RunDirectory, spec: RunSpec) -> None:
    """Keep with what the labels of a run were merged; raises OutputError if it cannot be written."""
    folder.save(SETTINGS, json.dumps(spec.model_dump(mode="json", include=set(MERGED)), indent=1))


def settings_of(path: Path, spec: RunSpec) -> dict[str, Any]:
    """Return with what the labels in a run directory were merged last, by field; as in its spec at first.

    Raises
    ------
    OutputError
        If that cannot be understood.
    """
    try:
        found = load_document(path / SETTINGS)
        spec = spec.replace(**{name: found[name] for name in MERGED})
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, LookupError, SeamlabelError) as error:
        msg = f"{path / SETTINGS} cannot be understood: {error}"
        raise OutputError(msg, "Remove it, and merge again") from error
    settings = spec.model_dump(include=set(MERGED))
    if not spec.merge.has_threshold:
        del settings["merge"]["iou"]
    return settings


def changes_of(path: Path, spec: RunSpec) -> dict[str, Any]:
    """Return in what `settings_of` differs from the run's spec."""
    found, own = settings_of(path, spec), spec.model_dump(include=set(MERGED))
    merge = {k: v for k, v in found.pop("merge").items() if v != own["merge"][k]}
    changes = {k: v for k, v in found.items() if v != own[k]}
    return changes | ({"merge": merge} if merge else {})


def report_of(path: Path) -> MergeReport | None:
    """Return the report that a run directory keeps, None if there is none that can be read."""
    try:
        packed = io.BytesIO(read_regular(path / PLACES, MOST_PLACES))
        with np.load(packed, allow_pickle=False) as lists:
            return MergeReport(**load_document(path / REPORT), **lists)
    except (OSError, ValueError, TypeError, LookupError, BadZipFile, SeamlabelError):
        return None


def save_report(folder: RunDirectory, report: MergeReport) -> None:
    """Keep a report: its counts as JSON, its lists as arrays.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    lists = {f.name: getattr(report, f.name) for f in fields(report) if f.name not in report.counts}
    packed = io.BytesIO()
    np.savez_compressed(packed, **lists)
    folder.save(PLACES, packed.getvalue())
    folder.save(REPORT, json.dumps(report.counts, indent=1))
