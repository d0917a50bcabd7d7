"""Functions of the user's own, named by module or file: named, found and loaded.

Knows nothing of what they are for.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from functools import partial
from importlib import import_module
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from types import ModuleType

_DATA = ("zarr.json", ".zgroup", ".zarray", "plan.json")
"""What tells a folder of data from one of programs."""


def is_target(text: str) -> bool:
    """Return whether this has the form ``"module:function"`` or ``"file.py:function"``."""
    place, _, name = text.rpartition(":")
    return bool(place) and name.isidentifier()


def target_of(function: Any) -> str:
    """Return the name of a function in the form ``"module:function"``, of an object that of its class."""
    inner = function.func if isinstance(function, partial) else function
    name = getattr(inner, "__name__", type(inner).__name__).strip("<>")
    return f"{inner.__module__}:{name}"


def load_function(target: str, *, purpose: str) -> Any:
    """Return the function of this name.

    Parameters
    ----------
    target : str
        ``"module:function"``, or ``"file.py:function"`` with a path that is absolute or relative to
        the working directory.
    purpose : str
        What such a function does, for messages: ``"takes pixels and returns labels"``.

    Raises
    ------
    BackendError
        If the file, the module or the function is missing, cannot be loaded or cannot be called.
    """
    place, _, name = target.rpartition(":")
    _refuse_pythons_own(place, target)
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    if not hasattr(module, name):
        known = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise BackendError(f"{place} has no function '{name}'", f"It has: {known or 'none'}")
    found = getattr(module, name)
    if not callable(found):
        msg = f"'{name}' in {place} is of type {type(found).__name__} and cannot be called"
        raise BackendError(msg, f"Name a function that {purpose}")
    _refuse_pythons_own(str(getattr(found, "__module__", "")), target)
    return found


def _refuse_pythons_own(module: str, target: str) -> None:
    """Raise for functions of Python itself: with some (``exec``, ``pickle.loads``) pixels would be code."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        msg = f"'{target}' is a function of Python itself, which takes no pixels"
        raise BackendError(msg, "Name a function of your own, in a module or a file")


def _load_file(place: str) -> ModuleType:
    """Run a file as a module of a name of its own, so that an edited file counts at once."""
    path = Path(place).expanduser().absolute()
    if not path.is_file():
        raise BackendError(f"there is no file {path}", "Check the path; it may be absolute")
    _refuse_foreign(path)
    spec = spec_from_file_location(f"seamlabel_function_{uuid4().hex}", path)
    if spec is None or not isinstance(spec.loader, SourceLoader):
        raise BackendError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    try:
        code = spec.loader.source_to_code(path.read_bytes(), str(path))
        exec(code, module.__dict__)  # not from a cache, which takes an edit within a second for none
    except (Exception, SystemExit) as error:  # code of theirs raises what it likes
        del sys.modules[spec.name]
        msg = f"{path} cannot be loaded: {type(error).__name__}: {error}{_line(error, str(path))}"
        raise BackendError(msg, f"Run it alone: python {path}") from error
    return module


def _line(error: BaseException, file: str) -> str:
    """Return where in a file an error came up, in brackets; a syntax error says it itself."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(file).name}, line {lines[-1]})" if lines else ""


def _refuse_foreign(path: Path) -> None:
    """Raise if a file came with data: images and run directories are passed on, and never bring code."""
    for folder in path.resolve().parents:
        if folder.suffix == ".seamlabel" or any((folder / name).exists() for name in _DATA):
            msg = f"{path} lies in an image or in a run directory, code in there is not run"
            raise BackendError(msg, "Look at it, and if it is yours, copy it elsewhere")


def _load_module(place: str) -> ModuleType:
    try:
        return import_module(place)
    except (Exception, SystemExit) as error:  # as above
        msg = f"module {place} cannot be imported: {type(error).__name__}: {error}"
        hint = f"Install it, or name a file: {place.replace('.', '/')}.py:function"
        raise BackendError(msg, hint) from error


def is_installed(module: ModuleType) -> bool:
    """Return whether a module is of Python, of an installed package or of seamlabel itself."""
    file = getattr(module, "__file__", None)
    places = [sysconfig.get_path(name) or "" for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    own = str(Path(__file__).parent)
    return file is None or any(Path(file).is_relative_to(place) for place in (*places, own) if place)
