"""What can go wrong while one tile is segmented, as data: what happens, and what the run is to say of it.

A fault strikes the one tile that has its mark, a pixel brighter than all cells. Knows no runs.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.faults.strikes import (
    OutOfMemoryError,
    Speechless,
    Stop,
    Touchy,
    Unpicklable,
    Unreadable,
    bright,
    change_input,
    ends,
    fork_child,
    gives,
    hang_in_c,
    hang_in_python,
    hang_with_lock,
    hog,
    ignore_signals,
    kill_self,
    label_in_place,
    noise,
    raises,
    recursion,
    renumbered,
    reuse_buffer,
    spoil,
    start_threads,
    warning,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = 60_000


@dataclass(frozen=True)
class Fault:
    """One way to go wrong.

    Parameters
    ----------
    name : str
        What it is.
    strike : callable
        Given the tile's pixels; returns or raises or never comes back.
    reason : str
        What a run says of the tile, as a pattern; "" for what must not harm at all.
    kind : {"error", "result", "kill", "hang", "stop", "harmless"}
        "kill" ends the process, "hang" never returns, "stop" means that the user stops the run.
    holds : bool
        Whether it keeps the interpreter's lock, so that nothing else in its process goes on.
    memory : bool
        Whether it means that memory ran out, so that the tile is tried with fewer beside it first.
    """

    name: str
    strike: Callable[[Any], Any]
    reason: str
    kind: str
    holds: bool = False
    memory: bool = False


class Odd:
    """Segments; a marked tile meets its fault, as the file ``mode`` in a folder says.

    "always": each time; "once": the first time only; "never": not at all. Kept in a file, so that the
    method is the same before and after it was mended.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, tile: Any) -> Any:
        """Segment a tile."""
        number = int(tile.max()) - MARK
        if number < 0 or not self.armed(number):
            return bright(tile)
        return FAULTS[number].strike(tile)

    def armed(self, number: int) -> bool:
        """Return whether a fault is to strike now."""
        folder = Path(self.folder)
        mode = (folder / "mode").read_text()
        with (folder / f"struck-{number}").open("a") as log:
            log.write(f"{os.getpid()}\n")
        if mode == "once":
            return len((folder / f"struck-{number}").read_text().split()) == 1
        return mode == "always"


def _error(name: str, error: Callable[[], BaseException], reason: str, memory: bool = False) -> Fault:
    return Fault(name, raises(error), reason, "error", memory=memory)


def _result(name: str, change: Callable[[Any], Any], reason: str) -> Fault:
    return Fault(name, gives(change), reason, "result")


def _harmless(name: str, strike: Callable[[Any], Any]) -> Fault:
    return Fault(name, strike, "", "harmless")


