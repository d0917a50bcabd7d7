"""Who wrote a lock or a marker, and whether that process still runs. Knows no files."""

from __future__ import annotations

import os
import socket
from typing import Any

import psutil

CLOCK_SECONDS = 2.0
"""How far a start time may move when the machine's clock is set."""


def this_process() -> dict[str, Any]:
    """Return what tells this process from all others: host, pid and start time."""
    started = psutil.Process().create_time()
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": started}


def is_elsewhere(owner: Any) -> bool:
    """Return whether `this_process` was called on another machine, which cannot be asked."""
    return isinstance(owner, dict) and "host" in owner and owner["host"] != socket.gethostname()


def is_alive(owner: Any) -> bool:
    """Return whether the process that `this_process` described may still run.

    One of another machine may; one with the same pid that started at another time is another.
    """
    if is_elsewhere(owner):
        return True
    try:
        started = psutil.Process(owner["pid"]).create_time()
        return bool(abs(started - owner["started"]) < CLOCK_SECONDS)
    except psutil.AccessDenied:
        return True
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
