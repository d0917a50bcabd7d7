from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from scipy import ndimage

from seamlabel import registry
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
