"""`MapWriter`: a new OME-Zarr image that a blend writes into, block by block, and goes on with.

Blocks that are on disk are noted; the image's metadata come last. Knows axes and layouts, no predictions.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.geometry import Box
from seamlabel.io.convert.journal import Journal, differences
from seamlabel.io.lock import Lock
from seamlabel.io.map_places import JOURNAL, check_place
from seamlabel.io.ngff.images import ImageWriter, value_range, widen
from seamlabel.io.ngff.layout import layout
from seamlabel.io.ngff.places import local_path
from seamlabel.io.ngff.publish import explained

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from seamlabel.axes import Axis
    from seamlabel.io.ngff.images import Window

_FAILED = "the map cannot be written into"


class MapWriter:
    """A map of float or integer values over the label axes of an image, with channels or without.

    Parameters
    ----------
    path : str or path-like
        The OME-Zarr to make.
    axes : sequence of Axis
        Time and space, in order.
    shape : tuple of int
        Along these axes.
    dtype : str
        numpy name.
    scale : sequence of float
        World units per voxel along these axes.
    translation : sequence of float, optional
        Where voxel 0 lies along these axes, in world units.
    channels : tuple of str
        Names; none for a map without a channel axis. Also an attribute.
    version : {"0.5", "0.4"}
        NGFF version.
    request : dict
        What tells one map from another, as JSON has it; what was cut short goes on for the same one.
    overwrite : bool
        Replace an image that is there, or what is unfinished of another request.
    classes : bool
        Values are numbers of classes, of which there is no mean: coarser levels are sampled.

    Attributes
    ----------
    shape : tuple of int
        (channels, *axes), or that of the axes.
    dtype : dtype
        Of the values.
    chunks : tuple of int
        What is to be written at once, along all of them.
    done : set of int
        Blocks of that shape, in raster order along the axes, that are on disk.
    on_block : callable or None
        Called as ``on_block(box, values)`` for each block that is on disk, from the thread that wrote it:
        a `Box` along the axes, and values of shape (channels, *box) or box.

    Raises
    ------
    OutputError
        If it cannot be written, something else is there, or another process writes it.
    """

    on_block: Callable[[Box, NDArray[Any]], None] | None = None

    def __init__(  # noqa: PLR0913 - one object, options by name
        self,
        path: str | os.PathLike[str],
        *,
        axes: Sequence[Axis],
        shape: tuple[int, ...],
        dtype: str,
        scale: Sequence[float],
        translation: Sequence[float] | None = None,
        channels: tuple[str, ...] = (),
        version: str = "0.5",
        request: dict[str, Any] | None = None,
        overwrite: bool = False,
        classes: bool = False,
    ) -> None:
        self.folder, self.channels = Path(local_path(path)), channels
        names: list[Any] = [axis.name for axis in axes]
        self._at = names.index("t") + 1 if channels and "t" in names else 0
        full, steps, units = list(shape), list(scale), [axis.unit for axis in axes]
        self._start = list(translation or (0.0,) * len(full))
        along: tuple[list[Any], ...] = (names, full, steps, self._start, units)
        for values, of_channels in zip(along, ("c", len(channels), 1.0, 0.0, None), strict=True):
            values[self._at : self._at] = [of_channels] if channels else []
        self._plan = layout(
            tuple(full), dtype, axes="".join(names), scale=steps, units=units, version=version
        )
        self._stages = self._plan.stages()
        self.shape = (len(channels), *shape) if channels else tuple(shape)
        self.dtype = np.dtype(dtype)
        block = list(self._stages[0].grid.tile_shape)
        depth = block.pop(self._at) if channels else 1
        self._depth, self.chunks = depth, (len(channels), *block) if channels else tuple(block)
        self._writer, self._journal = (
            ImageWriter(self.folder, self._plan, classes),
            Journal(self.folder, JOURNAL),
        )
        self._window: Window = {}
        self.done: set[int] = set()
        self._counts = [-(-n // b) for n, b in zip(shape, block, strict=True)]
        self._begin({**(request or {}), "layout": repr(self._plan)}, overwrite)

    def _begin(self, request: dict[str, Any], overwrite: bool) -> None:
        with explained(self.folder, _FAILED):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.folder.with_name(f"{self.folder.name}.lock"))
        try:
            goes_on = self._goes_on(request, overwrite)
            with explained(self.folder, _FAILED):
                if not goes_on:
                    self._clear()
                    self.folder.mkdir(parents=True, exist_ok=True)
                    self._journal.begin(request, [])
                self._writer.sweep()
                self._writer.create()
            self._take_up()
        except BaseException:
            self._lock.release()
            raise

    def _goes_on(self, request: dict[str, Any], overwrite: bool) -> bool:
        """Return whether there is something to go on with; raise what is in the way."""
        if self._journal.exists():
            differ = differences((self._journal.read()[0], []), (request, []))
            if not differ:
                return True
            if not overwrite:
                msg = f"{self.folder} holds an unfinished map of another request; {'; '.join(differ)}"
                raise OutputError(
                    msg,
                    "Ask for the same to go on with it, give another path, or --overwrite, overwrite=True",
                )
            return False
        check_place(self.folder, overwrite=overwrite)
        return False

    def _clear(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _take_up(self) -> None:
        """Note what is on disk as it was written."""
        for entry in self._journal.read()[2]:
            with suppress(KeyError, TypeError, ValueError):
                number, size = int(entry["b"]), int(entry["n"])
                if size == sum(self._writer.size(self._stages[0], box) for box, _ in self._boxes(number)):
                    self.done.add(number)
                    widen(self._window, {int(c): (float(a), float(b)) for c, (a, b) in entry["w"].items()})

    def __setitem__(self, key: tuple[slice, ...], block: NDArray[Any]) -> None:
        """Write a block, of all channels."""
        start = [cut.start for cut in key[-len(self._counts) :]]
        number = int(np.ravel_multi_index(self._place(start), self._counts))
        found: Window = {}
        size = 0
        for box, cut in self._boxes(number):
            pixels = np.moveaxis(block[cut], 0, self._at) if self.channels else block
            pixels = np.ascontiguousarray(pixels)
            with explained(self.folder, _FAILED):
                self._writer.write(self._stages[0], box, pixels)
            size += self._writer.size(self._stages[0], box)
            if self.channels:
                widen(found, value_range(box, pixels, self._at))
        with explained(self.folder, _FAILED):
            self._journal.add({"b": number, "n": size, "w": found})
        widen(self._window, found)
        self.done.add(number)
        if self.on_block is not None:
            self.on_block(self.box(number), block)

    @property
    def array(self) -> Any:
        """The zarr array of the map at full size, axes (t)(channels)(z)yx; 0 where nothing is yet."""
        return self._writer.arrays[0]

    @property
    def channel_axis(self) -> int | None:
        """Which axis of `array` the channels are."""
        return self._at if self.channels else None

    def box(self, number: int) -> Box:
        """Return where a block lies along the axes."""
        block = self.chunks[-len(self._counts) :]
        start = [int(i) * b for i, b in zip(np.unravel_index(number, self._counts), block, strict=True)]
        ends = zip(start, block, self.shape[-len(block) :], strict=True)
        return Box(tuple(start), tuple(min(a + b, n) for a, b, n in ends))

    def _place(self, start: Sequence[int]) -> tuple[int, ...]:
        block = self.chunks[-len(self._counts) :]
        return tuple(a // b for a, b in zip(start, block, strict=True))

    def _boxes(self, number: int) -> list[tuple[Box, Any]]:
        """Return the boxes over all axes that a block is written in, and the cut of its channels."""
        whole = self.box(number)
        if not self.channels:
            return [(whole, ...)]
        found = []
        for first in range(0, len(self.channels), self._depth):
            last = min(first + self._depth, len(self.channels))
            low, high = list(whole.start), list(whole.stop)
            low.insert(self._at, first)
            high.insert(self._at, last)
            found.append((Box(tuple(low), tuple(high)), slice(first, last)))
        return found

    def finish(self) -> None:
        """Make the coarser levels, and the image one that readers see."""
        finish_all([self])

    def seal(self) -> None:
        """Do the same, but still know how it was made: the same request would do this once more."""
        with explained(self.folder, _FAILED):
            for stage in self._stages[1:]:
                for tile in stage.grid:
                    pixels = np.asarray(self._writer.arrays[stage.base][tile.core.slices])
                    self._writer.write(stage, tile.core, pixels)
            self._writer.finish(self.channels or None, self._window, self._start)

    def forget(self) -> None:
        """Forget how it was made: it is whole. Let go of it."""
        with explained(self.folder, _FAILED):
            self._journal.remove()
        self.close()

    def close(self) -> None:
        """Let go of it, finished or not."""
        self._journal.close()
        self._lock.release()


def finish_all(maps: Collection[MapWriter]) -> None:
    """Finish maps that belong together: if this is cut short, the same request still knows all of them."""
    for one in maps:
        one.seal()
    for one in maps:
        one.forget()
