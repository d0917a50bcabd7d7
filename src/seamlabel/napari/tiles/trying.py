"""Trying one tile: a run of that tile alone that writes nothing, and what came of it.

Knows engine and staging; nothing of layers or Qt.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seamlabel.engine.run import run
from seamlabel.events import RunStarted, TileDone, TileFailed, TileSkipped
from seamlabel.io.staging import open_staging
from seamlabel.io.temporary import temporary_folder
from seamlabel.napari.layers.lazy_labels import LabelStream

if TYPE_CHECKING:
    from collections.abc import Generator

    from seamlabel.events import Event
    from seamlabel.geometry import TileGrid
    from seamlabel.plan import Plan
    from seamlabel.staged import StagedTile


@dataclass(frozen=True)
class Tried:
    """What came of a try.

    Parameters
    ----------
    tile : int
        The tile.
    objects : int
        Objects in its core.
    seconds : float
        How long it took.
    staged : StagedTile or None
        Its labels; None if there are none.
    reason, detail : str
        Why it failed, and the traceback; "" if it did not.
    """

    tile: int
    objects: int = 0
    seconds: float = 0.0
    staged: StagedTile | None = None
    reason: str = ""
    detail: str = ""


class Attempt:
    """One try of one tile.

    Parameters
    ----------
    plan : Plan
        What would be run; where it writes to is not touched.
    tile : int
        The tile.
    image : array-like or None
        The image, where the plan has no path.
    """

    def __init__(self, plan: Plan, tile: int, image: Any) -> None:
        self.plan, self.tile, self.found = plan, tile, Tried(tile)
        self._image = image

    def events(self) -> Generator[Event, None, None]:
        """Segment the tile; `found` tells what came of it after the last event."""
        folder, staged_in = temporary_folder(), ""
        how = {"executor": "processes" if self.plan.executor in ("processes", "dask") else "threads"}
        spec = self.plan.spec.replace(region=None, table=None, retries=0, workers=1, scheduler=None, **how)
        places = {"output": str(folder / "tried.zarr"), "run_dir": str(folder / "tried")}
        plan = replace(self.plan, spec=spec, workers=1, asked=None, **how, **places)
        try:
            with closing(run(plan, image=self._image, order=[self.tile])) as events:
                for event in events:
                    if isinstance(event, RunStarted):
                        staged_in = event.run_dir
                    over = self._take(event, staged_in)
                    yield event
                    if over:
                        return
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _take(self, event: Event, staged_in: str) -> bool:
        """Take in an event; return whether it was the last one."""
        if isinstance(event, TileDone):
            staged = open_staging(staged_in).read(event.tile) if event.n_labels else None
            self.found = Tried(event.tile, event.n_labels, event.seconds, staged)
        elif isinstance(event, TileFailed):
            self.found = Tried(event.tile, reason=event.reason, detail=event.detail)
        return isinstance(event, TileDone | TileFailed | TileSkipped)


class TriedTiles(LabelStream):
    """The labels of tried tiles, on every level; a tile that is tried again gets new ones.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    shapes : sequence of tuple of int
        Shapes of the levels to show.
    """

    def __init__(self, grid: TileGrid, shapes: Any) -> None:
        super().__init__(grid, shapes)
        self.held: dict[int, StagedTile | None] = {}
        self._store = _Held(self.held)
        self._given = 0

    def put(self, tried: Tried) -> None:
        """Show what came of a try."""
        self.held[tried.tile] = tried.staged
        with self._lock:
            self._tiles.pop(tried.tile, None)
            self._ids.add(self._given, tried.objects)
        self._fill(tried.tile, self._given)
        self._first[tried.tile] = self._given
        self._given += tried.objects


class _Held:
    """A `LabelStore` in memory."""

    def __init__(self, held: dict[int, StagedTile | None]) -> None:
        self._held = held

    def read(self, tile: int) -> StagedTile | None:
        return self._held.get(tile)

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> tuple[int, int]:
        self._held[tile] = staged
        return 0, 0
