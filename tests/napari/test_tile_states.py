from __future__ import annotations

import numpy as np
import pytest

from seamlabel.geometry import Box, TileGrid
from seamlabel.napari.tiles.tile_states import LINE, OVERLAP, STATES, TileStates, any_within

GRID = TileGrid((400, 300), (100, 100), (20, 20))


def value(state):
    return STATES.index(state) + 1


def test_every_state_has_a_pattern_of_its_own():
    states = TileStates(GRID, [GRID.shape])
    pictures = {}
    for number, state in enumerate(STATES):
        states.set(number, state)
        tile = GRID[number].core
        picture = np.asarray(states.levels[0])[tile.slices][4:-4, 4:-4]
        assert set(np.unique(picture)) <= {0, value(state)}
        pictures[state] = (picture != 0).tobytes() + picture.shape[0].to_bytes(2, "big")
    without_done = {s: p for s, p in pictures.items() if s != "done"}
    assert len(set(without_done.values())) == len(without_done)
    done = np.asarray(states.levels[0])[GRID[2].core.slices]
    assert value("done") in done, "a finished tile has a frame"
    assert not (done[10:-10, 10:-10]).any(), "and nothing over its labels"


def test_grid_lines_lie_on_the_borders_of_tiles():
    picture = np.asarray(TileStates(GRID, [GRID.shape]).levels[0])
    rows = np.flatnonzero((picture == LINE).all(axis=1))
    np.testing.assert_array_equal(rows, [0, 99, 100, 199, 200, 299, 300, 399])


def test_small_tiles_are_filled_instead_of_lined():
    states = TileStates(GRID, [GRID.shape, (40, 30)])
    states.set(1, "failed")
    small = np.asarray(states.levels[1])
    assert set(np.unique(small)) == {0, value("failed")}
    assert (small[:10, 10:20] == value("failed")).all()


def test_a_plane_of_a_volume_shows_no_lines_across_it():
    grid = TileGrid((32, 128, 128), (16, 64, 64), (4, 8, 8))
    level = TileStates(grid, [grid.shape]).levels[0]
    assert (np.asarray(level[15]) == LINE).mean() < 0.1


def test_the_selected_tile_shows_what_it_reads_past_its_core():
    states = TileStates(GRID, [GRID.shape])
    states.selected = 4
    tile = GRID[4]
    picture = np.asarray(states.levels[0])
    inside = np.zeros(GRID.shape, bool)
    inside[tile.read.slices] = True
    inside[tile.core.slices] = False
    assert (picture[inside] != 0).all()
    assert OVERLAP in picture[inside]
    assert OVERLAP not in picture[~inside]


def test_counts_follow_the_states():
    states = TileStates(GRID, [GRID.shape])
    states.set(0, "running")
    states.set(0, "done")
    states.set(5, "failed")
    assert states.counts == {"waiting": 10, "running": 0, "done": 1, "empty": 0, "failed": 1}
    assert states.state(5) == "failed"


def test_the_tile_at_a_voxel_owns_it():
    states = TileStates(GRID, [GRID.shape])
    assert states.tile_at((150, 299)) == GRID.number((1, 2))
    assert states.tile_at((400, 0)) is None
    assert states.tile_at((-1, 0)) is None


@pytest.mark.parametrize("shape", [(400, 300), (200, 150), (133, 100)])
def test_a_part_is_that_part_of_the_whole_picture_of_states(shape):
    states = TileStates(GRID, [shape])
    states.set(3, "empty")
    whole = np.asarray(states.levels[0])
    part = (slice(20, 130), slice(7, 90))
    np.testing.assert_array_equal(np.asarray(states.levels[0][part]), whole[part])


@pytest.mark.parametrize("level", [0, 1])
def test_tiles_are_looked_at_where_their_cores_meet_the_view(level):
    states = TileStates(GRID, [GRID.shape, (40, 30)])
    shape = (GRID.shape, (40, 30))[level]
    rng = np.random.default_rng(level)
    for _ in range(50):
        low, high = np.sort(rng.integers(0, np.array(shape) + 1, (2, 2)), axis=0)
        box = Box(tuple(low.tolist()), tuple(high.tolist()))
        seen = np.zeros(shape, bool)
        seen[box.slices] = True
        for tile in range(len(GRID)):
            core = np.zeros(GRID.shape, bool)
            core[GRID[tile].core.slices] = True
            expected = bool((core[np.ix_(*states.index[level])] & seen).any())
            assert any_within([tile], GRID, states.index[level], box) == expected
    assert not any_within([], GRID, states.index[level], Box.whole(shape))
