"""Whether the parameters of a backend keep what they promise. Knows annotations, no images."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from seamlabel.auto import alignment
from seamlabel.parameters import options, required

if TYPE_CHECKING:
    from seamlabel.registry import Backend


def odd_parameters(record: Backend | None, params: Any) -> list[str]:
    """Return what is wrong with the parameters of a backend, a line each; nothing for a plain function.

    Parameters
    ----------
    record : Backend or None
        The backend.
    params : object
        Parameters of it that are good.
    """
    if record is None:
        return []
    kind = record.params_type()
    hints = get_type_hints(kind, include_extras=True)
    problems = _told(params, "with the parameters given")
    needed = {item.name: getattr(params, item.name) for item in fields(kind) if required(item)}
    made, wrong = record.parse(needed)
    if wrong:
        problems.append(f"its defaults are not good values: {'; '.join(map(str, wrong))}")
    else:
        values = {item.name: getattr(made, item.name) for item in fields(kind)}
        problems += [f"a default is not a good value: {problem}" for problem in record.parse(values)[1]]
    for name, hint in hints.items():
        for end in ("min", "max"):
            value = options(hint).get(end)
            if value is not None:
                problems += _at(record, {**needed, name: value}, f"with {name} = {value}")
    return problems


def _at(record: Backend, values: dict[str, Any], where: str) -> list[str]:
    """Return what is wrong with parameters of these values, which may be refused in words."""
    try:
        made, refused = record.parse(values)
    except Exception as error:  # noqa: BLE001 - it is what is checked
        return [f"{where} it raises {type(error).__name__}: {error}; refuse values with a ValueError"]
    return [] if refused else _told(made, where)


def _told(params: Any, where: str) -> list[str]:
    """Return what is wrong with what parameters say of themselves."""
    problems = []
    for name in ("radius", "diameter"):
        try:
            value = getattr(params, name, None)
        except Exception as error:  # noqa: BLE001 - it is what is checked
            problems.append(f"{where} its {name} raises {type(error).__name__}: {error}")
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        if value is not None and not number:
            problems.append(f"{where} its {name} is {value!r}, not a number of voxels")
    for ndim in (2, 3):
        align = getattr(params, "align", 1)
        if (isinstance(align, int) or len(align) == ndim) and min(alignment(params, ndim)) < 1:
            problems.append(f"{where} its align is {align!r}, not 1 or more")
            break
    return problems
