"""`PreviewThread`: merges in memory, in a thread of its own; the latest wish wins.

The thread lives while there is something to do. Knows runs and label streams, no layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from seamlabel.engine.compared import Stopped
from seamlabel.engine.review_tables import steady_ids
from seamlabel.errors import SeamlabelError
from seamlabel.events import RunStarted, TileDone
from seamlabel.io.generations import FIRST
from seamlabel.napari.layers.lazy_labels import LabelStream
from seamlabel.napari.layers.levels import display_shapes
from seamlabel.napari.run.priority import give_way

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from seamlabel.engine.review import Preview, Review
    from seamlabel.napari.result.shown import Wish

PATIENCE = 1.0
"""Seconds after which a merge that nobody waits for any more is given up; shorter ones are shown."""


@dataclass(frozen=True)
class Job:
    """What is to be previewed.

    Parameters
    ----------
    run_dir : str
        The run.
    wish : Wish
        How it is to be merged.
    written : Wish
        How it was merged.
    n_written : int
        Objects that are written; 0 if that is not known.
    stream : LabelStream or None
        All labels of the run as they streamed in, if they are still there.
    """

    run_dir: str
    wish: Wish
    written: Wish
    n_written: int = 0
    stream: LabelStream | None = None


class PreviewThread(QObject):
    """Answers the latest job.

    Parameters
    ----------
    opened : callable
        Returns the run that is shown, opened.
    """

    counted = Signal(object, object, int)
    """The wish, its `Preview`, and the objects that are written."""
    colored = Signal(object, object, object)
    """The wish, the stream to show, and its table; after `counted`."""
    failed = Signal(object, str, object)
    """The wish, why it cannot be carried out, and that as problems."""

    def __init__(self, opened: Callable[[], Review | None]) -> None:
        super().__init__()
        self._open = opened
        self._lock = Lock()
        self._job: Job | None = None
        self._thread: Thread | None = None
        self._closed = False
        self._epoch = 0
        self.review: Review | None = None
        self._written: tuple[Wish, Preview] | None = None
        self._before: NDArray[np.uint32] | None = None
        self._stream: LabelStream | None = None

    def ask(self, job: Job) -> None:
        """Answer this, and nothing that was asked before."""
        with self._lock:
            self._job = job
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._work, name="seamlabel-preview")
                self._thread.start()

    def forget(self, run: bool = False) -> None:
        """Answer nothing that was asked; forget the `run` as well if it may be another one now."""
        with self._lock:
            self._job = None
            self._epoch += 1
            if run:
                self.review = self._written = self._before = self._stream = None

    def close(self) -> None:
        """End; the thread does so as soon as it can."""
        self._closed = True
        self.forget()

    @property
    def busy(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None

    # -- in the thread ----------------------------------------------------------------------------

    def _work(self) -> None:
        give_way()
        while True:
            with self._lock:
                job, self._job, epoch = self._job, None, self._epoch
                if job is None or self._closed:
                    self._thread = None
                    return
            try:
                self._answer(job, epoch)
            except Stopped:
                continue
            except SeamlabelError as error:
                fix = getattr(error, "hint", "")
                why = f"{error}. {fix}" if fix else str(error)
                self._tell("failed", job.wish, why, getattr(error, "problems", ()))
            except Exception as error:  # noqa: BLE001  the border: nothing may vanish in a thread
                self._tell("failed", job.wish, f"{type(error).__name__}: {error}", ())

    def _answer(self, job: Job, epoch: int) -> None:
        began = monotonic()

        def stop() -> bool:
            late = self._job is not None and monotonic() - began > PATIENCE
            return self._closed or self._epoch != epoch or late

        review = self._opened(job, epoch)
        preview = review.preview(job.wish.settings, job.wish.edits, stop)
        count = job.n_written or self._as_written(job, review, stop).n_objects
        self._tell("counted", job.wish, preview, count)
        stream = self._streamed(job, review, stop)
        first = stream.source()[1]
        written, before = self._as_written(job, review, stop), self._before
        if before is None:
            self._before = before = written.shown(first)
        self._tell("colored", job.wish, stream, steady_ids(preview.shown(first), before))

    def _as_written(self, job: Job, review: Review, stop: Callable[[], bool]) -> Preview:
        """Return the merge that is written: its count, if nobody knows it, and the ids whose colours stay."""
        known = self._written  # the window may forget it at any time
        if known is None or known[0] != job.written:
            found = review.preview(job.written.settings, job.written.edits, stop)
            known, self._before = (job.written, found), None
            self._written = known
        return known[1]

    def _opened(self, job: Job, epoch: int) -> Review:
        review = self.review
        if review is None or str(review.path) != job.run_dir:
            review = self._open()
            if review is None or str(review.path) != job.run_dir:  # another run is shown by now
                raise Stopped
            with self._lock:
                if self._epoch == epoch:
                    self.review = review
                    self._written = self._before = self._stream = None
        return review

    def _streamed(self, job: Job, review: Review, stop: Callable[[], bool]) -> LabelStream:
        """Return all labels of the run under provisional ids: what streamed in, or read again."""
        stream = self._stream or job.stream
        same = stream is not None and stream.source()[0] == review.store.folder
        fits = same and review.generation == FIRST
        if stream is None or not (fits or stream is self._stream):
            stream = _read_again(review, stop)
        if stream is not self._stream:
            self._stream, self._before = stream, None
        return stream

    def _tell(self, signal: str, *values: object) -> None:
        if self._closed:
            return
        try:
            getattr(self, signal).emit(*values)
        except RuntimeError:  # the application, and with it this QObject, is gone already
            return


def _read_again(review: Review, stop: Callable[[], bool]) -> LabelStream:
    """Return a stream of all tiles of a run that ended."""
    plan = review.plan
    stream = LabelStream(plan.grid, display_shapes(plan.level_shapes))
    labels = review.tables.all(stop)
    if labels is None:
        raise Stopped
    total, first = len(plan.grid), 0
    stream.accept(RunStarted(0, total, str(review.path)))
    for tile, count in enumerate(labels.n_core.tolist()):
        if stop():
            raise Stopped
        if count:
            stream.accept(TileDone(tile + 1, total, tile, count, first, 0.0))
        first += count
    return stream
