"""Carries a conversion out: blocks by several threads, noted when they are on disk, metadata last.

Resumes what was cut short by the same request, refuses another. Knows inputs and layouts, no file formats.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.convert.job import FAILED
from seamlabel.io.convert.journal import Journal, differences, stamps
from seamlabel.io.lock import Lock
from seamlabel.io.ngff.documents import group_format, write_attributes
from seamlabel.io.ngff.images import ImageWriter, value_range, widen
from seamlabel.io.ngff.metadata import writing_attributes
from seamlabel.io.ngff.publish import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seamlabel.geometry import Box
    from seamlabel.io.convert.job import Job
    from seamlabel.io.ngff.images import Window
    from seamlabel.io.ngff.layout import Stage

LEVEL_CACHE_BYTES = 1 << 25


def carry_out(
    job: Job, *, workers: int, overwrite: bool, on_progress: Callable[[int, int], None] | None
) -> None:
    """Make the image, or go on making it.

    Parameters
    ----------
    job : Job
        What to make.
    workers : int
        Blocks at once.
    overwrite : bool
        Replace an image that is there, and what is unfinished of another request.
    on_progress : callable, optional
        Called with (voxels done, voxels), of all passes.

    Raises
    ------
    ImageError
        If the source cannot be read, or changed meanwhile.
    OutputError
        If the image cannot be written, or something is in the way.
    """
    job.check(overwrite=overwrite)
    with explained(job.folder, FAILED):
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(job.folder.with_name(f"{job.folder.name}.lock"))
    try:
        what = job.check(overwrite=overwrite)  # again: nobody else changes it now
        journal = Journal(job.folder)
        try:
            if what != "done":
                _make(job, journal, what, workers, on_progress)
            journal.remove()
        finally:
            journal.close()
    finally:
        lock.release()


def _make(
    job: Job,
    journal: Journal,
    what: str,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    files = stamps(job.source.files)
    writer = ImageWriter(job.folder, job.plan)
    with explained(job.folder, FAILED):
        if what == "replace":
            _empty(job.folder)
        if what != "resume":
            job.folder.mkdir(parents=True, exist_ok=True)
            journal.begin(job.request, files)
        writer.sweep()
        writer.create()
    window: Window = {}
    done = _done(job, journal, writer, window)
    _Run(job, writer, journal, done, window).through(workers, on_progress)
    changed = differences(({}, files), ({}, stamps(job.source.files)))
    if changed:
        msg = f"the source changed while it was read: {'; '.join(changed)}"
        raise ImageError(msg, "Let nobody write into it, and convert it again with --overwrite")
    with explained(job.folder, f"{FAILED.replace('written', 'finished')}"):
        if hasattr(os, "sync"):
            os.sync()  # what is whole by its metadata is whole after a power cut too
        writer.finish(job.source.channels or None, window)


def _empty(folder: Path) -> None:
    """Remove what is in a folder; from the first step on nobody takes it for an image."""
    if group_format(folder) is not None:
        write_attributes(folder, writing_attributes(), unconsolidate=True)
    documents = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")
    for path in sorted(folder.iterdir(), key=lambda path: path.name in documents):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _done(job: Job, journal: Journal, writer: ImageWriter, window: Window) -> set[tuple[int, int]]:
    """Return stage and number of the blocks that are on disk as they were noted; widen the window."""
    found = set()
    stages = job.stages
    for entry in journal.read()[2]:
        with suppress(KeyError, TypeError, ValueError, IndexError):
            stage, block, size = (int(entry[key]) for key in "sbn")
            box = stages[stage].grid[block].core
            if writer.size(stages[stage], box) == size:
                found.add((stage, block))
                widen(window, {int(c): (float(a), float(b)) for c, (a, b) in entry["w"].items()})
    return found


class _Run:
    """The blocks of a job, by several threads."""

    def __init__(
        self, job: Job, writer: ImageWriter, journal: Journal, done: set[tuple[int, int]], window: Window
    ) -> None:
        self._job, self._writer, self._journal, self._done = job, writer, journal, done
        self._window = window
        self._channel = job.plan.names.find("c")

    def through(self, workers: int, on_progress: Callable[[int, int], None] | None) -> None:
        stages = self._job.stages
        total = sum(prod(stage.grid.shape) for stage in stages)
        told = 0
        # Never in this thread: Blosc packs with several threads there, and not the same bytes each time.
        pool = ThreadPoolExecutor(workers, "seamlabel-convert")
        try:
            for number, stage in enumerate(stages):
                for box in self._blocks(pool, workers, number, stage):
                    told += box.size
                    if on_progress:
                        on_progress(told, total)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _blocks(self, pool: ThreadPoolExecutor, workers: int, number: int, stage: Stage) -> Iterator[Box]:
        """Have all blocks of a stage written in raster order; yield each when it is."""
        first = stage.levels.start == stage.base
        read: Any = self._job.source.reader()
        if not first:
            chunks = ChunkReader(self._writer.arrays[stage.base], ChunkCache(LEVEL_CACHE_BYTES))
            read = chunks.read
        waiting = set()
        for tile in stage.grid:
            if (number, tile.number) in self._done:
                yield tile.core
                continue
            waiting.add(pool.submit(self._block, number, stage, tile.number, read))
            while len(waiting) > workers:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for one in ready:
                    yield self._note(one.result())
        for one in waiting:
            yield self._note(one.result())

    def _block(self, number: int, stage: Stage, block: int, read: Any) -> tuple[Box, dict[str, Any]]:
        box = stage.grid[block].core
        pixels = read(box)
        ranges: Window = {}
        if number == 0 and self._job.source.channels:
            ranges = value_range(box, pixels, self._channel)
        with explained(self._job.folder, FAILED):
            self._writer.write(stage, box, pixels)
            size = self._writer.size(stage, box)
        return box, {"s": number, "b": block, "n": size, "w": ranges}

    def _note(self, found: tuple[Box, dict[str, Any]]) -> Box:
        box, entry = found
        with explained(self._job.folder, FAILED):
            self._journal.add(entry)
        widen(self._window, entry["w"])
        return box
