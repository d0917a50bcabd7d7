"""Tiles that hold nothing are not segmented, and not read where that is known without."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel import RunSpec, SpecError, resolve
from seamlabel.cli import main
from seamlabel.events import TileSkipped
from seamlabel.io.masks import open_mask
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import Source, image_info, open_labels
from seamlabel.testing import same_partition


def label(tile):
    return ndimage.label(tile > 100)[0]


@pytest.fixture
def pixels():
    """A few objects, most of the image black."""
    image = np.zeros((160, 200), np.uint16)
    image[10:30, 20:45] = 500  # across tiles of 40
    image[100:104, 150:190] = 900
    image[130:131, 60:61] = 700  # a single voxel
    return image


@pytest.fixture
def boxes_read(monkeypatch):
    """Every box that is read from an image; masks here are of truths."""
    found, read = [], Source.read

    def spy(self, box):
        if self.info.dtype != "bool":
            found.append(box)
        return read(self, box)

    monkeypatch.setattr(Source, "read", spy)
    return found


def stored(path, pixels, axes="yx", **more):
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes=axes, **more)
    return str(path)


def segmented(image, **wishes):
    """Return the labels, and why which tiles were skipped."""
    skipped = {}

    def listen(event):
        if isinstance(event, TileSkipped):
            skipped[event.tile] = event.reason

    same = {"tile_shape": 40, "overlap": 5, "progress": False, "overwrite": True, "executor": "serial"}
    result = seamlabel.segment(image, label, on_event=listen, **{**same, **wishes})
    return np.asarray(result.labels), skipped, result.plan


def lit(plan, mask):
    """Numbers of tiles whose read box holds some of a mask."""
    return {tile.number for tile in plan.grid if mask[tile.read.slices].any()}


def test_an_array_as_mask_skips_tiles_without_reading_them(pixels, boxes_read):
    whole, none, _ = segmented(pixels)
    assert none == {}
    mask = ndimage.binary_dilation(pixels > 0, iterations=3)
    boxes_read.clear()
    labels, skipped, plan = segmented(pixels, skip_empty=mask)
    assert same_partition(labels, whole)
    assert set(skipped) == set(range(len(plan.grid))) - lit(plan, mask)
    assert set(skipped.values()) == {"outside the mask"}
    assert boxes_read == [plan.grid[n].read for n in plan.order() if n not in skipped]
    assert "outside the mask" in plan.summary()


@pytest.mark.parametrize("factor", [(1, 1), (2, 2), (4, 3), (7, 1)])
def test_a_coarser_mask_covers_what_lies_under_it(pixels, factor):
    whole, _, _ = segmented(pixels)
    coarse = tuple(-(-n // f) for n, f in zip(pixels.shape, factor, strict=True))
    mask = np.zeros(coarse, bool)
    for point in np.argwhere(pixels):
        mask[tuple(p // f for p, f in zip(point, factor, strict=True))] = True
    labels, skipped, plan = segmented(pixels, skip_empty=mask)
    assert same_partition(labels, whole)
    assert len(skipped) >= len(plan.grid) // 3


def test_labels_of_an_ome_zarr_are_a_mask(pixels, tmp_path):
    image = stored(tmp_path / "i.zarr", pixels)
    assert (
        main(["segment", image, "--set", "value=50", "--set", "smoothing=0", "--name", "roi", "--quiet"]) == 0
    )
    labels, skipped, plan = segmented(image, skip_empty=f"{image}/labels/roi")
    assert same_partition(labels, segmented(pixels)[0])
    assert set(skipped) == set(range(len(plan.grid))) - lit(plan, pixels)
    spec = RunSpec.from_json(plan.spec.to_json())
    assert spec.skip_empty == f"{image}/labels/roi"


def test_a_mask_without_time_counts_at_every_time(pixels):
    movie = np.stack([pixels, pixels[::-1]])
    mask = (pixels > 0) | (pixels[::-1] > 0)
    labels, skipped, plan = segmented(movie, axes="tyx", skip_empty=mask)
    assert same_partition(labels, segmented(movie, axes="tyx")[0])
    per_time = len(plan.grid) // 2
    assert {n % per_time for n in skipped} == {n for n in skipped if n < per_time}
    assert skipped


def test_a_mask_of_a_stack_serves_planes(pixels):
    stack = np.zeros((6, *pixels.shape), np.uint16)
    stack[0] = pixels
    mask = np.zeros((3, 80, 100), bool)
    mask[0] = pixels[::2, ::2] > 0
    labels, skipped, plan = segmented(stack, planes=True, skip_empty=mask)
    assert same_partition(labels, segmented(stack, planes=True)[0])
    left = {plan.grid[n].index[0] for n in range(len(plan.grid)) if n not in skipped}
    assert left == {0, 1, 2, 3}  # those under the mask's plane, and one of its planes more


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((320, 400), bool), "its shape is"),
        (np.zeros((2, 160, 200), bool), "it has 3 axes, the image's labels have 2: y, x. Give a mask of"),
        (
            np.zeros((67, 100), bool),
            r"its shape \(67, 100\) has another aspect than the image's \(160, 200\)",
        ),
        (np.zeros((80, 83), bool), "has another aspect"),
        ("nowhere.zarr", "skip_empty: .*nowhere.zarr"),
        ("mask", "an array that is not here"),
    ],
)
def test_a_mask_that_does_not_fit_is_told_before_any_work(pixels, mask, says):
    with pytest.raises(SpecError, match=says):
        segmented(pixels, skip_empty=mask)


def test_a_mask_whose_coarser_level_only_happens_to_be_small_enough_is_refused(tmp_path):
    mask = stored(tmp_path / "tissue.zarr", np.ones((1000, 1200), np.uint8), levels=3)
    with pytest.raises(SpecError, match=r"its shape \(250, 300\) has another aspect"):
        segmented(np.zeros((600, 500), np.uint16), skip_empty=mask)
    for fits in ((1000, 1200), (500, 600), (2001, 2399)):
        assert segmented(np.zeros(fits, np.uint16), skip_empty=mask, tile_shape=400)[2].grid


@pytest.mark.parametrize("coarse", [(5, 64, 50), (5, 512, 400), (5, 15, 12), (3, 256, 200), (1, 1, 1)])
def test_a_mask_may_be_coarser_by_one_factor_or_by_whole_ones(coarse):
    volume = np.zeros((5, 512, 400), np.uint8)
    _, skipped, plan = segmented(volume, tile_shape=(5, 256, 256), skip_empty=np.zeros(coarse, bool))
    assert len(skipped) == len(plan.grid)


@given(st.integers(1, 400), st.integers(1, 400), st.floats(1, 60), st.booleans(), st.booleans())
def test_rounding_makes_no_other_aspect(n, k, factor, up, also_up):
    fine = (n, k)
    coarse = tuple(
        max(1, ceil(size / factor) if u else floor(size / factor))
        for size, u in zip(fine, (up, also_up), strict=True)
    )
    assert open_mask(np.ones(coarse, bool), image_info(np.zeros(fine, np.uint8)), 0).coarse == coarse


def test_tiles_of_missing_chunks_are_skipped_without_reading(pixels, tmp_path, boxes_read):
    sparse = zarr.create_array(
        str(tmp_path / "sparse"), shape=pixels.shape, chunks=(20, 20), dtype=pixels.dtype, fill_value=0
    )
    sparse[:] = pixels  # chunks that are all zero are left out
    whole = segmented(pixels)[0]
    boxes_read.clear()
    labels, skipped, plan = segmented(sparse, skip_empty=50)
    assert same_partition(labels, whole)
    unread = [n for n, reason in skipped.items() if reason == "no chunk of it is stored"]
    assert len(unread) >= 4
    assert boxes_read == [plan.grid[n].read for n in plan.order() if n not in unread]
    boxes_read.clear()
    _, skipped, plan = segmented(sparse, skip_empty=-1)  # below the fill value: that may hold objects
    assert skipped == {}
    assert len(boxes_read) == len(plan.grid)


def test_a_coarser_level_tells_which_tiles_need_no_reading(tmp_path, boxes_read):
    pixels = np.zeros((512, 512), np.uint16)
    pixels[100:140, 90:150] = 900
    pixels[400, 401] = 900  # smaller than a coarse voxel
    image = stored(tmp_path / "i.zarr", pixels, levels=2)
    whole, plain, _ = segmented(image, tile_shape=128, skip_empty=100)
    boxes_read.clear()
    labels, skipped, plan = segmented(image, tile_shape=128, skip_empty=100, skip_level=1)
    unread = [n for n, why in skipped.items() if why == "nothing above 100 on level 1"]
    assert len(unread) >= 8
    assert len(boxes_read) == len(plan.grid) - len(unread)
    assert set(plain) <= set(skipped)
    assert np.array_equal(labels[:256] > 0, whole[:256] > 0)
    assert "nothing above 100 on level 1 are skipped" in plan.summary()


def test_a_level_to_skip_by_must_be_coarser_and_have_a_value():
    info = image_info(np.zeros((64, 64), np.uint8))
    with pytest.raises(SpecError, match="skip_level: 1 is no coarser level of the image"):
        resolve(RunSpec(skip_empty=3, skip_level=1), info)
    with pytest.raises(SpecError, match="skip_level: nothing is to be looked for"):
        resolve(RunSpec(skip_empty="roi.zarr", skip_level=1), info)


def test_the_command_line_takes_a_mask_and_a_level(tmp_path, capsys):
    pixels = np.zeros((512, 512), np.uint16)
    pixels[100:140, 90:150] = 900
    image = stored(tmp_path / "i.zarr", pixels, levels=2)
    mask = stored(tmp_path / "mask.zarr", (pixels > 0).astype(np.uint8))
    same = ["segment", image, "--tile", "128", "--set", "value=500", "--set", "smoothing=0", "--overwrite"]
    for extra in (
        ["--skip-empty", mask],
        ["--skip-empty", "100", "--skip-level", "1"],
        ["--skip-empty", "otsu"],
    ):
        assert main([*same, *extra, "--json"]) == 0
        assert capsys.readouterr().out.count("TileSkipped") >= 8
        assert (open_labels(f"{image}/labels/labels")[0][:] > 0).sum() == 2400
    assert main([*same, "--skip-empty", str(tmp_path / "none.zarr")]) == 2
    assert "--skip-empty: " in capsys.readouterr().err
