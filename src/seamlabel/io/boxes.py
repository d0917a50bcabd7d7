"""Where boxes lie in an image's arrays: with all axes, on a coarser level, evenly spread over one.

Knows axes and shapes; reads nothing.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from seamlabel.geometry import Box, TileGrid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seamlabel.axes import ImageInfo

_PIECE_VOXELS = 1 << 20
_GOLDEN = 0.6180339887498949


def image_slices(info: ImageInfo, box: Box, channels: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield slices over all axes of an image: one for channels side by side, else one for each.

    Parameters
    ----------
    info : ImageInfo
        The image.
    box : Box
        Over the label axes.
    channels : tuple of int
        Of no meaning where the image has no channel axis. Axes that are neither have extent 1.
    """
    slices = [slice(0, 1)] * len(info.axes)
    for axis, cut in zip(info.label_axes, box.slices, strict=True):
        slices[axis] = cut
    where = info.channel_axis
    if where is None:
        yield tuple(slices)
        return
    together = channels == tuple(range(channels[0], channels[0] + len(channels)))
    for first, last in [(channels[0], channels[-1])] if together else [(c, c) for c in channels]:
        slices[where] = slice(first, last + 1)
        yield tuple(slices)


def covering(box: Box, fine: tuple[int, ...], coarse: tuple[int, ...]) -> Box:
    """Return the box of a coarser level over a box of a finer one, grown by one along coarser axes.

    Parameters
    ----------
    box : Box
        In voxels of the finer level.
    fine, coarse : tuple of int
        Shapes of the levels. A coarse voxel is taken to be ``fine / coarse`` voxels long; where the
        level was made with a whole factor and its last voxel cut off or filled up, that is wrong by
        less than one coarse voxel, hence the growth.
    """
    start, stop = [], []
    for a, b, n, m in zip(box.start, box.stop, fine, coarse, strict=True):
        grown = int(n != m)
        start.append(max(0, a * m // n - grown))
        stop.append(min(m, -(-b * m // n) + grown))
    return Box(tuple(start), tuple(stop))


def spread(shape: tuple[int, ...], chunks: tuple[int, ...], voxels: int) -> list[Box]:
    """Return blocks of whole chunks (parts, if chunks are huge), evenly spread over an array.

    Parameters
    ----------
    shape, chunks : tuple of int
        Of the array.
    voxels : int
        Most voxels of all blocks, if one chunk is not more.
    """
    piece = [min(c, n) for c, n in zip(chunks, shape, strict=True)]
    while prod(piece) > _PIECE_VOXELS:
        longest = piece.index(max(piece))
        piece[longest] = -(-piece[longest] // 2)
    grid = TileGrid(shape, tuple(piece), (0,) * len(shape))
    wanted = max(1, min(len(grid), voxels // prod(piece)))
    # Steps of the golden ratio cover rows and columns alike; equal steps may hit one column only.
    numbers = {int((i + 0.5) * _GOLDEN % 1.0 * len(grid)) for i in range(wanted)}
    return [grid[number].core for number in sorted(numbers)]
