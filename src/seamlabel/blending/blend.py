"""`Blend`: predictions of patches, in any order and from any number of workers, become one map.

A block of the map is kept in memory from its first patch to its last, then written once. Every block sums
its patches in one order, whatever the order they come in: the map has the same bits. Knows no model.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.blocks import Blocks, block_shape
from seamlabel.blending.finishing import cast, finish
from seamlabel.blending.sums import Prediction, Sums, check_missing, check_outputs
from seamlabel.blending.windows import PatchWeights

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.patch_grid import PatchGrid


class Blend:
    """Blends predictions of a grid's patches.

    Parameters
    ----------
    grid : PatchGrid
        The patches.
    out : array or mapping of str to array
        What is written to, ``out[box] = block``: numpy or zarr, of the grid's shape, with a leading axis
        of channels where predictions have one. For several `stats` an array each, by name.
    weights : str, Border, callable or array
        See `seamlabel.blending.windows.PatchWeights`. ``"crop"`` takes each voxel from one patch: exact
        where a model sees no further than half of the overlap. All others are approximations, for models
        that see further.
    stats : tuple of str
        ``"mean"``; ``"disagreement"``: the weighted variance of what patches say of a voxel; ``"sigma"``:
        the standard deviation of the mixture, from that and from the variances that are added.
    finalize : {"softmax", "argmax", "sigmoid"}, callable or None
        Done to each finished block of the mean, so that a map of many classes is never there as a whole.
    missing : "error" or number
        What voxels get whose patches did not all come, or that are in none.
    channels : int, optional
        How many predictions have, where `finalize` makes another number of them.
    precise : bool
        Sum in float64 instead of float32.
    done : collection of int
        Blocks that are written already: nothing is added to them.
    on_block : callable, optional
        Called with the number of every block once it is written.
    raster : bool
        Whether patches will come in raster order: sums are made in that order then, so that none of them
        is kept until its turn.

    Raises
    ------
    ValueError
        If shapes, weights, stats or `missing` do not fit; or voxels are in no patch and `missing` is "error".
    """

    def __init__(  # noqa: PLR0913 - one object, options by name
        self,
        grid: PatchGrid,
        out: Any,
        weights: Any = "crop",
        *,
        stats: tuple[str, ...] = ("mean",),
        finalize: str | Callable[[NDArray[Any]], NDArray[Any]] | None = None,
        missing: str | float = "error",
        channels: int | None = None,
        precise: bool = False,
        done: Collection[int] = (),
        on_block: Callable[[int], None] | None = None,
        raster: bool = False,
    ) -> None:
        self.grid, self.weights, self.stats = grid, PatchWeights(grid, weights), stats
        self.outs: Mapping[str, Any] = out if isinstance(out, dict) else {stats[0]: out}
        self.finalize, self.missing, self.on_block = finalize, missing, on_block
        self._float = np.dtype(np.float64 if precise else np.float32)
        first = next(iter(self.outs.values()))
        self.blocks = Blocks(grid, self.weights, block_shape(first, grid), raster)
        check_outputs(grid, stats, self.outs, finalize, missing)
        if missing == "error" and self.blocks.covered().shape != grid.shape:
            msg = f"edge '{grid.edge}' leaves voxels in no patch: say what they get, such as missing=0"
            raise ValueError(msg)
        self.has_channels = len(first.shape) == grid.ndim + 1
        self.channels = channels
        if finalize is None:
            self.channels = first.shape[0] if self.has_channels else 1
        self.on_part: Callable[[Box, NDArray[Any]], None] | None = None
        self._sums: dict[int, Sums] = {}
        self._done = set(done)
        self._held: dict[int, tuple[NDArray[Any], Any]] = {}
        self._order = self.needed()
        self._next = next(self._order, None)
        self._added: set[int] = set()
        self._failed: BaseException | None = None
        self._lock = threading.Lock()

    def needed(self) -> Iterator[int]:
        """Yield the patches that blocks still wait for, in the order in which least is kept in memory."""
        return self.blocks.order(frozenset(self._done))

    @property
    def held(self) -> int:
        """Bytes that are kept: of blocks that wait for patches, and of patches that wait for their turn."""
        waiting = [v for pair in self._held.values() for v in pair if v is not None]
        return sum(sums.nbytes for sums in self._sums.values()) + sum(v.nbytes for v in waiting)

    def add(self, number: int, values: NDArray[Any], variance: NDArray[Any] | None = None) -> bool:
        """Add what a model says of a patch.

        Parameters
        ----------
        number : int
            Which patch.
        values : array, (channels, *patch) or patch
            Over the whole patch, padding included.
        variance : array, optional
            The model's variance of each value, for ``"sigma"``.

        Returns
        -------
        bool
            False if it was added before: a patch counts once.

        Raises
        ------
        ValueError
            If the shape is not that of the patch.
        Exception
            Of what is written to, or of `finalize`: again at every later call, as blocks are then incomplete.
        """
        found = self._shaped(number, values)
        spread = None if variance is None else self._shaped(number, variance)
        self._tell(number, found)
        with self._lock:
            self._check_whole()
            if number in self._added:
                return False
            self._added.add(number)
            try:
                self._enter(number, found, spread)
            except BaseException as error:
                self._failed = error
                raise
        return True

    def _tell(self, number: int, found: NDArray[Any]) -> None:
        """Tell what a patch says of blocks that wait for it, before any of them can be complete."""
        origin = self.grid[number].box
        for block, box in self.blocks.parts(number) if self.on_part else ():
            if self.on_part and block not in self._done:
                cut: tuple[Any, ...] = (..., *box.relative_to(origin).slices)
                self.on_part(box, finish(found[cut], self.finalize))

    def _check_whole(self) -> None:
        """Raise what kept a patch from being added: it would be missing from its blocks."""
        if self._failed is not None:
            raise self._failed

    def _enter(self, number: int, found: NDArray[Any], spread: NDArray[Any] | None) -> None:
        """Take a patch, and those that waited for it; or have it wait for its turn."""
        if self.weights.exclusive:  # no order of summing
            self._take(number, found, spread)
            return
        if all(block in self._done for block, _ in self.blocks.parts(number)):
            return  # it lies in the padding, or what it was for is written
        self._held[number] = found, spread
        while self._next is not None and self._next in self._held:
            self._take(self._next, *self._held.pop(self._next))
            self._next = next(self._order, None)

    def skip(self, number: int, value: float = 0) -> bool:
        """Add a patch of which it is known that it holds this value everywhere; as `add`.

        Raises
        ------
        ValueError
            If it is not known how many channels predictions have.
        """
        if self.channels is None:
            msg = "a patch is skipped before any was predicted: say how many channels there are"
            raise ValueError(msg)
        shape = (self.channels, *self.grid[number].box.shape)
        return self.add(number, np.broadcast_to(np.asarray(value, self._float), shape))

    def finish(self) -> None:
        """Write the blocks that are left.

        Raises
        ------
        SeamlabelError
            If patches are missing, and nothing is said of what their voxels get.
        """
        with self._lock:
            self._check_whole()
            order = list(self.needed())
            absent = [number for number in order if number not in self._added]
            check_missing(self, absent)
            for number in order:
                if number in self._held:
                    self._take(number, *self._held.pop(number))
            for block in range(len(self.blocks)):
                if block not in self._done:
                    self._write(block, self._sums.pop(block, None), absent)

    def block(self, number: int, read: Callable[[int], Any]) -> None:
        """Write one block by itself, with the bits that it has when patches are added one by one.

        Parameters
        ----------
        number : int
            Which block.
        read : callable
            ``read(patch)`` gives values and variances (or None), shape (channels, *space), over the part of
            the array in which a patch has a say (`Blocks.inside`); None for a patch that is missing.
        """
        whole, sums, absent = self.blocks.box(number), None, []
        for patch in self.blocks.patches(number):
            answer = read(patch)
            if answer is None:
                absent.append(patch)
                continue
            inside = self.blocks.inside(patch)
            part = inside.intersect(whole)
            cut = (..., *part.relative_to(inside).slices)
            values, spread = answer[0][cut], None if answer[1] is None else answer[1][cut]
            if len(values) != (self.channels or len(values)):
                msg = f"the prediction of patch {patch} has {len(values)} channels, not {self.channels}"
                raise ValueError(msg)
            sums = sums or self._new(number, len(values))
            sums.add((..., *part.relative_to(whole).slices), (...,), self._of(patch, part, values, spread))
        check_missing(self, absent)
        self._write(number, sums, absent)

    def _shaped(self, number: int, values: Any) -> NDArray[Any]:
        found, shape = np.asarray(values), self.grid[number].box.shape
        fits = found.shape[found.ndim - self.grid.ndim :] == shape
        if found.ndim == self.grid.ndim and fits and not self.has_channels:
            return found[None]
        self.channels = self.channels or (found.shape[0] if found.ndim == self.grid.ndim + 1 else None)
        if found.ndim != self.grid.ndim + 1 or not fits or found.shape[0] != self.channels:
            wanted = (self.channels or "channels", *shape) if self.has_channels else shape
            msg = f"the prediction of patch {number} has shape {found.shape}, not {wanted}"
            raise ValueError(msg)
        return found

    def _take(self, number: int, values: NDArray[Any], spread: Any) -> None:
        """Add a patch whose turn it is to its blocks; write those that are complete."""
        patch, parts = self.grid[number], list(self.blocks.parts(number))
        inside = self.blocks.inside(number)
        cut: tuple[Any, ...] = (..., *inside.relative_to(patch.box).slices)
        found = self._of(number, inside, values[cut], None if spread is None else spread[cut])
        for block, box in parts:
            if block in self._done:
                continue
            whole = self.blocks.box(block)
            sums = self._sums.get(block) or self._sums.setdefault(block, self._new(block, len(values)))
            here, there = ((..., *box.relative_to(origin).slices) for origin in (whole, inside))
            sums.add(here, there, found)
            if not sums.left:
                self._write(block, self._sums.pop(block), ())

    def _of(self, number: int, box: Box, values: NDArray[Any], spread: Any) -> Prediction:
        """Return what a patch says of a box, with its weights there."""
        found = Prediction(values, values, None, spread)
        if not self.weights.exclusive:
            weight = self.weights.of(self.grid.index(number), box)
            found.weight = weight.astype(self._float, copy=False)
            found.weighted = values * found.weight
        return found

    def _new(self, block: int, channels: int) -> Sums:
        shape = (channels, *self.blocks.box(block).shape)
        return Sums(self.blocks.expected(block), shape, self._float, self.stats, self.weights)

    def _write(self, block: int, sums: Sums | None, absent: Sequence[int]) -> None:
        box, holes = self.blocks.box(block), self.blocks.holes(block, absent)
        maps = sums.maps() if sums is not None else {}
        for name, out in self.outs.items():
            found, dtype = maps.get(name), np.dtype(out.dtype)
            lead = (slice(None),) * (len(out.shape) - self.grid.ndim)
            if found is None:
                found = np.full((out.shape[0] if lead else 1, *box.shape), self.missing, dtype)
            else:
                found = finish(found, self.finalize) if name == "mean" else found
                found = cast(found if holes is None else np.where(holes, self.missing, found), dtype)
            out[(*lead, *box.slices)] = found if lead else found[0]
        self._done.add(block)
        if self.on_block:
            self.on_block(block)
