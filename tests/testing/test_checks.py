from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from scipy import ndimage

from seamlabel import backend, registry
from seamlabel.errors import BackendError, SpecError
from seamlabel.registry import Backend
from seamlabel.testing import check_backend


def good(image):
    return ndimage.label(image > 1500)[0]


BUILT_IN = [
    ("threshold", {"smoothing": 2, "min_size": 20}),
    ("threshold", {"method": "li", "background": 9}),
    ("threshold", {"method": "triangle", "dark": True, "background": 9}),
    ("threshold", {"method": "local mean", "window": 17, "dark": True}),
    ("threshold", {"method": "local gaussian", "window": 17, "offset": 20}),
    ("watershed", {"diameter": 12}),
    ("watershed", {"diameter": 12, "seeds": "intensity", "method": "local mean", "window": 15}),
    ("watershed", {"diameter": 12, "seeds": "markers"}),
    ("watershed", {"diameter": 12, "seeds": "markers", "background": 8}),
    ("blobs", {"diameter": 5, "largest": 9}),
    ("blobs", {"diameter": 9, "kind": "dog", "labels": "regions", "background": 5}),
    ("blobs", {"diameter": 5, "kind": "dog", "dark": True}),
    ("function", {"target": f"{__name__}:good"}),
]


@pytest.mark.parametrize("axes", ["yx", "zyx"])
@pytest.mark.parametrize(("name", "params"), BUILT_IN, ids=str)
def test_the_built_in_backends_pass(name, params, axes):
    check_backend(name, params, axes=axes, channels=2 if params.get("seeds") == "markers" else 1)


def test_a_plain_function_passes():
    check_backend(good)
    check_backend(lambda image: good(image[1]), channels=2)


def in_place(image):
    image[image < 5] = 0
    image += 1
    return good(image)


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        return good(image) * self.calls


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda image: good(image)[1:], "shape"),
        (lambda image: good(image) / 2, "float"),
        (lambda image: -good(image), "negative"),
        (lambda image: None, "shape"),
        (in_place, "changed"),
        (Counting(), "second call"),
        (lambda image: good(image) if image.any() else image[0], "zeros: labels have shape"),
    ],
)
def test_a_breach_of_the_contract_is_named(function, reason):
    with pytest.raises(AssertionError, match=reason):
        check_backend(function)


class Locked:
    """Cannot be pickled; well made, as it lets one thread in at a time."""

    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, image):
        with self.lock:
            return good(image)


def one_thread_only(image):
    return good(image) * (1 if threading.current_thread() is threading.main_thread() else 2)


def only_large(image):
    if image.shape[-1] < 40:
        raise ValueError("too small for the network")
    return good(image)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (Locked(), "cannot be pickled for other processes"),
        (one_thread_only, "two threads at once gave other labels"),
        (only_large, "on a small piece: ValueError: too small for the network"),
        (lambda image: good(image) if image.std() else good(image)[0], "on an image of zeros: labels have"),
    ],
)
def test_what_fails_only_in_a_run_is_found_out(function, reason):
    with pytest.raises(AssertionError, match=reason):
        check_backend(function)


@dataclass(frozen=True)
class Params:
    radius: Annotated[int, {}] = 3


def per_tile_threshold(params, context):
    return lambda image: ndimage.label(image > image.mean())[0]


def test_a_backend_that_depends_on_the_whole_tile_is_found_out():
    place = f"{__name__}:"
    registry.register(Backend("per tile", "", f"{place}Params", f"{place}per_tile_threshold"))
    try:
        with pytest.raises(AssertionError, match="radius of 3 voxels from a cut across axis 0"):
            check_backend("per tile")
    finally:
        del registry._registry["per tile"]


def pooled(tile, step: int = 8):
    """Depends on where in a grid of pools of 8 voxels something lies, as networks that pool do."""
    blocks = tile[tuple(slice(None, n // step * step) for n in tile.shape)] > 1500
    for axis in range(tile.ndim):
        blocks = np.maximum.reduceat(blocks, range(0, blocks.shape[axis], step), axis)
    for axis in range(tile.ndim):
        blocks = blocks.repeat(step, axis)
    blocks = np.pad(blocks, [(0, n - m) for n, m in zip(tile.shape, blocks.shape, strict=True)])
    return ndimage.label(blocks, np.ones((3,) * tile.ndim))[0]


@pytest.fixture
def registered():
    before = dict(registry._registry)
    yield
    registry._registry.clear()
    registry._registry.update(before)


@pytest.mark.usefixtures("registered")
def test_a_grid_of_a_network_is_kept_where_it_is_declared_and_found_out_where_not():
    backend("pooled", radius=8, align=8)(pooled)
    check_backend("pooled")
    backend("unaligned", radius=8)(pooled)
    with pytest.raises(AssertionError, match="labels above it differ"):
        check_backend("unaligned")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"radius": lambda p: 1 / p.n}, "with n = 0 its radius raises ZeroDivisionError"),
        ({"radius": lambda p: "wide"}, "its radius is 'wide', not a number of voxels"),
        ({"align": 0}, "align is 0, not 1 or more"),
        ({"diameter": lambda p: float("inf")}, "its diameter is inf"),
    ],
)
def test_parameters_that_do_not_say_what_they_should_are_found_out(about, reason):
    def cells(tile, n: Annotated[int, {"min": 0, "max": 9}] = 3):
        return good(tile)

    backend("odd", **about)(cells)
    with pytest.raises(AssertionError, match=reason):
        check_backend("odd")


@pytest.mark.usefixtures("registered")
def test_a_default_out_of_its_own_range_is_found_out():
    def cells(tile, n: Annotated[int, {"min": 5, "max": 9}] = 3):
        return good(tile)

    backend("odd")(cells)
    with pytest.raises(AssertionError, match=r"a default is not a good value: params\.n: 3 is out of range"):
        check_backend("odd")


def test_wrong_parameters_and_names_are_told():
    with pytest.raises(SpecError, match="smoothing"):
        check_backend("threshold", {"smoothing": -1})
    with pytest.raises(BackendError, match="no backend"):
        check_backend("treshold")


def test_the_image_can_be_given():
    image = np.zeros((30, 40), np.float32)
    image[5:9, 5:9] = np.nan
    image[12:20, 3:33] = 1
    check_backend("threshold", image=image)
