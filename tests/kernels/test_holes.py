from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label as connected
from truths import filled_at_once

from seamlabel.geometry import Box, TileGrid
from seamlabel.kernels.holes import background_pieces, decide
from seamlabel.testing.strategies import label_images


def trusted_box(grid, tile, radius):
    start = tuple(a + radius if a else 0 for a in tile.read.start)
    stop = tuple(b - radius if b < n else b for b, n in zip(tile.read.stop, grid.shape, strict=True))
    return Box(start, stop)


def alone(grid, boxes, tile):
    """The part of a tile's trusted box that no other tile's meets."""
    start, stop = list(boxes[tile.number].start), list(boxes[tile.number].stop)
    for other in grid:
        for axis, (i, j) in enumerate(zip(tile.index, other.index, strict=True)):
            if j < i:
                start[axis] = max(start[axis], boxes[other.number].stop[axis])
            elif j > i:
                stop[axis] = min(stop[axis], boxes[other.number].start[axis])
    return Box(tuple(start), tuple(stop))


class Union:
    def __init__(self):
        self.parent = {}

    def find(self, key):
        while self.parent.setdefault(key, key) != key:
            key = self.parent[key]
        return key

    def join(self, tiles, grid, boxes, arrays):
        """Join what shares a voxel of both trusted boxes of neighbouring tiles."""
        for one, two in combinations(tiles, 2):
            box = boxes[one.number].intersect(boxes[two.number])
            if two.number not in grid.neighbours(one.number) or not box.size:
                continue
            a = arrays[one.number][box.relative_to(one.read).slices].ravel()
            b = arrays[two.number][box.relative_to(two.read).slices].ravel()
            for x, y in set(zip(a[(a > 0) & (b > 0)].tolist(), b[(a > 0) & (b > 0)].tolist(), strict=True)):
                self.parent[self.find((one.number, x))] = self.find((two.number, y))


def filled_by_tiles(image, grid, radius=0, settle=True):
    """Label, fill and merge tile by tile; objects get the value that they have in `image`."""
    tiles = list(grid)
    boxes = {t.number: trusted_box(grid, t, radius) for t in tiles}
    labels, holes, pieces = {}, {}, {}
    for tile in tiles:
        part = boxes[tile.number].relative_to(tile.read).slices
        labels[tile.number] = np.zeros(tile.read.shape, np.int32)
        labels[tile.number][part] = connected(image[boxes[tile.number].slices], connectivity=image.ndim)
        box = boxes[tile.number]
        borders = [(a == 0, b == n) for a, b, n in zip(box.start, box.stop, grid.shape, strict=True)]
        interior = alone(grid, boxes, tile).relative_to(tile.read).slices if settle else None
        found = background_pieces(labels[tile.number], part, borders, interior)
        holes[tile.number] = found
        pieces[tile.number] = np.zeros(tile.read.shape, int) if found.pieces is None else found.pieces
        assert (pieces[tile.number] == 0)[labels[tile.number] > 0].all()
    merged, joined = Union(), Union()
    merged.join(tiles, grid, boxes, labels)
    joined.join(tiles, grid, boxes, pieces)
    names = object_names(image, tiles, labels, merged)
    keys = [(t, k + 1) for t in holes for k in range(holes[t].outside.size)]
    place = {key: i for i, key in enumerate(keys)}
    roots = np.array([place[joined.find(key)] for key in keys], np.int64)
    outside = np.array([holes[t].outside[k - 1] for t, k in keys], bool)
    rows = [(place[t, p], names[merged.find((t, v))]) for t in holes for p, v in holes[t].adjacent.tolist()]
    rows = np.array(rows, np.int64).reshape(-1, 2)
    fill = decide(roots, outside, rows[:, 0], rows[:, 1])
    result = np.zeros(grid.shape, np.int64)
    for tile in tiles:
        t, core = tile.number, tile.core.relative_to(tile.read).slices
        lut = [0] + [names[merged.find((t, v))] for v in range(1, int(labels[t].max()) + 1)]
        holes_lut = [0] + [fill[place[t, k]] for k in range(1, holes[t].outside.size + 1)]
        painted = np.array(lut)[holes[t].labels[core]] + np.array(holes_lut)[pieces[t][core]]
        result[tile.core.slices] = painted
    return result


