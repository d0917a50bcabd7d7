from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label as connected

from seamlabel.backends.watershed import WatershedParams, make
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing.cells import Tissue
from seamlabel.testing.partition import compare, same_partition

SEEDS = ["distance", "intensity"]


def segmenter(image, scale=(), **params):
    axes = "zyx"[-image.ndim :]
    context = SegmentContext(axes, image.dtype.name, scale, (), lambda i: ImageStatistics.of(image))
    return make(WatershedParams(**params), context)


def found_cells(truth, labels):
    """Share of true cells (slivers at the border left out) that a label matches with IoU > 0.5."""
    found = 0
    names, sizes = np.unique(truth[truth > 0], return_counts=True)
    names = names[sizes > np.median(sizes) / 3]
    for name in names:
        inside = np.bincount(labels[truth == name])
        best = int(inside[1:].argmax()) + 1 if len(inside) > 1 else 0
        union = (truth == name).sum() + (labels == best).sum() - inside[best] if best else 1
        found += bool(best) and inside[best] > 0.5 * union
    return found / len(names)


@pytest.mark.parametrize("seeds", SEEDS)
def test_touching_cells_are_told_apart(seeds):
    tissue = Tissue((400, 400), diameter=32)
    image, truth = tissue.image(), tissue.truth()
    labels = segmenter(image, seeds=seeds)(image)
    assert labels.dtype == np.int32
    assert found_cells(truth, labels) > 0.95
    report = compare(truth, labels)
    assert abs(report.n_a - report.n_b) < 0.05 * report.n_a


@pytest.mark.parametrize("seeds", SEEDS)
def test_cells_in_planes_that_lie_further_apart_are_told_apart(seeds):
    tissue = Tissue((24, 120, 120), "tissue3d", diameter=24, anisotropy=3)
    image = tissue.image()
    labels = segmenter(image, tissue.scale, seeds=seeds, diameter=24)(image)
    assert found_cells(tissue.truth(), labels) > 0.75


def test_two_discs_that_touch_are_two_objects():
    y, x = np.indices((60, 90))
    discs = ((y - 30) ** 2 + (x - 30) ** 2 < 225) | ((y - 30) ** 2 + (x - 57) ** 2 < 225)
    image = discs.astype(np.uint8) * 200
    labels = segmenter(image)(image)
    assert labels.max() == 2
    assert np.array_equal(labels > 0, ndimage.gaussian_filter(image.astype(np.float32), 1) > 0)


def test_dark_cells_with_bright_borders_are_segmented_alike():
    image = Tissue((200, 200), diameter=30).image()
    negative = (6000 - image).astype(np.uint16)
    for seeds in SEEDS:
        bright = segmenter(image, seeds=seeds, value=2000)(image)
        dark = segmenter(negative, seeds=seeds, value=4000, dark=True)(negative)
        report = compare(bright, dark)
        assert report.identical > 0.95 * report.n_a > 20, report


def needed(segment, image, cut):
    """How far from the cuts of a tile, on two sides, labels differ from those of the whole."""
    tile = (..., slice(cut, image.shape[-1] - cut))
    whole, part = segment(image)[tile], segment(np.ascontiguousarray(image[tile]))
    for radius in range(segment.params.radius, -1, -1):
        zone = (..., slice(radius, part.shape[-1] - radius))
        if not same_partition(*(connected(x[zone], background=0) for x in (whole, part))):
            return radius + 1
    return 0


CASES = [
    (Tissue((300, 700), diameter=30), 30),
    (Tissue((300, 700), diameter=48, seed=1), 30),
    (Tissue((200, 500), diameter=20, seed=2), 30),
    (Tissue((200, 300), diameter=12, seed=3), 12),
    (Tissue((300, 500), "sparse", diameter=30), 30),
    (Tissue((20, 80, 260), "tissue3d", diameter=24, anisotropy=2), 24),
]


