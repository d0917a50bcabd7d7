"""A digest of what a function does, to tell whether it was edited between two sessions of a run.

The same in every process: of code, names and values, never of addresses, or of the order of a set. Knows
nothing of what functions are for.
"""

from __future__ import annotations

import dis
import sys
import zlib
from dataclasses import is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from seamlabel.functions import is_installed

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_STORES = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "STORE_DEREF")
_MAKING = ("__init__", "__post_init__", "__new__", "__setstate__")
MOST_BYTES = 1 << 28
"""Bytes of the largest array whose values are looked at."""


def code_digest(function: Any) -> str:
    """Return a digest of what a function does, to tell whether it was edited.

    Of its code, defaults, arguments filled in, and of all functions, classes, plain values, tuples and
    arrays that it uses of modules that are not installed, and of what these use; of an object, of its
    class and of the settings that it was made with. What code changes while it runs, such as a counter
    or a model that is loaded once, is not looked at; nor are lists and dicts of a module, which may be
    caches, nor weights of networks.
    """
    return f"{zlib.crc32(repr(_Description(function).parts).encode()):08x}"


class _Description:
    """What tells a value: itself, then everything that it uses, one after the other.

    What was described is referred to by its number. It is kept as long as this is: a number of an
    object that is gone would be taken for that of another at the same address.
    """

    def __init__(self, value: Any) -> None:
        self._numbers: dict[int, int] = {}
        self._queue: list[Any] = []
        self._changing: dict[int, set[str]] = {}
        self.parts = [self._of(value)]
        for each in self._queue:  # grows meanwhile; not by recursion, which a long chain would exhaust
            self.parts.append(self._whole(each))

    def _of(self, value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return _array(value)
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, tuple):
            return "tuple", *(self._of(part) for part in value)
        if isinstance(value, set | frozenset):
            return "set", *sorted(repr(self._of(part)) for part in sorted(value, key=_order))
        number = self._numbers.setdefault(id(value), len(self._numbers))
        if number == len(self._queue):
            self._queue.append(value)
        return "see", number

    def _whole(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._of(part) for part in value]
        if isinstance(value, dict):
            return [(self._of(key), self._of(part)) for key, part in value.items()]
        if isinstance(value, partial):
            return "partial", self._of(value.func), self._of(value.args), self._of(value.keywords)
        if isinstance(value, MethodType):
            return "method", self._of(value.__func__), self._of(value.__self__)
        if isinstance(value, type | ModuleType):
            return self._class(value) if isinstance(value, type) else "module"
        code = getattr(value, "__code__", None)
        if isinstance(code, CodeType):
            return self._function(value, code)
        return self._object(value)

    def _function(self, function: Any, code: CodeType) -> Any:
        space = getattr(function, "__globals__", {})
        names, changes = _names(code), self._changed_in(space)
        used = [(name, space[name]) for name in names if name in space and name not in changes]
        inside = [vars(v) for _, v in used if isinstance(v, ModuleType) and not is_installed(v)]
        used += [(name, members[name]) for members in inside for name in names if name in members]
        home = space.get("__name__")
        own = [(name, self._of(value)) for name, value in used if _counts(value, home)]
        stored = _stored(code)
        cells = [
            (name, self._of(cell.cell_contents))
            for name, cell in zip(
                code.co_freevars, getattr(function, "__closure__", None) or (), strict=False
            )
            if name not in stored and _filled(cell)
        ]
        defaults = getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)
        return [self._code(code), *map(self._of, defaults), own, cells]

    def _code(self, code: CodeType) -> Any:
        parts = (
            self._code(part) if isinstance(part, CodeType) else self._of(part) for part in code.co_consts
        )
        return code.co_code, code.co_names, tuple(parts)

    def _changed_in(self, space: dict[str, Any]) -> set[str]:
        """Return the names of a module that its own functions give other values."""
        if id(space) not in self._changing:
            codes = [v.__code__ for v in list(space.values()) if isinstance(v, FunctionType)]
            self._changing[id(space)] = {name for code in codes for name in _stored(code)}
        return self._changing[id(space)]

    def _class(self, cls: type) -> Any:
        """Return what tells a class: its name; of one that is not installed, what it has."""
        if not _is_users(cls.__module__, None):
            return cls.__qualname__
        changed = _changed_by(cls)
        found = [self._of(base) for base in cls.__bases__]
        for name, value in sorted(vars(cls).items()):
            inner = getattr(value, "__func__", getattr(value, "fget", value))
            setting = isinstance(inner, (*_PLAIN, tuple, np.ndarray)) and not name.startswith("__")
            if isinstance(inner, FunctionType) or (setting and name not in changed):
                found.append((name, self._of(inner)))
        return cls.__qualname__, found

    def _object(self, value: Any) -> Any:
        """Return what tells an object: its class, and the settings that nothing but its making gave it."""
        cls = type(value)
        wrapped = getattr(value, "__wrapped__", None)  # functools.cache and the like
        if wrapped is not None:
            return cls.__qualname__, self._of(wrapped)
        changed = _changed_by(cls)
        settings = [
            (name, self._of(part))
            for name, part in sorted(getattr(value, "__dict__", {}).items())
            if name not in changed and (_is_value(part) or isinstance(part, FunctionType))
        ]
        calls = [vars(one)["__call__"] for one in cls.__mro__ if "__call__" in vars(one)]
        return cls.__qualname__, self._of(cls), [self._of(call) for call in calls[:1]], settings


def _array(value: Any) -> Any:
    """Return what tells an array or a number of numpy's."""
    if value.dtype.hasobject or value.nbytes > MOST_BYTES:
        return value.dtype.str, value.shape
    return value.dtype.str, value.shape, zlib.crc32(np.ascontiguousarray(value).tobytes())


def _order(value: Any) -> tuple[str, str]:
    """Return by what parts of a set are sorted, before what they are is known."""
    plain = isinstance(value, _PLAIN)
    return type(value).__qualname__, repr(value) if plain else getattr(value, "__qualname__", "")


def _is_value(value: Any) -> bool:
    plain = isinstance(value, (*_PLAIN, tuple, frozenset, np.generic, np.ndarray))
    return plain or (is_dataclass(value) and not isinstance(value, type))


def _counts(value: Any, home: Any) -> bool:
    """Return whether something that a function uses is looked at: values, and what is the user's own."""
    module = getattr(value, "__module__", None)
    return _is_value(value) or (isinstance(module, str) and _is_users(module, home))


def _is_users(name: str, home: Any) -> bool:
    """Return whether a module is the user's own, or the one at home."""
    module = sys.modules.get(name)
    return name in ("__main__", home) or (module is not None and not is_installed(module))


def _names(code: CodeType) -> list[str]:
    """Return the names that code looks up, that of functions inside it too; each once."""
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _stored(code: CodeType) -> set[str]:
    """Return the names of globals, attributes and variables around it that code gives values."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname in _STORES}
    return found.union(*(_stored(part) for part in code.co_consts if isinstance(part, CodeType)))


def _changed_by(cls: type) -> set[str]:
    """Return the attributes that methods of a class change once an object is made."""
    methods = [m for one in cls.__mro__ for name, m in vars(one).items() if name not in _MAKING]
    return {name for m in methods if isinstance(m, FunctionType) for name in _stored(m.__code__)}


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True
