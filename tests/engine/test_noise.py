"""Tiles that disagree: what the merge promises for methods that a cut changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from test_merge_exactness import grids, split, tile_labels, truths

from seamlabel import MergeSpec, TileGrid, merge_labels
from seamlabel.engine.compose import Composer
from seamlabel.engine.front import Front
from seamlabel.engine.gather import Gathered, MemoryRecords
from seamlabel.engine.seams import SeamFinder
from seamlabel.geometry import Box
from seamlabel.kernels.solve import Edits, solve
from seamlabel.staged import COMPLETE, LABEL_BITS, LOCAL, ObjectFilter
from seamlabel.testing.stores import MemoryStore


class Merge:
    """A merge with its parts open to inspection; tiles may arrive in any order."""

    def __init__(self, grid, tiles, tau=0.2, order=None, rule="iou"):
        spec = MergeSpec(rule=rule, iou=tau)
        self.grid, self.keep, self.store = grid, ObjectFilter(), MemoryStore()
        self.seams = SeamFinder(grid, (True,) * grid.ndim, spec)
        front = Front(self.seams, self.store, self.keep)
        self.nodes, self.rows = MemoryRecords(), MemoryRecords()
        gathered = Gathered(grid, spec, self.nodes, self.rows)
        for number in range(len(grid)) if order is None else order:
            labels, local = self.seams.describe(grid[number], tiles[number])
            self.store.write(number, local.staged)
            arrival = front.arrive(number, labels, local)
            gathered.take(arrival)
            gathered.joins()
        self.given = gathered.problem(self.keep)
        self.solution, self.report = solve(self.given)

    def labels(self):
        found = Composer(self.grid, self.store, self.solution).labels(Box.whole(self.grid.shape))
        return np.zeros(self.grid.shape, int) if found is None else found.astype(int)


@st.composite
def noisy(draw):
    """Tiles of a truth whose objects are eaten, dropped, split and glued near the cuts."""
    grid = draw(grids())
    truth = draw(truths(grid.shape))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tiles = []
    for labels in tile_labels(truth, grid, 0, rng):
        kind = rng.integers(0, 4)
        if kind == 0:
            labels = np.where(rng.random(labels.shape) < 0.2, 0, labels)
        elif kind == 1 and labels.max():
            labels = np.where(labels == rng.integers(1, labels.max() + 1), 0, labels)
        elif kind == 2 and labels.max() > 1:
            one, other = rng.integers(1, labels.max() + 1, 2)
            labels = np.where(labels == one, other, labels)
        tiles.append(split(labels))
    return grid, tiles


@settings(max_examples=150, deadline=None)
@given(case=noisy(), tau=st.sampled_from([0.05, 0.2, 0.7]), seed=st.integers(0, 99))
def test_the_result_does_not_depend_on_the_order_of_arrival(case, tau, seed):
    grid, tiles = case
    order = np.random.default_rng(seed).permutation(len(grid)).tolist()
    one, other = Merge(grid, tiles, tau), Merge(grid, tiles, tau, order)
    assert np.array_equal(one.labels(), other.labels())
    assert one.report.n_refused == other.report.n_refused


@settings(max_examples=150, deadline=None)
@given(case=noisy())
def test_ids_are_dense_and_nothing_is_painted_where_no_tile_saw_anything(case):
    grid, tiles = case
    merged = Merge(grid, tiles)
    labels = merged.labels()
    seen = np.zeros(grid.shape, bool)
    for tile, found in zip(grid, tiles, strict=True):
        seen[tile.read.slices] |= found > 0
    assert not labels[~seen].any()
    assert (np.unique(labels[labels > 0]) == np.arange(1, merged.solution.n_objects + 1)).all()


@settings(max_examples=150, deadline=None)
@given(case=noisy(), tau=st.sampled_from([0.05, 0.2]))
def test_a_label_that_its_tile_sees_whole_shares_no_object_with_another_of_that_tile(case, tau):
    merged = Merge(*case, tau)
    solution = merged.solution
    flags = {int(n["key"]): int(n["flags"]) for chunk in merged.nodes.chunks() for n in chunk}
    groups = {}
    for key, one in zip(solution.keys.tolist(), solution.ids.tolist(), strict=True):
        if one:
            groups.setdefault((one, key >> LABEL_BITS), []).append(key)
    for keys in groups.values():
        assert len(keys) == 1 or not any(flags[key] & COMPLETE for key in keys)


@settings(max_examples=80, deadline=None)
@given(case=noisy())
def test_a_higher_threshold_never_joins_more(case):
    joined = [Merge(*case, tau).report.n_joined for tau in (0.05, 0.2, 0.5, 0.9)]
    assert joined == sorted(joined, reverse=True)


@settings(max_examples=150, deadline=None)
@given(case=noisy())
def test_id_arithmetic_equals_a_table_of_all_labels(case):
    grid, tiles = case
    merged = Merge(grid, tiles)
    solution, staged = merged.solution, [merged.store.read(n) for n in range(len(grid))]
    every = np.concatenate([solution.table(n, s)[1:] for n, s in enumerate(staged)])
    alive = np.unique(every[every > 0])
    assert alive.tolist() == list(range(1, solution.n_objects + 1))


@settings(max_examples=150, deadline=None)
@given(case=noisy(), side=st.integers(1, 9))
def test_labels_do_not_depend_on_the_blocks_in_which_they_are_painted(case, side):
    merged = Merge(*case)
    composer = Composer(merged.grid, merged.store, merged.solution)
    painted = np.zeros(merged.grid.shape, int)
    for block in TileGrid(merged.grid.shape, (side,) * merged.grid.ndim, (0,) * merged.grid.ndim):
        found = composer.labels(block.core)
        painted[block.core.slices] = 0 if found is None else found
    assert np.array_equal(painted, merged.labels())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_tiles_that_agree_are_painted_without_looking_at_neighbours(data):
    grid = data.draw(grids())
    truth = data.draw(truths(grid.shape))
    merged = Merge(grid, tile_labels(truth, grid, 0, np.random.default_rng(0)))
    assert not merged.solution.unclean.size
    assert merged.report.n_refused == merged.report.n_dropped == merged.report.n_absorbed == 0


def disc(shape, centre, radius):
    offsets = (i - c for i, c in zip(np.ogrid[tuple(map(slice, shape))], centre, strict=True))
    return sum(o**2 for o in offsets) <= radius**2


GRID = TileGrid((64, 128), (64, 64), (0, 24))


def two_tiles(left, right):
    read = [tile.read.slices for tile in GRID]
    return [ndimage.label(left[read[0]])[0], ndimage.label(right[read[1]])[0]]


def test_an_object_is_painted_whole_as_the_tile_shows_it_that_it_is_centred_in():
    left, right = disc((64, 128), (32, 60), 9), disc((64, 128), (32, 61), 7)
    labels = Merge(GRID, two_tiles(left, right)).labels()
    assert np.array_equal(labels > 0, left | (right & ~left)) or np.array_equal(labels > 0, left)
    assert labels.max() == 1
    assert (labels[left] == 1).all()


def test_an_object_that_the_tile_it_is_centred_in_denies_is_dropped():
    left, right = disc((64, 128), (32, 68), 8), np.zeros((64, 128), bool)
    merged = Merge(GRID, two_tiles(left, right))
    assert not merged.labels().any()
    assert merged.report.n_dropped == 1
    assert merged.report.dropped["start"].tolist() == [[24, 60]]


def test_an_object_that_only_its_own_tile_sees_is_kept_whole():
    left, right = disc((64, 128), (32, 60), 8), np.zeros((64, 128), bool)
    assert np.array_equal(Merge(GRID, two_tiles(left, right)).labels() > 0, left)


def test_two_objects_of_one_tile_are_not_glued_by_a_neighbour_that_sees_one():
    left = disc((64, 128), (20, 60), 9) | disc((64, 128), (44, 60), 9)
    right = left.copy()
    right[20:45, 58:63] = True  # a bridge
    merged = Merge(GRID, two_tiles(left, right))
    assert merged.labels()[20, 60] != merged.labels()[44, 60]
    assert merged.solution.n_objects == 2
    assert np.array_equal(merged.labels() > 0, left)


def key(merged, tile, voxel):
    place = merged.grid[tile].read
    inside = tuple(v - a for v, a in zip(voxel, place.start, strict=True))
    return (tile << LABEL_BITS) + int(merged.store.read(tile).labels()[inside])


def test_pairs_that_somebody_joined_or_cut_stay_so():
    left = disc((64, 128), (20, 64), 9) | disc((64, 128), (44, 64), 9)
    merged = Merge(GRID, two_tiles(left, left))
    upper, lower = [key(merged, 0, (y, 60)) for y in (20, 44)]
    right = key(merged, 1, (20, 68))
    joined = Edits(together=np.array([[upper, lower]]))
    assert solve(replace(merged.given, edits=joined))[0].n_objects == 1
    cut = Edits(apart=np.array([[upper, right]]))
    assert solve(replace(merged.given, edits=cut))[0].n_objects == 3
    both = Edits(together=np.array([[upper, lower]]), apart=np.array([[upper, right]]))
    assert solve(replace(merged.given, edits=both))[0].n_objects == 2
    removed = Edits(removed=np.array([right]))
    solution, _ = solve(replace(merged.given, edits=removed))
    assert solution.n_objects == 1
    assert not solution.ids[np.searchsorted(solution.keys, [upper, right])].any()
    assert LOCAL & upper


def test_objects_that_no_tile_sees_whole_are_reported_with_the_overlap_they_need():
    bar = np.zeros((64, 128), bool)
    bar[30:34, 10:118] = True
    merged = Merge(GRID, two_tiles(bar, bar))
    assert merged.report.n_incomplete == 1
    assert merged.report.needed_overlap(radius=3) == 57


def test_pieces_of_a_cut_object_are_one_if_the_tile_that_sees_it_better_shows_one():
    block = np.zeros((64, 128), int)
    block[8:56, 0:120] = 1
    halves = block.copy()
    halves[32:] *= 2  # the right tile, which does not see where they meet, tells them apart
    read = [tile.read.slices for tile in GRID]
    merged = Merge(GRID, [block[read[0]], halves[read[1]]])
    assert np.array_equal(merged.labels(), block)
    assert merged.report.n_absorbed == 1


def test_what_covers_a_piece_counts_however_many_parts_it_has():
    left, right = np.zeros((64, 128), int), np.zeros((64, 128), int)
    left[8:56, 0:120] = 1
    left[:, 62] = 0  # two parts where the tiles overlap
    right[8:32, 0:120], right[32:56, 0:120] = 1, 2
    read = [tile.read.slices for tile in GRID]
    merged = Merge(GRID, [left[read[0]], right[read[1]]])
    assert merged.solution.n_objects == merged.report.n_absorbed == 1


def test_an_object_that_a_tile_sees_whole_is_not_painted_over_by_a_label_that_is_cut():
    whole = disc((64, 128), (32, 70), 8)
    rod = np.zeros((64, 128), bool)
    rod[28:36, 84:126] = True
    glued = (whole | rod).astype(int)
    glued[30:34, 78:84] = 1
    read = [tile.read.slices for tile in GRID]
    merged = Merge(GRID, [glued[read[0]], (whole + 2 * rod)[read[1]]])
    labels = merged.labels()
    assert np.unique(labels[whole]).size == np.unique(labels[rod]).size == 1
    assert labels[32, 70] != labels[32, 100]


def test_an_object_that_several_whole_versions_cover_is_still_there():
    left, right = np.zeros((64, 128), int), np.zeros((64, 128), int)
    left[20:35, 50:] = 1  # cut; its core's part lies under the stripes
    for stripe in range(5):
        right[20 + 3 * stripe : 23 + 3 * stripe, 46:84] = stripe + 1
    read = [tile.read.slices for tile in GRID]
    merged = Merge(GRID, [left[read[0]], right[read[1]]])
    assert merged.solution.unclean.size
    assert np.unique(merged.labels()).tolist() == list(range(merged.solution.n_objects + 1))


def test_a_plane_where_an_object_is_dropped_links_nothing():
    grid = TileGrid((3, 64, 128), (1, 64, 64), (0, 0, 24))
    shown = disc((64, 128), (32, 68), 8).astype(int)[None]
    tiles = [shown[(slice(None), *tile.read.slices[1:])] for tile in grid]
    tiles[3] = np.zeros_like(tiles[3])  # the tile that it is centred in, in the middle plane
    labels = merge_labels(tiles, grid, linked=0, merge=MergeSpec(z_link=0.05))
    assert not labels[1].any()
    assert labels[0].max() != labels[2].max()
