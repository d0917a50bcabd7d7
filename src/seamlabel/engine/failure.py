"""Why a tile failed, as plain data: to be shown, kept in the journal, and passed between processes.

Knows exceptions, not what is done about them.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from seamlabel.errors import OutputError, SeamlabelError, TileError, WorkerError


@dataclass(frozen=True)
class Failure:
    """A task that failed.

    Parameters
    ----------
    reason : str
        Why, in one line.
    detail : str
        The traceback.
    again : bool
        Whether another try may go better.
    memory : bool
        Whether memory ran out, so that fewer tasks at once may go better.
    fatal : SeamlabelError or None
        What ends the run: nothing that another try or another tile would mend.
    """

    reason: str
    detail: str
    again: bool = True
    memory: bool = False
    fatal: SeamlabelError | None = None


def failure_of(error: BaseException) -> Failure:
    """Return what an exception says of a tile."""
    known = isinstance(error, SeamlabelError) and not isinstance(error, WorkerError)
    fatal = error if isinstance(error, OutputError) or getattr(error, "fatal", False) else None
    return Failure(
        reason=describe_failure(error),
        detail="".join(traceback.format_exception(error)),
        again=not known,
        memory=_out_of_memory(error),
        fatal=fatal if isinstance(fatal, SeamlabelError) else None,
    )


def _out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: of the machine, or of a device (torch, cupy, tensorflow by name)."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}) or bool(
        getattr(error, "memory", False)
    )


def describe_failure(error: BaseException) -> str:
    """Return why a tile failed, in one line; for an error of the user's own code with its place."""
    if isinstance(error, TileError):
        return f"{error.reason}. {error.hint}" if error.hint else error.reason
    if isinstance(error, WorkerError):
        return str(error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _in_library(frame.filename)]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    text = " ".join(_text(error).split())
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def _text(error: BaseException) -> str:
    """Return what an exception says; its own code for that may fail, too."""
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - whatever it is, the first error is the one to tell
        return f"(its text cannot be had: {type(second).__name__})"


def _in_library(file: str) -> bool:
    return "site-packages" in file or Path(__file__).parents[1] in Path(file).parents
