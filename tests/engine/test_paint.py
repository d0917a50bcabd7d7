"""Blocks and strips: however labels are cut to be written, every level is a sample of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.engine import paint
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import open_labels
from seamlabel.kernels.pyramid import sample_index
from seamlabel.testing import same_partition


def connected(tile):
    return ndimage.label(tile > 128)[0]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(paint, "CHUNKS", {1: (8,), 2: (8, 8), 3: (4, 8, 8)})
    monkeypatch.setattr(paint, "BLOCKS", {1: (64,), 2: (32, 32), 3: (16, 32, 32)})
    monkeypatch.setattr(paint, "LEAST_CHUNK", {1: 2, 2: 2, 3: 2})
    monkeypatch.setattr(paint, "STRIP_TILES", 1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("shape", "axes", "tile"),
    [
        ((300,), "x", 7),
        ((70, 90), "yx", 5),
        ((71, 37), "yx", 11),
        ((3, 69, 41), "tyx", 9),
        ((37, 33, 40), "zyx", 6),
        ((1, 66, 40), "zyx", 8),
    ],
)
@pytest.mark.parametrize("level", [0, 1])
def test_every_level_is_a_sample_of_the_labels_of_the_whole_image(tmp_path, shape, axes, tile, level):
    rng = np.random.default_rng(sum(shape))
    pixels = ndimage.uniform_filter(rng.integers(0, 256, shape).astype(float), 3).astype(np.uint8)
    path = tmp_path / "image.zarr"
    write_image(path, shape, "uint8", lambda box: pixels[box.slices], axes=axes, levels=4)
    whole = seamlabel.segment(path, connected, level=level, tile_shape=1000, name="whole", progress=False)
    tiled = seamlabel.segment(path, connected, level=level, tile_shape=tile, overlap=3, progress=False)
    levels = [np.asarray(array) for array in open_labels(tiled.path)]
    assert tiled.n_objects == whole.n_objects
    assert [array.shape for array in levels] == [array.shape for array in open_labels(whole.path)]
    assert same_partition(levels[0], np.asarray(whole.labels))
    tiled_axes = tuple(axis != "t" for axis in axes)
    n_first = paint.paint_layout(tuple(array.shape for array in levels), tiled_axes).n_first
    for k, array in enumerate(levels):
        source = levels[level] if k < n_first else levels[k - 1]
        index = np.ix_(*(sample_index(n, m) for n, m in zip(source.shape, array.shape, strict=True)))
        assert np.array_equal(array, source[index])
