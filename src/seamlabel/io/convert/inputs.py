"""`Input`: pixels to be converted and what is known of them, whatever they come from.

Brings axes into NGFF's order. Knows arrays, letters and units; knows no file format.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError, Problem, SpecError
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.sizes import unit_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Box

ORDER = "tczyx"
"""NGFF's order of axes."""
CACHE_BYTES = 1 << 27
"""For decoded pieces of the source."""
_INSTALL = 'Install it: pip install "seamlabel[{}]"'


@dataclass(frozen=True)
class Input:
    """Pixels to be converted.

    Parameters
    ----------
    name : str
        What it is called in messages.
    array : array-like
        The pixels: `Segments`, or anything that `ChunkReader` reads.
    axes : str
        A letter of ``tczyx`` for each of its axes, in its order.
    scale, units : dict
        World units per voxel, and NGFF units, by axis letter; only what the source says.
    channels : tuple of str
        Names of the channels; empty where there are none.
    files : tuple of str
        What the pixels are read from.
    notes : tuple of str
        What a person should know, such as what was not taken from the metadata.
    """

    name: str
    array: Any
    axes: str
    scale: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> str:
        """The axes of the result, in NGFF's order."""
        return "".join(letter for letter in ORDER if letter in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the axes of the result."""
        return tuple(int(self.array.shape[self.axes.index(letter)]) for letter in self.kept)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels of the result: native, and 0 and 1 in place of truths."""
        found = np.dtype(self.array.dtype).newbyteorder("=")
        return np.dtype(np.uint8) if found.kind == "b" else found

    @property
    def pieces(self) -> tuple[int, ...]:
        """Voxels that are decoded together, along the axes of the result; 1 where any box can be read."""
        chunks = getattr(self.array, "chunks", None) or (1,) * len(self.axes)
        longest = [max(c) if isinstance(c, tuple) else int(c) for c in chunks]
        return tuple(longest[self.axes.index(letter)] for letter in self.kept)

    def described(
        self, scale: dict[str, float], unit: dict[str, str], channels: tuple[str, ...] | None
    ) -> Input:
        """Return this input with what the user says of it in place of what it says itself.

        Raises
        ------
        SpecError
            If that does not fit it.
        """
        problems = [
            Problem(name, f"there is no axis {letter}", f"The image has {', '.join(self.kept)}")
            for name, given in (("scale", scale), ("unit", unit))
            for letter in given
            if letter not in self.kept.replace("c", "")
        ]
        problems += [
            Problem("scale", f"{letter}={size} is no size of a voxel", "Give a number above 0")
            for letter, size in scale.items()
            if not 0 < size < 1e30
        ]
        count = self.shape[self.kept.index("c")] if "c" in self.kept else 0
        if channels is not None and len(channels) != max(count, 1):
            problems.append(Problem("channels", f"{len(channels)} names", f"Give {max(count, 1)}"))
        if problems:
            raise SpecError(problems)
        return replace(
            self,
            scale={**self.scale, **scale},
            units={**self.units, **unit},
            channels=self.channels if channels is None else channels,
        )

    def fits(self, block: tuple[int, ...]) -> bool:
        """Return whether blocks of this shape can be read in raster order, every piece decoded once."""
        return footprint(block, self.shape, self.pieces) * self.dtype.itemsize <= CACHE_BYTES

    def reader(self) -> Reader:
        """Return what reads boxes of it."""
        return Reader(self)


class Reader:
    """Boxes of an input, its axes in NGFF's order; safe to use from several threads."""

    def __init__(self, source: Input) -> None:
        self._chunks = ChunkReader(source.array, ChunkCache(CACHE_BYTES))
        self._dtype = source.dtype
        self._to = [source.kept.index(letter) for letter in source.axes]
        self._from = [source.axes.index(letter) for letter in source.kept]

    def __call__(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a box over the axes of the result."""
        slices = box.slices
        pixels = self._chunks.read([slices[i] for i in self._to])
        return np.ascontiguousarray(pixels.transpose(self._from)).astype(self._dtype, copy=False)


def footprint(block: tuple[int, ...], shape: tuple[int, ...], pieces: tuple[int, ...]) -> int:
    """Return how many voxels must be kept so that blocks in raster order decode every piece once.

    Where pieces straddle blocks along an axis they are needed again after a sweep over all later axes.
    """
    block = tuple(map(min, block, shape))
    first = next(
        (i for i, (b, p) in enumerate(zip(block, pieces, strict=True)) if b % p and b < shape[i]), None
    )
    if first is None:
        return prod(block)
    met = [min(n, -(-b // p) * p) for b, n, p in zip(block, shape, pieces, strict=True)]
    met[first] = min(shape[first], met[first] + (pieces[first] if pieces[first] < block[first] else 0))
    return prod(met[: first + 1]) * prod(shape[first + 1 :])


def letters(given: str | None, found: str, shape: tuple[int, ...], name: str) -> str:
    """Return axis letters for an array: those given, else those found if each is known.

    Raises
    ------
    ImageError
        If they do not fit, or are not known.
    """
    axes = (given or found).lower()
    size = " x ".join(map(str, shape))
    if given and (len(axes) != len(shape) or len(set(axes)) < len(axes) or not set(axes) <= set(ORDER)):
        msg = f"{name} has {len(shape)} axes, {size}; axes {given!r} do not fit them"
        raise ImageError(msg, f"Give one letter for each: of {', '.join(ORDER)}, each once")
    if not set(axes) <= set(ORDER) or len(set(axes)) < len(axes):
        known = "".join(letter if letter in ORDER else "?" for letter in axes)
        free = [letter for letter in "ztc" if letter not in axes]
        choices = " or ".join(f"--axes {known.replace('?', letter, 1)}" for letter in free)
        msg = f"{name} has axes {known}, {size}: what ? is, it does not say"
        raise ImageError(msg, f"Say it: {choices}" if choices and known.count("?") == 1 else "Give --axes")
    if not {"y", "x"} <= set(axes):
        raise ImageError(f"{name} has axes {axes}: no y or no x", "Give --axes, such as --axes zyx")
    return axes


def ngff_unit(text: Any, axis: str) -> str | None:
    """Return NGFF's name of a unit, None if it is not known."""
    word = str(text).strip().lower().replace("\\u00b5", "µ")
    if axis == "t":
        return _TIMES.get(word)
    return unit_name(word)


_TIMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "second"),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "millisecond"),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), "microsecond"),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), "nanosecond"),
    **dict.fromkeys(("min", "minute", "minutes"), "minute"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "hour"),
    **dict.fromkeys(("d", "day", "days"), "day"),
}


def needed(module: str, extra: str) -> Any:
    """Return a module of an extra.

    Raises
    ------
    ImageError
        If it is not installed; the hint says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImageError(
            f"{module} is needed, and cannot be imported: {error}", _INSTALL.format(extra)
        ) from None
