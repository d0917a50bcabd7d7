"""What a worker is told and answers, and what is told of one that died.

Calls and replies travel as bytes that are made and read here, so that an object that cannot be pickled
harms neither the pipe nor the pool. It does not know how processes live, nor of futures.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import traceback
from typing import Any

from seamlabel.errors import WorkerError

_job: Any = None
"""What the worker works with."""
_unready: bytes | None = None  # in a worker: the reply to every task, as it could not be made ready


def fate(code: int | None, seconds: float | None) -> WorkerError:
    """Return what became of a worker.

    Parameters
    ----------
    code : int or None
        Exit code of the process, negative for a signal, None if unknown.
    seconds : float or None
        The time-out that it was killed for.
    """
    if seconds is not None:
        return WorkerError(f"took longer than {seconds:g} s", "Allow more time, or make tiles smaller")
    if code is None:
        return WorkerError("the process that segmented it was lost")
    if code >= 0:
        return WorkerError(f"the process that segmented it ended with exit code {code}")
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    memory = name == "SIGKILL"
    hint = "If memory ran out: use fewer workers, or smaller tiles" if memory else ""
    return WorkerError(
        f"the process that segmented it was killed (signal {-code}: {name})", hint, memory=memory
    )


def prepare(install: bytes, payload: bytes) -> None:
    """Make this worker ready; an error is kept, and is the outcome of every task to come.

    Parameters
    ----------
    install : bytes
        Pickled function that takes the payload; what it returns is the first argument of every task.
    payload : bytes
        What it needs.
    """
    global _job, _unready
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # so that the exit code names the signal
    try:
        _job = pickle.loads(install)(payload)
    except BaseException as error:  # noqa: BLE001 - the border of the worker
        _unready = _failed(error)


def carry_out(task: bytes) -> bytes:
    """Carry out a pickled (function, arguments) in the worker; return the reply for `opened`."""
    if _unready is not None:
        return _unready
    try:
        fn, args = pickle.loads(task)
        result = fn(*args) if _job is None else fn(_job, *args)
    except BaseException as error:  # noqa: BLE001 - the border of the worker
        return _failed(error)
    try:
        return pickle.dumps((True, result), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - objects raise what they like when pickled
        reason = f"its result, a {type(result).__name__}, cannot be passed on: {_told(error)}"
        return _failed(WorkerError(reason))


def opened(reply: bytes) -> tuple[Any, BaseException | None]:
    """Return (result, error) of a reply of `carry_out`, one of them None; for the coordinator."""
    try:
        good, content = pickle.loads(reply)
        if good:
            return content, None
        error, told, trace = content
        error = pickle.loads(error) if error else None
    except Exception as problem:  # noqa: BLE001 - objects raise what they like when unpickled
        return None, WorkerError(f"its outcome cannot be read: {_told(problem)}")
    if not isinstance(error, BaseException):
        error = WorkerError(told)
    with contextlib.suppress(TypeError, AttributeError):  # an error may be frozen
        error.add_note(f"In the worker:\n{trace}")
    return None, error


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _failed(error: BaseException) -> bytes:
    try:
        packed = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        if not isinstance(pickle.loads(packed), BaseException):
            packed = b""
    except BaseException:  # noqa: BLE001 - objects raise what they like when pickled
        packed = b""
    trace = "".join(traceback.format_exception(error))
    return pickle.dumps((False, (packed, _told(error), trace)), pickle.HIGHEST_PROTOCOL)
