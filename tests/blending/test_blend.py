from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.blending.test_patch_grid import grids

from seamlabel.blending.blend import Blend
from seamlabel.blending.windows import Border, PatchWeights, gaussian, hann
from seamlabel.errors import SeamlabelError
from seamlabel.patch_grid import PatchGrid

COVERING = ("snap", "even", "shrink", "pad")


class Once:
    """An output with chunks that refuses to be written twice."""

    def __init__(self, shape, dtype=np.float32, chunks=None):
        self.data, self.times = np.full(shape, 77, dtype), np.zeros(shape, int)
        self.shape, self.dtype, self.chunks = shape, np.dtype(dtype), chunks

    def __setitem__(self, key, value):
        self.data[key] = value
        self.times[key] += 1


weights = st.sampled_from(
    [
        "crop",
        "gaussian",
        "hann",
        "flat",
        Border(2, 0.1),
        Border(3, 0.0),
        lambda n: np.arange(n) + 1.0,
        "array",
    ]
)


def chosen(kind, grid):
    is_array = isinstance(kind, str) and kind == "array"
    return np.random.default_rng(0).random(grid.patch) + 0.1 if is_array else kind


def cut(field, grid, patch):
    """Return a patch of a field (channels, *space), repeating what lies at its ends."""
    spans = zip(patch.box.start, patch.box.stop, grid.shape, strict=True)
    places = [np.clip(np.arange(a, b), 0, n - 1) for a, b, n in spans]
    return field[np.ix_(range(len(field)), *places)]


def chunks_of(grid, side=5):
    return tuple(min(n, side) for n in grid.shape)


@given(grids(COVERING), weights)
def test_weights_sum_to_one_and_every_voxel_is_written_once(grid, kind):
    assume(len(grid) < 300)
    out = Once((1, *grid.shape), chunks=(1, *chunks_of(grid)))
    blend = Blend(grid, out, chosen(kind, grid))
    for patch in grid:
        blend.add(patch.number, np.ones((1, *patch.box.shape), np.float32))
    blend.finish()
    assert np.abs(out.data - 1).max() <= 1e-6
    assert (out.times == 1).all()
    assert blend.held == 0


@given(grids(COVERING), weights, st.integers(1, 3))
def test_patches_of_one_map_give_that_map(grid, kind, channels):
    assume(len(grid) < 300)
    field = np.random.default_rng(1).normal(0, 5, (channels, *grid.shape)).astype(np.float32)
    out = np.zeros_like(field)
    blend = Blend(grid, out, chosen(kind, grid))
    for patch in grid:
        blend.add(patch.number, cut(field, grid, patch))
    blend.finish()
    if isinstance(kind, str) and kind == "crop":
        assert np.array_equal(out, field)
    assert np.allclose(out, field, atol=2e-5, rtol=1e-5)


def noisy(patch, channels=2):
    return np.random.default_rng(patch.number).normal(0, 3, (channels, *patch.box.shape)).astype(np.float32)


def blended(grid, kind, numbers, workers=0, **options):
    out = Once((2, *grid.shape), chunks=(2, *chunks_of(grid)))
    blend = Blend(grid, out, chosen(kind, grid), **options)
    if workers:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda n: blend.add(n, noisy(grid[n])), numbers))
    else:
        for number in numbers:
            blend.add(number, noisy(grid[number]))
    blend.finish()
    return out


