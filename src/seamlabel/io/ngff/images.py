"""`write_image`: streams an image of any size into a new OME-Zarr with a pyramid of area means.

Bounded memory: a few blocks of some 16 MB. Knows nothing of labels (their pyramids are sampled).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.axes import Axis, LevelInfo, parse_axes
from seamlabel.errors import OutputError
from seamlabel.geometry import Box, TileGrid
from seamlabel.io.ngff.documents import ZarrFormat, group_format, make_group, write_attributes
from seamlabel.io.ngff.metadata import group_attributes, multiscale
from seamlabel.io.ngff.store import create_array

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

BLOCK_BYTES = 16_000_000
COARSEST = 512
"""The pyramid goes on until y and x of the coarsest level are no longer than this."""
_FORMATS: dict[str, ZarrFormat] = {"0.4": 2, "0.5": 3}
_CHUNKS_2D = (512, 512)
_CHUNKS_3D = (64, 128, 128)


@dataclass(frozen=True)
class _Level:
    shape: tuple[int, ...]
    factor: tuple[int, ...]
    """Voxels of level 0 per voxel."""


def write_image(  # noqa: PLR0913 - one call, options by name
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: str,
    block: Callable[[Box], NDArray[Any]],
    *,
    axes: str,
    scale: Sequence[float] | None = None,
    units: Sequence[str | None] | None = None,
    channels: Sequence[str] | None = None,
    version: str = "0.5",
    chunks: tuple[int, ...] | None = None,
    levels: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a new OME-Zarr image, block by block; its metadata come last.

    Coarser levels halve y and x, and z where it is neither small nor much coarser than they are; a
    voxel is the mean of those that it covers, of what exists at odd ends. Their translation says
    that a coarse voxel's centre is the centre of what it covers: ``(factor - 1) / 2`` fine voxels.

    Parameters
    ----------
    path : str or path-like
        Folder to make.
    shape : tuple of int
        Voxels of level 0, over all axes.
    dtype : str
        numpy name of the pixel type.
    block : callable
        ``block(box)`` gives the pixels of a box of level 0 over all axes; boxes are made of whole
        chunks, of some 16 MB, and asked for once each, in raster order.
    axes : str
        Axis letters, such as ``"tczyx"``.
    scale : sequence of float, optional
        World units per voxel of each axis; 1 by default.
    units : sequence of str or None, optional
        NGFF unit of each axis.
    channels : sequence of str, optional
        Channel names.
    version : {"0.5", "0.4"}
        NGFF version: 0.5 in zarr 3, 0.4 in zarr 2.
    chunks : tuple of int, optional
        Chunk shape over all axes; by default 512 x 512, or 64 x 128 x 128 for volumes.
    levels : int, optional
        Number of levels; by default until y and x are at most 512.
    overwrite : bool
        Replace a zarr group at that path.

    Raises
    ------
    OutputError
        If the path exists and may not be replaced, or cannot be written.
    ValueError
        If the arguments do not fit one another.
    """
    folder = Path(path)
    described = _described(axes, shape, units)
    steps = tuple(float(s) for s in scale) if scale is not None else (1.0,) * len(shape)
    if version not in _FORMATS or len(steps) != len(shape) or (levels is not None and levels < 1):
        msg = f"version {version!r} (0.4 or 0.5), scale {scale} for shape {shape}, levels {levels}"
        raise ValueError(msg)
    _clear(folder, overwrite)
    plan = _pyramid(described, shape, steps, levels)
    cut = chunks or _default_chunks(described, shape)
    zarr_format = _FORMATS[version]
    make_group(folder, zarr_format, {})
    same: dict[str, Any] = {"zarr_format": zarr_format, "names": tuple(axes), "shuffle": True}
    arrays = [
        create_array(folder / str(number), level.shape, dtype, cut, **same)
        for number, level in enumerate(plan)
    ]
    window = _write_levels(arrays, plan, block, axes.find("c"))
    placed = [(str(i), *_place(level, steps)) for i, level in enumerate(plan)]
    image = multiscale(folder.name.split(".")[0], described, placed)
    more = {"omero": _omero(channels, window, np.dtype(dtype))} if channels else {}
    write_attributes(folder, group_attributes(zarr_format, image, more))


def _described(axes: str, shape: tuple[int, ...], units: Sequence[str | None] | None) -> tuple[Axis, ...]:
    given = tuple(units) if units is not None else (None,) * len(axes)
    if not len(axes) == len(shape) == len(given) or len(set(axes)) < len(axes):
        msg = f"axes {axes!r}, shape {shape} and units {units} need one entry per axis"
        raise ValueError(msg)
    return tuple(Axis(axis.name, axis.kind, unit) for axis, unit in zip(parse_axes(axes), given, strict=True))


