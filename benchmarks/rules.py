"""Ways to make one label image of tiles' labels, each as its literature describes it.

A rule is a function of the tiles' labels over their read boxes and the grid. All but `ours` are
written here from published descriptions, to compare rules and not programs: `ours` is the public
function. Only `upper_bound` is told the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse
from scipy.optimize import linear_sum_assignment

import seamlabel
from benchmarks.scores import overlaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from seamlabel import TileGrid
    from seamlabel.geometry import Box

    Labels = NDArray[np.int32]
    Tiles = Sequence[Labels]
    Pairs = NDArray[np.int64]

MUTUAL_LEAST = 0.2
FACE_LEAST = 0.2
NMS_LEAST = 0.3
"""Two versions of an object share at least this much of the smaller one."""


def ours(tiles: Tiles, grid: TileGrid) -> NDArray[Any]:
    """`seamlabel.merge_labels`, its default rule."""
    merged: NDArray[Any] = seamlabel.merge_labels(tiles, grid, merge="iou")
    return merged


def upper_bound(tiles: Tiles, grid: TileGrid, truth: Labels) -> NDArray[Any]:
    """Each label is the true object that most of it lies in; each core keeps its own voxels."""
    out = np.zeros(grid.shape, np.int32)
    for tile, labels in zip(grid, tiles, strict=True):
        table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        pairs, shared = overlaps(labels, truth[tile.read.slices])
        real = (pairs > 0).all(1)
        order = np.argsort(shared[real], kind="stable")
        table[pairs[real][order, 0]] = pairs[real][order, 1]  # the largest is written last
        out[tile.core.slices] = _part(labels, tile.core, tile.read)
        out[tile.core.slices] = table[out[tile.core.slices]]
    return out


def mutual_iou(tiles: Tiles, grid: TileGrid) -> NDArray[Any]:
    """One-to-one matching of labels by largest total IoU in the overlap (Kuhn 1955; cellpose's stitching).

    Pairs below an IoU of .2 are left out.
    """
    return _joined(tiles, grid, lambda a, b: _assigned(*_iou(a, b)))


def overlap_iou(tiles: Tiles, grid: TileGrid, least: float) -> NDArray[Any]:
    """Labels whose IoU in the overlap is at least `least` are one object (as dask-image discusses)."""

    def judge(a: Labels, b: Labels) -> Pairs:
        pairs, iou = _iou(a, b)
        return pairs[iou >= least]

    return _joined(tiles, grid, judge)


def face_iou(tiles: Tiles, grid: TileGrid) -> NDArray[Any]:
    """Labels of the two voxel layers at a core border that are each other's best, IoU at least .2."""

    def judge(a: Labels, b: Labels) -> Pairs:
        pairs, iou = _iou(a, b)
        best = (iou >= _best(pairs[:, 0], iou)) & (iou >= _best(pairs[:, 1], iou))
        return pairs[best & (iou >= FACE_LEAST)]

    return _joined(tiles, grid, judge, faces=True)


def touching(tiles: Tiles, grid: TileGrid) -> NDArray[Any]:
    """Labels that touch across a core border are one object (the default of patchworks and dask-image)."""
    return _joined(tiles, grid, lambda a, b: _iou(a, b)[0], faces=True)


def responsible_block(tiles: Tiles, grid: TileGrid) -> NDArray[Any]:
    """Let the tile whose core holds the middle of an object's box paint it whole (StarDist's big images).

    Where two tiles' versions meet, the first stays.
    """
    out = np.zeros(grid.shape, np.int32)
    last = 0
    for tile, labels in zip(grid, tiles, strict=True):
        table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        for number, box in enumerate(ndimage.find_objects(labels), 1):
            middle = [(s.start + s.stop - 1) // 2 + a for s, a in zip(box, tile.read.start, strict=True)]
            if all(a <= m < b for m, a, b in zip(middle, tile.core.start, tile.core.stop, strict=True)):
                last += 1
                table[number] = last
        part = out[tile.read.slices]
        np.copyto(part, table[labels], where=part == 0)
    return out


def nms(tiles: Tiles, grid: TileGrid) -> NDArray[Any]:
    """Non-maximum suppression: whole versions in falling order of quality, each unless it is there.

    Quality is the distance to the artificial faces of the read box, up to a quarter of the tile,
    then the size. A version is there if .3 of the smaller one is shared (Neubeck & Van Gool 2006,
    with shared part of the smaller as is common for masks).
    """
    versions = sorted(_versions(tiles, grid))
    out, areas = np.zeros(grid.shape, np.int32), [0]
    for _, negative_area, number, label, box in versions:
        read = grid[number].read
        here = tiles[number][box] == label
        whole = tuple(slice(s.start + a, s.stop + a) for s, a in zip(box, read.start, strict=True))
        part = out[whole]
        taken = np.bincount(part[here])
        taken[0] = 0
        rival = int(taken.argmax())
        if taken[rival] >= NMS_LEAST * max(1, min(-negative_area, areas[rival] or 1 << 60)):
            continue
        part[here & (part == 0)] = len(areas)
        areas.append(-negative_area)
    return out


def _versions(tiles: Tiles, grid: TileGrid) -> Iterator[tuple[int, int, int, int, tuple[slice, ...]]]:
    """Yield (-margin, -area, tile, label, box in the tile) of every label of every tile."""
    cap = min(grid.tile_shape) // 4
    for tile, labels in zip(grid, tiles, strict=True):
        areas = np.bincount(labels.ravel())
        for number, box in enumerate(ndimage.find_objects(labels), 1):
            margin = cap
            spans = zip(box, tile.read.start, tile.read.stop, grid.shape, strict=True)
            for s, a, b, n in spans:
                margin = min(margin, s.start if a > 0 else cap, b - a - s.stop if b < n else cap)
            yield -margin, -int(areas[number]), tile.number, number, box


def _joined(
    tiles: Tiles, grid: TileGrid, judge: Callable[[Labels, Labels], Pairs], *, faces: bool = False
) -> NDArray[Any]:
    """Return the image in which labels that a rule pairs are one; each core keeps its own voxels.

    Parameters
    ----------
    tiles, grid
        Labels and tiles.
    judge : callable
        Gets two neighbours' labels of the same voxels, returns pairs that are one object.
    faces : bool
        Give it the layers on both sides of the border between the cores, not the overlap.
    """
    first = np.concatenate([[0], np.cumsum([int(t.max(initial=0)) for t in tiles])])
    found = [np.zeros((0, 2), np.int64)]
    for one, other in _neighbours(grid, faces):
        a, b = (_faces if faces else _overlap)(tiles, grid, one, other)
        found.append(judge(a, b) + first[[one, other]])
    pairs = np.concatenate(found)
    n = int(first[-1]) + 1
    graph = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (n, n))
    names = sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int32) + 1
    out = np.zeros(grid.shape, np.int32)
    for tile, labels, base in zip(grid, tiles, first, strict=False):
        core = _part(labels, tile.core, tile.read)
        out[tile.core.slices] = np.where(core > 0, names[core + base], 0)
    return out


