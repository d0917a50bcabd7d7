import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.geometry import Box, TileGrid


@st.composite
def grids(draw):
    ndim = draw(st.integers(1, 4))
    sides = st.integers(1, {1: 50, 2: 20, 3: 9, 4: 5}[ndim])
    shape, tile = (tuple(draw(sides) for _ in range(ndim)) for _ in range(2))
    overlap = tuple(draw(st.integers(0, 12)) for _ in range(ndim))
    return TileGrid(shape, tile, overlap)


@given(grids())
def test_the_cores_partition_the_image(grid):
    count = np.zeros(grid.shape, int)
    for tile in grid:
        count[tile.core.slices] += 1
    assert (count == 1).all()


@given(grids())
def test_read_boxes_hold_core_and_overlap_and_have_one_shape(grid):
    whole = Box.whole(grid.shape)
    for tile in grid:
        assert tile.read.shape == grid.read_shape
        assert whole.contains(tile.read)
        assert tile.read.contains(tile.core.grow(grid.overlap).intersect(whole))


@given(grids())
def test_numbers_and_indices_are_one_to_one(grid):
    tiles = list(grid)
    assert [tile.number for tile in tiles] == list(range(len(grid)))
    assert [grid.number(tile.index) for tile in tiles] == list(range(len(grid)))


@given(grids(), st.data())
def test_touching_finds_the_tiles_that_meet_a_box(grid, data):
    start = tuple(data.draw(st.integers(-3, n)) for n in grid.shape)
    stop = tuple(a + data.draw(st.integers(0, 9)) for a in start)
    box = Box(start, stop)
    expected = [t.number for t in grid if t.core.intersect(box).size]
    assert list(grid.touching(box)) == expected


@given(grids())
def test_seams_are_where_read_boxes_overlap(grid):
    for tile in grid:
        for other in grid.neighbours(tile.number):
            seam = grid.seam(tile.number, other)
            assert seam == grid.seam(other, tile.number)
            assert seam.box == tile.read.intersect(grid[other].read)
            assert seam.lower < seam.upper


@given(grids(), st.data())
def test_aligned_read_boxes_start_at_multiples(grid, data):
    align = tuple(data.draw(st.integers(1, 8)) for _ in grid.shape)
    aligned = TileGrid(grid.shape, grid.tile_shape, grid.overlap, align)
    for tile, plain in zip(aligned, grid, strict=True):
        assert all(a % k == 0 for a, k in zip(tile.read.start, align, strict=True))
        assert tile.read.contains(plain.read)
        assert tile.read.shape == aligned.read_shape
        assert Box.whole(grid.shape).contains(tile.read)
        starts = map(aligned.read_start, range(grid.ndim), tile.index)
        assert tuple(map(int, starts)) == tile.read.start
    assert all(n <= m + 2 * k - 2 for n, m, k in zip(aligned.read_shape, grid.read_shape, align, strict=True))


def test_a_grid_of_24_million_tiles_stores_nothing_per_tile():
    grid = TileGrid((5_000_000, 5_000_000), (1024, 1024), (32, 32))
    assert len(grid) > 23_000_000
    assert grid[len(grid) - 1].core.stop == grid.shape
    assert len(vars(grid)) < 10


@pytest.mark.parametrize(
    "bad",
    [((), (), ()), ((4,), (0,), (0,)), ((4,), (2,), (-1,)), ((4, 4), (2,), (0, 0)), ((0,), (1,), (0,))],
)
def test_impossible_grids_are_refused(bad):
    with pytest.raises(ValueError, match="tile_shape"):
        TileGrid(*bad)


def test_a_tile_that_does_not_exist_is_refused():
    with pytest.raises(IndexError, match="4 tiles"):
        TileGrid((4, 4), (2, 2), (0, 0))[4]
