"""A user's own function as backend: found by name in a module or a file.

Knows nothing of what the function does; the engine checks the labels it returns.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from types import ModuleType

    from seamlabel.protocols import SegmentContext, Segmenter

_LOADING = (ImportError, SyntaxError, OSError, NameError, AttributeError, TypeError, ValueError)


@dataclass(frozen=True)
class FunctionParams:
    """Parameters of the function backend.

    Parameters
    ----------
    target : str
        ``"module:function"``, or ``"file.py:function"`` with a path that is absolute or relative
        to the working directory. The function is called with pixels and returns labels.
    keywords : dict
        Further arguments for the function, by name.

    Raises
    ------
    ValueError
        If `target` does not have one of the two forms.
    """

    target: Annotated[
        str,
        {"label": "Function", "tooltip": "file.py:function or module:function, taking pixels, giving labels"},
    ]
    keywords: Annotated[
        dict[str, Any],
        {"label": "Arguments", "tooltip": "Further arguments, by name", "in_form": False},
    ] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the form of `target`; whether it exists is looked up when it is made."""
        place, _, name = self.target.rpartition(":")
        if not place or not name.isidentifier():
            msg = f"target {self.target!r} is neither 'module:function' nor 'file.py:function'"
            raise ValueError(msg)


def make(params: FunctionParams, context: SegmentContext) -> Segmenter:
    """Return the function, with its keywords filled in.

    Raises
    ------
    BackendError
        If the file, the module or the function is missing, cannot be loaded or cannot be called.
    """
    del context  # the function gets pixels only
    place, _, name = params.target.rpartition(":")
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    if not hasattr(module, name):
        known = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise BackendError(f"{place} has no function '{name}'", f"It has: {known or 'none'}")
    found: Any = getattr(module, name)
    if not callable(found):
        msg = f"'{name}' in {place} is of type {type(found).__name__} and cannot be called"
        raise BackendError(msg, "Name a function that takes pixels and returns labels")
    return partial(found, **params.keywords) if params.keywords else found


def _load_file(place: str) -> ModuleType:
    """Run a file as a module of a name of its own, so that an edited file counts at once."""
    path = Path(place).expanduser().absolute()
    if not path.is_file():
        raise BackendError(f"there is no file {path}", "Check the path; it may be absolute")
    spec = spec_from_file_location(f"seamlabel_function_{uuid4().hex}", path)
    if spec is None or spec.loader is None:
        raise BackendError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    try:
        spec.loader.exec_module(module)
    except _LOADING as error:
        del sys.modules[spec.name]
        msg = f"{path} cannot be loaded: {type(error).__name__}: {error}"
        raise BackendError(msg, f"Run it alone: python {path}") from error
    return module


def _load_module(place: str) -> ModuleType:
    try:
        return import_module(place)
    except _LOADING as error:
        msg = f"module {place} cannot be imported: {type(error).__name__}: {error}"
        hint = f"Install it, or name a file: {place.replace('.', '/')}.py:function"
        raise BackendError(msg, hint) from error
