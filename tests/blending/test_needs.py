from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel.blending.needs import measure_model
from seamlabel.errors import SpecError
from seamlabel.testing.cells import Tissue

PLANE = Tissue((320, 352), "dense").image().astype(np.float32)


def blur(reach):
    return lambda tile: ndimage.uniform_filter(tile, 2 * reach + 1, mode="constant")


def pooling(by, reach):
    """What a network that pools does: means of blocks, a blur over blocks, blocks enlarged again."""

    def model(tile):
        shape = [part for n in tile.shape for part in (n // by, by)]
        means = ndimage.uniform_filter(tile.reshape(shape).mean((1, 3)), 2 * reach + 1, mode="constant")
        return np.stack([means.repeat(by, 0).repeat(by, 1), tile])

    return model


@settings(max_examples=12)
@given(st.integers(0, 40))
def test_how_far_a_model_sees_is_found(reach):
    needs = measure_model(blur(reach), PLANE, 2)
    assert needs.halo == (reach, reach)
    assert needs.align == (1, 1)
    assert needs.settled == (True, True)
    assert not needs.normalises_per_tile


@settings(max_examples=8)
@given(st.sampled_from([2, 4, 8, 16]), st.integers(1, 2))
def test_where_tiles_must_start_is_found(by, reach):
    needs = measure_model(pooling(by, reach), PLANE, 2)
    assert needs.align == (by, by)
    assert needs.halo == (by * reach, by * reach)
    assert needs.overlap == needs.halo


def test_a_model_that_normalises_every_tile_is_told():
    needs = measure_model(lambda tile: (tile - tile.mean()) / tile.std(), PLANE, 2)
    assert needs.normalises_per_tile
    assert needs.settled == (False, False)


def test_thin_axes_are_left_whole():
    volume = np.stack([PLANE] * 9)
    needs = measure_model(lambda t: ndimage.uniform_filter(t, (5, 7, 7), mode="constant"), volume, 3)
    assert needs.halo == (0, 3, 3)
    pair = np.stack([PLANE, PLANE[::-1]])
    assert measure_model(lambda t: blur(5)(t[0]) - blur(2)(t[1]), pair, 2).halo == (5, 5)


def test_what_cannot_be_measured_is_told():
    with pytest.raises(ValueError, match="same value everywhere"):
        measure_model(np.zeros_like, PLANE, 2)
    with pytest.raises(ValueError, match="must keep their shape"):
        measure_model(lambda tile: tile[1:], PLANE, 2)


def test_a_map_is_made_with_the_overlap_that_was_measured():
    image = PLANE[:300, :340]
    found = seamlabel.blend(image, pooling(4, 2), tile_shape=100, overlap="measure", padding="edge")
    assert found.grid.align == (4, 4)
    whole = pooling(4, 2)(image)
    assert np.array_equal(found.values[:, :288, :328], whole[:, :288, :328])
    with pytest.raises(SpecError, match="no overlap will make tiles agree"):
        seamlabel.blend(image, lambda t: t / t.max(), tile_shape=100, overlap="measure")


def test_tiles_are_not_cut_along_axes_that_are_too_short_to_be_measured():
    volume = np.stack([PLANE[:160, :160] * (1 + n % 7) for n in range(40)])

    def blurred(tile):
        return ndimage.uniform_filter(tile, (9, 5, 5), mode="reflect")

    found = seamlabel.blend(volume, blurred, axes="zyx", tile_shape=(16, 96, 96), overlap="measure")
    assert found.grid.patch == (40, 100, 100)
    assert np.allclose(found.values, blurred(volume), rtol=1e-5)


def test_a_model_that_is_bound_to_its_place_is_told_and_one_that_changes_its_input_is_measured():
    def placed(tile):
        return tile + 100 * np.arange(tile.shape[1])

    with pytest.raises(SpecError, match="depend on where tiles start"):
        seamlabel.blend(PLANE, placed, tile_shape=100, overlap="measure")
    with pytest.raises(SpecError, match="does not fit 2 axes"):
        seamlabel.blend(PLANE, np.copy, tile_shape=100, align=(4,))

    def changing(tile):
        tile *= 2
        return blur(3)(tile)

    assert measure_model(changing, PLANE[:300, :300].copy(), 2).halo == (3, 3)
    whole = PLANE[:288, :100].copy()  # cut along one axis, a part of it is no copy
    before = whole.copy()
    measure_model(changing, whole, 2)
    assert np.array_equal(whole, before)
