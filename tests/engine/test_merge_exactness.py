"""The merge theorem: tiles that agree beyond a radius of every cut merge to the untiled result.

Every case simulates the worst backend the theorem allows: within the radius of an artificial face,
tiles return garbage.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel import MergeSpec, TileGrid, merge_labels
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.sources import open_source
from seamlabel.testing import same_partition

TAUS = st.sampled_from([0.01, 0.2, 0.5, 1.0])


@st.composite
def grids(draw, least_overlap=1):
    ndim = draw(st.integers(1, 3))
    top = {1: 60, 2: 24, 3: 11}[ndim]
    shape = tuple(draw(st.integers(1, top)) for _ in range(ndim))
    tile = tuple(draw(st.integers(1, top)) for _ in range(ndim))
    overlap = tuple(draw(st.integers(least_overlap, 7)) for _ in range(ndim))
    return TileGrid(shape, tile, overlap)


@st.composite
def truths(draw, shape):
    """Label images: percolating, striped, dense, multi-phase (touching, of several colours)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["percolating", "striped", "dense", "phases", "empty", "one"]))
    full = ndimage.generate_binary_structure(len(shape), len(shape))
    if kind == "percolating":
        return ndimage.label(rng.random(shape) < draw(st.floats(0.2, 0.7)), full)[0]
    if kind == "striped":
        return 1 + (np.indices(shape)[draw(st.integers(0, len(shape) - 1))] // 2)
    if kind == "phases":  # every connected piece of a colour is an object; all touch
        colours = rng.integers(0, 3, shape)
        out = np.zeros(shape, int)
        for colour in (1, 2):
            pieces, _ = ndimage.label(colours == colour, full)
            out[pieces > 0] = pieces[pieces > 0] + out.max()
        return out
    if kind == "dense":
        seeds = np.zeros(shape, bool)
        seeds[rng.random(shape) < 0.05] = True
        if not seeds.any():
            return np.ones(shape, int)
        at = ndimage.distance_transform_edt(~seeds, return_indices=True, return_distances=False)
        cells = np.ravel_multi_index(tuple(at), shape)
        return split(np.unique(cells, return_inverse=True)[1].reshape(shape) + 1)
    return np.full(shape, 0 if kind == "empty" else 1)


def split(labels):
    """Give every connected piece an id of its own."""
    full = ndimage.generate_binary_structure(labels.ndim, labels.ndim)
    out, top = np.zeros_like(labels), 0
    for value in np.unique(labels[labels > 0]):
        pieces, n = ndimage.label(labels == value, full)
        out[pieces > 0] = pieces[pieces > 0] + top
        top += n
    return out


def tile_labels(truth, grid, radius, rng):
    """Cut tiles out of the truth as a local backend would see them: split what the cut separates,
    number at random, and fill what lies within the radius of an artificial face with garbage."""
    tiles = []
    for tile in grid:
        cut = split(truth[tile.read.slices])
        trusted = np.ones(cut.shape, bool)
        for axis, (a, b, n) in enumerate(zip(tile.read.start, tile.read.stop, grid.shape, strict=True)):
            along = [slice(None)] * cut.ndim
            if a > 0:
                along[axis] = slice(0, radius)
                trusted[tuple(along)] = False
            if b < n:
                along[axis] = slice(max(0, cut.shape[axis] - radius), None)
                trusted[tuple(along)] = False
        top = int(cut.max())
        names = np.append(0, rng.permutation(top) + 1 + int(rng.integers(0, 5)))
        cut = names[cut]
        garbage = rng.integers(0, top + 3, cut.shape)
        tiles.append(np.where(trusted, cut, garbage))
    return tiles


@settings(max_examples=150, deadline=None)
@given(data=st.data(), tau=TAUS)
def test_any_tiling_with_an_overlap_gives_the_untiled_result(data, tau):
    grid = data.draw(grids())
    truth = data.draw(truths(grid.shape))
    tiles = tile_labels(truth, grid, 0, np.random.default_rng(0))
    merged = merge_labels(tiles, grid, merge=MergeSpec(iou=tau))
    assert same_partition(merged, truth)
    assert sorted(np.unique(merged[merged > 0])) == list(range(1, int(merged.max()) + 1))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), tau=TAUS)
def test_garbage_within_the_radius_of_a_cut_changes_nothing(data, tau):
    radius = data.draw(st.integers(1, 3))
    grid = data.draw(grids(least_overlap=radius + 1))
    truth = data.draw(truths(grid.shape))
    tiles = tile_labels(truth, grid, radius, np.random.default_rng(1))
    merged = merge_labels(tiles, grid, merge=MergeSpec(iou=tau), radius=radius)
    assert same_partition(merged, truth)


