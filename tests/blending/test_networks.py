"""Convolutional networks of random weights: predictions of tiles against those of the whole image.

In numpy, voxel by voxel the same sum in the same order wherever a tile lies: what differs is seen exactly.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import seamlabel
from seamlabel.blending.blend import Blend
from seamlabel.blending.needs import measure_model
from seamlabel.blending.padding import Padded
from seamlabel.blending.predicting import predict
from seamlabel.testing.cells import Tissue

CLASSES = 5
IMAGE = Tissue((371, 405), "dense").image().astype(np.float32)
IMAGE = (IMAGE - IMAGE.mean()) / IMAGE.std()


def random_layer(inputs, outputs, rng):
    return rng.normal(0, (2 / (9 * inputs)) ** 0.5, (outputs, inputs, 3, 3)).astype(np.float32)


def convolved(planes, kernels, apart=1):
    """Convolve planes (channels, y, x) with kernels of 3 x 3, zeros around, `apart` voxels apart."""
    _, height, width = planes.shape
    padded = np.pad(planes, [(0, 0), (apart, apart), (apart, apart)])
    out = np.zeros((len(kernels), height, width), np.float32)
    for one, kernel in zip(out, kernels, strict=True):
        for plane, weights in zip(padded, kernel, strict=True):
            for (i, j), weight in np.ndenumerate(weights):
                one += weight * plane[i * apart : i * apart + height, j * apart : j * apart + width]
    return out


class Plain:
    """Layers of convolutions, each `apart` wider: the network sees as far as their sum."""

    def __init__(self, *apart, seed=0):
        self.apart, rng, width = apart, np.random.default_rng(seed), 4
        sizes = [1, *[width] * (len(apart) - 1), CLASSES]
        self.layers = [random_layer(a, b, rng) for a, b in pairwise(sizes)]

    def __call__(self, tile):
        *hidden, (last, apart) = zip(self.layers, self.apart, strict=True)
        planes = tile[None]
        for layer, steps in hidden:
            planes = np.maximum(convolved(planes, layer, steps), 0)
        return convolved(planes, last, apart)


def pooled(planes):
    c, y, x = planes.shape
    return planes.reshape(c, y // 2, 2, x // 2, 2).max((2, 4))


def enlarged(planes):
    return planes.repeat(2, 1).repeat(2, 2)


class Unet:
    """A U-Net with two poolings: it starts at multiples of 4, and sees no further than 13 voxels."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        sizes = [(1, 4), (4, 4), (4, 4), (8, 4), (8, CLASSES)]
        self.first, self.second, self.third, self.back, self.out = (random_layer(a, b, rng) for a, b in sizes)

    def __call__(self, tile):
        top = np.maximum(convolved(tile[None], self.first), 0)
        middle = np.maximum(convolved(pooled(top), self.second), 0)
        deep = np.maximum(convolved(pooled(middle), self.third), 0)
        back = np.maximum(convolved(np.concatenate([middle, enlarged(deep)]), self.back), 0)
        return convolved(np.concatenate([top, enlarged(back)]), self.out)


PLAIN = {5: Plain(1, 2, 2), 12: Plain(1, 2, 4, 5, seed=1)}
UNET = Unet()


def classes(network, tile, overlap, align=1, **options):
    """Return the class of each voxel, tile by tile."""
    found = seamlabel.blend(
        IMAGE, network, finalize="argmax", tile_shape=tile, overlap=overlap, align=align, **options
    )
    assert len(found.grid) >= 9
    return found.values


def whole(network, align=1):
    """Return the class of each voxel of the whole image, its ends mirrored to a multiple of `align`."""
    padded = np.pad(IMAGE, [(0, -n % align) for n in IMAGE.shape], mode="reflect")
    found = network(padded).argmax(0)[: IMAGE.shape[0], : IMAGE.shape[1]]
    assert (np.bincount(found.ravel()) > 0.05 * found.size).sum() >= 4
    return found


def share(found, expected):
    return (found != expected).mean()


@pytest.mark.parametrize("reach", PLAIN)
def test_tiles_of_a_network_of_known_reach_give_the_classes_of_the_whole_image(reach):
    network = PLAIN[reach]
    expected = whole(network)
    assert np.array_equal(classes(network, 64, reach, workers=2), expected)
    assert share(classes(network, 96, 48, weights="gaussian"), expected) <= 0.0005
    # what would be seen
    assert share(classes(network, 64, reach - 1), expected) > 0.005
    assert share(classes(network, 64, 0), expected) > 0.05


def test_tiles_of_a_network_that_pools_give_the_classes_of_the_whole_image_where_they_are_aligned():
    expected = whole(UNET, 4)
    assert np.array_equal(classes(UNET, 62, 13, align=4, workers=2), expected)
    assert share(classes(UNET, 96, 48, align=4, weights="gaussian"), expected) <= 0.0005
    # what would be seen: tiles that start anywhere, which no weights mend
    assert share(classes(UNET, 62, 25), expected) > 0.005
    assert share(classes(UNET, 62, 33, weights="gaussian"), expected) > 0.005


def test_how_far_networks_see_and_where_they_start_is_measured():
    window = IMAGE[:288, :288]
    for reach, network in PLAIN.items():
        needs = measure_model(network, window, 2)
        assert (needs.halo, needs.align, needs.settled) == ((reach, reach), (1, 1), (True, True))
    needs = measure_model(UNET, window, 2)
    assert needs.align == (4, 4)
    assert max(needs.halo) <= 13
    assert not needs.normalises_per_tile


def test_what_was_measured_makes_the_classes_of_the_whole_image():
    for network, align in ((PLAIN[12], 1), (UNET, 4)):
        found = seamlabel.blend(IMAGE, network, finalize="argmax", tile_shape=64, overlap="measure")
        assert found.grid.align == (align, align)
        assert np.array_equal(found.values, whole(network, align))


@pytest.mark.parametrize(("network", "align"), [(PLAIN[5], 1), (UNET, 4)])
def test_the_grid_that_was_measured_makes_the_classes_of_the_whole_image(network, align):
    needs = measure_model(network, IMAGE[:288, :288], 2)
    grid = needs.grid(IMAGE.shape, 70)
    assert grid.patch == ((70, 70) if align == 1 else (72, 72))
    out = np.zeros((CLASSES, *IMAGE.shape), np.float32)
    padded = Padded(lambda box: IMAGE[box.slices], IMAGE.shape, "reflect", grid.padding)
    for _ in predict(Blend(grid, out), padded.read, network):
        pass
    assert np.array_equal(out.argmax(0), whole(network, align))
    with pytest.raises(ValueError, match="no longer than twice the overlap"):
        needs.grid(IMAGE.shape, 2 * needs.overlap[0])


def test_no_grid_is_made_for_a_model_that_normalises_each_tile():
    needs = measure_model(lambda tile: tile - tile.mean(), IMAGE[:288, :288], 2)
    with pytest.raises(ValueError, match="no grid will make them agree"):
        needs.grid(IMAGE.shape, 128)
