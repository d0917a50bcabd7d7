"""Planes that are segmented one by one, and objects linked from plane to plane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel import MergeSpec, RunSpec, SpecError, TileGrid, merge_labels, resolve
from seamlabel.io.sources import image_info
from seamlabel.testing import same_partition

FULL = np.ones((3, 3))


def planes_of(mask):
    """Label every plane by itself; no two planes share a number."""
    out, top = np.zeros(mask.shape, int), 0
    for z, plane in enumerate(mask):
        labels, n = ndimage.label(plane, FULL)
        out[z] = np.where(labels > 0, labels + top, 0)
        top += n
    return out


def linked_by_hand(labels, least):
    """Join objects of neighbouring planes by brute force: mutual best, IoU of at least `least`."""
    names = {z: [int(v) for v in np.unique(plane) if v] for z, plane in enumerate(labels)}
    voxels = {v: labels == v for z in names for v in names[z]}
    place = {v: np.argwhere(m) for v, m in voxels.items()}
    place = {v: (*p.min(0).tolist(), *p.max(0).tolist()) for v, p in place.items()}

    def rank(a, b):
        common = int((voxels[a].any(0) & voxels[b].any(0)).sum())
        return (-common / int(voxels[a].sum() + voxels[b].sum() - common), -common, place[b])

    def best(a, others):
        return min((rank(a, b), b) for b in others)[1] if others else None

    out = labels.copy()
    for z in range(len(labels) - 1):
        for a in names[z]:
            b = best(a, names[z + 1])
            if b is not None and -rank(a, b)[0] >= least and best(b, names[z]) == a:
                old, new = out[voxels[b]][0], out[voxels[a]][0]
                out[out == old] = new
    return out


def unlike_boxes(labels):
    """Whether no two objects of a plane have the same box: the one tie that numbering decides."""
    for plane in labels:
        boxes = [str(box) for box in ndimage.find_objects(plane) if box]
        if len(set(boxes)) < len(boxes):
            return False
    return True


@st.composite
def stacks(draw):
    shape = draw(st.integers(1, 4)), draw(st.integers(4, 16)), draw(st.integers(4, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return rng.random(shape) < draw(st.floats(0.2, 0.6))
    return ndimage.gaussian_filter(rng.standard_normal(shape), (0.6, 1.5, 1.5)) > 0.05


def tiled(labels, grid):
    """Cut tiles as a segmenter would see them: pieces that the cut separates have their own labels."""
    return [ndimage.label(labels[tile.read.slices][0] > 0, FULL)[0][None] for tile in grid]


@settings(max_examples=120, deadline=None)
@given(
    data=st.data(),
    least=st.sampled_from([None, 0.05, 0.3, 0.6, 1.0]),
    rule=st.sampled_from(["iou", "touching"]),
)
def test_tiled_planes_are_the_whole_planes_linked(data, least, rule):
    labels = planes_of(data.draw(stacks()))
    tile = data.draw(st.tuples(st.integers(2, 9), st.integers(2, 9)))
    overlap = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    grid = TileGrid(labels.shape, (1, *tile), (0, *overlap))
    if not unlike_boxes(labels):
        return
    merge = MergeSpec(rule=rule, z_link=least)
    linked = None if least is None else 0
    merged = merge_labels(tiled(labels, grid), grid, merge=merge, joined=(False, True, True), linked=linked)
    assert same_partition(merged, labels if least is None else linked_by_hand(labels, least))
    assert sorted(np.unique(merged[merged > 0])) == list(range(1, int(merged.max()) + 1))


@pytest.mark.parametrize("least", [None, 0.3])
def test_a_stack_is_segmented_plane_by_plane(least):
    noise = np.random.default_rng(5).standard_normal((5, 60, 70))
    image = ndimage.gaussian_filter(noise, (0.7, 3, 3)).astype(np.float32)
    seen = []

    def segmenter(tile):
        seen.append(tile.shape)
        return ndimage.label(tile > 0.01, FULL)[0]

    merge = MergeSpec(z_link=least)
    result = seamlabel.segment(
        image, segmenter, planes=True, merge=merge, tile_shape=(20, 30), overlap=4, progress=False
    )
    assert set(seen) == {(28, 38)}
    assert result.plan.grid.tile_shape == (1, 20, 30)
    whole = planes_of(image > 0.01)
    wanted = whole if least is None else linked_by_hand(whole, least)
    assert same_partition(np.asarray(result.labels), wanted)
    if least:
        assert 1 < len(np.unique(wanted)) < len(np.unique(whole))


def test_times_are_never_linked():
    movie = np.zeros((2, 3, 12, 12), np.uint8)
    movie[:, :, 3:9, 3:9] = 9
    label = lambda tile: ndimage.label(tile > 3)[0]  # noqa: E731
    result = seamlabel.segment(
        movie, label, axes="tzyx", planes=True, z_link=0.5, tile_shape=6, overlap=2, progress=False
    )
    labels = np.asarray(result.labels)
    assert [np.unique(stack[stack > 0]).tolist() for stack in labels] == [[1], [2]]


def test_linked_objects_are_as_large_as_all_their_planes():
    image = np.zeros((4, 12, 12), np.uint8)
    image[:, 1:4, 1:4] = 9  # 9 in every plane, 36 linked
    image[2, 6:10, 6:10] = 9  # 16 in one plane
    label = lambda tile: ndimage.label(tile > 3)[0]  # noqa: E731
    same = {"planes": True, "tile_shape": 6, "overlap": 2, "progress": False}
    linked = np.asarray(seamlabel.segment(image, label, z_link=0.5, min_size=20, **same).labels)
    assert np.array_equal(linked > 0, np.broadcast_to(image[0] > 0, image.shape))
    apart = np.asarray(seamlabel.segment(image, label, min_size=12, **same).labels)
    assert np.argwhere(apart).min(0).tolist() == [2, 6, 6]


def test_planes_need_a_stack_and_links_need_planes():
    flat, stack = (image_info(np.zeros(shape, np.uint8)) for shape in ((8, 8), (3, 8, 8)))
    with pytest.raises(SpecError, match="planes: there is no axis z"):
        resolve(RunSpec(planes=True), flat)
    with pytest.raises(SpecError, match=r"merge\.z_link: only planes"):
        resolve(RunSpec(merge={"z_link": 0.3}), stack)
    with pytest.raises(SpecError, match="tile_shape: 3 numbers for 2 axes"):
        resolve(RunSpec(planes=True, tile_shape=(1, 4, 4)), stack)
    plan = resolve(RunSpec(planes=True, tile_shape=4, merge={"z_link": 0.3}), stack)
    assert plan.linked == 0
    assert "plane by plane, linked by iou of at least 0.3" in plan.summary()


def test_merging_planes_needs_planes():
    grid = TileGrid((3, 8, 8), (1, 8, 8), (0, 0, 0))
    tiles = [np.ones((1, 8, 8), int)] * 3
    assert merge_labels(tiles, grid, linked=0).max() == 1
    assert merge_labels(tiles, grid, joined=(False, True, True)).max() == 3
    with pytest.raises(SpecError, match="no axis of separate planes"):
        merge_labels(tiles, grid, merge="touching", linked=0, joined=(True, True, True))
    with pytest.raises(SpecError, match="only planes are linked"):
        merge_labels(tiles, grid, merge=MergeSpec(rule="touching", z_link=0.5))


@pytest.mark.parametrize("tile", [(8, 8), (8, 4), (4, 8)])
def test_of_two_equal_matches_the_one_that_comes_first_is_linked_however_tiles_are_cut(tile):
    labels = np.zeros((2, 8, 8), int)
    labels[0, 1:7, 1:7] = 1
    labels[1, 1:3, 5:7] = 2  # first in the image, but in a later tile of the row
    labels[1, 5:7, 1:3] = 3
    grid = TileGrid(labels.shape, (1, *tile), (0, 1, 1))
    merged = merge_labels(tiled(labels, grid), grid, merge=MergeSpec(z_link=0.1), linked=0)
    assert merged[0, 1, 1] == merged[1, 1, 5] != merged[1, 5, 1]


def test_holes_in_a_stack_of_one_plane_are_filled_though_planes_are_linked():
    image = np.zeros((1, 12, 12), np.uint8)
    image[0, 2:7, 2:7], image[0, 4, 4] = 9, 0
    label = lambda tile: ndimage.label(tile > 3)[0]  # noqa: E731
    result = seamlabel.segment(
        image, label, planes=True, z_link=0.3, fill_holes=True, tile_shape=12, overlap=0, progress=False
    )
    assert np.asarray(result.labels)[0, 4, 4] == 1
