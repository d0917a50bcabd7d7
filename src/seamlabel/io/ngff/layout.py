"""`ImageLayout`: how a new image lies on disk, and the blocks in which it is best written. Pure.

Knows axes, chunks, shards and levels; reads and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from seamlabel.axes import Axis, parse_axes
from seamlabel.geometry import Box, TileGrid
from seamlabel.io.ngff.pyramid import Level, pyramid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seamlabel.io.ngff.documents import ZarrFormat

    Shape = tuple[int, ...]
    Fits = Callable[[Shape], bool]

FORMATS: dict[str, ZarrFormat] = {"0.4": 2, "0.5": 3}
"""Zarr format of the NGFF versions that are written."""
BLOCK_BYTES = 16_000_000
"""Blocks grow to this size."""
MOST_BLOCK_BYTES = 36_000_000
"""A block is this large only to give whole chunks of the next level too."""
CHUNKS_2D = (512, 512)
CHUNKS_3D = ((64, 128, 128), (16, 256, 256), (4, 512, 512), (1, 1024, 1024))
"""Chunks of volumes: the first that the source lets be written without reading anything twice."""


@dataclass(frozen=True)
class Stage:
    """One pass over a level: its blocks give whole chunks of some levels.

    Parameters
    ----------
    base : int
        The level whose voxels count.
    levels : range
        What is written: from `base` on in the first stage, from the next on in others, which read it.
    grid : TileGrid
        The blocks, in voxels of the base.
    """

    base: int
    levels: range
    grid: TileGrid


@dataclass(frozen=True)
class ImageLayout:
    """How a new image lies on disk; made by `layout`.

    Parameters
    ----------
    axes : tuple of Axis
        In array order.
    dtype : str
        numpy name of the pixel type.
    scale : tuple of float
        World units per voxel of level 0.
    version : str
        NGFF version, ``"0.4"`` or ``"0.5"``.
    chunks : tuple of int
        Voxels, cut at the shape of level 0.
    shards : tuple of int or None
        Voxels of the chunks that share a file.
    levels : tuple of Level
        Full resolution first.
    """

    axes: tuple[Axis, ...]
    dtype: str
    scale: tuple[float, ...]
    version: str
    chunks: Shape
    shards: Shape | None
    levels: tuple[Level, ...]

    @property
    def shape(self) -> Shape:
        """Voxels of level 0."""
        return self.levels[0].shape

    @property
    def names(self) -> str:
        """Axis letters."""
        return "".join(axis.name for axis in self.axes)

    @property
    def zarr_format(self) -> ZarrFormat:
        """The format that goes with the version."""
        return FORMATS[self.version]

    def cell(self, level: int) -> Shape:
        """Return the voxels of a level that share a file."""
        return tuple(map(min, self.shards or self.chunks, self.levels[level].shape))

    def stages(self, fits: Fits | None = None) -> tuple[Stage, ...]:
        """Return the passes that write all levels, each block owning its files on every level.

        Parameters
        ----------
        fits : callable, optional
            ``fits(block)`` says whether blocks of this shape of level 0 can be read one after another
            without reading anything twice.
        """
        found: list[Stage] = []
        base = 0
        while not found or base < len(self.levels) - 1:
            first = base if not found else base + 1
            last = first
            while last + 1 < len(self.levels):
                block = self._grown(base, self._unit(base, first, last + 1))
                if self._bytes(block) > MOST_BLOCK_BYTES or (not found and fits and not fits(block)):
                    break
                last += 1
            block = self._grown(base, self._unit(base, first, last))
            shape = self.levels[base].shape
            found.append(Stage(base, range(first, last + 1), TileGrid(shape, block, (0,) * len(shape))))
            base = last
        return tuple(found)

    def _unit(self, base: int, first: int, last: int) -> Shape:
        """Return the least block of a level that is made of whole files of some levels."""
        unit = [1] * len(self.axes)
        whole = self.levels[base]
        for number in range(first, last + 1):
            level = self.levels[number]
            for i, side in enumerate(self.cell(number)):
                step = level.factor[i] // whole.factor[i]
                # a file that holds all of an axis has but one owner
                unit[i] = max(unit[i], whole.shape[i] if side >= level.shape[i] else side * step)
        return tuple(map(min, unit, whole.shape))

    def _grown(self, base: int, unit: Shape) -> Shape:
        """Return a block of whole units of about `BLOCK_BYTES`."""
        sides = list(unit)
        for axis in reversed(range(len(sides))):
            room = BLOCK_BYTES // self._bytes(tuple(sides))
            sides[axis] *= max(1, min(room, -(-self.levels[base].shape[axis] // sides[axis])))
        return tuple(map(min, sides, self.levels[base].shape))

    def _bytes(self, block: Shape) -> int:
        return prod(block) * np.dtype(self.dtype).itemsize


def layout(  # noqa: PLR0913 - one call, options by name
    shape: Shape,
    dtype: str,
    *,
    axes: str,
    scale: Sequence[float] | None = None,
    units: Sequence[str | None] | None = None,
    version: str = "0.5",
    chunks: Shape | None = None,
    shards: Shape | None = None,
    levels: int | None = None,
    fits: Fits | None = None,
) -> ImageLayout:
    """Return how an image lies on disk; see `seamlabel.io.ngff.images.write_image` for the arguments.

    Raises
    ------
    ValueError
        If the arguments do not fit one another.
    """
    steps = tuple(float(s) for s in scale) if scale is not None else (1.0,) * len(shape)
    if version not in FORMATS or len(steps) != len(shape) or (levels is not None and levels < 1):
        msg = f"version {version!r} (0.4 or 0.5), scale {scale} for shape {shape}, levels {levels}"
        raise ValueError(msg)
    described = _described(axes, shape, units)
    plan = pyramid(described, shape, steps, levels)
    found = []
    for cut in (chunks,) if chunks else _candidates(described, shape):
        sides = tuple(map(min, cut, shape))
        made = ImageLayout(described, dtype, steps, version, sides, _sharded(sides, shards, version), plan)
        stages = made.stages(fits)
        found.append(made)
        if fits is None or (
            fits(stages[0].grid.tile_shape) and (len(plan) == 1 or len(stages[0].levels) > 1)
        ):
            return made
    good = [one for one in found if fits is None or fits(one.stages(fits)[0].grid.tile_shape)]
    return (good or found[-1:])[0]


def _described(axes: str, shape: Shape, units: Sequence[str | None] | None) -> tuple[Axis, ...]:
    given = tuple(units) if units is not None else (None,) * len(axes)
    if not len(axes) == len(shape) == len(given) or len(set(axes)) < len(axes):
        msg = f"axes {axes!r}, shape {shape} and units {units} need one entry per axis"
        raise ValueError(msg)
    return tuple(Axis(axis.name, axis.kind, unit) for axis, unit in zip(parse_axes(axes), given, strict=True))


def _sharded(chunks: Shape, shards: Shape | None, version: str) -> Shape | None:
    """Return shards of whole chunks, as large as asked for."""
    if shards is None:
        return None
    if version != "0.5" or len(shards) != len(chunks) or min(shards) < 1:
        msg = f"shards {shards} for chunks {chunks}: as many numbers, in NGFF 0.5 only"
        raise ValueError(msg)
    return tuple(max(1, round(s / c)) * c for s, c in zip(shards, chunks, strict=True))


def _candidates(axes: tuple[Axis, ...], shape: Shape) -> list[Shape]:
    space = [i for i, axis in enumerate(axes) if axis.tiled and shape[i] > 1]
    found = []
    for sides in CHUNKS_3D if len(space) > 2 else (CHUNKS_2D,):
        cut = [1] * len(shape)
        for axis, side in zip(reversed(space), reversed(sides), strict=False):
            cut[axis] = side
        found.append(tuple(cut))
    return found


def halved(box: Box, steps: Shape, shape: Shape) -> Box:
    """Return the box of a coarser level of this shape that a box of whole steps covers."""
    return Box(
        tuple(a // s for a, s in zip(box.start, steps, strict=True)),
        tuple(min(-(-b // s), n) for b, s, n in zip(box.stop, steps, shape, strict=True)),
    )
