"""Sizes, places and intensities of labels: sums per tile, and sums per object.

Sums are taken from runs (stretches of one label in raster order), of which label images have few, so no
label is looked at voxel by voxel; pixels are summed along runs. Sums of tiles add up exactly: what is
counted in integers does not depend on the tiles. Knows neither files nor what an axis means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelSums:
    """Sums per label, one row each, ascending by label. Background has none.

    Parameters
    ----------
    label : ndarray of integers, shape (n,)
        Labels of a tile, or ids of objects.
    area : ndarray of int64, shape (n,)
        Voxels.
    start, stop : ndarray of int64, shape (n, ndim)
        Bounding box in image coordinates, half open.
    moment : ndarray of int64, shape (n, ndim)
        Sum over the voxels of ``coordinate - start``: small numbers, so that they stay exact.
    parts : ndarray of int64, shape (n,)
        How many tiles these sums come from.
    total : ndarray of int64, uint64 or float64, shape (n, channels)
        Sum of the pixels: of integers of up to 32 bits exact, of others in float64.
    least, most : ndarray of the pixels' type, shape (n, channels)
        Extremes of the pixels; NaN where a pixel is NaN.
    """

    label: NDArray[Any]
    area: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    moment: NDArray[np.int64]
    parts: NDArray[np.int64]
    total: NDArray[Any]
    least: NDArray[Any]
    most: NDArray[Any]


@dataclass(frozen=True)
class _Pieces:
    """Parts of runs that lie in one line each and inside the box asked for, by label."""

    label: NDArray[Any]
    line: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]  # one past the end

    def where(self, which: NDArray[Any]) -> _Pieces:
        return _Pieces(self.label[which], self.line[which], self.first[which], self.last[which])


def measure_runs(
    starts: NDArray[Any],
    values: NDArray[Any],
    shape: tuple[int, ...],
    origin: tuple[int, ...],
    part: tuple[slice, ...] | None = None,
    pixels: NDArray[Any] | None = None,
) -> LabelSums:
    """Return the sums of all labels of an array, given as runs.

    Parameters
    ----------
    starts : ndarray of integers, shape (n_runs,)
        Where in the array's raster each run starts, from 0 on, without gaps. A run may go on over ends
        of lines, and two runs in a row may have one value.
    values : ndarray of integers, shape (n_runs,)
        Label of each run; 0 is background.
    shape : tuple of int
        Of the array.
    origin : tuple of int
        Where it starts in the image.
    part : tuple of slice, optional
        Only voxels in this box, relative to the array (a tile's core in its read box).
    pixels : ndarray, optional
        Intensities of the array's voxels, after an axis of channels. Without them there is no channel.
    """
    pieces = _pieces(starts, values, shape)
    if part is not None:
        pieces = _clipped(pieces, shape, part)
    by_raster = pieces
    order = _stable_order(pieces.label)
    pieces = pieces.where(order)
    begin = _group_starts(pieces.label)
    length = pieces.last - pieces.first
    start, stop, moment = _places(pieces, begin, shape)
    flat = None if pixels is None else pixels.reshape(len(pixels), -1)
    total, least, most = _intensities(by_raster, order, begin, shape[-1], flat)
    area = _grouped(np.add, length, begin)
    offset = np.array(origin, np.int64)
    return LabelSums(
        pieces.label[begin],
        area,
        start + offset,
        stop + offset,
        moment - start * area[:, None],
        np.ones(begin.size, np.int64),
        total,
        least,
        most,
    )


def _pieces(starts: NDArray[Any], values: NDArray[Any], shape: tuple[int, ...]) -> _Pieces:
    """Return the runs of labels, cut where lines end, in raster order."""
    size = int(np.prod(shape, dtype=np.int64))
    ink = np.flatnonzero(values)
    begin = starts[ink].astype(np.intp, copy=False)
    end = np.append(starts, size)[ink + 1].astype(np.intp, copy=False)
    label, width = values[ink], shape[-1]
    line, last_line = begin // width, (end - 1) // width
    count = last_line - line + 1
    if (count > 1).any():
        before = np.cumsum(count) - count
        line = np.repeat(line - before, count) + np.arange(int(count.sum()))
        begin = np.maximum(np.repeat(begin, count), line * width)
        end = np.minimum(np.repeat(end, count), (line + 1) * width)
        label = np.repeat(label, count)
    return _Pieces(label, line, begin - line * width, end - line * width)


def _clipped(pieces: _Pieces, shape: tuple[int, ...], part: tuple[slice, ...]) -> _Pieces:
    """Return what lies inside a box."""
    lines = np.zeros(shape[:-1], bool)
    lines[part[:-1]] = True
    low, high, _ = part[-1].indices(shape[-1])
    first, last = np.maximum(pieces.first, low), np.minimum(pieces.last, high)
    inside = (first < last) & lines.ravel()[pieces.line]
    return _Pieces(pieces.label, pieces.line, first, last).where(inside)


def _stable_order(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return the order that sorts labels and keeps the raster within each."""
    if labels.size and int(labels.min()) >= 0 and int(labels.max()) < 1 << 16:
        labels = labels.astype(np.uint16)  # these are sorted by counting, five times faster
    return np.argsort(labels, kind="stable")


def _group_starts(ordered: NDArray[Any]) -> NDArray[np.intp]:
    """Return where each value starts in a sorted array."""
    change = np.ones(ordered.size, bool)
    np.not_equal(ordered[1:], ordered[:-1], out=change[1:])
    return np.flatnonzero(change)


def _grouped(function: np.ufunc, values: NDArray[Any], begin: NDArray[np.intp]) -> NDArray[Any]:
    """Return `function` over each group of rows."""
    if not begin.size:
        return values[:0]
    result: NDArray[Any] = function.reduceat(values, begin, axis=0)
    return result


def _places(
    pieces: _Pieces, begin: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return start, stop and coordinate sums of each label, in voxels of the array."""
    length = pieces.last - pieces.first
    lead = np.unravel_index(pieces.line, shape[:-1]) if len(shape) > 1 else ()
    low = np.stack([*lead, pieces.first], axis=1).astype(np.int64, copy=False)
    high = np.stack([*(at + 1 for at in lead), pieces.last], axis=1).astype(np.int64, copy=False)
    # the coordinates along a piece are first … last - 1: their mean is (first + last - 1) / 2
    sums = (low + high - 1) * length[:, None] // 2
    return (
        _grouped(np.minimum, low, begin),
        _grouped(np.maximum, high, begin),
        _grouped(np.add, sums, begin),
    )


def _intensities(
    pieces: _Pieces,
    order: NDArray[np.intp],
    begin: NDArray[np.intp],
    width: int,
    pixels: NDArray[Any] | None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return sum, minimum and maximum of each label in each channel."""
    if pixels is None or not begin.size:
        kind = np.dtype(float) if pixels is None else pixels.dtype
        shape = (begin.size, 0 if pixels is None else len(pixels))
        return np.zeros(shape, sum_type(kind)), np.zeros(shape, kind), np.zeros(shape, kind)
    cuts = np.empty(2 * pieces.line.size, np.intp)
    cuts[::2] = pieces.line * width + pieces.first
    cuts[1::2] = pieces.line * width + pieces.last
    cuts = cuts[:-1] if cuts[-1] == pixels.shape[1] else cuts
    ways: list[tuple[np.ufunc, Any]] = [
        (np.add, sum_type(pixels.dtype)),
        (np.minimum, pixels.dtype),
        (np.maximum, pixels.dtype),
    ]
    found = []
    for function, dtype in ways:
        columns = [function.reduceat(channel, cuts, dtype=dtype)[::2][order] for channel in pixels]
        found.append(np.stack([_grouped(function, column, begin) for column in columns], axis=1))
    return found[0], found[1], found[2]


def sum_type(dtype: np.dtype[Any]) -> type[Any]:
    """Return the type in which pixels are summed."""
    if dtype.kind in "iu" and dtype.itemsize <= 4:
        return np.uint64 if dtype.kind == "u" else np.int64
    return np.uint64 if dtype.kind == "b" else np.float64


def combine(sums: Sequence[LabelSums], objects: Sequence[NDArray[Any]] | None = None) -> LabelSums:
    """Add up the sums of several tiles, by object.

    What comes out can be combined again, so that memory need not hold all tiles' sums at once.

    Parameters
    ----------
    sums : sequence of LabelSums
        At least one; all of the same axes, channels and type of pixels. Those of tiles must be of
        their cores only, which share no voxel.
    objects : sequence of ndarray of integers, optional
        For each, the object of every row; 0 leaves the row out. Without it, labels are objects.
    """
    named = [one.label for one in sums] if objects is None else objects
    wide = any(one.dtype == np.uint64 for one in named)  # together with int64 they would become floats
    ids = np.concatenate([one.astype(np.uint64 if wide else np.int64) for one in named])
    kept = np.flatnonzero(ids)
    order = kept[np.argsort(ids[kept], kind="stable")]
    begin = _group_starts(ids[order])

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(one, name) for one in sums])[order]

    start = _grouped(np.minimum, column("start"), begin)
    sizes = np.diff(begin, append=order.size)
    shifted = column("moment") + (column("start") - np.repeat(start, sizes, axis=0)) * column("area")[:, None]
    return LabelSums(
        ids[order][begin],
        _grouped(np.add, column("area"), begin),
        start,
        _grouped(np.maximum, column("stop"), begin),
        _grouped(np.add, shifted, begin),
        _grouped(np.add, column("parts"), begin),
        _grouped(np.add, column("total"), begin),
        _grouped(np.minimum, column("least"), begin),
        _grouped(np.maximum, column("most"), begin),
    )
