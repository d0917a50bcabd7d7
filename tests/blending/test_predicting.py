from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tests.blending.test_patch_grid import grids

import seamlabel
from seamlabel.blending.blend import Blend
from seamlabel.blending.padding import Padded
from seamlabel.blending.predicting import predict
from seamlabel.errors import BackendError, TileError
from seamlabel.patch_grid import PatchGrid

IMAGE = np.random.default_rng(0).random((90, 120)).astype(np.float32)


def reader(image, mode="reflect"):
    return Padded(lambda box: image[(..., *box.slices)], image.shape, mode, [(64, 64)] * image.ndim).read


def blur(reach):
    return lambda tile: ndimage.uniform_filter(tile, 2 * reach + 1, mode="constant")


def run(grid, model, weights="crop", image=IMAGE, **options):
    out = np.full(grid.shape, np.nan, np.float32)
    blend = Blend(grid, out, weights)
    seen = list(predict(blend, reader(image), model, **options))
    assert sorted(seen) == sorted(set(seen))
    return out


@settings(max_examples=40)
@given(
    grids(("snap", "even", "shrink"), most=3, plain=True),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_cropped_predictions_are_those_of_the_whole_image(grid, reach, workers, batch):
    assume(len(grid) < 100)
    spans = [spans for spans in grid.spans if len(spans) > 1]
    least = min((a.stop - b.start for line in spans for a, b in pairwise(line)), default=99)
    reach = min(reach, least // 2)
    image = np.random.default_rng(1).random(grid.shape).astype(np.float32)
    found = run(grid, blur(reach), image=image, workers=workers, batch=1)
    assert np.allclose(found, blur(reach)(image), atol=1e-6)
    same = len({patch.box.shape for patch in grid}) == 1
    if same and batch > 1:
        many = run(grid, lambda pieces: np.stack([blur(reach)(p) for p in pieces]), image=image, batch=batch)
        assert np.array_equal(many, found)


def test_workers_and_batches_give_the_same_bits():
    grid = PatchGrid(IMAGE.shape, (32, 32), (20, 20), "pad")
    one = run(grid, blur(3), "gaussian")
    assert np.array_equal(run(grid, blur(3), "gaussian", workers=4), one)
    many = run(grid, lambda pieces: np.stack([blur(3)(p) for p in pieces]), "gaussian", batch=5, workers=2)
    assert np.array_equal(many, one)


def test_a_patch_that_fails_is_tried_again_and_then_named():
    grid, times, lock = PatchGrid(IMAGE.shape, (32, 32)), {}, threading.Lock()

    def shaky(tile):
        key = float(tile.sum())
        with lock:
            times[key] = times.get(key, 0) + 1
            if times[key] == 1:
                raise RuntimeError("no memory just now")
        return tile

    assert np.array_equal(run(grid, shaky, retries=1, workers=3), IMAGE)
    times.clear()
    with pytest.raises(TileError, match="tile 0: RuntimeError: no memory just now"):
        run(grid, shaky)


def test_patches_outside_the_mask_are_neither_read_nor_predicted():
    grid = PatchGrid((90, 120), (30, 30))
    mask = np.zeros((90, 120), bool)
    mask[:30, :60] = True
    read = []
    blend = Blend(grid, out := np.ones((90, 120), np.float32))
    known = predict(
        blend,
        lambda box: read.append(box) or IMAGE[box.slices],
        lambda tile: tile,
        skip=lambda box: not mask[box.slices].any(),
        skipped=-1,
    )
    assert len(list(known)) == 12
    assert len(read) == 2
    assert np.array_equal(out[:30, :60], IMAGE[:30, :60])
    assert (out[30:] == -1).all()


def test_skipped_patches_have_as_many_channels_as_the_others():
    grid = PatchGrid((60, 60), (20, 20), (10, 10))
    out = np.zeros((60, 60), np.uint8)
    blend = Blend(grid, out, "gaussian", finalize="argmax", channels=3)
    skip = lambda box: box.start[0] < 20  # noqa: E731
    list(predict(blend, lambda box: IMAGE[box.slices], lambda t: np.stack([t * 0, t * 0 + 5, t]), skip=skip))
    assert (out[40:] == 1).all()
    with pytest.raises(ValueError, match="how many channels"):
        Blend(grid, out, finalize="argmax").skip(0)


def test_variances_are_blended_too():
    grid = PatchGrid((60, 60), (20, 20), (10, 10))
    outs = {"mean": np.zeros((60, 60), np.float32), "sigma": np.zeros((60, 60), np.float32)}
    blend = Blend(grid, outs, "gaussian", stats=("mean", "sigma"))
    list(predict(blend, lambda box: IMAGE[box.slices], lambda t: (t, np.full_like(t, 4.0))))
    assert np.allclose(outs["mean"], IMAGE[:60, :60], atol=1e-5)
    assert np.allclose(outs["sigma"], 2, atol=1e-3)


def test_no_more_patches_are_ahead_than_workers_need():
    grid = PatchGrid((400, 40), (20, 20), (10, 10))
    ahead, most = set(), 0
    blend = Blend(grid, np.zeros((400, 40), np.float32), "flat")

    def model(tile):
        ahead.add(id(tile))
        return tile

    image = np.random.default_rng(0).random((400, 40)).astype(np.float32)
    seen = []
    for number in predict(blend, lambda box: image[box.slices], model, workers=2):
        seen.append(number)
        most = max(most, len(blend._held))
    assert len(seen) == len(grid)
    assert most <= 4


def test_the_patch_of_a_batch_that_fails_is_named_and_a_batch_that_is_too_large_is_told():
    grid = PatchGrid(IMAGE.shape, (30, 30))
    bad = IMAGE[grid[5].box.slices].sum()

    def shaky(tiles):
        if bad in tiles.sum((1, 2)):
            raise RuntimeError("a bad one")
        return tiles

    def small(tiles):
        if len(tiles) > 2:
            raise MemoryError("too much")
        return tiles

    for workers in (1, 3):
        with pytest.raises(TileError, match="tile 5: RuntimeError: a bad one"):
            run(grid, shaky, batch=4, workers=workers)
    with pytest.raises(
        TileError, match=r"tile 0: MemoryError: too much \(in a batch with 4, 8, 1; each"
    ) as told:
        run(grid, small, batch=4)
    assert told.value.hint == "Ask for smaller batches"


@pytest.mark.parametrize("answer", [lambda t: [t, t], lambda t: [t], lambda t: (t, t, t)])
def test_an_answer_that_could_be_outputs_or_variances_is_refused(answer):
    grid, said = PatchGrid(IMAGE.shape, (30, 30)), "(values, variances)"
    with pytest.raises(TileError, match=r"the model answers with a (list|tuple) of \d"):
        run(grid, answer)
    for batch in (1, 2):
        with pytest.raises(BackendError, match="the model answers with a") as told:
            seamlabel.blend(IMAGE, answer, tile_shape=30, overlap=0, batch=batch)
        assert said in told.value.hint
