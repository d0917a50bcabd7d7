"""Parameters: a dataclass whose annotations say what values are good, and values checked against it.

Knows nothing of what parameters are for.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from math import isfinite
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from seamlabel.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse(kind: type[Any], who: str, values: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """Return the parameters made of values, or None and why not, by field ``params.NAME``.

    Parameters
    ----------
    kind : type
        The dataclass.
    who : str
        Whose parameters they are, for messages.
    values : mapping
        By name; those that are missing have their defaults.
    """
    good, problems = checked(kind, who, values)
    if problems:
        return None, problems
    try:
        return kind(**good), []
    except ValueError as error:
        return None, [Problem("params", str(error), f"See: seamlabel backends {who}")]


def checked(
    kind: type[Any], who: str, values: Mapping[str, Any], others: bool = False
) -> tuple[dict[str, Any], list[Problem]]:
    """Return those values that are good, each as its annotation wants it, and what is wrong with the rest.

    Parameters
    ----------
    kind : type
        The dataclass.
    who : str
        Whose parameters they are, for messages.
    values : mapping
        By name.
    others : bool
        Names that are not known are good, too.
    """
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind, include_extras=True)
    problems, good = [], {}
    for name, value in values.items():
        if name not in known and others:
            good[name] = value
        elif name not in known:
            problems.append(Problem(f"params.{name}", f"'{who}' has no such parameter", _known(name, known)))
        else:
            try:
                good[name] = _checked(hints[name], value)
            except ValueError as error:
                problems.append(Problem(f"params.{name}", str(error), _range(hints[name])))
    problems += [
        Problem(f"params.{name}", f"'{who}' needs a value for it", "Give one")
        for name, f in known.items()
        if required(f) and name not in values
    ]
    return good, problems


def _known(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, 1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(known)}" if known else "It takes none"


def required(f: Field[Any]) -> bool:
    """Return whether a parameter has no default."""
    return f.default is MISSING and f.default_factory is MISSING


def options(hint: Any) -> dict[str, Any]:
    """Return the ``{"min": …}`` part of an annotation, empty if it has none."""
    if get_origin(hint) is Annotated:
        return next((dict(part) for part in get_args(hint)[1:] if isinstance(part, dict)), {})
    return {}


def default_text(item: Field[Any]) -> str:
    """Return a parameter's default as one would type it; "auto" for None, "?" where one is needed."""
    if required(item):
        return "?"
    value = item.default
    if item.default_factory is not MISSING:
        value = item.default_factory()
    return "auto" if value is None else str(value)


def choices(hint: Any) -> tuple[Any, ...]:
    """Return the values that a parameter may have, where they are listed; else nothing."""
    return get_args(_strip(hint)) if get_origin(_strip(hint)) is Literal else ()


def _bare(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of an annotation: types, None's type, literal values."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return get_args(hint)
    return (get_origin(hint) or hint,)  # dict for dict[str, Any]


def _checked(hint: Any, value: Any) -> Any:
    """Return `value` as the annotation wants it; a string is read as a number where one is due."""
    choices = _bare(hint)
    if Any in choices or (value is None and type(None) in choices):
        return value
    if get_origin(_strip(hint)) is Literal:
        if value not in choices:
            msg = f"{value!r} is not one of {', '.join(map(repr, choices))}"
            raise ValueError(msg)
        return value
    value = _cast(choices, value)
    limits = options(hint)
    low, high = limits.get("min"), limits.get("max")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and not ((low is None or value >= low) and (high is None or value <= high)):
        msg = f"{value!r} is out of range"
        raise ValueError(msg)
    return value


def _strip(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _cast(choices: tuple[Any, ...], value: Any) -> Any:
    """Return `value` as the first of these types that it can be read as."""
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, str) and type(None) in choices and value.lower() in {"none", "auto", ""}:
        return None
    for kind in choices:
        found = _as_kind(kind, value)
        if found is not None:
            return found
    names = " or ".join(getattr(c, "__name__", str(c)).replace("NoneType", "None") for c in choices)
    msg = f"{value!r} is not of type {names}"
    raise ValueError(msg)


def _as_kind(kind: Any, value: Any) -> Any:
    """Return `value` as this type, None if it cannot be read so."""
    if kind is bool:
        return value if isinstance(value, bool) else _WORDS.get(str(value).lower())
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        whole = isfinite(number) and (kind is float or number == int(number))
        return kind(number) if whole else None
    kind = get_origin(kind) or kind
    return value if isinstance(kind, type) and isinstance(value, kind) else None


def _range(hint: Any) -> str:
    limits = options(hint)
    low, high = limits.get("min"), limits.get("max")
    if low is not None and high is not None:
        return f"Use {low} to {high}"
    if low is not None:
        return f"Use {low} or more"
    return f"Use {high} or less" if high is not None else ""
