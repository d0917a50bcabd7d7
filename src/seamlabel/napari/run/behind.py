"""`Behind`: says that threads of a run that is over still work on their tiles. Knows no run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from seamlabel.engine.executors import ThreadExecutor
    from seamlabel.napari.run.run_bar import RunBar

LOOK_MS = 500
"""Between two looks at whether they have ended; none are made while there is nothing to see."""


class Behind:
    """Follows threads until they are idle: a thread cannot be ended.

    Parameters
    ----------
    bar : RunBar
        Where that is said.
    """

    def __init__(self, bar: RunBar) -> None:
        self._note = bar.behind
        self._left: list[ThreadExecutor] = []
        self._timer = QTimer(bar)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    def follow(self, threads: ThreadExecutor | None) -> None:
        """Look after the threads of a run that is over now."""
        if threads is not None:
            self._left.append(threads)
        self._look()

    def _look(self) -> None:
        self._left = [threads for threads in self._left if threads.overdue(0)]
        busy = sum(len(threads.overdue(0)) for threads in self._left)
        if not busy:
            self._timer.stop()
            self._note.say("")
            return
        still = "is" if busy == 1 else "are"
        self._note.say(
            f"{many(busy, 'tile')} {still} still working in the background and cannot be stopped. "
            "With 'Work in: Processes' they can be stopped at once"
        )
        if not self._timer.isActive():
            self._timer.start()
