"""`SampleMaker`: writes a sample image in a thread of its own, so that no window stands still.

Knows threads; nothing of what a sample is or of who shows it.
"""

from __future__ import annotations

from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QObject, Signal
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SampleMaker(QObject):
    """Has one sample written at a time.

    Parameters
    ----------
    make : callable
        ``make(name)`` writes a sample and returns its path.
    """

    made = Signal(str)
    """The path of a sample that is written."""
    failed = Signal(object)
    """The error that kept it from being written."""

    def __init__(self, make: Callable[[str], Path], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._make = make
        self._thread: Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a sample is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, name: str) -> None:
        """Write a sample, unless one is being written."""
        if not self.busy:
            self._thread = Thread(target=self._run, args=(name,), name="seamlabel-sample")
            self._thread.start()

    def _run(self, name: str) -> None:
        signal, told = self.made, ""
        try:
            told = str(self._make(name))
        except Exception as error:  # noqa: BLE001  the border: nothing may vanish in a thread
            signal, told = self.failed, error
        try:
            signal.emit(told)
        except RuntimeError:  # whoever asked is gone
            return


def make_and_wait(make: Callable[[str], Path], name: str) -> Path:
    """Return the path of a sample, written meanwhile with the window alive if there is one."""
    if QApplication.instance() is not None and current_thread() is main_thread():
        maker, loop = SampleMaker(make), QEventLoop()
        maker.made.connect(loop.quit)
        maker.failed.connect(loop.quit)
        maker.start(name)
        loop.exec()
    return make(name)  # written by now, or fails here and says why
