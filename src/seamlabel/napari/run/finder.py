"""`Finder`: looks for unfinished runs without holding up the window. Knows Qt and `Leftover`, no widget."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from seamlabel.napari.run.leftover import in_use, look, stamp

if TYPE_CHECKING:
    from seamlabel.napari.run.leftover import Leftover, Stamp

QUICK_BYTES = 200_000
"""Of journals, which are read in 20 ms; larger ones are read in a thread."""
BUSY_MS = 1000
"""Between two looks at whether a run that is under way elsewhere still is."""


class Finder(QObject):
    """Remembers what it found until a file changes."""

    found = Signal()
    """What was looked for in a thread is known now: ask again."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, tuple[Stamp, Leftover | None]] = {}
        self._looking = self._told = ""
        self._busy = QTimer(self)
        self._busy.setInterval(BUSY_MS)
        self._busy.timeout.connect(self._look_again)

    def find(self, run_dir: str) -> Leftover | None:
        """Return the unfinished run for a directory; None if there is none, or it is not known yet."""
        found = self._find(run_dir)
        if found is None or not found.busy:
            self._busy.stop()
        elif not self._busy.isActive():
            self._busy.start()
        return found

    def stop(self) -> None:
        """Look no more; safe to call after the application is gone."""
        with suppress(RuntimeError):
            self._busy.stop()

    def _look_again(self) -> None:
        """Say that what is known is old, once the lock of the run that was under way is gone."""
        for run_dir, (_, left) in self._known.items():
            if left is None or not in_use(left.run.path):
                self._busy.stop()
                del self._known[run_dir]
                self.found.emit()
                return

    def _find(self, run_dir: str) -> Leftover | None:
        path = Path(run_dir)
        now = stamp(path)
        known = self._known.get(run_dir)
        if known is not None and (known[0] == now or self._told == run_dir):
            self._told = ""  # else a run that goes on elsewhere would be looked at again and again
            return known[1]
        if sum(size for name, _, size in now if name.endswith(".jsonl")) <= QUICK_BYTES:
            self._known = {run_dir: (now, _looked(path))}
            return self._known[run_dir][1]
        if self._looking != run_dir:
            self._looking = run_dir
            Thread(target=self._look, args=(run_dir, now), name="seamlabel-look", daemon=True).start()
        return None

    def _look(self, run_dir: str, now: Stamp) -> None:
        self._known = {run_dir: (now, _looked(Path(run_dir)))}
        self._looking, self._told = "", run_dir
        with suppress(RuntimeError):  # the dock, and with it this QObject, is gone
            self.found.emit()


def _looked(path: Path) -> Leftover | None:
    try:
        return look(path)
    except OSError:  # a disk that went away; looked at again when anything changes
        return None
