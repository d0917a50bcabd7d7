"""Preferences of this machine, as napari's own Preferences page (Plugins > Seamlabel) keeps them.

Reads them; the page is made by napari of what the manifest says. napari before 0.9 has no such page:
everything is as the manifest's defaults then. Knows no widget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WORK_IN = {"Threads": "auto", "Processes": "processes", "Dask": "dask"}
"""Choices of the page, and what of a `RunSpec` they are."""


@dataclass(frozen=True)
class Preferences:
    """What the user prefers on this machine.

    Parameters
    ----------
    tiles_at_once : int or None
        Tiles that are segmented at once; None for as many as cores and memory allow.
    work_in : str
        Where tiles are segmented, as `RunSpec.executor` has it.
    keep_tiles : bool
        Whether the tiles of a finished run are kept, so that it can be merged again.
    cache_folder : str
        Where sample images are kept; "" for the system's own place.
    redraws : int
        How often a second labels are drawn anew while they stream in.
    """

    tiles_at_once: int | None = None
    work_in: str = "auto"
    keep_tiles: bool = True
    cache_folder: str = ""
    redraws: int = 4


def preferences() -> Preferences:
    """Return what is preferred now; what cannot be read is as it is by default."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return Preferences()
    try:
        given = get_plugin_settings("seamlabel")
        runs, display = given.runs, given.display
    except (KeyError, AttributeError, ValueError):  # not installed as a plugin, or a broken file
        return Preferences()
    usual = Preferences()
    return Preferences(
        tiles_at_once=_whole(runs, "tiles_at_once", 0) or None,
        work_in=WORK_IN.get(getattr(runs, "work_in", ""), usual.work_in),
        keep_tiles=bool(getattr(runs, "keep_tiles", usual.keep_tiles)),
        cache_folder=str(getattr(display, "cache_folder", usual.cache_folder)).strip(),
        redraws=max(1, _whole(display, "redraws", usual.redraws)),
    )


def _whole(values: Any, name: str, usual: int) -> int:
    value = getattr(values, name, usual)
    return value if isinstance(value, int) else usual
