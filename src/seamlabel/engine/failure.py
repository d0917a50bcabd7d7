"""Why a tile failed, as plain data: to be shown, kept in the journal, and passed between processes.

Knows exceptions, not what is done about them.
"""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

from seamlabel.errors import OutputError, RemoteError, SeamlabelError, TileError, WorkerError

_PLACES = (*map(sysconfig.get_path, ("stdlib", "platstdlib")), str(Path(__file__).parents[1]))
REASON, DETAIL = 500, 20_000
"""Most characters of a reason and of a traceback: a message may hold a whole array."""


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
    ends_all = isinstance(error, OutputError | RemoteError) or (
        isinstance(error, WorkerError) and error.fatal
    )
    return Failure(
        reason=describe_failure(error),
        detail=_detail(error),
        again=not known,
        memory=_out_of_memory(error),
        fatal=error if ends_all and isinstance(error, SeamlabelError) else None,
    )


def _detail(error: BaseException) -> str:
    """Return the traceback, as text that every file and window can hold."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - attributes of an error may raise
        text = f"{''.join(traceback.format_tb(error.__traceback__))}{describe_failure(error)}\n"
    if len(text) > DETAIL:
        text = f"{text[: DETAIL // 2]}\n[{len(text) - DETAIL:,} characters]\n{text[-DETAIL // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode()


def _out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: of the machine, or of a device (torch, cupy, tensorflow by name)."""
    names = {cls.__name__ for cls in type(error).__mro__}
    named = bool(names & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"})
    return named or (isinstance(error, WorkerError) and error.memory)


def describe_failure(error: BaseException) -> str:
    """Return why a tile failed, in one line; for an error of the user's own code with its place."""
    if isinstance(error, TileError):
        return f"{error.reason}. {error.hint}" if error.hint else error.reason
    if isinstance(error, WorkerError):
        return str(error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _in_library(frame.filename)]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    text = _text(error)
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def _text(error: BaseException) -> str:
    """Return what an exception says, in one short line; its own code for that may fail, too."""
    try:
        text = str(error)
        shown = "".join(c if c.isprintable() else " " for c in text[: 2 * REASON])
        line = " ".join(shown.split())
        return line if len(line) <= REASON and len(text) <= 2 * REASON else f"{line[:REASON]}…"
    except Exception as second:  # noqa: BLE001 - whatever it is, the first error is the one to tell
        return f"(its text cannot be had: {type(second).__name__})"


def _in_library(file: str) -> bool:
    """Return whether a file is not the user's: of Python, of an installed package, or of seamlabel."""
    if "site-packages" in file or "dist-packages" in file or file.startswith(("<frozen ", "<__array")):
        return True
    return any(Path(place) in Path(file).parents for place in _PLACES if place)