def _neighbours(grid: TileGrid, faces: bool) -> Iterator[tuple[int, int]]:
    """Yield pairs of neighbouring tiles, lower first; only those that share a face, if asked."""
    for tile in grid:
        for number in grid.neighbours(tile.number):
            steps = sum(a != b for a, b in zip(tile.index, grid.index(number), strict=True))
            if number > tile.number and (steps == 1 or not faces):
                yield tile.number, number


def _overlap(tiles: Tiles, grid: TileGrid, one: int, other: int) -> tuple[Labels, Labels]:
    """Return both tiles' labels where their read boxes overlap."""
    box = grid.seam(one, other).box
    return _part(tiles[one], box, grid[one].read), _part(tiles[other], box, grid[other].read)


def _faces(tiles: Tiles, grid: TileGrid, one: int, other: int) -> tuple[Labels, Labels]:
    """Return the last layer of one tile's core and the first layer of the other's."""
    a, b = grid[one], grid[other]
    mine = _part(tiles[one], a.core, a.read)
    theirs = _part(tiles[other], b.core, b.read)
    axis = next(i for i in range(grid.ndim) if a.index[i] != b.index[i])
    return np.take(mine, -1, axis), np.take(theirs, 0, axis)


def _part(labels: Labels, box: Box, read: Box) -> Labels:
    return labels[box.relative_to(read).slices]


def _iou(a: Labels, b: Labels) -> tuple[Pairs, NDArray[np.float64]]:
    """Return the pairs of labels that share voxels, and the IoU of each within these voxels."""
    pairs, shared = overlaps(a, b)
    both = (pairs > 0).all(1)
    size_a, size_b = np.bincount(a.ravel(), minlength=1), np.bincount(b.ravel(), minlength=1)
    pairs, shared = pairs[both], shared[both]
    return pairs, shared / (size_a[pairs[:, 0]] + size_b[pairs[:, 1]] - shared)


def _assigned(pairs: Pairs, iou: NDArray[np.float64]) -> Pairs:
    """Return the one-to-one pairs of largest total IoU."""
    if not len(pairs):
        return pairs
    rows, row = np.unique(pairs[:, 0], return_inverse=True)
    columns, column = np.unique(pairs[:, 1], return_inverse=True)
    table = np.zeros((rows.size, columns.size))
    table[row, column] = iou
    r, c = linear_sum_assignment(table, maximize=True)
    good = table[r, c] >= MUTUAL_LEAST
    return np.stack([rows[r[good]], columns[c[good]]], 1)


def _best(labels: NDArray[np.int64], iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for every pair the largest IoU among those of its label."""
    best = np.zeros(int(labels.max(initial=0)) + 1)
    np.maximum.at(best, labels, iou)
    return best[labels]


RULES: dict[str, Callable[[Tiles, TileGrid], NDArray[Any]]] = {
    "ours": ours,
    "mutual label IoU": mutual_iou,
    "overlap IoU >= .5": lambda tiles, grid: overlap_iou(tiles, grid, 0.5),
    "overlap IoU >= .8": lambda tiles, grid: overlap_iou(tiles, grid, 0.8),
    "NMS": nms,
    "responsible block": responsible_block,
    "face IoU .2": face_iou,
    "touching": touching,
}
"""Rules by name; the upper bound is apart, for it needs the truth."""