def object_names(image, tiles, labels, merged):
    """Return the value in `image` of every component of labels."""
    names = {}
    for tile in tiles:
        for value in range(1, int(labels[tile.number].max()) + 1):
            first = image[tile.read.slices][labels[tile.number] == value][0]
            assert names.setdefault(merged.find((tile.number, value)), first) == first
    return names


@st.composite
def cases(draw):
    ndim = draw(st.integers(1, 3))
    most = {1: 60, 2: 26, 3: 11}[ndim]
    shape = tuple(draw(st.integers(3, most)) for _ in range(ndim))
    radius = draw(st.integers(0, 1))
    overlap = tuple(draw(st.integers(radius + 1, radius + 3)) for _ in shape)
    tile = tuple(draw(st.integers(max(h, 3), max(h, n))) for h, n in zip(overlap, shape, strict=True))
    grid = TileGrid(shape, tile, overlap)
    if draw(st.booleans()):
        image = draw(label_images(shape))
    else:  # walls with gaps: many holes, some of them long
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        image = rng.random(shape) < draw(st.sampled_from([0.5, 0.6, 0.7, 0.85]))
    return connected(image, connectivity=ndim).astype(np.int64), grid, radius


@given(case=cases(), settle=st.booleans())
def test_holes_filled_by_tiles_are_those_of_the_whole_image(case, settle):
    image, grid, radius = case
    assert np.array_equal(filled_by_tiles(image, grid, radius, settle), filled_at_once(image))


@given(image=label_images())
def test_one_tile_that_is_the_image_settles_all_but_what_lies_between_labels(image):
    image = image.astype(np.int32)
    whole = tuple(slice(0, n) for n in image.shape)
    found = background_pieces(image, whole, [(True, True)] * image.ndim, whole)
    assert np.array_equal(found.labels, filled_at_once(image))
    assert not found.open.any()
    assert not found.outside.any()
    assert (np.bincount(found.adjacent[:, 0] - 1, minlength=found.outside.size) > 1).all()


@given(image=label_images(kinds=("blobs", "percolating")))
def test_every_hole_is_filled_by_scipy_too_when_its_object_is_alone(image):
    image = connected(image > 0, connectivity=image.ndim)
    filled = filled_at_once(image)
    for value in np.unique(image[image > 0]):
        alone_filled = ndimage.binary_fill_holes(image == value)
        assert np.array_equal(filled == value, alone_filled & ((filled == value) | (image == value)))
        if not image[alone_filled & (image != value)].any():  # no island inside
            assert np.array_equal(filled == value, alone_filled)


def ring(n, low, high):
    """A square frame around [low, high) of a background of n by n voxels."""
    image = np.zeros((n, n), np.int64)
    image[low - 1 : high + 1, low - 1 : high + 1] = 1
    image[low:high, low:high] = 0
    return image


@pytest.mark.parametrize(("tile", "tiles"), [((32, 16), 2), ((16, 16), 4), ((8, 8), 16)])
@pytest.mark.parametrize("overlap", [1, 3])
def test_holes_over_many_tiles_are_filled(tile, tiles, overlap):
    image = ring(32, 4, 28)
    grid = TileGrid(image.shape, tile, (overlap, overlap))
    assert len(grid) == tiles
    expected = image.copy()
    expected[4:28, 4:28] = 1
    assert np.array_equal(filled_by_tiles(image, grid), expected)


def test_a_tile_without_labels_inside_a_ring_is_filled():
    image = ring(30, 3, 27)
    grid = TileGrid(image.shape, (10, 10), (2, 2))
    assert not image[grid[4].read.slices].any()
    assert filled_by_tiles(image, grid)[10:20, 10:20].all()


def test_a_tile_without_labels_can_lead_outside():
    image = ring(30, 3, 27)
    image[14, 26:] = 0  # the gap lies two tiles away from the middle
    grid = TileGrid(image.shape, (10, 10), (2, 2))
    assert np.array_equal(filled_by_tiles(image, grid), image)


