"""A small tissue and its OME-Zarr, for tests that run on it; others have an image of their own."""

from __future__ import annotations

import numpy as np
import pytest

from seamlabel.io.ngff.images import write_image
from seamlabel.testing.cells import Tissue


@pytest.fixture(scope="module")
def pixels():
    return np.ascontiguousarray(Tissue((520, 600), "dense", seed=2).image()[::2, ::2])


@pytest.fixture
def image(tmp_path, pixels):
    path = tmp_path / "image.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx", levels=2)
    return str(path)
