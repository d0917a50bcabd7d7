from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from truths import filled_at_once

import seamlabel
from seamlabel import MergeSpec, TileGrid, merge_labels
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.sources import open_source
from seamlabel.testing import same_partition
from seamlabel.testing.strategies import label_images


def kept(labels, min_size):
    return np.where(np.bincount(labels.ravel())[labels] >= min_size, labels, 0)


def connected(mask, connectivity):
    return ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, connectivity))[0]


@st.composite
def masks(draw, most=(60, 26, 11)):
    """Foreground with many holes, some of them long."""
    ndim = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(3, most[ndim - 1])) for _ in range(ndim))
    if draw(st.booleans()):
        return draw(label_images(shape)) > 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random(shape) < draw(st.sampled_from([0.5, 0.6, 0.7, 0.85, 0.95]))
    if draw(st.booleans()):  # large holes: whole tiles without a label
        box = tuple(slice(n // 5, n - n // 5) for n in shape)
        mask[box] &= rng.random(shape)[box] < draw(st.sampled_from([0.0, 0.03]))
    return mask


def tiled(mask, grid, connectivity, empty_as_none, radius=0):
    """Labels of every tile as a backend gives them that sees all foreground near a cut."""
    tiles = []
    for tile in grid:
        seen = mask[tile.read.slices].copy()
        if radius:
            garbage = np.ones(seen.shape, bool)
            inner = tuple(
                slice(radius if a else 0, size - radius if b < n else size)
                for a, b, n, size in zip(tile.read.start, tile.read.stop, grid.shape, seen.shape, strict=True)
            )
            garbage[inner] = seen[inner]
            seen = garbage
        labels = connected(seen, connectivity)
        tiles.append(None if empty_as_none and not labels.any() else labels)
    return tiles


@settings(max_examples=60, deadline=None)
@given(mask=masks(), data=st.data())
def test_holes_filled_by_tiles_are_those_of_the_whole_image(mask, data):
    shape = mask.shape
    radius = data.draw(st.integers(0, 2))
    tile = tuple(data.draw(st.integers(1, n)) for n in shape)
    overlap = tuple(data.draw(st.integers(radius + 1, radius + 4)) for _ in shape)
    grid = TileGrid(shape, tile, overlap)
    least = data.draw(st.sampled_from([0, 0, 2, 5, 30]))
    tiles = tiled(mask, grid, mask.ndim, data.draw(st.booleans()), radius)
    merged = merge_labels(tiles, grid, radius=radius, min_size=least, fill_holes=True)
    truth = kept(filled_at_once(connected(mask, mask.ndim)), least)
    assert same_partition(merged, truth)
    assert np.unique(merged[merged > 0]).tolist() == list(range(1, int(merged.max()) + 1))


@settings(max_examples=50, deadline=None)
@given(mask=masks(), data=st.data())
def test_holes_are_exact_without_overlap_where_labels_touch(mask, data):
    tile = tuple(data.draw(st.integers(1, n)) for n in mask.shape)
    overlap = tuple(data.draw(st.integers(0, 2)) for _ in mask.shape)
    grid = TileGrid(mask.shape, tile, overlap)
    connectivity = data.draw(st.integers(1, mask.ndim))
    least = data.draw(st.sampled_from([0, 0, 3, 20]))
    rule = MergeSpec(rule="touching", connectivity=connectivity)
    tiles = tiled(mask, grid, connectivity, data.draw(st.booleans()))
    merged = merge_labels(tiles, grid, merge=rule, min_size=least, fill_holes=True)
    assert same_partition(merged, kept(filled_at_once(connected(mask, connectivity)), least))


def ring(n, low, high):
    image = np.zeros((n, n), np.int64)
    image[low - 1 : high + 1, low - 1 : high + 1] = 1
    image[low:high, low:high] = 0
    return image


@pytest.mark.parametrize(("rule", "overlap"), [("iou", 2), ("touching", 0), ("face", 0)])
def test_tiles_without_labels_inside_a_ring_are_filled(rule, overlap):
    image = ring(50, 3, 47)
    grid = TileGrid(image.shape, (10, 10), (overlap, overlap))
    tiles = [image[tile.read.slices] if image[tile.read.slices].any() else None for tile in grid]
    assert sum(tile is None for tile in tiles) == 9
    merged = merge_labels(tiles, grid, merge=rule, fill_holes=True)
    assert (merged[2:48, 2:48] == 1).all()
    image[25, 46:] = 0  # a gap, far from the tiles without labels
    tiles = [connected(image[tile.read.slices] > 0, 2) for tile in grid]
    tiles = [labels if labels.any() else None for labels in tiles]
    assert np.array_equal(merge_labels(tiles, grid, merge=rule, fill_holes=True), image)


def test_what_a_noisy_neighbour_shows_in_a_hole_is_never_filled_over():
    image = ring(40, 4, 36)
    grid = TileGrid(image.shape, (40, 20), (2, 4))
    left, right = (image[tile.read.slices].copy() for tile in grid)
    right[18:22, 6:16] = 2  # an object that only the right tile sees, in columns 18 to 27
    merged = merge_labels([left, right], grid, fill_holes=True)
    assert (merged[19, 20:28] == merged[19, 23]).all()
    assert merged[19, 23] not in (0, merged[3, 3])
    assert merged[10, 10] == 0
    assert (merge_labels([left, image[grid[1].read.slices]], grid, fill_holes=True)[4:36, 4:36] == 1).all()


def test_filled_voxels_count_for_the_size_of_an_object():
    image = ring(20, 5, 15)
    grid = TileGrid(image.shape, (10, 10), (2, 2))
    tiles = [connected(image[tile.read.slices] > 0, 2) for tile in grid]
    outline = int(image.sum())
    assert not merge_labels(tiles, grid, min_size=outline + 1).any()
    assert merge_labels(tiles, grid, min_size=144, fill_holes=True).sum() == 144
    assert not merge_labels(tiles, grid, min_size=145, fill_holes=True).any()


def test_frames_have_holes_of_their_own():
    frames = np.stack([ring(24, 5, 19), np.zeros((24, 24), int), 2 * ring(24, 5, 19)])
    grid = TileGrid(frames.shape, (1, 10, 10), (0, 2, 2))
    tiles = [connected(frames[tile.read.slices] > 0, 3) for tile in grid]
    merged = merge_labels(tiles, grid, joined=(False, True, True), fill_holes=True)
    truth = np.stack([filled_at_once(frame) for frame in frames])
    assert same_partition(merged, truth)
    assert not merged[1].any()


def holey(shape, seed=0, smooth=1.5):
    """Pixels whose foreground has many holes, and one that spans many tiles."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), smooth)
    pixels = (1000 + 1000 * noise / noise.std()).clip(0, 6000).astype(np.uint16)
    for margin, value in ((0.15, 5000), (0.2, 0)):
        pixels[tuple(slice(int(n * margin), n - int(n * margin)) for n in shape)] = value
    return pixels


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize(
    ("shape", "tile", "fields"),
    [
        ((190, 230), (31, 17), {"overlap": 3, "min_size": 40}),
        ((190, 230), 48, {"overlap": 1, "skip_empty": 800.0}),
        ((190, 230), 33, {"overlap": 0, "merge": "touching", "max_size": 300}),
        ((28, 50, 60), (9, 16, 14), {"overlap": 2, "min_size": 10, "drop_border": True}),
    ],
)
def test_runs_fill_the_holes_of_the_whole_image(shape, tile, fields, executor):
    pixels = holey(shape)

    def mask(image):
        return connected(image > 800, image.ndim)

    result = seamlabel.segment(
        pixels, mask, tile_shape=tile, fill_holes=True, executor=executor, progress=False, **fields
    )
    truth = filled_at_once(mask(pixels))
    area, keep = np.bincount(truth.ravel()), np.ones(int(truth.max()) + 1, bool)
    keep &= (area >= fields.get("min_size", 0)) & (area <= fields.get("max_size", truth.size))
    if fields.get("drop_border"):
        for axis in range(truth.ndim):
            keep[np.take(truth, (0, -1), axis)] = False
    assert not np.array_equal(truth, mask(pixels))
    assert same_partition(np.asarray(result.labels), np.where(keep[truth], truth, 0))


@pytest.mark.parametrize("overlap", [16, 24, 48])
def test_a_blur_that_nobody_declared_opens_no_hole(overlap):
    pixels = np.zeros((300, 300), np.float32)
    y, x = np.indices(pixels.shape)
    for centre in ((100, 100), (195, 230), (200, 60), (110, 200)):
        distance = np.hypot(y - centre[0], x - centre[1])
        pixels[(distance > 17) & (distance < 24)] = 10

    def blurred(image):  # near a cut it sees rings that are open, 8 voxels far
        return connected(ndimage.gaussian_filter(image, 2) > 5, image.ndim)

    result = seamlabel.segment(
        pixels, blurred, tile_shape=100, overlap=overlap, fill_holes=True, progress=False
    )
    assert same_partition(np.asarray(result.labels), filled_at_once(blurred(pixels)))


@pytest.mark.parametrize("smoothing", [0.0, 2.0])
def test_a_method_with_a_radius_fills_the_holes_of_the_whole_image(smoothing):
    pixels = holey((200, 170)).astype(np.float32)
    result = seamlabel.segment(
        pixels, "threshold", params={"smoothing": smoothing, "value": 900.0, "min_size": 0},
        tile_shape=40, fill_holes=True, progress=False,
    )  # fmt: skip
    whole = whole_image_labels(result.plan, open_source(pixels, result.plan.info, 0, ()))
    assert same_partition(np.asarray(result.labels), whole)
    assert same_partition(whole, filled_at_once(whole))


@pytest.mark.parametrize("z_link", [None, 0.3])
def test_planes_have_holes_of_their_own(z_link):
    pixels = np.stack([holey((60, 70), seed) for seed in range(4)])
    fields = {"planes": True, "z_link": z_link, "overlap": 2, "progress": False, "fill_holes": True}
    tiled = seamlabel.segment(pixels, lambda image: connected(image > 800, 2), tile_shape=17, **fields)
    whole = seamlabel.segment(pixels, lambda image: connected(image > 800, 2), tile_shape=70, **fields)
    assert same_partition(np.asarray(tiled.labels), np.asarray(whole.labels))
    truth = [filled_at_once(connected(plane > 800, 2)) > 0 for plane in pixels]
    assert np.array_equal(np.asarray(tiled.labels) > 0, truth)


def test_strips_that_are_read_back_know_pieces_too(monkeypatch):
    monkeypatch.setattr("seamlabel.engine.front.BUDGET_BYTES", 0)
    image = ring(50, 3, 47)
    grid = TileGrid(image.shape, (10, 10), (2, 2))
    tiles = [image[tile.read.slices] if image[tile.read.slices].any() else None for tile in grid]
    assert (merge_labels(tiles, grid, fill_holes=True)[2:48, 2:48] == 1).all()
