"""`PatchGrid`: overlapping patches over an array, a fixed step apart. Arithmetic only.

Where `seamlabel.geometry.TileGrid` partitions an array and grows the parts, a patch grid says how large
patches are and how far apart; what happens at the array's end is a choice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from seamlabel.geometry import Box, Numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Edge = Literal["snap", "even", "shrink", "drop", "pad"]


class Span(NamedTuple):
    """A patch along one axis, in voxels of the array: may reach past its ends where these are padded."""

    start: int
    stop: int


@dataclass(frozen=True)
class Patch:
    """One patch.

    Parameters
    ----------
    number : int
        Position in raster order, from 0.
    index : tuple of int
        Position in the grid per axis.
    box : Box
        What it covers; reaches past the array where it is padded.
    """

    number: int
    index: tuple[int, ...]
    box: Box


@dataclass(frozen=True)
class PatchGrid(Numbered):
    """Patches of one shape, `step` voxels apart, over an array. Building it is O(patches along an axis).

    Parameters
    ----------
    shape : tuple of int
        Shape of the array in voxels.
    patch : tuple of int
        Shape of the patches in voxels.
    step : tuple of int, optional
        Voxels from the start of a patch to that of the next; the patch's shape by default. The overlap
        of two patches is ``patch - step``.
    edge : {"snap", "even", "shrink", "drop", "pad"}
        What happens where the last patch would reach past the array's end. ``"snap"``: it is moved back to
        end there. ``"even"``: all patches are spread evenly, no further apart than `step`.
        ``"shrink"``: it is cut off. ``"drop"``: it is left out, so that voxels may be in no patch.
        ``"pad"``: it is as large as all others, and the array is padded.
    margin : tuple of int, optional
        Voxels by which the array is padded on both sides of each axis before patches are laid.
    align : tuple of int, optional
        Patches start at multiples of it, counted from the array's start; 1 by default.

    Raises
    ------
    ValueError
        If the tuples differ in length, numbers are not positive, the step exceeds the patch, or step,
        margin or patch are no multiples of `align`.
    """

    shape: tuple[int, ...]
    patch: tuple[int, ...]
    step: tuple[int, ...] = ()
    edge: Edge = "snap"
    margin: tuple[int, ...] = ()
    align: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Fill in defaults, and check the tuples against one another."""
        ndim = len(self.shape)
        defaults = {"step": self.patch, "margin": (0,) * ndim, "align": (1,) * ndim}
        for name, value in defaults.items():
            object.__setattr__(self, name, tuple(getattr(self, name) or value))
        parts = {name: getattr(self, name) for name in ("patch", "step", "margin", "align")}
        for name, value in parts.items():
            if len(value) != ndim or not ndim:
                msg = f"{name} {value} and shape {self.shape} need one entry per axis"
                raise ValueError(msg)
        if min(self.shape + self.patch + self.step + self.align) < 1 or min(self.margin) < 0:
            msg = f"numbers of {self} must be positive"
            raise ValueError(msg)
        if self.edge not in get_args(Edge):
            msg = f"edge {self.edge!r} is none of {', '.join(get_args(Edge))}"
            raise ValueError(msg)
        for patch, step, margin, align in zip(self.patch, self.step, self.margin, self.align, strict=True):
            if step > patch:
                msg = f"step {self.step} exceeds patch {self.patch}: voxels between patches would be in none"
                raise ValueError(msg)
            if step % align or (patch % align and self.edge != "shrink"):
                msg = f"step {self.step} and patch {self.patch} must be multiples of align {self.align}"
                raise ValueError(msg)
            if margin % align:
                msg = f"margin {self.margin} must be a multiple of align {self.align}: patches start with it"
                raise ValueError(msg)

    @classmethod
    def with_overlap(
        cls, shape: Sequence[int], patch: Sequence[int], overlap: Sequence[int] | int, **options: Any
    ) -> PatchGrid:
        """Return the grid of patches that overlap their neighbours by so many voxels."""
        each = (overlap,) * len(patch) if isinstance(overlap, int) else tuple(overlap)
        step = tuple(p - o for p, o in zip(patch, each, strict=True))
        return cls(tuple(shape), tuple(patch), step, **options)

    part, parts = "patch", "patches"  # no fields: they have no annotation

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @cached_property
    def spans(self) -> tuple[tuple[Span, ...], ...]:
        """The patches along each axis, ascending."""
        return tuple(self._spans(axis) for axis in range(self.ndim))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of patches along each axis."""
        return tuple(map(len, self.spans))

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Voxels before and after each axis that patches reach past the array, as `numpy.pad` takes them."""
        return tuple(
            (max(0, -min(s.start for s in spans)), max(0, max(s.stop for s in spans) - n))
            if spans
            else (0, 0)
            for spans, n in zip(self.spans, self.shape, strict=True)
        )

    def __iter__(self) -> Iterator[Patch]:
        """Yield the patches in raster order; may be done again, and by several at once."""
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Patch:
        """Return patch `number`.

        Raises
        ------
        IndexError
            If there is no such patch.
        """
        index = self.index(number)
        found = [spans[i] for spans, i in zip(self.spans, index, strict=True)]
        return Patch(number, index, Box(tuple(s.start for s in found), tuple(s.stop for s in found)))

    def touching(self, box: Box) -> Iterator[int]:
        """Yield the numbers of the patches that meet a box, in raster order."""
        ranges = [
            [i for i, span in enumerate(spans) if span.start < stop and span.stop > start]
            for spans, start, stop in zip(self.spans, box.start, box.stop, strict=True)
        ]
        yield from map(self.number, product(*ranges))

    def to_json(self) -> str:
        """Return the grid as JSON text, on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PatchGrid:
        """Return the grid that `to_json` told."""
        found: dict[str, Any] = json.loads(text)
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        return cls(**fields)

    def _spans(self, axis: int) -> tuple[Span, ...]:
        n, patch, step = self.shape[axis], self.patch[axis], self.step[axis]
        low, high = -self.margin[axis], n + self.margin[axis]
        fits = (high - low - patch) // step + 1 if high - low >= patch else 0
        starts = [low + i * step for i in range(fits)]
        covered = starts[-1] + patch if starts else low
        if covered < high and self.edge != "drop":
            starts = self._to_the_end(axis, starts, (low, high))
        ends = [min(start + patch, high) if self._is_cut(axis) else start + patch for start in starts]
        return tuple(map(Span, starts, ends))

    def _is_cut(self, axis: int) -> bool:
        """Return whether patches end with the array: those that shrink, and all that are larger than it."""
        longer = self.patch[axis] > self.shape[axis] + 2 * self.margin[axis]
        return self.edge == "shrink" or (longer and self.edge != "pad" and self.align[axis] == 1)

    def _to_the_end(self, axis: int, starts: list[int], within: tuple[int, int]) -> list[int]:
        """Return starts of patches that cover all of an axis."""
        (low, high), patch, align = within, self.patch[axis], self.align[axis]
        if high - low <= patch:
            return [low]
        if self.edge in ("shrink", "pad"):
            return [*starts, starts[-1] + self.step[axis]]
        last = low + ceil((high - patch - low) / align) * align
        if self.edge == "snap":
            return [*starts, last]
        count = ceil((last - low) / self.step[axis]) + 1
        return [low + (i * (last - low) // (count - 1)) // align * align for i in range(count)]
