"""The backends there are: records that can be listed without importing what they need.

Records come from this package, from entry points in the group ``seamlabel.backends`` (each a
`Backend`, a function that `seamlabel.backend` made one of, or a list of them) and from `register`.
Knows nothing of images.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from seamlabel.errors import BackendError
from seamlabel.parameters import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seamlabel.errors import Problem
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
    params : str or type
        ``"module:Class"`` (or the class) of the parameters: a frozen dataclass whose fields are annotated
        ``Annotated[type, {"min": …, "max": …, "label": …, "tooltip": …, "unit": …}]``, with ``"when":
        {"other": ("a", "b")}`` if it counts only where another has one of these values, ``"advanced":
        True`` if it is seldom needed, ``"labels": True`` if it says how labels are made of predictions,
        ``"path": "file"`` or ``"folder"`` if it may be one. It may have
        more attributes: for "auto", `radius` (voxels beyond which a cut cannot change the labels)
        and `diameter` (of a typical object, in voxels; `usual_diameter` where
        it is None); `align` (voxels per space axis, or one number:
        tiles are read from multiples of it on, as a network that pools needs); and `files` (paths,
        such as a model's, that belong to the method: a run is not resumed with others); and
        `n_channels` (how many channels it takes with these parameters). Its module must not import
        what `needs` names when it is itself imported.
    factory : str or callable
        ``"module:function"`` (or the function): ``function(params, context) -> segmenter``.
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
    maps : str or callable, optional
        As `factory`, of what gives predictions, (outputs, *space), instead of labels, for
        `seamlabel.blend`. What it makes may have an attribute `outputs`: their names, which are then
        those of the map's channels.
    """

    name: str
    title: str
    params: str | type[Any]
    factory: str | Callable[[Any, SegmentContext], Segmenter]
    needs: tuple[str, ...] = ()
    install: str = ""
    kind: Literal["labels", "dense"] = "labels"
    max_channels: int | None = 1
    whole_object: tuple[str, ...] = ()
    bytes_per_voxel: int = 64
    rule: Literal["iou", "touching"] = "iou"
    shared: bool = False
    maps: str | Callable[[Any, SegmentContext], Callable[[Any], Any]] | None = None
    description: str = field(default="", compare=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that this backend needs and that are not installed."""
        return tuple(name for name in self.needs if not _is_here(name))

    @property
    def own(self) -> Any:
        """The user's function or class that this was made of by `seamlabel.backend`; else None."""
        return getattr(self.factory, "own", None)

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

    def make_maps(self, params: Any, context: SegmentContext) -> Callable[[Any], Any]:
        """Return what predicts.

        Raises
        ------
        BackendError
            If a module that it needs is not installed, or it gives labels only.
        """
        if self.maps is None:
            raise BackendError(f"backend '{self.name}' gives labels, no predictions", "Choose another one")
        made: Callable[[Any], Any] = replace(self, factory=self.maps).make(params, context)
        return made

    def parse(self, values: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
        """Return the parameters made of `values`, or None and why not, by field ``params.NAME``."""
        return parse(self.params_type(), self.name, values)


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _load(place: str | Any) -> Any:
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def register(backend: Backend) -> Backend:
    """Add a backend to the registry, replacing one of the same name; returns it."""
    _registry[backend.name] = backend
    return backend


def backends() -> dict[str, Backend]:
    """Return all backends by name: built in, from other packages, and registered."""
    found: dict[str, Backend] = {}
    for point in _installed(tuple(sys.path)):
        loaded = point.load()
        for each in loaded if isinstance(loaded, list | tuple) else [loaded]:
            record = each if isinstance(each, Backend) else each.backend  # of a function
            found[record.name] = record
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
