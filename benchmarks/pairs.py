"""Labels and pairs of a huge image that nobody segmented, for the merge alone.

Objects of every tile lie across its right and its lower seam: two labels and a pair for each. One
per row of tiles is a fibre through the whole row. One in five is seen whole by both tiles.
"""

from __future__ import annotations

from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import TileGrid
from seamlabel.io.records import RecordFile
from seamlabel.kernels.local import node_dtype
from seamlabel.kernels.seams import ROW, IouRule
from seamlabel.kernels.solve import MergeInput, solve
from seamlabel.staged import COMPLETE, LABEL_BITS, NODE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.jobs import Job

PER_SEAM = 5
TILE, OVERLAP, SIZE = 64, 4, 6
AREA = SIZE * SIZE


def side_of(pairs: int) -> int:
    """Return the tiles along each axis that have at least so many pairs."""
    return isqrt(max(pairs - 1, 0) // (2 * PER_SEAM)) + 2


def expected(side: int) -> tuple[int, int]:
    """Return the pairs and the objects of a grid of `side` x `side` tiles."""
    seams = side * (side - 1)
    fibres_cut = side * (side - 2)  # a fibre's pairs less one would each be an object of their own
    return 2 * PER_SEAM * seams, 2 * PER_SEAM * seams - fibres_cut


def write(folder: Path, side: int) -> None:
    """Write the records, one row of tiles after the other."""
    folder.mkdir(parents=True)
    nodes, rows = RecordFile(folder / "nodes", node_dtype(2)), RecordFile(folder / "rows", ROW)
    for row in range(side):
        tiles = row * side + np.arange(side, dtype=np.int64)
        for number in range(PER_SEAM):
            fibre = number == PER_SEAM - 1
            right = np.array([tiles[:-1], tiles[1:]])
            rows.append(_pairs(right, number, PER_SEAM * (not fibre) + number))
            nodes.append(_fibre(tiles, number) if fibre else _crossing(right, number, axis=1, side=side))
            if row + 1 < side:
                down = np.array([tiles, tiles + side])
                rows.append(_pairs(down, 2 * PER_SEAM + number, 3 * PER_SEAM + number))
                nodes.append(_crossing(down, number, axis=0, side=side))
    nodes.close()
    rows.close()
    (folder / "side").write_text(str(side))


def _keys(tiles: NDArray[np.int64], label: int) -> NDArray[np.int64]:
    return tiles << LABEL_BITS | label + 1


def _pairs(tiles: NDArray[np.int64], label: int, other: int) -> NDArray[Any]:
    """Return a pair for each column of `tiles`, of shape (2, n)."""
    found = np.zeros(tiles.shape[1], ROW)
    found["a"], found["b"] = _keys(tiles[0], label), _keys(tiles[1], other)
    found["common"] = found["one"] = found["other"] = AREA
    found["mutual"] = 1
    return found


def _crossing(tiles: NDArray[np.int64], number: int, *, axis: int, side: int) -> NDArray[Any]:
    """Return the two labels of each object across a seam, square and half on either side."""
    found = np.zeros(tiles.shape, node_dtype(2))
    label = number + 2 * PER_SEAM * (axis == 0)
    for place in (0, 1):
        found["key"][place] = _keys(tiles[place], label + PER_SEAM * place)
    corner = np.stack(np.divmod(tiles[0], side), axis=-1) * TILE + number * 2 * SIZE + SIZE
    corner[:, axis] += TILE - SIZE // 2 - number * 2 * SIZE - SIZE
    found["start"], found["stop"] = corner, corner + SIZE
    found["area"], found["core_area"] = AREA, AREA // 2
    found["flags"] = NODE | (COMPLETE if number == 0 else 0)
    found["margin"] = 1.0 if number == 0 else 0.0
    return found.ravel()


def _fibre(tiles: NDArray[np.int64], number: int) -> NDArray[Any]:
    """Return the labels of an object through a whole row of tiles."""
    found = np.zeros(tiles.size, node_dtype(2))
    found["key"] = _keys(tiles, number)
    corner = np.stack(np.divmod(tiles, tiles.size), axis=-1) * TILE + (number * 2 * SIZE + SIZE, 0)
    found["start"], found["stop"] = corner, corner + np.array((SIZE, TILE))
    found["area"] = found["core_area"] = SIZE * TILE
    found["flags"] = NODE
    return found


def solve_pairs(job: Job) -> dict[str, Any]:
    """Merge what `write` wrote into the folder that is the job's image."""
    folder = Path(job.image)
    side = int((folder / "side").read_text())
    grid = TileGrid((side * TILE,) * 2, (TILE,) * 2, (OVERLAP,) * 2)
    given = MergeInput(
        grid=grid,
        nodes=RecordFile(folder / "nodes", node_dtype(2)),
        rows=RecordFile(folder / "rows", ROW),
        unclean=np.zeros((0, 2), np.int64),
        interior=np.zeros(len(grid), np.int64),
        rule=IouRule(),
    )
    solution, _ = solve(given)
    return {"objects": solution.n_objects}
