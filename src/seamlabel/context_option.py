"""The option ``--context`` as it is typed, ``identity=-1,0;mean=[-3,-2],[2,3]`` or JSON. Knows no image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SpecError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from seamlabel.blending.context import Context

EXAMPLE = "identity=-1,0,1;mean=[-3,-2],[2,3]"
_FIX = f'Write --context "{EXAMPLE}", or the same as JSON'


def add_options(add: ArgumentParser) -> None:
    """Add the options that say which planes a 2D model sees."""
    planes = add.add_argument_group("planes around, as channels of a 2D model on a volume")
    planes.add_argument(
        "--context", metavar="LIST", help=f'"{EXAMPLE}": offsets of planes; mean, std, max, min of groups'
    )
    planes.add_argument(
        "--boundary", choices=("clamp", "zero", "reflect", "wrap"), help="beyond the volume; default clamp"
    )
    planes.add_argument(
        "--z-slices", metavar="A:B", help="planes that are predicted, as 10:90 or 3,5; else all"
    )


def context_of(args: Namespace) -> Context | None:
    """Return what a model is to see of the planes around; None if nothing was said.

    Raises
    ------
    SpecError
        If it is not understood; says where.
    """
    from seamlabel.blending.context import Context

    if args.context is None:
        if given := [name for name in ("boundary", "z_slices") if getattr(args, name) is not None]:
            raise SpecError([Problem(given[0], "is of no use without --context", _FIX)])
        return None
    try:
        return Context(
            parsed(args.context),
            boundary=args.boundary or "clamp",
            z_slices=None if args.z_slices is None else _planes(args.z_slices),
        )
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError([Problem("context", str(error), _FIX)]) from None


def parsed(text: str) -> dict[str, list[Any]]:
    """Return offsets by operation, of what was typed.

    Raises
    ------
    SpecError
        If it is not understood; says at which character.
    """
    if text.lstrip().startswith("{"):
        found = _json(text, text, 0)
        if bad := [name for name, value in found.items() if not isinstance(value, list)]:
            raise _wrong(text, text.index(bad[0]), f"'{bad[0]}' has no list")
        return dict(found)
    given: dict[str, list[Any]] = {}
    start = 0
    for part in text.split(";"):
        name, sign, numbers = part.partition("=")
        if not sign and part.strip():
            raise _wrong(text, start, f"'{part}' has no '='")
        if sign:
            values = _json(f"[{numbers}]", text, start + len(name))  # the bracket stands where '=' does
            given.setdefault(name.strip(), []).extend(values)
        start += len(part) + 1
    return given


def _json(part: str, text: str, start: int) -> Any:
    try:
        return json.loads(part)
    except json.JSONDecodeError as error:
        raise _wrong(text, min(start + error.pos, len(text)), "not understood") from None


def _wrong(text: str, at: int, what: str) -> SpecError:
    seen = f"{text[:at]} >>> {text[at:]}".strip()
    return SpecError([Problem("context", f"{what}, at character {at + 1}: {seen}", _FIX)])


def _planes(text: str) -> tuple[int, ...]:
    """Return numbers of planes: those of ``10:90``, or of ``3,5``."""
    try:
        if ":" in text:
            first, stop = text.split(":")
            return tuple(range(int(first), int(stop)))
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        fix = "Give the first plane and the one after the last, such as 10:90; or some, such as 3,5"
        raise SpecError([Problem("z_slices", f"'{text}' is not understood", fix)]) from None
