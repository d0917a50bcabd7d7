"""Local thresholds and background removal, of tiles and of whole images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_local
from skimage.morphology import white_tophat

import seamlabel
from seamlabel.backends.pixels import TopHat
from seamlabel.backends.threshold import ThresholdParams, make
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.sources import image_info, open_source
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.registry import backend
from seamlabel.testing import Tissue, same_partition


def context_of(image, scale=()):
    spacing = tuple(s / min(scale) for s in scale) or (1.0,) * image.ndim
    return SegmentContext(
        "zyx"[-image.ndim :],
        image.dtype.name,
        scale,
        statistics=lambda i: ImageStatistics.of(image),
        filtered=lambda i, function: ImageStatistics.of(function(image, spacing)),
    )


def segmenter(image, scale=(), **params):
    return make(ThresholdParams(**params), context_of(image, scale))


def uneven(shape, seed=0):
    """Cells on a background that is far brighter at one end than cells are at the other."""
    cells = Tissue(shape, "sparse", diameter=10, seed=seed).image().astype(np.float64) / 40
    ramp = 10 * np.arange(shape[-1])
    return (cells + ramp).astype(np.uint16)


def test_local_thresholds_are_those_of_scikit_image():
    image = uneven((90, 150))
    pixels = image.astype(float)
    for method, name in (("local mean", "mean"), ("local gaussian", "gaussian")):
        found = segmenter(image, method=method, window=31, offset=7.5, smoothing=0)(image)
        theirs = pixels > threshold_local(pixels, 31, name, offset=-7.5)
        assert (theirs != (found > 0)).mean() < 1e-3  # float32 here, so that even areas are exact


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("method", ["local mean", "local gaussian"])
@pytest.mark.parametrize("value", [7, 3000, 0.1])
def test_an_even_image_has_nothing_beyond_its_surroundings(method, dark, value):
    image = np.full((40, 50), value, np.float32)
    for smoothing in (0, 1):
        segment = segmenter(image, method=method, window=21, smoothing=smoothing, dark=dark)
        assert not segment(image).any()


def test_background_is_removed_as_scikit_image_does():
    image = uneven((60, 80))
    ours = TopHat(7)(image, ())
    assert np.array_equal(ours, white_tophat(image, np.ones((15, 15)), mode="reflect"))
    assert np.array_equal(TopHat(7, dark=True)(-ours, ()), -TopHat(7)(ours, ()))


def test_pixels_that_are_not_finite_stay_so():
    image = np.ones((30, 30))
    image[3, 4] = np.nan
    found = TopHat(3)(image, ())
    assert np.isnan(found[3, 4])
    assert np.isfinite(found).sum() == 899


@pytest.mark.parametrize("method", ["otsu", "li"])
def test_cells_on_an_uneven_background_are_found_once_it_is_removed(method):
    image = uneven((120, 300))
    truth = Tissue((120, 300), "sparse", diameter=10).truth() > 0
    inner = np.s_[:, 20:280]  # a mirrored ramp has a ridge at its end
    for params in ({"background": 10}, {"method": "local gaussian", "window": 41, "offset": 15}):
        found = segmenter(image, **{"method": method, **params})(image) > 0
        assert (found & truth)[inner].sum() / (found | truth)[inner].sum() > 0.6
    assert segmenter(image, method=method)(image).max() < 40
    dark = (6000 - image).astype(np.uint16)
    found = segmenter(dark, method=method, background=10, dark=True)(dark) > 0
    assert (found & truth)[inner].sum() / (found | truth)[inner].sum() > 0.6


PARAMS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["otsu", "li", "triangle", "local mean", "local gaussian"]),
        "window": st.integers(3, 25),
        "offset": st.sampled_from([0.0, 5.0, -3.0]),
        "smoothing": st.sampled_from([0, 0.7, 1.5]),
        "background": st.sampled_from([0, 4, 7.5]),
        "dark": st.booleans(),
    }
)


@given(PARAMS, st.integers(60, 110), st.sampled_from([((40, 120), ()), ((12, 20, 120), (3.0, 1.0, 1.0))]))
def test_labels_beyond_the_radius_of_a_cut_are_those_of_the_whole(params, cut, kind):
    shape, scale = kind
    image = uneven(shape)
    segment = segmenter(image, scale, **params)
    keep = cut - segment.params.radius
    if keep <= 0:
        return
    whole, tile = segment(image)[..., :keep], segment(image[..., :cut])[..., :keep]
    assert np.array_equal(whole > 0, tile > 0)


@pytest.mark.parametrize("method", ["local mean", "local gaussian"])
def test_a_voxel_less_than_the_radius_does_not_do(method):
    image = np.full((1, 80), 10, np.uint16)
    image[0, 40] = 60000
    segment = segmenter(image, method=method, window=21, smoothing=0, dark=True)
    reached = np.flatnonzero(segment(image))  # darker than a mean that has seen the bright one
    assert 40 - reached.min() <= segment.params.radius
    assert 40 - reached.min() >= segment.params.radius - (4 if method == "local gaussian" else 0)


def test_planes_that_lie_apart_are_blurred_less_across():
    image = np.zeros((9, 21, 21), np.uint8)
    image[4, 10, 10] = 200
    around = segmenter(image, (4, 1, 1), method="local mean", window=9, smoothing=0, dark=True)(image)
    seen = np.argwhere(around)
    assert np.ptp(seen, axis=0).tolist() == [2, 8, 8]


def test_a_value_and_a_local_method_exclude_each_other():
    for name in ("threshold", "watershed"):
        params, problems = backend(name).parse({"value": 3, "method": "local mean"})
        assert params is None
        assert "exclude each other" in str(problems[0])


def test_a_run_file_from_before_there_were_methods_still_holds():
    values = {"value": 3.0, "smoothing": 2.0, "dark": True, "min_size": 5}
    params, problems = backend("threshold").parse(values)
    assert not problems
    assert params.method == "otsu"
    assert params.radius == 8


@pytest.mark.parametrize(
    "params",
    [
        {"background": 9},
        {"background": 6, "method": "triangle", "dark": True},
        {"method": "local mean", "window": 19, "offset": 30.0},
        {"method": "local gaussian", "window": 19, "background": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(150, 220), (14, 70, 90)])
def test_tiled_is_whole_with_the_overlap_that_it_asks_for(params, shape):
    image = uneven(shape, seed=2)
    result = seamlabel.segment(image, params=params, tile_shape=(8, 40, 40)[-len(shape) :], progress=False)
    source = open_source(image, image_info(image), 0, ())
    whole = whole_image_labels(result.plan, source)
    assert whole.max() > 5
    assert len(result.plan.grid) > 8
    assert same_partition(whole, np.asarray(result.labels))


def test_every_time_point_is_filtered_by_itself():
    """A top-hat across time would take a cell that is there once for one without background."""
    movie = np.stack([uneven((60, 90)), np.zeros((60, 90), np.uint16)])
    result = seamlabel.segment(movie, axes="tyx", params={"background": 10}, progress=False)
    alone = ImageStatistics.of(np.stack([TopHat(10)(plane, ()) for plane in movie])).otsu()
    wanted = ndimage.gaussian_filter(TopHat(10)(movie[0], ()), 1) > alone
    assert np.array_equal(np.asarray(result.labels)[0] > 0, wanted)