def test_the_labels_beside_a_hole_may_be_one_object_elsewhere_only():
    image = np.zeros((12, 36), np.int64)
    image[2:10, 2:34] = 1
    image[4:8, 4:32] = 0
    middle = connected(image[:, 11:25], connectivity=2)
    assert middle.max() == 2  # two bars in the tile's eyes
    expected = image.copy()
    expected[4:8, 4:32] = 1
    assert np.array_equal(filled_by_tiles(image, TileGrid(image.shape, (12, 12), (1, 1))), expected)


def test_a_ring_joined_outside_the_tile_has_a_hole():
    image = np.zeros((12, 24), np.int64)
    image[2:10, 2:22] = 1
    image[4:8, 4:20] = 0  # the left tile sees a U, the right one its mirror image
    image[5:7, 10:14] = 2  # two tiles see the island
    grid = TileGrid(image.shape, (12, 12), (1, 1))
    assert np.array_equal(filled_by_tiles(image, grid), image)
    image[image == 2] = 0
    assert (filled_by_tiles(image, grid)[2:10, 2:22] == 1).all()


def test_background_between_two_rings_is_no_hole_and_the_inner_one_has_one():
    image = ring(40, 4, 36)
    image += 2 * ring(40, 12, 28)
    expected = image.copy()
    expected[12:28, 12:28] = 2
    for tile in (40, 20, 13, 8):
        grid = TileGrid(image.shape, (tile, tile), (2, 2))
        assert np.array_equal(filled_by_tiles(image, grid), expected)


def test_a_hole_with_an_island_is_kept_though_scipy_would_swallow_the_island():
    image = ring(20, 3, 17)
    image[9:11, 9:11] = 2
    grid = TileGrid(image.shape, (10, 10), (2, 2))
    assert np.array_equal(filled_by_tiles(image, grid), image)
    assert ndimage.binary_fill_holes(image == 1)[9:11, 9:11].all()


def test_a_ring_along_the_border_of_the_image_is_filled():
    image = ring(24, 1, 23)
    grid = TileGrid(image.shape, (9, 9), (2, 2))
    assert filled_by_tiles(image, grid).all()
    image[12, 0] = 0
    assert np.array_equal(filled_by_tiles(image, grid), image)


def test_background_that_one_tile_sees_reach_the_border_is_outside_for_its_neighbour():
    """The left tile sees a whole bay, the middle one a part that does not reach the top."""
    image = np.ones((12, 30), np.int64)
    image[0:6, 4] = 0
    image[6, 4:12] = 0
    grid = TileGrid(image.shape, (12, 10), (3, 3))
    assert (grid[0].read.stop, grid[1].read.start) == ((12, 16), (0, 7))
    assert np.array_equal(filled_by_tiles(image, grid), image)


def test_diagonal_gaps_close_a_hole():
    image = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    grid = TileGrid(image.shape, (3, 3), (1, 1))
    assert filled_by_tiles(image, grid)[2, 2] == 1


def test_a_hole_that_neighbours_see_is_not_filled_before_the_merge():
    labels = ring(16, 3, 6).astype(np.int32)
    part, borders = (slice(0, 16),) * 2, [(True, False)] * 2
    early = background_pieces(labels, part, borders, (slice(0, 10),) * 2)
    assert (early.labels[3:6, 3:6] == 1).all()
    late = background_pieces(labels, part, borders, (slice(0, 5),) * 2)
    assert late.labels is labels
    assert late.pieces[4, 4] > 0
    assert late.adjacent.tolist() == [[1, 1], [2, 1]]
    assert late.open.tolist() == [True, False]
    assert late.outside.tolist() == [True, False]


def test_a_tile_without_background_has_no_pieces():
    labels = np.ones((4, 4), np.int32)
    found = background_pieces(labels, (slice(0, 4),) * 2, [(True, True), (False, False)])
    assert found.pieces is None
    assert found.labels is labels
    assert found.adjacent.shape == (0, 2)


def test_components_beside_removed_objects_or_none_are_no_holes():
    roots = np.array([10, 10, 4, 7, 2**40])
    outside = np.array([False, False, False, False, True])
    piece, objects = np.array([0, 1, 2, 2, 4]), np.array([5, 5, 6, 0, 8])
    assert decide(roots, outside, piece, objects).tolist() == [5, 5, 0, 0, 0]
    nothing = np.zeros(0, np.int64)
    assert decide(nothing, nothing.astype(bool), nothing, nothing).tolist() == []