def flooded(mask, grid, radius, structure):
    """Label tiles in the worst way that a radius allows: all foreground where a tile cannot know."""
    tiles = []
    for tile in grid:
        seen = np.ones(tile.read.shape, bool)
        inner = tuple(
            slice(radius if a else 0, size - radius if b < n else size)
            for a, b, n, size in zip(tile.read.start, tile.read.stop, grid.shape, seen.shape, strict=True)
        )
        seen[inner] = mask[tile.read.slices][inner]
        tiles.append(ndimage.label(seen, structure)[0])
    return tiles


@settings(max_examples=100, deadline=None)
@given(data=st.data(), rule=st.sampled_from(["iou", "touching"]))
def test_foreground_that_a_cut_makes_up_does_not_glue_objects(data, rule):
    """Near a cut, a blur sees foreground that is not there: it may connect two true objects."""
    radius = data.draw(st.integers(1, 3))
    grid = data.draw(grids(least_overlap=radius + 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    mask = rng.random(grid.shape) < data.draw(st.floats(0.05, 0.6))
    connectivity = data.draw(st.sampled_from([*range(1, mask.ndim + 1), None]))
    structure = ndimage.generate_binary_structure(mask.ndim, connectivity or mask.ndim)
    tiles = flooded(mask, grid, radius, structure)
    merge = MergeSpec(rule=rule, connectivity=connectivity)
    merged = merge_labels(tiles, grid, merge=merge, radius=radius)
    assert same_partition(merged, ndimage.label(mask, structure)[0])


@pytest.mark.parametrize("rule", ["iou", "touching"])
@pytest.mark.parametrize("seed", range(4))
def test_nor_does_it_glue_objects_that_touch_at_corners_if_the_method_connects_by_faces(seed, rule):
    mask = np.random.default_rng(seed).random((20, 23)) < 0.5
    structure, grid = ndimage.generate_binary_structure(2, 1), TileGrid(mask.shape, (6, 6), (2, 2))
    merge = MergeSpec(rule=rule, connectivity=1)
    merged = merge_labels(flooded(mask, grid, 1, structure), grid, merge=merge, radius=1)
    assert same_partition(merged, ndimage.label(mask, structure)[0])


@pytest.mark.parametrize("smoothing", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("tile", [6, 32, 64])
@pytest.mark.parametrize("seed", range(3))
def test_a_blurred_threshold_of_noise_is_that_of_the_whole_image(smoothing, tile, seed):
    noise = np.random.default_rng(seed).standard_normal((90, 110) if tile == 6 else (300, 280))
    image = ndimage.gaussian_filter(noise, 2).astype(np.float32)
    params = {"smoothing": smoothing, "value": 0.0}
    result = seamlabel.segment(image, "threshold", params=params, tile_shape=tile, progress=False)
    whole = whole_image_labels(result.plan, open_source(image, result.plan.info, 0, ()))
    assert same_partition(np.asarray(result.labels), whole)


@pytest.mark.parametrize("seed", range(6))
def test_other_tiles_versions_do_no_harm_to_a_function_whose_reach_nobody_declares(seed):
    noise = np.random.default_rng(seed).standard_normal((300, 280))
    image = ndimage.gaussian_filter(noise, 3).astype(np.float32)
    image -= np.percentile(image, 80)

    def blurred(pixels):
        return ndimage.label(ndimage.gaussian_filter(pixels, 1.5) > 0)[0]  # looks 6 voxels far

    result = seamlabel.segment(image, blurred, tile_shape=64, overlap=12, progress=False)
    assert same_partition(np.asarray(result.labels), blurred(image))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), tau=TAUS)
def test_objects_connected_by_faces_or_edges_only_are_exact_too(data, tau):
    """One tile may call one object what corners connect, another two, by what lies outside the overlap."""
    grid = data.draw(grids())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    mask = rng.random(grid.shape) < data.draw(st.floats(0.2, 0.7))
    structure = ndimage.generate_binary_structure(mask.ndim, data.draw(st.integers(1, mask.ndim)))
    tiles = [ndimage.label(mask[t.read.slices], structure)[0] for t in grid]
    merged = merge_labels(tiles, grid, merge=MergeSpec(iou=tau))
    assert same_partition(merged, ndimage.label(mask, structure)[0])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("connectivity", [1, 4])
def test_labels_of_four_axes_are_compared_piece_by_piece_too(seed, connectivity):
    rng = np.random.default_rng(seed)
    mask = rng.random(tuple(rng.integers(2, 7, 4))) < (0.4 if connectivity == 1 else 0.1)
    grid = TileGrid(mask.shape, tuple(int(n) for n in rng.integers(1, 5, 4)), (1,) * 4)
    structure = ndimage.generate_binary_structure(4, connectivity)
    tiles = [ndimage.label(mask[t.read.slices], structure)[0] for t in grid]
    assert same_partition(merge_labels(tiles, grid), ndimage.label(mask, structure)[0])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_touching_gives_connected_components_without_any_overlap(data):
    grid = data.draw(grids(least_overlap=0))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    mask = rng.random(grid.shape) < data.draw(st.floats(0.1, 0.8))
    connectivity = data.draw(st.integers(1, len(grid.shape)))
    structure = ndimage.generate_binary_structure(mask.ndim, connectivity)
    tiles = [ndimage.label(mask[t.read.slices], structure)[0] for t in grid]
    merged = merge_labels(tiles, grid, merge=MergeSpec(rule="touching", connectivity=connectivity))
    assert same_partition(merged, ndimage.label(mask, structure)[0])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_small_objects_are_removed_by_their_whole_size(data):
    grid = data.draw(grids())
    truth = data.draw(truths(grid.shape))
    least = data.draw(st.integers(2, 30))
    tiles = tile_labels(truth, grid, 0, np.random.default_rng(2))
    merged = merge_labels(tiles, grid, min_size=least)
    sizes = np.bincount(truth.ravel())
    assert same_partition(merged, np.where(sizes[truth] >= least, truth, 0))
    assert sorted(np.unique(merged[merged > 0])) == list(range(1, int(merged.max()) + 1))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_result_does_not_depend_on_how_tiles_number_their_labels(data):
    grid = data.draw(grids())
    truth = data.draw(truths(grid.shape))
    one = merge_labels(tile_labels(truth, grid, 0, np.random.default_rng(3)), grid)
    other = merge_labels(tile_labels(truth, grid, 0, np.random.default_rng(4)), grid)
    assert np.array_equal(one, other)


def test_labels_are_never_joined_along_an_axis_that_is_not_joined():
    grid = TileGrid((3, 8, 8), (1, 4, 4), (0, 2, 2))
    tiles = [np.ones(t.read.shape, int) for t in grid]
    for rule in ("iou", "touching"):
        merged = merge_labels(tiles, grid, merge=rule, joined=(False, True, True))
        assert [np.unique(plane).tolist() for plane in merged] == [[1], [2], [3]]


def test_objects_that_meet_at_an_edge_or_corner_of_tiles_are_joined():
    for ndim in (2, 3):
        truth = np.zeros((8,) * ndim, int)
        for i in range(8):
            truth[(i,) * ndim] = 1
        grid = TileGrid(truth.shape, (4,) * ndim, (1,) * ndim)
        tiles = tile_labels(truth, grid, 0, np.random.default_rng(0))
        assert merge_labels(tiles, grid).max() == 1


def test_a_u_that_one_tile_sees_in_two_pieces_is_one_object():
    truth = np.zeros((12, 12), int)
    truth[2:10, 2] = truth[2:10, 9] = truth[9, 2:10] = 1
    grid = TileGrid(truth.shape, (6, 12), (1, 0))
    tiles = tile_labels(truth, grid, 0, np.random.default_rng(0))
    assert len(np.unique(tiles[0])) == 3  # the upper tile sees two arms
    assert merge_labels(tiles, grid, merge=MergeSpec(iou=0.9)).max() == 1


@pytest.mark.parametrize("bad", [None, -1, 0.5])
def test_bad_tiles_are_refused_by_number(bad):
    from seamlabel.errors import TileError

    grid = TileGrid((8, 8), (4, 8), (1, 0))
    shape = grid[1].read.shape
    tiles = [np.ones(grid[0].read.shape, int), np.full(shape, bad or 0.0)]
    if bad is None:
        tiles[1] = np.ones((2, 2), int)
    with pytest.raises(TileError, match="tile 1"):
        merge_labels(tiles, grid)


def test_every_neighbour_is_asked_once():
    grid = TileGrid((9, 9, 9), (3, 3, 3), (1, 1, 1))
    pairs = {(min(n, m), max(n, m)) for n in range(len(grid)) for m in grid.neighbours(n)}
    brute = {
        tuple(sorted((a.number, b.number)))
        for a, b in product(grid, grid)
        if a != b and max(abs(i - j) for i, j in zip(a.index, b.index, strict=True)) == 1
    }
    assert pairs == brute
