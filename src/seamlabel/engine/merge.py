"""Only the merge: labels of tiles that somebody else segmented become labels of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.answers import check_labels
from seamlabel.engine.compose import Composer
from seamlabel.engine.front import Front
from seamlabel.engine.gather import Gathered, MemoryRecords
from seamlabel.engine.rules import merge_fields, seam_rule
from seamlabel.engine.seams import SeamFinder
from seamlabel.errors import Problem, SpecError, TileError
from seamlabel.geometry import Box
from seamlabel.kernels.solve import solve
from seamlabel.spec import MergeSpec
from seamlabel.staged import ObjectFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.geometry import Tile, TileGrid
    from seamlabel.protocols import SeamRule
    from seamlabel.staged import StagedTile


Z_LINK = 0.3
"""Least intersection over union of objects of neighbouring planes, where nobody says."""


class _Tiles:
    """A `LabelStore` in memory."""

    def __init__(self) -> None:
        self._labels: dict[int, StagedTile] = {}

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> tuple[int, int]:
        self._labels[tile] = staged
        return 0, 0

    def read(self, tile: int) -> StagedTile | None:
        return self._labels.get(tile)


def merge_labels(  # noqa: PLR0913 - one call for everything, all but two by name
    labels: Any,
    grid: TileGrid,
    *,
    merge: MergeSpec | str | SeamRule = "iou",
    joined: tuple[bool, ...] | None = None,
    linked: int | None = None,
    radius: int | None = None,
    min_size: int = 0,
    max_size: int | None = None,
    drop_border: bool = False,
    fill_holes: bool = False,
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
    merge : MergeSpec, {"iou", "touching", "face"} or callable
        How objects are judged; ``"iou"`` and functions ``rule(common, one, other)`` need an overlap
        of 1 or more where tiles meet.
    joined : tuple of bool, optional
        Axes along which labels are joined; all by default but `linked`. Time should not be.
    linked : int, optional
        Axis of planes that were segmented one by one: objects of neighbouring planes are one if
        their intersection over union is at least `merge.z_link` (0.3 if that is not given) and each
        is the other's best match.
    radius : int, optional
        Voxels from a cut within which labels cannot be trusted, if known.
    min_size, max_size : int
        Whole objects of fewer or more voxels become background; holes that are filled count.
    drop_border : bool
        Objects that touch the border of the image along joined axes become background.
    fill_holes : bool
        Background that one object alone encloses becomes part of it.
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
        If tiles do not overlap where overlaps have to be compared, tiles span an axis that is not
        joined, or a rule of your own cannot be used.
    TileError
        If a tile's labels are missing, have the wrong shape or type, or are negative.
    """
    fields, rule = merge_fields(merge, None if linked is None else Z_LINK)
    spec = MergeSpec(**fields)
    joined = joined or tuple(axis != linked for axis in range(grid.ndim))
    seams = SeamFinder(grid, joined, spec, radius, linked, fill=fill_holes)
    _check(seams)
    rule = seam_rule(spec, rule)
    store, keep = _Tiles(), ObjectFilter(min_size, max_size or 0, drop_border)
    holes = MemoryRecords() if fill_holes else None
    front = Front(seams, store, keep)
    gathered = Gathered(grid, spec, MemoryRecords(), MemoryRecords(), rule, holes=holes)
    for tile in grid:
        given = _given(labels, tile)
        found, local = (
            seams.describe(tile, given) if given is not None else (None, seams.describe_empty(tile))
        )
        if local is not None:
            store.write(tile.number, local.staged)
        gathered.take(front.arrive(tile.number, found, local))
    solution, _ = solve(gathered.problem(keep))
    return _painted(Composer(grid, store, solution), out)


def _painted(composer: Composer, out: Any) -> Any:
    """Return all labels, in `out` if that is given."""
    if out is None:
        whole = composer.labels(Box.whole(composer.grid.shape))
        return np.zeros(composer.grid.shape, composer.solution.dtype) if whole is None else whole
    for tile in composer.grid:
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
    if seams.linked is not None and (not 0 <= seams.linked < grid.ndim or joined[seams.linked]):
        fix = "Give the axis of planes, and False for it in `joined`"
        raise SpecError([Problem("linked", f"{seams.linked} is no axis of separate planes", fix)])
    if seams.merge.z_link is not None and seams.linked is None:
        raise SpecError([Problem("merge.z_link", "only planes are linked", "Give their axis as `linked`")])
    if seams.overlapping and any(join and n > 1 and not h for _, h, n, join in axes):
        fix = "Segment with an overlap, or merge='face' or 'touching'"
        raise SpecError([Problem("grid", "without overlap nothing tells what is one object", fix)])
