from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel.backends.blobs import BlobsParams, make
from seamlabel.backends.spots import response, sigma_of
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.sources import image_info, open_source
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.registry import backend
from seamlabel.testing import same_partition

KINDS = ["log", "dog"]


def segmenter(image, scale=(), **params):
    spacing = tuple(s / min(scale) for s in scale) or (1.0,) * image.ndim
    context = SegmentContext(
        "zyx"[-image.ndim :],
        image.dtype.name,
        scale,
        statistics=lambda i: ImageStatistics.of(image),
        filtered=lambda i, function: ImageStatistics.of(function(image, spacing)),
    )
    return make(BlobsParams(**params), context)


def gaussians(shape, places, sigmas, scale=(), noise=4.0, seed=0):
    """Spots of height 200 on a background of 100 with noise."""
    scale = scale or (1.0,) * len(shape)
    image = np.random.default_rng(seed).normal(100, noise, shape)
    where = np.indices(shape).astype(float)
    for place, sigma in zip(places, np.broadcast_to(sigmas, len(places)), strict=True):
        away = sum(((w - p) * s) ** 2 for w, p, s in zip(where, place, scale, strict=True))
        image += 200 * np.exp(-away / (2 * sigma**2))
    return image.clip(0, 60000).astype(np.uint16)


def scattered(shape, count, gap, seed=0):
    """Places that are at least `gap` apart."""
    rng, places = np.random.default_rng(seed), []
    while len(places) < count:
        place = rng.integers(4, np.array(shape) - 4)
        if all(((place - other) ** 2).sum() >= gap**2 for other in places):
            places.append(place)
    return np.array(places)


@pytest.mark.parametrize("labels", ["discs", "regions"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_spot_is_found_once_and_nothing_else(kind, labels):
    places = scattered((150, 200), 60, 11)
    image = gaussians((150, 200), places, 2.0)
    found = segmenter(image, kind=kind, labels=labels, diameter=6)(image)
    assert found.dtype == np.int32
    assert found.max() == 60
    assert len(set(found[tuple(places.T)]) - {0}) == 60


@pytest.mark.parametrize("kind", KINDS)
def test_spots_of_many_sizes_get_discs_of_theirs(kind):
    places = np.array([[30, 30], [30, 80], [30, 140]])
    radii = np.array([3, 7, 14])
    y, x = np.indices((60, 180))
    image = np.full((60, 180), 100, np.uint16)
    for (py, px), r in zip(places, radii, strict=True):
        image[(y - py) ** 2 + (x - px) ** 2 <= r * r] = 300
    found = segmenter(image, kind=kind, diameter=5, largest=32)(image)
    own = found[tuple(places.T)]
    assert sorted(own) == [1, 2, 3] == sorted(set(found.ravel()) - {0})
    sizes = np.sqrt(np.bincount(found.ravel())[own] / np.pi)
    assert np.all(np.abs(sizes / radii - 1) < 0.35)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_response_to_a_spot_of_height_1_is_1(kind, ndim):
    sigma = sigma_of(14, ndim)
    where = np.indices((61,) * ndim) - 30.0
    spot = np.exp(-(where**2).sum(0) / (2 * sigma**2)).astype(np.float32)
    found = response(spot, kind, 14, (1.0,) * ndim)
    assert found[(30,) * ndim] == pytest.approx(1, abs=0.03)
    assert not response(np.full_like(spot, 7), kind, 14, (1.0,) * ndim).any()


def test_dark_spots_are_those_of_the_negative():
    image = gaussians((90, 90), scattered((90, 90), 15, 12), 2.0)
    bright = segmenter(image)(image)
    dark = segmenter(1000 - image, dark=True)(1000 - image)
    assert bright.max() == 15
    assert np.array_equal(bright, dark)


def test_spots_on_an_uneven_background_are_found():
    places = scattered((80, 184), 30, 12)
    image = gaussians((80, 200), places, 2.0) + np.linspace(0, 2500, 200).astype(np.uint16)
    assert segmenter(image)(image).max() < 5  # of a range that the background makes large
    found = segmenter(image, background=6)(image)[:, :190]  # a mirrored ramp has a ridge at its end
    assert len(np.unique(found)) == 31


@pytest.mark.parametrize("kind", KINDS)
def test_planes_that_lie_apart_are_counted_so(kind):
    shape, scale = (12, 70, 80), (4.0, 1.0, 1.0)
    places = np.array([[6, 20, 20], [3, 40, 60], [8, 55, 25]])
    image = gaussians(shape, places, 3.0, scale)
    found = segmenter(image, scale, kind=kind, diameter=10)(image)
    assert found.max() == 3
    thick = [np.ptp(np.argwhere(found == n), axis=0) + 1 for n in (1, 2, 3)]
    assert all(t[0] == 3 and t[1] == t[2] == 11 for t in thick)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_an_even_image_has_no_spots(dtype):
    image = np.ones((30, 40), dtype)
    for params in ({}, {"dark": True}, {"background": 3}, {"labels": "regions", "threshold": 0}):
        assert not segmenter(image, **params)(image).any()


def test_pixels_that_are_not_finite_are_background():
    image = gaussians((60, 60), [[30, 30]], 2.0).astype(np.float32)
    image[28:30] = np.nan
    found = segmenter(image)(image)
    assert not found[28:30].any()


def test_sizes_in_the_wrong_order_are_refused():
    params, problems = backend("blobs").parse({"diameter": 9, "largest": 5})
    assert params is None
    assert "less than the smallest" in str(problems[0])


PARAMS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "labels": st.sampled_from(["discs", "regions"]),
        "diameter": st.sampled_from([1.0, 3.0, 4.7]),
        "largest": st.sampled_from([None, 5.0, 8.3]),
        "threshold": st.sampled_from([0.02, 0.2]),
        "background": st.sampled_from([0, 3]),
        "dark": st.booleans(),
    }
)


@given(PARAMS, st.integers(50, 140), st.sampled_from([((40, 170), ()), ((9, 24, 150), (2.6, 1.0, 1.0))]))
def test_labels_beyond_the_radius_of_a_cut_are_those_of_the_whole(params, cut, kind):
    """On noise, where spots overlap and outdo each other everywhere."""
    shape, scale = kind
    noise = np.random.default_rng(cut).standard_normal(shape)
    image = (ndimage.gaussian_filter(noise, 1) * 500 + 2000).astype(np.uint16)
    segment = segmenter(image, scale, **params)
    lost = segment.params.radius
    if 2 * lost >= shape[-1] - cut:
        return
    part = (..., slice(cut, None))
    whole, tile = segment(image)[part][..., lost:], segment(np.ascontiguousarray(image[part]))[..., lost:]
    assert np.array_equal(whole > 0, tile > 0)
    assert same_partition(*(_pieces(labels) for labels in (whole, tile)))


def _pieces(labels):
    from skimage.measure import label

    return label(labels, background=0)


@pytest.mark.parametrize("params", [{"diameter": 4, "largest": 8}, {"labels": "regions", "background": 5}])
@pytest.mark.parametrize("shape", [(140, 200), (12, 70, 90)])
def test_tiled_is_whole_with_the_overlap_that_it_asks_for(params, shape):
    image = gaussians(shape, scattered(shape, 90, 6), np.linspace(1.5, 3, 90))
    result = seamlabel.segment(
        image, "blobs", params=params, tile_shape=(8, 40, 40)[-len(shape) :], progress=False
    )
    whole = whole_image_labels(result.plan, open_source(image, image_info(image), 0, ()))
    assert whole.max() > 40
    assert same_partition(whole, np.asarray(result.labels))