ERRORS = (
    _error("exception", lambda: ValueError("as planned"), r"ValueError: as planned \(strikes.py, line"),
    _error("unpicklable exception", Unpicklable, "Unpicklable: has a lock"),
    _error("exception that cannot be unpickled", lambda: Unreadable("a", "b"), "Unreadable: ab"),
    _error("exception without words", Speechless, "Speechless: .*cannot be had"),
    _error("exception that raises", lambda: Touchy("touchy"), "Touchy: touchy"),
    _error("message of 20 MB", lambda: ValueError("so " * 7_000_000), r"ValueError: so so.*…"),
    _error("message of control characters", lambda: ValueError("\x1b[2J\udcff\0"), "ValueError"),
    _error("OSError", lambda: OSError(errno.EIO, "no light"), "OSError: .*no light"),
    _error("OSError: disk full", lambda: OSError(errno.ENOSPC, "disk full"), "OSError: .*disk full"),
    _error("SystemExit", lambda: SystemExit(0), "SystemExit: 0"),
    _error("GeneratorExit", GeneratorExit, "GeneratorExit"),
    _error("StopIteration", StopIteration, "StopIteration"),
    _error("CancelledError", asyncio.CancelledError, "CancelledError"),
    _error("TimeoutError", lambda: TimeoutError("too slow"), "TimeoutError: too slow"),
    _error("BaseException", lambda: Stop("stop"), "Stop: stop"),
    _error("ExceptionGroup", lambda: ExceptionGroup("two", [KeyError(1), OSError(2)]), "ExceptionGroup: two"),
    _error("MemoryError", MemoryError, "MemoryError", memory=True),
    _error("out of GPU memory", lambda: OutOfMemoryError("CUDA out of memory"), "OutOfMemory", memory=True),
    Fault("MemoryError of numpy", lambda tile: np.empty(1 << 58), "Unable to allocate", "error", memory=True),
    Fault("memory hog", hog, "MemoryError", "error", memory=True),
    Fault("recursion", recursion, "RecursionError: maximum recursion", "error"),
    Fault("warnings as errors", warning, "UserWarning: not quite right", "error"),
)
RESULTS = (
    _result("None", lambda labels: None, "returned nothing"),
    _result("NaN", lambda labels: np.where(labels, 1.0, np.nan), "float64 labels with NaN"),
    _result("floats", lambda labels: labels / 2, "float64 labels"),
    _result("negatives", lambda labels: -labels, "negative labels"),
    _result("object dtype", lambda labels: labels.astype(object), "object labels"),
    _result("wrong shape", lambda labels: labels[1:], "returned shape"),
    _result("bool mask", lambda labels: labels > 0, "a mask"),
    _result("tuple", lambda labels: (labels, 3), "a tuple"),
    _result("complex numbers", lambda labels: labels * 1j, "complex128 labels"),
    _result("text", lambda labels: labels.astype(str), "labels"),
    _result("a number", lambda labels: 3, "returned shape"),
    _result("generator", lambda labels: (row for row in labels), "returned"),
    _result("ragged list", lambda labels: np.array([[1], [1, 2]], object), "returned shape"),
)
KILLS = (
    Fault("segfault", ends(lambda: ctypes.string_at(0)), "SIGSEGV|dask workers died", "kill"),
    Fault("abort", ends(os.abort), "SIGABRT|dask workers died", "kill"),
    Fault("_exit(0)", ends(lambda: os._exit(0)), "exit code 0|was lost|dask workers died", "kill"),
    Fault("_exit(3)", ends(lambda: os._exit(3)), "exit code 3|dask workers died", "kill"),
    Fault("kill -9", ends(kill_self), "SIGKILL|dask workers died", "kill", memory=True),
)
HANGS = (
    Fault("hang in Python", hang_in_python, "took longer than", "hang"),
    Fault("hang in C", hang_in_c, "took longer than", "hang"),
    Fault("hang in C with the lock", hang_with_lock, "took longer than", "hang", holds=True),
)
STOPS = (Fault("KeyboardInterrupt", raises(KeyboardInterrupt), "", "stop"),)
HARMLESS = (
    _harmless("print noise", noise),
    _harmless("changes its input", change_input),
    _harmless("labels in place", label_in_place),
    _harmless("view of a shared buffer", reuse_buffer),
    _harmless("labels over 2^31", renumbered("int64", 1, 1 << 31)),
    _harmless("labels up to 2^63", renumbered("int64", 1, (1 << 63) - 5000)),
    _harmless("labels up to 2^64", renumbered("uint64", 1, (1 << 64) - 5000)),
    _harmless("labels far apart", renumbered("int64", 1 << 40, 3)),
    _harmless("big-endian", gives(lambda labels: labels.astype(">i4"))),
    _harmless("column order", gives(np.asfortranarray)),
    _harmless("backwards strides", gives(lambda labels: labels[::-1, ::-1].copy()[::-1, ::-1])),
    _harmless("masked array", gives(lambda labels: np.ma.masked_equal(labels, 0))),
    _harmless("starts threads", start_threads),
    _harmless("forks a child", fork_child),
    _harmless("closes stdin", spoil(lambda: os.close(0))),
    _harmless("changes directory", spoil(lambda: os.chdir("/"))),
    _harmless("floating point traps", spoil(lambda: np.seterr(all="raise"))),
    _harmless("ignores signals", spoil(ignore_signals)),
    _harmless("loses stdout", spoil(lambda: setattr(sys, "stdout", None))),
)
FAULTS = (*ERRORS, *RESULTS, *KILLS, *HANGS, *STOPS, *HARMLESS)
"""All; the mark of a fault is `MARK` and its place here."""


def says(fault: Fault, reason: str) -> bool:
    """Return whether this is what a run is to say of a fault."""
    return re.search(fault.reason, reason) is not None and len(reason) < 1000
