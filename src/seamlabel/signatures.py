"""What a user's own function takes: its typed keyword parameters as a dataclass, and values checked.

Of that dataclass forms and tables are made, as of the parameters of any backend. Knows nothing of what
functions do.
"""

from __future__ import annotations

import re
from dataclasses import field, make_dataclass
from functools import partial
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from seamlabel.errors import SpecError
from seamlabel.parameters import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTEXT = "context"
"""A keyword-only parameter of this name is given the `seamlabel.protocols.SegmentContext`."""
_PLAIN = (bool, int, float, str, NoneType)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def keywords_of(function: Callable[..., Any], **attributes: Any) -> type[Any]:
    """Return a frozen dataclass of the parameters that a function takes by name.

    All but the first, which gets the tile (of a class, that of an instance), and `CONTEXT`. A parameter
    without annotation has the type of its default. Labels, tooltips, ranges and units come from
    ``Annotated[float, {"min": 0, "max": 9, "unit": "px", "tooltip": "…"}]``, tooltips else from the
    section *Parameters* of a docstring in numpy's style. Types that no form can show are taken as they
    are.

    Parameters
    ----------
    function : callable
        A function, a class, or an object that can be called.
    **attributes
        More attributes for the dataclass, such as properties.
    """
    hints, tips = _hints(function), _tooltips(_inner(function).__doc__ or "")
    made = []
    for item in _named(function):
        hint = _hint(item, hints.get(item.name, item.annotation), tips.get(item.name, ""))
        if item.default is Parameter.empty:
            made.append((item.name, hint, field(kw_only=True)))
        else:
            made.append((item.name, hint, field(kw_only=True, **_default(item.default))))
    return make_dataclass("Params", made, frozen=True, namespace=attributes)


def checked_keywords(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments for a function, each as its annotation wants it.

    Raises
    ------
    SpecError
        Naming those that the function does not take, that have a wrong type or are out of range, and
        those that it needs.
    """
    try:
        found = signature(function).parameters.values()
    except (TypeError, ValueError):  # of some functions in C nothing is known
        return dict(values)
    others = any(item.kind is Parameter.VAR_KEYWORD for item in found)
    good, problems = checked(keywords_of(function), name_of(function), values, others)
    if problems:
        raise SpecError(problems)
    return good


def wants_context(function: Callable[..., Any]) -> bool:
    """Return whether a function has a keyword-only parameter `CONTEXT`."""
    try:
        found = signature(function).parameters.get(CONTEXT)
    except (TypeError, ValueError):
        return False
    return found is not None and found.kind is Parameter.KEYWORD_ONLY and not _filled(function)


def name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called; an object is called as its class."""
    inner = _inner(function)
    return str(getattr(inner, "__name__", type(inner).__name__))


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    return _inner(function.func) if isinstance(function, partial) else function


def _filled(function: Callable[..., Any]) -> bool:
    """Return whether the context was filled in already."""
    return isinstance(function, partial) and CONTEXT in function.keywords


def _named(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters that are given by name."""
    try:
        found = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    if found and found[0].kind in _POSITIONAL and not isinstance(function, type):
        found = found[1:]
    context = [item for item in found if item.name == CONTEXT and item.kind is Parameter.KEYWORD_ONLY]
    return [item for item in found if item.kind in _BY_NAME and item not in context]


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations, those that are texts read; none of them if one cannot be read."""
    inner = _inner(function)
    if isinstance(inner, type):
        inner = inner.__init__  # type: ignore[misc]
    elif not hasattr(inner, "__code__"):  # an object of a class of theirs
        inner = type(inner).__call__
    try:
        return get_type_hints(inner, include_extras=True)
    except Exception:  # noqa: BLE001 - reading an annotation runs code of theirs
        return {}


def _hint(item: Parameter, hint: Any, tip: str) -> Any:
    """Return the annotation of a field: a type that can be shown and checked, and how."""
    extras: dict[str, Any] = {"tooltip": tip} if tip else {}
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        for part in more:
            extras |= part if isinstance(part, dict) else {}
    if hint is Parameter.empty:
        hint = _guess(item.default)
    elif isinstance(hint, str):  # could not be read
        hint = Any
    if hint is not Any and item.default is None and NoneType not in get_args(hint):
        hint = hint | None
    if not _plain(hint):
        return Annotated[Any, {**extras, "in_form": False}]
    return Annotated[hint, extras]


def _guess(default: Any) -> Any:
    """Return the type of a default; a whole number may be meant as any."""
    if isinstance(default, bool | str | float):
        return type(default)
    return int | float if isinstance(default, int) else Any


def _plain(hint: Any) -> bool:
    """Return whether a form can show values of this type."""
    if get_origin(hint) is Literal:
        return True
    if get_origin(hint) not in (Union, UnionType):
        return hint in (bool, int, float, str)
    shown = {part for part in get_args(hint) if part is not NoneType}
    return shown in ({int}, {float}, {int, float}, {str})


def _default(value: Any) -> dict[str, Any]:
    """Return a default as a field wants it: dataclasses refuse those that can be changed."""
    return {"default": value} if isinstance(value, _PLAIN) else {"default_factory": lambda: value}


def _tooltips(doc: str) -> dict[str, str]:
    """Return the first sentence on each parameter of a docstring in numpy's style."""
    section = re.search(r"^( *)Parameters\n\1-{3,}\n(.*?)(?=^\1\S[^\n]*\n\1-{3,}|\Z)", doc, re.M | re.S)
    if section is None:
        return {}
    indent, found = section[1], {}
    for item in re.finditer(
        rf"^{indent}(\w[\w, ]*?)(?: *:[^\n]*)?\n((?:{indent} +[^\n]*\n?|\n)+)", section[2], re.M
    ):
        text = " ".join(item[2].split("\n\n")[0].split())
        first = re.split(r"(?<=\.)\s", text)[0].removesuffix(".")
        found.update(dict.fromkeys(re.split(r"\s*,\s*", item[1]), first))
    return found
