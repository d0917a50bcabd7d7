"""`TableWork`: what takes long about tables, in a thread of its own: measuring and writing.

Knows the engine and files of tables; no widget.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from seamlabel.engine.measuring import measure_run
from seamlabel.io.tables import write_table
from seamlabel.napari.run.worker import RunWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from seamlabel.engine.table import Table
    from seamlabel.napari.result.shown import Shown


class TableWork(QObject):
    """Does one piece of work at a time."""

    progressed = Signal(int, int)
    """Boxes that are measured, of how many."""
    measured = Signal(object, object)
    """A table is made: the run, and its table."""
    written = Signal(str, int)
    """A table is written: where, and how many rows."""
    failed = Signal(str)
    """It did not work, and why."""
    ended = Signal()
    """The work is done, whatever came of it."""

    def __init__(self) -> None:
        super().__init__()
        self._worker: RunWorker | None = None
        self._tell: Callable[[], None] = lambda: None

    @property
    def active(self) -> bool:
        """Whether something is under way."""
        return self._worker is not None

    def measure(self, shown: Shown) -> None:
        """Measure all objects of a run."""
        found: list[Table] = []

        def work() -> Generator[Any, None, None]:
            found.append((yield from measure_run(shown.plan, shown.path, shown.array)))

        self._begin(work, lambda: self.measured.emit(shown, found[0]))

    def write(self, path: str, table: Table) -> None:
        """Write a table, in place of a file of that name."""

        def work() -> Generator[Any, None, None]:
            yield from ()
            write_table(path, table)

        self._begin(work, lambda: self.written.emit(path, len(table["id"])))

    def _begin(self, work: Callable[[], Generator[Any, None, None]], tell: Callable[[], None]) -> None:
        self._tell = tell
        self._worker = RunWorker(work)
        self._worker.events.connect(self._progressed)
        self._worker.failed.connect(self._failed)
        self._worker.finished.connect(self._finished)
        self._worker.start()

    def cancel(self, *_: object) -> None:
        """End what is under way; nothing comes of it. A file that is being written is written."""
        if self._worker is not None:
            self._worker.cancel()

    def close(self, *_: object) -> None:
        """Cancel without telling anybody: the widgets may be gone."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            with suppress(RuntimeError, TypeError):
                worker.events.disconnect(self._progressed)
                worker.failed.disconnect(self._failed)
                worker.finished.disconnect(self._finished)

    def _progressed(self, events: list[tuple[int, int]]) -> None:
        self.progressed.emit(*events[-1])

    def _failed(self, error: BaseException, _detail: str) -> None:
        hint = getattr(error, "hint", "")
        problems = getattr(error, "problems", ())
        text = "; ".join(problem.message for problem in problems) or str(error) or type(error).__name__
        text = f"{text[:1].upper()}{text[1:]}"
        self._tell = lambda: self.failed.emit(f"{text}. {hint}" if hint else text)

    def _finished(self, cancelled: bool) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.join()
        if not cancelled:
            self._tell()
        self.ended.emit()
