"""The watershed from markers of a second channel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seamlabel
from seamlabel.backends.watershed import WatershedParams, make
from seamlabel.engine.whole import whole_image_labels
from seamlabel.errors import BackendError, SpecError
from seamlabel.io.sources import image_info, open_source
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing import Tissue, same_partition

MARKERS = {"seeds": "markers", "diameter": 20, "smoothing": 0}


def marked(shape, seed=0, anisotropy=1):
    """Cells, their true labels, and a channel with a nucleus in the middle of each, some of two parts."""
    tissue = Tissue(shape, "tissue3d" if len(shape) == 3 else "dense", 18, seed, anisotropy)
    truth = tissue.truth()
    nuclei = np.full(shape, 100, np.uint16)
    for cell in range(1, int(truth.max()) + 1):
        inside = np.argwhere(truth == cell)
        if len(inside) > 60:
            middle = np.round(inside.mean(0)).astype(int)
            nuclei[tuple(slice(max(0, m - 1), m + 2) for m in middle)] = 3000
    return np.stack([tissue.image(), nuclei]), truth


def segmenter(image, scale=(), **params):
    context = SegmentContext(
        "zyx"[-(image.ndim - 1) :],
        image.dtype.name,
        scale,
        ("cells", "nuclei"),
        lambda i: ImageStatistics.of(image[i]),
    )
    return make(WatershedParams(**{**MARKERS, **params}), context)


def test_every_nucleus_gets_its_cell():
    image, truth = marked((120, 160))
    found = segmenter(image, value=900.0)(image)
    names = np.unique(truth[image[1] > 1000])
    assert abs(int(found.max()) - len(names)) <= 1  # two nuclei of small cells may touch
    assert np.mean([best_overlap(truth == name, found) > 0.5 for name in names]) > 0.9


def test_nuclei_that_lie_in_the_dark_are_cells_too_and_bright_without_them_is_none():
    image = np.zeros((2, 60, 90), np.uint16)
    image[0, 10:30, 10:30] = image[0, 10:30, 50:70] = 500
    image[1, 18:22, 18:22] = image[1, 45:49, 45:49] = 900
    found = segmenter(image)(image)
    assert found.max() == 2
    assert (found == found[20, 20]).sum() == 400
    assert (found == found[46, 46]).sum() == 16
    assert not found[:, 50:70][:30].any()


def test_a_cell_ends_a_diameter_from_its_marker():
    image = np.zeros((2, 5, 100), np.uint16)
    image[0] = 500
    image[1, :, :3] = 900
    found = segmenter(image, value=100.0, diameter=12)(image)
    assert np.flatnonzero(found[2]).max() == 14


def best_overlap(cell, labels):
    """Return the largest intersection over union of a cell with a label."""
    inside = np.bincount(labels[cell], minlength=2)[1:]
    name = int(inside.argmax()) + 1
    return inside.max() / (cell | (labels == name)).sum()


@given(st.integers(0, 3), st.integers(70, 130), st.sampled_from([(60, 190), (10, 40, 190)]))
def test_labels_beyond_the_radius_of_a_cut_are_those_of_the_whole(seed, cut, shape):
    image, _ = marked(shape, seed, anisotropy=2 if len(shape) == 3 else 1)
    scale = (2.0, 1.0, 1.0)[-len(shape) :]
    segment = segmenter(image, scale, diameter=15)
    keep = cut - segment.params.radius
    whole, tile = segment(image)[..., :keep], segment(image[..., :cut])[..., :keep]
    assert same_partition(whole, tile)


@pytest.mark.parametrize("shape", [(150, 190), (14, 60, 80)])
def test_tiled_is_whole_with_the_overlap_that_it_asks_for(shape):
    image, _ = marked(shape, 1)
    axes = "c" + "zyx"[-len(shape) :]
    result = seamlabel.segment(
        image,
        "watershed",
        params={**MARKERS, "background": 12},
        axes=axes,
        channels=[0, 1],
        tile_shape=(8, 40, 40)[-len(shape) :],
        progress=False,
    )
    source = open_source(image, image_info(image, axes=axes), 0, (0, 1))
    whole = whole_image_labels(result.plan, source)
    assert whole.max() > 20
    assert same_partition(whole, np.asarray(result.labels))


def test_another_number_of_channels_is_a_problem_of_the_plan():
    image, _ = marked((40, 50))
    asked = {"axes": "cyx", "progress": False}
    with pytest.raises(SpecError, match="takes 2 with these parameters, not 1"):
        seamlabel.segment(image, "watershed", params=MARKERS, channels=[0], **asked)
    with pytest.raises(SpecError, match="takes 1 with these parameters, not 2"):
        seamlabel.segment(image, "watershed", channels=[0, 1], **asked)
    with pytest.raises(BackendError, match="takes 2 channels, not 1"):
        make(WatershedParams(seeds="markers"), SegmentContext("yx", "uint8"))
