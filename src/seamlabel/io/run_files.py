"""Run files: requests as JSON on disk. Knows no more of a request than that it is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seamlabel.errors import Problem, SpecError
from seamlabel.io.regular import read_regular
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    import os

MOST_BYTES = 1 << 20
"""Bytes that a run file may have."""


def load_run_file(path: str | os.PathLike[str]) -> RunSpec:
    """Return the request in a run file.

    Raises
    ------
    SpecError
        If it cannot be read, or is no run file.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode()
    except (OSError, ValueError) as error:
        told = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        reason = getattr(error, "strerror", None) or told
        raise SpecError([Problem("spec", f"cannot read {path}: {reason}", "Give a run file")]) from None
    return RunSpec.from_json(text)


def save_run_file(path: str | os.PathLike[str], spec: RunSpec) -> None:
    """Write a request into a run file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    Path(path).write_text(spec.to_json() + "\n", encoding="utf-8")
