"""The backends there are: records that can be listed without importing what they need.

Records come from this package, from entry points in the group ``seamlabel.backends`` (each a
`Backend`, or a list of them) and from `register`. Knows nothing of images.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from math import isfinite
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from seamlabel.errors import BackendError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seamlabel.protocols import SegmentContext, Segmenter

GROUP = "seamlabel.backends"
_registry: dict[str, Backend] = {}


@dataclass(frozen=True)
class Backend:
    """A named way to segment.

    Parameters
    ----------
    name : str
        Key in the registry, command line and run files.
    title : str
        What people read.
    params : str
        ``"module:Class"`` of the parameters: a frozen dataclass whose fields are annotated
        ``Annotated[type, {"min": …, "max": …, "label": …, "tooltip": …, "unit": …}]``. It may have
        more attributes: for "auto", `radius` (voxels beyond which a cut cannot change the labels)
        and `diameter` (of a typical object, in voxels); `align` (voxels per space axis, or one number:
        tiles are read from multiples of it on, as a network that pools needs); and `files` (paths,
        such as a model's, that belong to the method: a run is not resumed with others). Its module
        must not import what `needs` names when it is itself imported.
    factory : str
        ``"module:function"``: ``function(params, context) -> segmenter``.
    needs : tuple of str
        Modules that must be importable.
    install : str
        The command that installs them.
    kind : {"labels", "dense"}
        What segmenters return.
    max_channels : int or None
        How many channels it takes at once; None for any number.
    whole_object : tuple of str
        Parameters that the engine applies to whole objects after the merge instead of the
        segmenter to cut ones; only ``"min_size"``.
    bytes_per_voxel : int
        Peak memory per voxel of a tile's read box, pixels included.
    rule : {"iou", "touching"}
        Merge rule suited best.
    shared : bool
        One segmenter serves all threads of a process, such as one that holds a large network. It is
        called from several at once, and has them take turns where they must.
    """

    name: str
    title: str
    params: str
    factory: str
    needs: tuple[str, ...] = ()
    install: str = ""
    kind: Literal["labels", "dense"] = "labels"
    max_channels: int | None = 1
    whole_object: tuple[str, ...] = ()
    bytes_per_voxel: int = 64
    rule: Literal["iou", "touching"] = "iou"
    shared: bool = False
    description: str = field(default="", compare=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that this backend needs and that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    def params_type(self) -> type[Any]:
        """Return the dataclass of the parameters."""
        loaded: type[Any] = _load(self.params)
        return loaded

    def make(self, params: Any, context: SegmentContext) -> Segmenter:
        """Return a segmenter.

        Raises
        ------
        BackendError
            If a module that it needs is not installed.
        """
        if self.missing:
            msg = f"backend '{self.name}' needs {', '.join(self.missing)}, not installed here"
            raise BackendError(msg, f"Install with: {self.install}")
        factory: Callable[[Any, SegmentContext], Segmenter] = _load(self.factory)
        return factory(params, context)

    def parse(self, values: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
        """Return the parameters made of `values`, or None and why not, by field ``params.NAME``."""
        known = {f.name: f for f in fields(self.params_type())}
        hints = get_type_hints(self.params_type(), include_extras=True)
        problems, good = [], {}
        for name, value in values.items():
            if name not in known:
                near = get_close_matches(name, known, 1)
                fix = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}"
                problems.append(Problem(f"params.{name}", f"'{self.name}' has no such parameter", fix))
                continue
            try:
                good[name] = _checked(hints[name], value)
            except ValueError as error:
                problems.append(Problem(f"params.{name}", str(error), _range(hints[name])))
        problems += [
            Problem(f"params.{name}", f"'{self.name}' needs a value for it", "Give one")
            for name, f in known.items()
            if _required(f) and name not in values
        ]
        if problems:
            return None, problems
        try:
            return self.params_type()(**good), []
        except ValueError as error:
            return None, [Problem("params", str(error), f"See: seamlabel backends {self.name}")]


def _required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def options(hint: Any) -> dict[str, Any]:
    """Return the ``{"min": …}`` part of an annotation, empty if it has none."""
    if get_origin(hint) is Annotated:
        return next((dict(part) for part in get_args(hint)[1:] if isinstance(part, dict)), {})
    return {}


def default_text(item: Field[Any]) -> str:
    """Return a parameter's default as one would type it; "auto" for None, "?" where one is needed."""
    if _required(item):
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
    if value is None and type(None) in choices:
        return None
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


def register(backend: Backend) -> Backend:
    """Add a backend to the registry, replacing one of the same name; returns it."""
    _registry[backend.name] = backend
    return backend


def backends() -> dict[str, Backend]:
    """Return all backends by name: built in, from other packages, and registered."""
    found: dict[str, Backend] = {}
    for point in _installed(tuple(sys.path)):
        loaded = point.load()
        for backend in loaded if isinstance(loaded, list | tuple) else [loaded]:
            found[backend.name] = backend
    return {**found, **_registry}


@cache
def _installed(_where: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return what is installed there; read once, since a plan is made at every key that is pressed."""
    return tuple(entry_points(group=GROUP))


def backend(name: str) -> Backend:
    """Return the backend of this name.

    Raises
    ------
    BackendError
        If there is none; the hint lists those there are.
    """
    known = backends()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}"
        msg = f"there is no backend '{name}'"
        raise BackendError(msg, hint)
    return known[name]