@given(grids(COVERING), weights, st.randoms(use_true_random=False))
def test_the_bits_are_the_same_in_any_order_from_any_number_of_workers(grid, kind, random):
    assume(len(grid) < 120)
    numbers = list(range(len(grid)))
    expected = blended(grid, kind, numbers).data
    random.shuffle(numbers)
    assert np.array_equal(blended(grid, kind, numbers).data, expected)
    again = numbers + numbers[: len(numbers) // 2]  # a retry counts once
    assert np.array_equal(blended(grid, kind, again, workers=4).data, expected)


@given(grids(COVERING), weights, st.data())
def test_a_blend_goes_on_from_the_blocks_that_were_written(grid, kind, data):
    assume(1 < len(grid) < 120)
    out = Once((2, *grid.shape), chunks=(2, *chunks_of(grid)))
    done = []
    first = Blend(grid, out, chosen(kind, grid), on_block=done.append)
    for number in list(first.needed())[: data.draw(st.integers(0, len(grid) - 1))]:
        first.add(number, noisy(grid[number]))
    kept = list(done)
    second = Blend(grid, out, chosen(kind, grid), done=kept)
    for number in second.needed():
        second.add(number, noisy(grid[number]))
    second.finish()
    assert (out.times == 1).all()
    assert np.array_equal(out.data, blended(grid, kind, range(len(grid))).data)


@given(grids(COVERING, most=2), st.sampled_from(["gaussian", "flat", Border(2, 0.3)]))
def test_disagreement_and_sigma_are_those_of_the_mixture(grid, kind):
    assume(len(grid) < 100)
    outs = {name: np.zeros((2, *grid.shape), np.float32) for name in ("mean", "disagreement", "sigma")}
    blend = Blend(grid, outs, kind, stats=tuple(outs), precise=True)
    sums = np.zeros((4, 2, *grid.shape))
    for patch in grid:
        values, variance = noisy(patch), noisy(patch) ** 2
        blend.add(patch.number, values, variance)
        inside = blend.blocks.inside(patch.number)
        if not inside.size:
            continue
        here, there = (..., *inside.slices), (..., *inside.relative_to(patch.box).slices)
        weight = blend.weights.of(patch.index, inside).astype(float)
        for total, part in zip(
            sums, (1, values[there], values[there].astype(float) ** 2, variance[there]), strict=True
        ):
            total[here] += weight * part
    blend.finish()
    mean = sums[1] / sums[0]
    apart = np.maximum(sums[2] / sums[0] - mean**2, 0)
    assert np.allclose(outs["mean"], mean, atol=1e-4)
    assert np.allclose(outs["disagreement"], apart, atol=1e-3)
    assert np.allclose(outs["sigma"], np.sqrt(apart + sums[3] / sums[0]), atol=1e-3)


def test_missing_patches_are_an_error_or_get_a_value():
    grid = PatchGrid((20, 20), (8, 8), (6, 6))
    out = np.zeros((20, 20), np.float32)
    blend = Blend(grid, out)
    for number in range(len(grid)):
        if number != 5:
            blend.add(number, np.ones((8, 8), np.float32))
    with pytest.raises(SeamlabelError, match="1 of 9 patches are missing: 5"):
        blend.finish()
    for kind in ("crop", "gaussian"):
        blend = Blend(grid, out, kind, missing=-1)
        for number in range(len(grid)):
            if number != 5:
                blend.add(number, np.ones((8, 8), np.float32))
        blend.finish()
        assert set(np.unique(out)) <= {-1.0, np.float32(1), *np.unique(out[np.isclose(out, 1)])}
        assert out[9, 18] == -1
        assert np.isclose(out[2, 2], 1)


def test_voxels_that_are_in_no_patch_get_what_is_said():
    grid = PatchGrid((21, 20), (8, 8), (6, 6), "drop")
    with pytest.raises(ValueError, match="leaves voxels in no patch"):
        Blend(grid, np.zeros((21, 20), np.float32))
    out = np.zeros((21, 20), np.uint8)
    blend = Blend(grid, out, "hann", missing=9)
    for patch in grid:
        blend.add(patch.number, np.full(patch.box.shape, 200.4, np.float32))
    blend.finish()
    assert (out[20:] == 9).all()
    assert (out[:20] == 200).all()


@pytest.mark.parametrize(
    ("missing", "dtype"), [(-1, "uint8"), (256, "uint8"), (0.5, "int16"), (np.nan, "int32")]
)
def test_what_an_output_cannot_hold_is_refused_for_missing_voxels_before_any_patch(missing, dtype):
    grid = PatchGrid((12,), (8,), (4,))
    with pytest.raises(
        ValueError, match=f"missing={missing} is no value of the output 'mean', which is {dtype}"
    ):
        Blend(grid, np.zeros(12, dtype), missing=missing)
    Blend(grid, np.zeros(12, np.float32), missing=missing)
    Blend(grid, np.zeros(12, dtype), missing=255 if dtype == "uint8" else -7)


def test_integers_are_rounded_and_clipped_and_no_number_is_no_zero():
    grid = PatchGrid((12,), (8,), (4,))
    for values, expected in [(300.0, 255), (-4.0, 0), (7.6, 8)]:
        out = np.zeros(12, np.uint8)
        blend = Blend(grid, out, "gaussian")
        for patch in grid:
            blend.add(patch.number, np.full(8, values, np.float32))
        blend.finish()
        assert (out == expected).all()
    broken = Blend(grid, np.zeros(12, np.uint8), "gaussian")
    broken.add(0, np.full(8, np.nan, np.float32))
    with pytest.raises(ValueError, match="no numbers"):
        broken.add(1, np.full(8, np.nan, np.float32))
    out = np.zeros(12, np.float32)
    blend = Blend(grid, out, "gaussian")
    for patch in grid:
        blend.add(patch.number, np.full(8, np.nan, np.float32))
    blend.finish()
    assert np.isnan(out).all()


def test_a_gaussian_that_is_an_array_weighs_as_windows_do_away_from_the_ends():
    grid, found = PatchGrid((40, 38, 8), (8, 8, 8), (5, 5, 5)), []
    line = gaussian(8)
    for weights in ["gaussian", line[:, None, None] * line[:, None] * line]:
        blend = Blend(grid, np.zeros((2, *grid.shape), np.float32), weights)
        for patch in grid:
            blend.add(patch.number, noisy(patch))
        blend.finish()
        found.append(blend.outs["mean"])
    inside = (..., slice(8, -8), slice(8, -8), slice(None))
    assert np.allclose(found[0][inside], found[1][inside], atol=1e-5)


@pytest.mark.parametrize("window", [gaussian, hann, lambda n: gaussian(n) + 0.1])
def test_patches_weigh_fully_up_to_the_ends_of_the_array_where_nothing_was_cut_off(window):
    grid = PatchGrid((120,), (64,), (40,))  # from 0, 40 and 56 on
    weights, line = PatchWeights(grid, window), window(64)
    first, middle, last = (weights.of(patch.index, patch.box) for patch in grid)
    assert np.allclose(first[:40], 1)
    assert np.isclose(last[103 - 56] / middle[103 - 40], line[32] / line[63], rtol=1e-3)
    assert np.isclose(first[41] / middle[1], line[41] / line[1], rtol=1e-3)
    assert np.allclose(last[104 - 56 :], 1)


def test_patches_in_raster_order_are_not_kept_where_that_is_said():
    grid = PatchGrid((64, 1024), (32, 32), (16, 16))
    most, found = {}, []
    for raster in (False, True):
        blend, most[raster] = Blend(grid, np.zeros((2, *grid.shape)), "gaussian", raster=raster), 0
        for patch in grid:
            blend.add(patch.number, noisy(patch))
            most[raster] = max(most[raster], blend.held - sum(s.nbytes for s in blend._sums.values()))
        blend.finish()
        found.append(blend.outs["mean"])
    assert most[True] == 0 < most[False]
    assert np.allclose(*found, atol=1e-5)


def test_more_than_256_patches_over_a_voxel_are_all_counted():
    grid = PatchGrid((900,), (600,), (1,))
    out = np.zeros(900, np.float32)
    blend = Blend(grid, out, "flat")
    for patch in grid:
        blend.add(patch.number, np.full(600, 3, np.float32))
    blend.finish()
    assert np.abs(out - 3).max() < 1e-4


def test_a_map_of_many_classes_is_finished_block_by_block():
    grid = PatchGrid((30, 30), (12, 12), (8, 8))
    scores = np.random.default_rng(0).normal(size=(9, 30, 30)).astype(np.float32)
    for how, channels, wanted in [
        ("argmax", None, scores.argmax(0)),
        ("softmax", 9, np.exp(scores) / np.exp(scores).sum(0)),
        (lambda block: block.max(0), None, scores.max(0)),
    ]:
        shape = (30, 30) if channels is None else (channels, 30, 30)
        out = np.zeros(shape, np.uint8 if how == "argmax" else np.float32)
        blend = Blend(grid, out, finalize=how)
        for patch in grid:
            blend.add(patch.number, scores[(..., *patch.box.slices)])
        blend.finish()
        assert np.allclose(out, wanted, atol=1e-6)


def test_little_is_kept_of_a_long_map():
    grid = PatchGrid((4096, 64), (32, 32), (16, 16))
    out = Once((4096, 64), chunks=(32, 32))
    blend, most = Blend(grid, out, "gaussian"), 0
    for number in blend.needed():
        blend.add(number, np.ones((32, 32), np.float32))
        most = max(most, blend.held)
    blend.finish()
    assert most <= 3 * 32 * 64 * 4
    turned = Blend(PatchGrid((64, 4096), (32, 32), (16, 16)), Once((64, 4096), chunks=(32, 32)), "gaussian")
    most = 0
    for number in turned.needed():
        turned.add(number, np.ones((32, 32), np.float32))
        most = max(most, turned.held)
    assert most <= 3 * 32 * 64 * 4


def test_what_does_not_fit_is_told():
    grid = PatchGrid((20, 20), (8, 8))
    out = np.zeros((20, 20), np.float32)
    for options, says in [
        ({"weights": "gauss"}, "none of crop"),
        ({"weights": np.ones((3, 3))}, "the patch has"),
        ({"weights": np.zeros((8, 8))}, "above 0 somewhere"),
        ({"weights": lambda n: np.ones(n + 1)}, "the patch has"),
        ({"stats": ("median",)}, "of mean"),
        ({"finalize": "max"}, "no function"),
    ]:
        with pytest.raises(ValueError, match=says):
            Blend(grid, out, **options).add(0, np.zeros((8, 8)))
    with pytest.raises(ValueError, match="the output 'mean' has shape"):
        Blend(grid, np.zeros((9, 9)))
    with pytest.raises(ValueError, match="the prediction of patch 2 has shape"):
        Blend(grid, out).add(2, np.zeros((7, 8)))
    with pytest.raises(ValueError, match="use 0 or more"):
        Border(-1)


@pytest.mark.parametrize("kind", ["crop", "gaussian"])
def test_a_block_that_could_not_be_written_is_told_at_every_later_call(kind):
    class Full(np.ndarray):
        def __setitem__(self, key, block):
            raise OSError("the disk is full")

    blend = Blend(PatchGrid((10, 10), (10, 10)), np.zeros((10, 10), np.float32).view(Full), kind)
    ones = np.ones((10, 10))
    for attempt in (lambda: blend.add(0, ones), lambda: blend.add(0, ones), blend.finish):
        with pytest.raises(OSError, match="disk is full"):
            attempt()


@pytest.mark.parametrize("step", [20, 32, 50])
def test_patches_amid_others_share_their_weights(step):
    grid = PatchGrid((3000, 100), (100, 100), (step, 100))
    weights = PatchWeights(grid, "gaussian")
    made = {id(weights.of(patch.index, patch.box)) for patch in list(grid)[10:20]}
    assert len(made) == 1
