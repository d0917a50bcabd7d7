"""`Gate`: counts writers in flight, so that the last one out cleans up after an abort.

Knows nothing of what is written.
"""

from __future__ import annotations

import threading


class Gate:
    """A gate that is shut once and for all; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._shut = False

    def enter(self) -> bool:
        """Go in, if the gate is open; who went in must `leave`."""
        with self._lock:
            self._inside += not self._shut
            return not self._shut

    def leave(self) -> bool:
        """Go out; return whether the gate was shut meanwhile and nobody is left inside."""
        with self._lock:
            self._inside -= 1
            return self._shut and not self._inside

    def shut(self) -> bool:
        """Let nobody in any more; return whether nobody is inside."""
        with self._lock:
            self._shut = True
            return not self._inside
