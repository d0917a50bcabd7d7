"""One tile: read, segment, check, number, stage. Runs in workers; knows nothing of other tiles."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from seamlabel.codes import code_digest
from seamlabel.engine.answers import check_labels
from seamlabel.engine.front import Arrival, Front
from seamlabel.engine.label_steps import in_tile
from seamlabel.engine.sampling import filtered_sample
from seamlabel.engine.seams import SeamFinder
from seamlabel.engine.skipping import Skipping, find_mask
from seamlabel.errors import OutputError, WorkerError
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.signatures import CONTEXT, wants_context

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.engine.table import ObjectTable
    from seamlabel.io.sources import Source
    from seamlabel.kernels.local import LocalTile
    from seamlabel.plan import Plan
    from seamlabel.protocols import LabelStore, PixelFilter, Segmenter, Statistics
    from seamlabel.staged import StagedTile

DURABLE_SECONDS = 0.5
"""Tiles that take as long are on the disk, not only in its cache, before they count as done."""


@dataclass(frozen=True, slots=True)
class TileRecord:
    """What the coordinator is told of a finished tile: for the merge, wall time, why it was skipped.

    And the sums of its labels, if a table is asked for; size and CRC-32 of what is staged.
    """

    arrival: Arrival
    seconds: float
    skipped: str = ""
    sums: NDArray[Any] | None = None
    stamp: tuple[int, int] = (0, 0)


class Segmented(NamedTuple):
    """A tile that is segmented and described: labels over its read box, None where there are none."""

    labels: NDArray[Any] | None
    local: LocalTile | None
    skipped: str
    sums: NDArray[Any] | None


@dataclass
class TileJob:
    """Everything that segmenting a tile of one run needs; shared by all threads.

    Parameters
    ----------
    plan : Plan
        What to do.
    source : Source
        The image.
    store : LabelStore
        Staging.
    segmenter : callable, optional
        Used instead of the plan's backend; one for all threads.
    mask : array, optional
        The mask to skip by, where the plan has no path of it.
    table : ObjectTable, optional
        What measures labels, if that is asked for.
    known : dict of Statistics
        Image-wide statistics by position of the channel (and filter), as far as they were taken.
    method : str
        Digest of the code of the plan's function, as it was when the run began; "" if that is not known.
    """

    plan: Plan
    source: Source
    store: LabelStore
    segmenter: Segmenter | None = None
    mask: Any = None
    table: ObjectTable | None = None
    known: dict[Any, Statistics] = field(default_factory=dict)
    method: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Prepare what is shared: one segmenter per thread, statistics once per channel."""
        self.seams = SeamFinder.of(self.plan)
        self.use(self.store)
        self._local = threading.local()
        self._spare: list[Segmenter] = []
        self._once, self._making = threading.Lock(), threading.Lock()
        mask = find_mask(self.plan, self.mask)
        self.skipping = Skipping(self.plan, self.source, self.statistics, mask)

    def use(self, store: LabelStore) -> None:
        """Stage tiles in this store from now on."""
        self.store = store
        self.front = Front(self.seams, store, self.plan.keep)

    def statistics(self, position: int) -> Statistics:
        """Return image-wide statistics of the chosen channel at this position; taken once."""
        with self._once:
            if position not in self.known:
                channel = (self.plan.channels or (0,))[position]
                self.known[position] = ImageStatistics.of(self.source.sample(channel))
            return self.known[position]

    def filtered(self, position: int, function: PixelFilter) -> Statistics:
        """Return image-wide statistics of what a filter makes of the channel; taken once."""
        with self._once:
            if (position, function) not in self.known:
                channel = (self.plan.channels or (0,))[position]
                pixels = filtered_sample(self.plan, self.source, channel, function)
                self.known[position, function] = ImageStatistics.of(pixels)
            return self.known[position, function]

    def expect(self, number: int) -> None:
        """Have the pixels of a tile read that is queued; not where a look may show it to be empty."""
        if self.plan.executor != "serial" and self.plan.spec.skip_empty is None:
            self.source.prefetch(self.plan.grid[number].read)

    def segment(self, number: int, attempt: int = 0) -> TileRecord:
        """Segment and stage tile `number`, and compare it with the neighbours that are here.

        Raises
        ------
        TileError
            If the segmenter gave something that is not labels.
        WorkerError
            If the attempt was disowned meanwhile.
        """
        start = time.perf_counter()
        found = self.labelled(number)
        if self.front.disowned(number, attempt):
            raise WorkerError("it took longer than allowed")
        stamp = self.stage(number, found.local, time.perf_counter() - start)
        arrival = self.front.arrive(number, found.labels, found.local, attempt)
        return TileRecord(arrival, time.perf_counter() - start, found.skipped, found.sums, stamp)

    def labelled(self, number: int) -> Segmented:
        """Segment tile `number` and describe its labels; nothing is stored."""
        tile = self.plan.grid[number]
        labels, image, local = None, None, self.seams.describe_empty(tile)
        skipped = self.skipping.unread(tile.read)
        if not skipped:
            image = self.source.read(tile.read)
            skipped = self.skipping.read(image)
        if image is not None and not skipped:
            pixels = image.copy() if self.table else image  # a function may change what it is given
            found = check_labels(self._segmenter()(pixels), self._space(tile.read.shape), number)
            found = in_tile(found, self.plan)
            labels, local = self.seams.describe(tile, found.reshape(tile.read.shape))
        if local and not local.staged.n_all + local.staged.n_pieces:
            local = None
        sums = self.table.measure(tile, local.staged, image) if self.table and local else None
        return Segmented(labels, local, skipped, sums)

    def stage(self, number: int, local: LocalTile | None, seconds: float) -> tuple[int, int]:
        """Store a tile's labels, if it has any; return size and CRC-32 of what is stored."""
        if local is None or self.stop.is_set():
            return 0, 0
        return self.store.write(number, local.staged, durable=seconds >= DURABLE_SECONDS)

    def _space(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(n for n, tiled in zip(shape, self.plan.joined, strict=True) if tiled)

    def prepare(self) -> None:
        """Make the first segmenter, so that one that cannot be made is told before any work."""
        if self.segmenter is None:
            self._spare.append(self.make_segmenter())

    def _segmenter(self) -> Segmenter:
        made: Segmenter | None = getattr(self._local, "segmenter", None)
        if made is None and self.segmenter is not None:
            made = self.function()
        elif made is None:
            made = self._shared() if self.plan.backend.shared else self._own()
        self._local.segmenter = made
        return made

    def function(self) -> Segmenter:
        """Return the function that is used instead of the backend, with the context if it wants that."""
        assert self.segmenter is not None
        context = {CONTEXT: self.context()} if wants_context(self.segmenter) else {}
        return partial(self.segmenter, **context) if context else self.segmenter

    def _own(self) -> Segmenter:
        """Return a segmenter that no other thread has."""
        try:
            return self._spare.pop()
        except IndexError:
            return self.make_segmenter()

    def _shared(self) -> Segmenter:
        """Return the segmenter of all threads."""
        with self._making:
            if not self._spare:
                self._spare.append(self.make_segmenter())
            return self._spare[0]

    def make_segmenter(self) -> Segmenter:
        """Return a new segmenter of the plan's backend.

        Raises
        ------
        OutputError
            If its code was edited since the run began: tiles of two methods would be mixed.
        """
        made = self.plan.backend.make(self.plan.params, self.context())
        target = getattr(self.plan.params, "target", None)
        if target and self.method and code_digest(getattr(made, "func", made)) != self.method:
            msg = f"the code of {target} was edited while the run went on"
            raise OutputError(msg, "Put it back and resume the run; or start over")
        return made

    def context(self) -> SegmentContext:
        """Return what a backend may know of the image."""
        plan = self.plan
        names = plan.info.channels or tuple(map(str, plan.channels))
        return SegmentContext(
            axes="".join(axis.name for axis in plan.axes if axis.tiled),
            dtype=plan.info.dtype,
            scale=tuple(s for s, a in zip(plan.scale, plan.axes, strict=True) if a.tiled),
            channels=tuple(names[i] for i in plan.channels),
            statistics=self.statistics,
            filtered=self.filtered,
        )


class NoStore:
    """A `LabelStore` for where nothing is staged."""

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> tuple[int, int]:
        """Drop the labels."""
        return 0, 0

    def read(self, tile: int) -> None:
        """Have nothing."""
