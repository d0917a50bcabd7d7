"""What the dock remembers from one day to the next: a JSON file in napari's own config folder.

Knows the file; nothing of what is kept in it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari.settings import get_settings

NAME = "seamlabel.json"
VARIABLE = "SEAMLABEL_CONFIG"
"""Environment variable that names another file."""


def settings_path() -> Path:
    """Return the file; ``SEAMLABEL_CONFIG`` names another one."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser()
    own = get_settings().config_path  # None while napari itself keeps nothing
    folder = Path(own).parent if own else Path.home() / ".config" / "napari"
    return folder / NAME


def load(key: str, default: Any = None) -> Any:
    """Return what was saved under `key`, `default` if nothing was.

    A file that is missing, broken, or not ours counts as empty; so does a value that is not of the
    type of `default`.
    """
    value = _read().get(key, default)
    return default if default is not None and not isinstance(value, type(default)) else value


def save(key: str, value: Any) -> None:
    """Keep `value`, made of what JSON knows, under `key`; None forgets it.

    A folder that cannot be written is no reason to stop anybody from segmenting: nothing is kept then.
    """
    save_all({key: value})


def save_all(values: dict[str, Any]) -> None:
    """Keep several values in one go; see `save`."""
    path, kept = settings_path(), _read()
    changed = {key: value for key, value in {**kept, **values}.items() if value is not None}
    if changed == kept:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(changed, indent=2, sort_keys=True), encoding="utf-8")
        part.replace(path)  # whole or not at all, whoever reads it meanwhile


def _read() -> dict[str, Any]:
    try:
        kept = json.loads(settings_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}
