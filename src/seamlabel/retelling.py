"""A request as somebody would write it: the call in Python, and the command, that ask for the same.

Only what differs from the defaults is written. Knows neither what a request means nor the image.
"""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SpecError
from seamlabel.region import region_text
from seamlabel.spec import MergeSpec, RunSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 88
"""Letters of a line of Python."""
_NAMES = {"tile_shape": "--tile"}
"""Options that are called otherwise than their field."""
_ELSEWHERE = ("image", "backend", "params", "merge", "region", "channels", "sequential")
"""Fields that are written in a way of their own; and ids without gaps, which labels have anyway."""


def as_python(spec: RunSpec, array_name: str = "image", axes: str | None = None) -> str:
    """Return the shortest call of `seamlabel.segment` that asks for the same.

    Parameters
    ----------
    spec : RunSpec
        What is asked for.
    array_name : str
        What the array is called, where the image has no path.
    axes : str, optional
        Axes of that array, where they have to be said.
    """
    lines = ["import seamlabel", ""]
    image = _literal(spec.image)
    if spec.image is None:
        image = array_name
        lines.append(f"{array_name} = ...  # the array")
    if spec.skip_empty == "mask":
        lines.append("mask = ...  # the array to skip by")
    parts = [image]
    if spec.backend != RunSpec.model_fields["backend"].default:
        parts.append(_literal(spec.backend))
    if told := spec.axes or (axes if spec.image is None else None):
        parts.append(f"axes={_literal(told)}")
    parts += [f"{name}={value}" for name, value in _keywords(spec)]
    lines.append(_call("result = seamlabel.segment", parts))
    return "\n".join(lines) + "\n"


def _keywords(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """Yield the arguments by name, as code."""
    if spec.params:
        yield "params", _literal(spec.params)
    for name, value in _changed(spec, RunSpec()).items():
        if name == "merge":
            yield from _merge(spec.merge)
        elif name == "skip_empty" and value == "mask":
            yield name, "mask"
        elif name not in ("image", "axes", "backend", "params"):
            yield name, _literal(value)


def _merge(merge: MergeSpec) -> Iterator[tuple[str, str]]:
    changed = _merge_changes(merge)
    link = changed.pop("z_link", None)
    if set(changed) == {"rule"}:
        yield "merge", _literal(merge.rule)
    elif changed:
        inside = ", ".join(f"{name}={_literal(value)}" for name, value in changed.items())
        yield "merge", f"seamlabel.MergeSpec({inside})"
    if link is not None:
        yield "z_link", _literal(link)


def _merge_changes(merge: MergeSpec) -> dict[str, Any]:
    """Return what differs from the default; without a threshold that is of no account for the rule."""
    changed = _changed(merge, MergeSpec())
    if not merge.has_threshold:
        changed.pop("iou", None)
    return changed


def _changed(spec: Any, default: Any) -> dict[str, Any]:
    """Return the fields that have other values."""
    names = type(spec).model_fields
    return {name: getattr(spec, name) for name in names if getattr(spec, name) != getattr(default, name)}


def _call(function: str, parts: list[str]) -> str:
    line = f"{function}({', '.join(parts)})"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{function}(", *(f"    {part}," for part in parts), ")"])


def _literal(value: Any) -> str:
    """Return a value as code."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, tuple | list):
        inside = ", ".join(map(_literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


def as_command(spec: RunSpec) -> str:
    """Return the shortest command line that asks for the same, quoted for a shell of POSIX.

    Raises
    ------
    SpecError
        If a command cannot say it: the image or the mask is an array in memory.
    """
    problems = [
        Problem(field, f"the {what} is an array in memory", "Save it as OME-Zarr, or copy it as Python")
        for field, what, given in (
            ("image", "image", spec.image is not None),
            ("skip_empty", "mask", spec.skip_empty != "mask"),
        )
        if not given
    ]
    if problems or spec.image is None:
        raise SpecError(problems)
    image = f"./{spec.image}" if spec.image.startswith("-") else spec.image
    return shlex.join(["seamlabel", "segment", image, *_options(spec)])


def _options(spec: RunSpec) -> Iterator[str]:
    yield from _method(spec)
    changed = _changed(spec, RunSpec())
    for name, value in changed.items():
        if name in _ELSEWHERE:
            continue
        option = _NAMES.get(name, f"--{name.replace('_', '-')}")
        if value is True:
            yield option
        else:
            yield from _option(option, _typed(value))
    if spec.channels is not None:
        yield from _option("--channels", _channels(spec.channels))
    for box in region_text(spec.region or ()):
        yield from _option("--region", box)
    for name, value in _merge_changes(spec.merge).items():
        yield from _option("--merge" if name == "rule" else f"--{name.replace('_', '-')}", _typed(value))


def _method(spec: RunSpec) -> Iterator[str]:
    """Yield the backend and its parameters; arguments of a function are written as parameters."""
    params = dict(spec.params)
    if spec.backend == "function" and "target" in params:
        yield from _option("--function", str(params.pop("target")))
        keywords = params.pop("keywords", {})
        if {"target", "keywords"} & set(keywords):
            params["keywords"] = keywords
        else:
            params |= keywords
    elif spec.backend != RunSpec.model_fields["backend"].default:
        yield from _option("--backend", spec.backend)
    for name, value in params.items():
        yield from _option("--set", f"{name}={_json(value)}")


def _option(option: str, value: str) -> list[str]:
    """Return an option and its value; as one word where the value looks like an option."""
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def _typed(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={number}" for name, number in value.items())
    return str(value)


def _channels(channels: tuple[Any, ...]) -> str:
    """Return names and numbers with commas between; as JSON where that would be taken for others."""
    names = [str(channel) for channel in channels]
    odd = not names or not all(names) or names[0].startswith("[") or any("," in name for name in names)
    return json.dumps(channels) if odd else ",".join(names)


def _json(value: Any) -> str:
    """Return a parameter as `--set` reads it: text as it is, where that is not taken for something else."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value if value == value.strip() else json.dumps(value)
    return json.dumps(value)
