"""Threads that let the window go first. Knows nothing of runs."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

STEPS = 5
"""Of Unix's 40 steps of niceness: others that want a core at the same time get three times as much of it."""


def give_way() -> None:
    """Let other threads have the cores first; this thread, and all that it starts from now on.

    Nothing is lost where no other thread wants them. Does something on Linux only, where every thread
    has a niceness of its own and hands it on; an administrator may have forbidden it.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, min(nice + STEPS, 19))
