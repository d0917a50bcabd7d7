"""Segment images far larger than memory, and get labels without seams."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "segment": "api",
    "blend": "blended",
    "resume": "resuming",
    "merge_labels": "engine.merge",
    "resolve": "plan",
    "Plan": "plan",
    "run": "engine.run",
    "RunSpec": "spec",
    "TileGrid": "geometry",
    "Backend": "registry",
    "backend": "decorator",
    "register": "registry",
    "SeamlabelError": "errors",
    "SpecError": "errors",
}
_MORE = {"MergeSpec": "spec", "remerge": "remerging"}
"""Found here, too: for requests that are told as Python, and for kept runs."""
__all__ = sorted([*_PLACES, "backends"])
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import public names when they are first used (PEP 562)."""
    if name == "backends":  # the subpackage is callable, so both meanings of the name hold
        return import_module("seamlabel.backends")
    if place := _PLACES.get(name) or _MORE.get(name):
        return getattr(import_module(f"seamlabel.{place}"), name)
    msg = f"module 'seamlabel' has no attribute '{name}'"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