def _clear(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        msg = f"{folder} exists"
        raise OutputError(msg, "Give another path, or overwrite=True to replace it")
    if group_format(folder) is None:
        msg = f"{folder} is not a zarr group, it is not replaced"
        raise OutputError(msg, "Move it away, or give another path")
    shutil.rmtree(folder)


def _default_chunks(axes: tuple[Axis, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    space = [i for i, axis in enumerate(axes) if axis.tiled and shape[i] > 1]
    sides = _CHUNKS_3D if len(space) > 2 else _CHUNKS_2D
    cut = [1] * len(shape)
    for axis, side in zip(reversed(space), reversed(sides), strict=False):
        cut[axis] = min(side, shape[axis])
    return tuple(cut)


def _pyramid(
    axes: tuple[Axis, ...], shape: tuple[int, ...], scale: tuple[float, ...], levels: int | None
) -> list[_Level]:
    """Return shapes and factors of all levels."""
    found = [_Level(shape, (1,) * len(shape))]
    lateral = [i for i, axis in enumerate(axes) if axis.name in ("y", "x")]
    if not lateral:
        lateral = [i for i, axis in enumerate(axes) if axis.tiled]
    while len(found) < levels if levels else any(found[-1].shape[i] > COARSEST for i in lateral):
        last = found[-1]
        sizes = [s * f for s, f in zip(scale, last.factor, strict=True)]
        fine = min((sizes[i] for i in lateral if last.shape[i] > 1), default=0.0)
        steps = [1] * len(shape)
        for i, axis in enumerate(axes):
            thick = i not in lateral and (sizes[i] > 1.5 * fine or last.shape[i] < 64)
            steps[i] = 2 if axis.tiled and last.shape[i] > 1 and not thick else 1
        if max(steps) == 1:
            break
        found.append(
            _Level(
                tuple(-(-n // s) for n, s in zip(last.shape, steps, strict=True)),
                tuple(f * s for f, s in zip(last.factor, steps, strict=True)),
            )
        )
    return found


def pyramid_levels(
    axes: tuple[Axis, ...],
    shape: tuple[int, ...],
    scale: tuple[float, ...],
    translation: tuple[float, ...],
) -> tuple[LevelInfo, ...]:
    """Return the levels that `write_image` would make of an image that lies at `translation`."""
    levels = []
    for number, level in enumerate(_pyramid(axes, shape, scale, None)):
        size, moved = _place(level, scale)
        place = tuple(t + m for t, m in zip(translation, moved, strict=True))
        levels.append(LevelInfo(str(number), level.shape, level.shape, size, place))
    return tuple(levels)


def _place(level: _Level, scale: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and translation of a level."""
    return (
        tuple(s * f for s, f in zip(scale, level.factor, strict=True)),
        tuple(s * (f - 1) / 2 for s, f in zip(scale, level.factor, strict=True)),
    )


def _blocks(array: Any) -> Iterator[Box]:
    """Yield boxes of whole chunks of some 16 MB, in raster order."""
    sides = list(array.chunks)
    for axis in reversed(range(len(sides))):
        room = BLOCK_BYTES // (prod(sides) * array.dtype.itemsize)
        sides[axis] *= max(1, min(room, -(-array.shape[axis] // sides[axis])))
    for tile in TileGrid(array.shape, tuple(sides), (0,) * len(sides)):
        yield tile.core


def _write_levels(
    arrays: list[Any], plan: list[_Level], block: Callable[[Box], NDArray[Any]], channel: int
) -> dict[int, tuple[float, float]]:
    """Write all levels, each from the finer one; return lowest and highest value of each channel."""
    window: dict[int, tuple[float, float]] = {}
    for box in _blocks(arrays[0]):
        pixels = np.asarray(block(box))
        if pixels.shape != box.shape:
            msg = f"the block at {box} has shape {pixels.shape}, not {box.shape}"
            raise ValueError(msg)
        arrays[0][box.slices] = pixels
        _widen(window, box, pixels, channel)
    for finer, coarser, one, other in zip(arrays, arrays[1:], plan, plan[1:], strict=False):
        steps = tuple(b // a for a, b in zip(one.factor, other.factor, strict=True))
        for box in _blocks(coarser):
            covered = Box(
                tuple(a * s for a, s in zip(box.start, steps, strict=True)),
                tuple(min(b * s, n) for b, s, n in zip(box.stop, steps, finer.shape, strict=True)),
            )
            coarser[box.slices] = area_mean(finer[covered.slices], steps)
    return window


def area_mean(pixels: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    """Return means over boxes of `steps` (1 or 2 per axis) voxels; over what exists at odd ends.

    Whole numbers are rounded to the nearest, halves to the even one.
    """
    mean: NDArray[Any] = pixels.astype(np.float32 if pixels.dtype.itemsize < 4 else np.float64)
    for axis, step in enumerate(steps):
        if step == 2:
            mean = np.moveaxis(mean, axis, 0)
            pairs = mean.shape[0] // 2
            halved = np.add(mean[: 2 * pairs : 2], mean[1 : 2 * pairs : 2]) / 2
            mean = np.moveaxis(np.concatenate([halved, mean[2 * pairs :]]), 0, axis)
    return (mean if pixels.dtype.kind == "f" else np.rint(mean)).astype(pixels.dtype)


def _widen(window: dict[int, tuple[float, float]], box: Box, pixels: NDArray[Any], channel: int) -> None:
    """Widen the range of values of each channel by those of a block."""
    first = box.start[channel] if channel >= 0 else 0
    parts = np.moveaxis(pixels, channel, 0) if channel >= 0 else pixels[None]
    for number, part in enumerate(parts, first):
        low, high = float(part.min()), float(part.max())
        old = window.get(number, (low, high))
        window[number] = (min(low, old[0]), max(high, old[1]))


_COLORS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def _omero(
    channels: Sequence[str], window: dict[int, tuple[float, float]], dtype: np.dtype[Any]
) -> dict[str, Any]:
    """Return names, colours and display ranges of the channels."""
    described = []
    for number, name in enumerate(channels):
        start, end = window.get(number, (0.0, 1.0))
        low, high = (start, end) if dtype.kind in "fb" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        described.append(
            {
                "label": name,
                "color": _COLORS[number % len(_COLORS)] if len(channels) > 1 else _COLORS[0],
                "window": {"min": float(low), "max": float(high), "start": start, "end": max(end, start + 1)},
                "active": True,
            }
        )
    return {"channels": described}