@pytest.mark.parametrize(("tissue", "diameter"), CASES, ids=str)
@pytest.mark.parametrize("seeds", SEEDS)
def test_labels_beyond_the_radius_of_a_cut_are_those_of_the_whole(tissue, diameter, seeds):
    image = tissue.image()
    segment = segmenter(image, tissue.scale, seeds=seeds, diameter=diameter)
    assert needed(segment, image, image.shape[-1] // 7) <= segment.params.radius


@pytest.mark.parametrize("seeds", SEEDS)
def test_foreground_that_spans_the_image_is_cut_alike(seeds):
    rng = np.random.default_rng(5)
    noise = ndimage.gaussian_filter(rng.standard_normal((250, 500)), 5)
    image = (noise * 20000 + 2000).clip(0, 60000).astype(np.uint16)
    segment = segmenter(image, seeds=seeds, value=2000)
    assert needed(segment, image, 60) <= segment.params.radius


def test_distances_that_a_tile_cannot_know_do_not_count():
    """A wedge with holes, wide on its right: distances in it grow without end, unless capped."""
    y, x = np.indices((400, 700))
    holes = (x // 40 + y // 40) % 7 == 0
    image = ((abs(y - 200) < x // 3) & ~holes).astype(np.uint8) * 200
    segment = segmenter(image, diameter=12, smoothing=0)
    assert needed(segment, image, 90) <= segment.params.radius


@pytest.mark.parametrize(("radius", "cut"), [(36, 78), (40, 78), (40, 86)])
def test_thick_objects_do_not_grow_together_along_a_cut(radius, cut):
    """What is beyond the cut is unknown: no background there for ever would bridge the waist."""
    y, x = np.indices((260, 200))
    away = 0.75 * radius
    image = ((abs(y - 130) - away) ** 2 + (x - 100) ** 2 < radius**2).astype(np.uint8) * 200
    segment = segmenter(image, diameter=30, smoothing=0)
    assert segment(image).max() == 2
    assert segment(np.ascontiguousarray(image[:, cut:])).max() == 2


def test_equal_seeds_do_not_depend_on_the_rest_of_the_image():
    """Binary squares have equal heights throughout: all ties, broken by the order of voxels."""
    rng = np.random.default_rng(0)
    image = np.zeros((120, 400), np.uint8)
    for y, x in product(range(0, 120, 12), range(0, 400, 12)):
        image[y : y + 10 + rng.integers(0, 3), x : x + 10 + rng.integers(0, 3)] = 200
    for seeds in SEEDS:
        segment = segmenter(image, seeds=seeds, diameter=12, smoothing=0)
        assert needed(segment, image, 31) <= segment.params.radius


def test_no_foreground_is_lost_beside_a_larger_object():
    image = np.zeros((60, 60), np.uint8)
    image[10:40, 10:40] = 200
    image[20:23, 42:44] = 200
    labels = segmenter(image, smoothing=0)(image)
    assert np.array_equal(labels > 0, image > 0)
    assert labels[21, 43] not in (0, labels[25, 25])


def test_small_objects_are_removed():
    image = np.zeros((60, 60), np.uint8)
    image[10:40, 10:40] = 200
    image[50:52, 50:52] = 200
    assert segmenter(image, smoothing=0, min_size=5)(image).max() == 1
    assert segmenter(image, smoothing=0, min_size=4)(image).max() == 2


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("value", [None, -1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (40, 40), (3, 20, 20)])
def test_even_images_are_one_object_or_none(seeds, value, shape):
    image = np.zeros(shape, np.uint8)
    labels = segmenter(image, seeds=seeds, value=value)(image)
    assert labels.shape == shape
    assert (labels == (value is not None)).all()


@pytest.mark.parametrize("seeds", SEEDS)
def test_pixels_that_are_not_finite_or_huge_are_no_error(seeds):
    image = Tissue((80, 80), diameter=20).image().astype(np.float64) * 1e30
    image[30:40, 30:40] = np.nan
    labels = segmenter(image, seeds=seeds, diameter=20)(image)
    assert not labels[30:40, 30:40].any()
    assert labels.max() > 5


def test_the_reach_grows_with_diameter_and_smoothing():
    assert WatershedParams().radius == 4 + 60 + 2
    assert WatershedParams(diameter=10, smoothing=2).radius == 8 + 20 + 2
