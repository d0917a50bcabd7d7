"""Some tiles of a kept run replaced at one stroke: their staged labels and all records of the merge.

New records and new staged tiles are written into a folder of their own. One file says which folder
counts; it is replaced by a rename, and whatever is left to do after that is done by whoever opens the
run next. So a crash at any instant leaves the old state or the new one, never a mixture.

::

    run directory/
      state.json           which folder counts, and which tiles have no labels any more
      records/  or records-<hex>/
                           records of the merge; after a replacement also N.tile, until moved
      staging-<hex>/N.tile staged tiles

Knows names of files, not what is in them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from seamlabel.errors import OutputError
from seamlabel.io.regular import read_regular
from seamlabel.io.staging import staging_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STATE = "state.json"
FIRST = "records"
_FOLDER = re.compile(rf"{FIRST}(-[0-9a-f]{{8}})?")
"""Nothing outside of the run directory is moved or removed, whatever is written there."""
_MOST_BYTES = 1 << 28


def records_folder(run_dir: Path) -> Path:
    """Return the folder of the records that count."""
    return run_dir / str(_state(run_dir)["records"])


def new_folder(run_dir: Path) -> Path:
    """Make a folder for records and tiles that do not count yet.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    folder = run_dir / f"{FIRST}-{uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError as error:
        raise _cannot(folder, error) from error
    return folder


def commit(run_dir: Path, folder: Path, empty: Sequence[int]) -> None:
    """Let what is in `folder` count from now on.

    Parameters
    ----------
    run_dir : Path
        The run directory, locked by the caller.
    folder : Path
        Made by `new_folder`: all records, and the staged tiles that replace others.
    empty : sequence of int
        Tiles that were replaced and have no labels.

    Raises
    ------
    OutputError
        If that cannot be written; the former state counts then.
    """
    part = run_dir / f".{STATE}"
    try:
        for path in folder.iterdir():
            _flush(path)
        part.write_text(json.dumps({"records": folder.name, "empty": list(empty)}))
        _flush(part)
        part.replace(run_dir / STATE)
    except OSError as error:
        raise _cannot(run_dir, error) from error
    settle(run_dir)


def is_settled(run_dir: Path) -> bool:
    """Return whether no replacement was cut short, so that `settle` would change nothing that counts."""
    state, staging = _state(run_dir), staging_folder(run_dir)
    left = any((run_dir / str(state["records"])).glob("*.tile"))
    return not left and not any((staging / f"{tile}.tile").exists() for tile in state["empty"])


def settle(run_dir: Path) -> Path:
    """Finish a replacement that was cut short, remove one that never counted.

    Returns
    -------
    Path
        The folder of the records that count.

    Raises
    ------
    OutputError
        If tiles cannot be moved.
    """
    state = _state(run_dir)
    folder = run_dir / str(state["records"])
    staging = staging_folder(run_dir)
    try:
        for path in sorted(folder.glob("*.tile")):
            path.replace(staging / path.name)
        for tile in state["empty"]:
            (staging / f"{tile}.tile").unlink(missing_ok=True)
    except OSError as error:
        raise _cannot(run_dir, error) from error
    for other in run_dir.glob(f"{FIRST}*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _state(run_dir: Path) -> dict[str, Any]:
    try:
        state = json.loads(read_regular(run_dir / STATE, _MOST_BYTES))
        folder, empty = state["records"], state["empty"]
        if not _FOLDER.fullmatch(folder) or (run_dir / folder).is_symlink():
            raise ValueError(folder)
        return {"records": folder, "empty": [int(tile) for tile in empty]}
    except FileNotFoundError:
        return {"records": FIRST, "empty": []}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        msg = f"{run_dir / STATE} is damaged"
        raise OutputError(msg, "Segment again: nothing else says which records count") from error


def _flush(path: Path) -> None:
    """Have the disk hold a file before what relies on it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    with suppress(OSError):  # not every system lets a folder be opened
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _cannot(path: Path, error: OSError) -> OutputError:
    msg = f"cannot replace tiles in {path}: {error.strerror or error}"
    return OutputError(msg, "Free some space, or check its permissions")
