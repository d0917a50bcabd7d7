"""Runs of a part of the image: what is segmented, what is painted at its rim, how they go on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel.engine.paint import paint_layout
from seamlabel.engine.retell import retell
from seamlabel.engine.run import run
from seamlabel.errors import SpecError
from seamlabel.events import RunFinished, RunStarted, StageStarted, TileDone, TileFailed
from seamlabel.geometry import Box, TileGrid
from seamlabel.io.journal import unfinished_run
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.kernels.pyramid import sample_index
from seamlabel.region import Region
from seamlabel.testing import same_partition
from seamlabel.testing.cells import Tissue

LOCAL = {"value": 0.5, "smoothing": 0}


@st.composite
def cases(draw):
    """An image of blobs, tiles, and one to three boxes."""
    ndim = draw(st.integers(1, 3))
    most = (90, 48, 22)[ndim - 1]
    shape = tuple(draw(st.integers(most // 2, most)) for _ in range(ndim))
    tile = tuple(draw(st.integers(most // 8, most // 2)) for _ in range(ndim))
    overlap = tuple(draw(st.integers(2, 8)) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    noise = ndimage.gaussian_filter(rng.random(shape), draw(st.sampled_from((0.8, 1.5, 2.5))))
    image = (noise > np.quantile(noise, draw(st.sampled_from((0.4, 0.6, 0.8))))).astype("uint8")
    boxes = []
    for _ in range(draw(st.integers(1, 3))):
        starts = [draw(st.integers(0, n - 1)) for n in shape]
        boxes.append(tuple((a, draw(st.integers(a + 1, n))) for a, n in zip(starts, shape, strict=True)))
    return image, tile, overlap, tuple(boxes)


def painted(image, region, **fields):
    axes = "zyx"[-image.ndim :]
    result = seamlabel.segment(
        image, axes=axes, params=LOCAL, executor="serial", region=region, progress=False, **fields
    )
    return np.asarray(result.labels), result


@settings(max_examples=40)
@given(cases(), st.booleans())
def test_objects_inside_the_region_are_those_of_the_whole_image(case, fill):
    image, tile, overlap, boxes = case
    whole, _ = painted(image, None, tile_shape=tile, overlap=overlap, fill_holes=fill)
    labels, result = painted(image, boxes, tile_shape=tile, overlap=overlap, fill_holes=fill, table=True)
    cores, reads = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    for number in np.flatnonzero(result.plan.wanted):
        cores[result.plan.grid[number].core.slices] = True
        reads[result.plan.grid[number].read.slices] = True
    assert not labels[~reads].any()
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, result.n_objects + 1))
    assert np.unique(labels[cores & (labels > 0)]).size == result.n_objects
    outside = np.isin(whole, np.unique(whole[~cores]))
    inside = (whole > 0) & ~outside
    assert same_partition(np.where(inside, labels, 0), np.where(inside, whole, 0))
    assert not np.intersect1d(labels[inside], labels[~inside]).size
    assert (whole[labels > 0] > 0).all()
    pairs = np.unique(np.stack([labels[labels > 0], whole[labels > 0]]), axis=1)
    assert pairs.shape[1] == result.n_objects  # nothing is glued
    if not fill:
        assert (labels[cores] > 0).tolist() == (whole[cores] > 0).tolist()
    assert result.table["area_voxels"].tolist() == np.bincount(labels.ravel())[1:].tolist()


@given(cases())
def test_tiles_are_wanted_whose_cores_touch_a_box(case):
    image, tile, overlap, boxes = case
    grid = TileGrid(image.shape, tile, overlap)
    region = Region.of(grid, boxes)
    wanted = [any(part.core.intersect(box).size for box in region.boxes) for part in grid]
    assert region.tiles.tolist() == wanted
    assert region.n_tiles == sum(wanted)
    assert region.voxels == sum(part.core.size for part, yes in zip(grid, wanted, strict=True) if yes)
    for box, reach in zip(region.boxes, [Region(grid, (b,)).reach[0] for b in region.boxes], strict=True):
        mine = [part.read for part in grid if part.core.intersect(box).size]
        assert reach.start == tuple(np.min([read.start for read in mine], axis=0))
        assert reach.stop == tuple(np.max([read.stop for read in mine], axis=0))
    shown = [any(part.core.intersect(box).size for box in region.reach) for part in grid]
    assert np.flatnonzero(shown).tolist() == np.flatnonzero(region.shown).tolist()


def test_an_object_at_the_rim_is_painted_as_far_as_its_tile_sees_it():
    image = np.zeros((64, 64), "uint8")
    image[10:20, 29:38] = 1  # seen whole by tile 0, centred in tile 1
    image[40:44, 20:60] = 1  # reaches beyond what tile 2 reads
    image[24:28, 44:47] = 1  # read by tile 0, and not in its core
    labels, result = painted(image, np.s_[0:64, 0:1], tile_shape=32, overlap=8)
    expected = np.where(np.arange(64) < 48, image, 0)
    expected[24:28] = 0
    assert np.array_equal(labels > 0, expected)
    assert result.n_objects == 2
    assert result.report.n_incomplete == 0 == result.report.n_dropped


def bright(tile):
    return ndimage.label(tile > 2000, np.ones((3,) * tile.ndim))[0]


@pytest.fixture(scope="module")
def pixels():
    return Tissue((500, 420), "dense").image()


@pytest.fixture
def image(tmp_path, pixels):
    path = tmp_path / "image.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx", levels=4)
    return str(path)


REGION = ((100, 200), (150, 260))
FIELDS = {"params": {"value": 2000, "smoothing": 0}, "tile_shape": 64, "overlap": 16}


def plan_of(image, **fields):
    spec = seamlabel.RunSpec(image=image, **{**FIELDS, "region": REGION, **fields})
    return seamlabel.resolve(spec, image_info(image))


def test_a_plan_counts_only_the_tiles_of_the_region(image):
    whole, part = plan_of(image, region=None), plan_of(image)
    assert (whole.n_tiles, part.n_tiles) == (56, 9)
    assert part.stage_bytes == whole.stage_bytes * 9 // 56
    assert sorted(part.order()) == np.flatnonzero(part.wanted).tolist()
    assert "9 of the tiles, those at y=100:200 x=150:260" in part.summary()
    assert plan_of(image, region=np.s_[:5, :]).region.boxes == (Box((0, 0), (5, 420)),)
    assert plan_of(image, region=[REGION] * 9).summary().count("150:260") == 3
    assert plan_of(image, region=np.s_[0:1, 0:1], workers=8).workers == 1


@pytest.mark.parametrize(
    ("region", "says"),
    [
        ((0, 5), "no box"),
        (((0, 501), (0, 5)), "along y"),
        (((0, 5), (420, None)), "along x"),
        (((0, 5), (0, 5), (0, 5)), "3 pairs"),
        (((5, 5), (0, 5)), "5:5 has no voxels"),
        (((-5, 5), (0, 5)), "below 0"),
        ((slice(0, 9, 2), slice(None)), "step"),
        ("0:5,0:5", "no box"),
        ((), "0 pairs"),
        (((0.5, 5), (0, 5)), "whole number"),
    ],
)
def test_a_region_that_cannot_be_is_a_problem_of_its_field(image, region, says):
    with pytest.raises(SpecError) as error:
        plan_of(image, region=region)
    (problem,) = error.value.problems
    assert problem.field == "region"
    assert says in problem.message
    assert problem.fix


def test_levels_show_the_region_whatever_level_was_segmented(image):
    for level, region in ((0, REGION), (2, ((25, 50), (38, 65)))):
        result = seamlabel.segment(
            image, "threshold", level=level, tile_shape=16 << (2 - level), overlap=8, region=region,
            name=f"level{level}", progress=False,
        )  # fmt: skip
        levels = [np.asarray(each) for each in open_labels(result.path)]
        for one, other in pairwise(levels):
            assert set(np.unique(other)) <= set(np.unique(one))
        assert np.unique(levels[level]).tolist() == list(range(result.n_objects + 1))


@pytest.mark.parametrize("executor", ["threads", "processes", "dask"])
def test_all_executors_give_the_same_labels_of_a_region(image, executor):
    one = list(run(plan_of(image, executor="serial", name="one")))
    other = list(run(plan_of(image, executor=executor, workers=2, name="other")))
    labels = [np.asarray(open_labels(events[-1].path)[0]) for events in (one, other)]
    assert labels[0].any()
    assert np.array_equal(*labels)
    assert isinstance(other[0], RunStarted)
    stage = next(event for event in other if isinstance(event, StageStarted))
    assert (other[0].total, stage.total, other[-1].total) == (9, 9, 9)
    done = [event.tile for event in other if isinstance(event, TileDone)]
    assert sorted(done) == np.flatnonzero(plan_of(image).wanted).tolist()


def test_a_run_of_a_region_goes_on_and_is_merged_again(image):
    plan, left = plan_of(image), {}

    def failing(tile):
        if left.setdefault("tiles", 9) == 1:
            raise ValueError("no")
        left["tiles"] -= 1
        return bright(tile)

    events = list(run(plan_of(image, executor="serial", retries=0), segmenter=failing))
    assert sum(isinstance(event, TileFailed) for event in events) == 1
    found = unfinished_run(Path(plan.run_dir))
    assert str(found) == "8 of 9 tiles done, 1 failed"
    told = list(retell(found))
    assert (told[0].total, told[-1].total) == (9, 9)
    with pytest.raises(SpecError, match="outside"):
        seamlabel.remerge(plan.run_dir, again=[0], backend=bright, progress=False)
    again = seamlabel.remerge(plan.run_dir, again="missing", backend=bright, progress=False)
    straight = seamlabel.segment(image, bright, tile_shape=64, overlap=16, region=REGION, progress=False,
                                 name="straight", keep=True)  # fmt: skip
    assert again.n_objects == straight.n_objects > 20
    assert np.array_equal(np.asarray(again.labels), np.asarray(straight.labels))
    areas = np.bincount(np.asarray(straight.labels).ravel())[1:]
    fewer = seamlabel.remerge(straight.run_dir, min_size=150, progress=False)
    assert fewer.n_objects < straight.n_objects
    assert fewer.n_objects >= (areas >= 150).sum() - 5


def test_a_run_of_another_region_is_not_gone_on_with(image):
    events = run(plan_of(image))
    next(event for event in events if isinstance(event, TileDone))
    events.close()
    with pytest.raises(seamlabel.SeamlabelError, match="region was"):
        list(run(plan_of(image, region=np.s_[0:70, 0:70]), unfinished="resume"))
    last = list(run(plan_of(image), unfinished="resume"))[-1]
    assert isinstance(last, RunFinished)
    assert last.done == last.total == 9


def test_a_region_limits_time_and_planes_too():
    frame = Tissue((90, 110), "dense").image()
    movie = np.stack([frame, frame[::-1], frame])
    result = seamlabel.segment(
        movie, bright, axes="tyx", tile_shape=40, overlap=8, region=np.s_[1:2, :, :], progress=False
    )
    labels = np.asarray(result.labels)
    assert result.plan.n_tiles == 9
    assert not labels[[0, 2]].any()
    assert same_partition(labels[1], bright(movie[1]))
    result = seamlabel.segment(
        movie, bright, planes=True, z_link=0.3, tile_shape=40, overlap=8, region=np.s_[:2, :40, :],
        fill_holes=True, skip_empty=2000, progress=False,
    )  # fmt: skip
    labels = np.asarray(result.labels)
    assert not labels[2].any()
    assert not labels[:, 56:].any()
    assert all(labels[:2, 40:56].any(axis=(1, 2)))


@given(st.integers(1, 3), st.integers(0, 3), st.integers(0, 1 << 30))
def test_all_blocks_that_show_a_box_are_painted_and_few_others(ndim, level, seed):
    rng = np.random.default_rng(seed)
    shapes = [tuple(int(n) for n in rng.integers(300, (200_000, 9_000, 1_000)[ndim - 1], ndim))]
    for _ in range(5):
        shapes.append(tuple(max(1, n // 2 if rng.random() < 0.5 else -(-n // 2)) for n in shapes[-1]))
    layout = paint_layout(tuple(shapes), (True,) * ndim)
    shape = shapes[level]
    start = tuple(int(rng.integers(0, n)) for n in shape)
    stop = tuple(int(rng.integers(a, n)) + 1 for a, n in zip(start, shape, strict=True))
    shown = [np.zeros(n, bool) for n in shape]
    for line, a, b in zip(shown, start, stop, strict=True):
        line[a:b] = True
    for levels in layout.passes():
        ranges = layout.meeting(levels, shape, Box(start, stop))
        source = shape if levels[0] == 0 else shapes[levels[0] - 1]
        for axis, part in enumerate(ranges):
            lines = {k: _sampled(source[axis], shown[axis], shapes[k][axis]) for k in levels}
            showing = [
                any(lines[k][i * b : (i + 1) * b].any() for k in levels for b in [layout.blocks[k][axis]])
                for i in range(layout.counts(levels[0])[axis])
            ]
            assert set(np.flatnonzero(showing)) <= set(part)
            assert len(part) <= sum(showing) + 4
        shown = [_sampled(n, line, m) for n, line, m in zip(source, shown, shapes[levels[-1]], strict=True)]


def _sampled(n_src, line, n_dst):
    assert line.size == n_src
    return line[sample_index(n_src, n_dst)]


def test_blocks_far_from_the_region_are_not_looked_at(tmp_path):
    path = tmp_path / "large.zarr"
    zeros = np.zeros((1, 1), "uint16")
    write_image(
        path, (5000, 4500), "uint16", lambda box: np.broadcast_to(zeros, box.shape), axes="yx", levels=2
    )
    totals = []
    for region in (None, ((0, 1), (0, 1)), [((0, 1), (0, 1)), ((4999, 5000), (0, 1))]):
        events = run(plan_of(str(path), region=region, tile_shape=1024, overwrite=True))
        totals.append([event.total for event in events if isinstance(event, StageStarted)][-1])
    assert totals == [9, 1, 3]  # the last tile reads inwards, from the block before
