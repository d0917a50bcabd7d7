"""Whether a run may take its folder: go on with what is there, replace it, or leave it alone.

A run goes on only where request, image and method are as they were. Knows no tiles.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.engine.stored import HOW, read_stored
from seamlabel.errors import SpecError, UnfinishedError
from seamlabel.io.journal import unfinished_run
from seamlabel.plan import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seamlabel.axes import ImageInfo
    from seamlabel.io.journal import RunDirectory
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec

RESTART, ACCEPT = "--restart, unfinished='restart'", "--accept-changes, accept_changes=True"
CODE = ("method", "model", "packages")
"""Parts of an identity that may differ if the user says so: of tiles that are finished nothing changes."""
_ANY = (*HOW, "overwrite", "image", "axes", "output")
"""Fields of a spec that no label depends on, or that are compared in another way."""
_WORDS = {
    "image": "the image has other axes, shapes, chunks or types",
    "pixels": "pixels of the image differ",
    "mask": "the mask differs",
    "model": "the model is another one, or was trained on",
    "method": "the code of the method was edited, or values that it uses",
}


def claim(
    folder: RunDirectory, plan: Plan, told: dict[str, str], unfinished: str, accept: bool
) -> dict[int, str] | None:
    """Take the folder for this run: return the tiles that failed if it goes on, None if it is new.

    Raises
    ------
    UnfinishedError
        If there is an unfinished run that this one may not touch, or cannot go on with.
    """
    earlier = unfinished_run(folder.path)
    if earlier is None or unfinished == "restart":
        folder.begin((plan.asked or plan.spec).to_json())
        folder.record(tiles=plan.n_tiles)
        return None
    if unfinished == "refuse":
        msg = f"there is an unfinished run in {folder.path}: {earlier}"
        raise UnfinishedError(msg, f"Go on: seamlabel resume {folder.path}; or start over: {RESTART}")
    stored = read_stored(folder.path)
    differ = other_wishes(stored.asked, plan.asked or plan.spec)
    if not differ and stored.grid != plan.grid:
        differ = ["its tiles were cut in another way"]
    differ += changed(stored.identity, told, code=False)
    code = [] if accept else [what for what in changed(stored.identity, told) if what not in differ]
    if differ or code:
        msg = f"the unfinished run in {folder.path} ({earlier}) is not this one: {'; '.join(differ + code)}"
        other = "Ask for what it was" if differ else f"Keep its finished tiles as they are: {ACCEPT}"
        hint = f"{other}; or start over, which removes them: {RESTART}"
        raise UnfinishedError(msg, hint, differ + code, code_only=not differ)
    for name, value in stored.identity.items():
        told[name] = told.get(name) or value  # a damaged chunk must not make an image unknown
    folder.record(tiles=plan.n_tiles)
    return earlier.failed


def changed(before: Mapping[str, str], now: Mapping[str, str], *, code: bool = True) -> list[str]:
    """Return in words what differs between two identities; without `code` its changes are of no account."""
    names = [
        n for n in before if before[n] and now.get(n) and before[n] != now[n] and (code or n not in CODE)
    ]
    return [_WORDS.get(name) or f"{name} were {before[name]}, are {now[name]}" for name in names]


def other_wishes(before: RunSpec, now: RunSpec) -> list[str]:
    """Return in words what two requests ask for in different ways, as far as tiles depend on it."""
    one, other = (_compared(spec) for spec in (before, now))
    names = [name for name in one if name not in _ANY and one[name] != other[name]]
    return [f"{name} was {_short(one[name])}, is {_short(other[name])}" for name in names]


def _compared(spec: RunSpec) -> dict[str, Any]:
    """Return the fields; of a function that is in no file its digest tells more than its name."""
    fields = spec.model_dump(mode="json")
    if spec.backend == "function" and ".py:" not in str(spec.params.get("target")):
        fields["params"] = {name: value for name, value in spec.params.items() if name != "target"}
    return fields


def continued(plan: Plan) -> Plan:
    """Return the plan of the unfinished run in its folder, if that is of the same request; else this one."""
    if plan.run_dir is None or unfinished_run(Path(plan.run_dir)) is None:
        return plan
    stored = read_stored(Path(plan.run_dir))
    return plan if other_wishes(stored.asked, plan.spec) else stored.resumed(plan.spec)


def planned(spec: RunSpec, info: ImageInfo) -> Plan:
    """Return the plan of a request; that of the unfinished run in its folder, if it is of the same request.

    A run that was killed when its labels were in place already finds these there: they are its own.

    Raises
    ------
    SpecError
        If the request does not fit the image.
    """
    try:
        return continued(resolve(spec, info))
    except SpecError as refused:
        if spec.overwrite or {problem.field for problem in refused.problems} != {"name"}:
            raise
        plan = resolve(spec.replace(overwrite=True), info)
        on = continued(plan)
        if on is plan:
            raise
        return replace(on, spec=on.spec.replace(overwrite=False))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
