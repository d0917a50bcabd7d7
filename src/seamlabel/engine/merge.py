"""Only the merge: labels of tiles that somebody else segmented become labels of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.compose import Composer
from seamlabel.engine.front import Front
from seamlabel.engine.gather import Gathered, MemoryRecords
from seamlabel.engine.seams import SeamFinder
from seamlabel.engine.segment import check_labels
from seamlabel.errors import Problem, SpecError, TileError
from seamlabel.geometry import Box
from seamlabel.kernels.solve import solve
from seamlabel.spec import MergeSpec
from seamlabel.staged import ObjectFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Tile, TileGrid
    from seamlabel.staged import StagedTile


class _Tiles:
    """A `LabelStore` in memory."""

    def __init__(self) -> None:
        self._labels: dict[int, StagedTile] = {}

    def write(self, tile: int, staged: StagedTile) -> None:
        self._labels[tile] = staged

    def read(self, tile: int) -> StagedTile | None:
        return self._labels.get(tile)


def merge_labels(
    labels: Any,
    grid: TileGrid,
    *,
    merge: MergeSpec | str = "iou",
    joined: tuple[bool, ...] | None = None,
    radius: int | None = None,
    min_size: int = 0,
    sequential: bool = True,
    out: Any = None,
) -> Any:
    """Merge labels of tiles that you segmented yourself.

    Parameters
    ----------
    labels : sequence, mapping or array
        ``labels[n]`` are integer labels of tile n over its whole read box ``grid[n].read`` (or None
        for an empty tile), 0 for background, numbered in any way.
    grid : TileGrid
        The tiles.
    merge : MergeSpec or {"iou", "touching"}
        How objects are judged; ``"iou"`` needs an overlap of 1 or more where tiles meet.
    joined : tuple of bool, optional
        Axes along which labels are joined; all by default. Time should not be.
    radius : int, optional
        Voxels from a cut within which labels cannot be trusted, if known.
    min_size : int
        Whole objects of fewer voxels become background.
    sequential : bool
        Ids 1..N without gaps.
    out : array-like, optional
        Where to write, tile by tile; must take ids up to the number of labels of all tiles.

    Returns
    -------
    ndarray or out
        Labels of the shape of the grid; uint32, beyond 2^32 - 1 ids uint64.

    Raises
    ------
    SpecError
        If tiles do not overlap where ``"iou"`` has to compare them, or tiles span an axis that is
        not joined.
    TileError
        If a tile's labels are missing, have the wrong shape or type, or are negative.
    """
    spec = MergeSpec(rule=merge) if isinstance(merge, str) else merge  # type: ignore[arg-type]
    seams = SeamFinder(grid, joined or (True,) * grid.ndim, spec, radius)
    _check(seams)
    store, keep = _Tiles(), ObjectFilter(min_size)
    front, gathered = Front(seams, store, keep), Gathered(grid, spec, MemoryRecords(), MemoryRecords())
    for tile in grid:
        given = _given(labels, tile)
        found, local = seams.describe(tile, given) if given is not None else (None, None)
        if local is not None:
            store.write(tile.number, local.staged)
        gathered.take(front.arrive(tile.number, found, local))
    solution, _ = solve(gathered.problem(keep))
    composer = Composer(grid, store, solution)
    if out is None:
        whole = composer.labels(Box.whole(grid.shape))
        return np.zeros(grid.shape, solution.dtype) if whole is None else whole
    for tile in grid:
        part = composer.labels(tile.core)
        out[tile.core.slices] = 0 if part is None else part
    return out


def _given(labels: Any, tile: Tile) -> NDArray[Any] | None:
    """Return the labels given for a tile, None for an empty one."""
    try:
        given = labels[tile.number]
    except LookupError:
        raise TileError(tile.number, "no labels given", "Give None for an empty tile") from None
    return None if given is None else check_labels(given, tile.read.shape, tile.number)


def _check(seams: SeamFinder) -> None:
    """Raise if the tiles cannot be merged so."""
    grid, joined = seams.grid, seams.joined
    if len(joined) != grid.ndim:
        raise SpecError([Problem("joined", f"{len(joined)} entries for {grid.ndim} axes", "Give one each")])
    axes = list(zip(grid.tile_shape, grid.overlap, grid.counts, joined, strict=True))
    if any(not join and (tile > 1 or overlap) for tile, overlap, _, join in axes):
        fix = "Give tiles of 1 without overlap along it"
        raise SpecError([Problem("grid", "tiles span an axis along which labels are not joined", fix)])
    if seams.merge.rule == "iou" and any(join and n > 1 and not h for _, h, n, join in axes):
        fix = "Segment with an overlap, or merge='touching'"
        raise SpecError([Problem("grid", "without overlap nothing tells what is one object", fix)])
