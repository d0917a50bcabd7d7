"""The promise at scale: 5120² pixels of dense tissue give the labels of the whole image.

Its more than 10,000 cells all touch: the threshold lies below the dim borders between them.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import seamlabel
from seamlabel.api import sample
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels, open_source
from seamlabel.testing import compare
from seamlabel.testing.cells import Tissue

DIAMETER = 34
TOUCHING = {"seeds": "intensity", "diameter": DIAMETER, "value": 1000}


SIZES = [(5120, 512, 10_000), (2937, 555, 2_500)]
"""Sides of image and tile, and a number that its cells exceed."""


@pytest.fixture(scope="module", params=SIZES, ids=lambda p: f"{p[0]}-tiles-of-{p[1]}")
def tissue(request, tmp_path_factory):
    size, tile, least = request.param
    cells = Tissue((size, size), "dense", diameter=DIAMETER)
    path = tmp_path_factory.mktemp("scale") / "tissue.zarr"
    write_image(path, cells.shape, str(cells.dtype), cells.image, axes="yx")
    return str(path), tile, least


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("backend", "params"), [("threshold", {}), ("watershed", TOUCHING)])
def test_tiles_of_dense_tissue_give_the_labels_of_the_whole_image(tissue, backend, params):
    image, tile, least = tissue
    result = seamlabel.segment(image, backend, params=params, tile_shape=tile, name=backend, progress=False)
    whole = whole_image_labels(result.plan, open_source(image, result.plan.info, 0, ()))
    report = compare(np.asarray(open_labels(result.path)[0]), whole)
    assert result.n_objects > least
    assert (report.merges, report.splits, report.foreground_differs) == (0, 0, 0)
    assert report.identical == report.n_a == report.n_b == result.n_objects


@pytest.mark.parametrize(("backend", "params"), [("threshold", {}), ("watershed", {"diameter": 24})])
def test_tiles_of_a_volume_give_the_labels_of_the_whole(tmp_path, backend, params):
    image = sample(tmp_path / "volume.zarr", (40, 200, 220), "tissue3d")
    result = seamlabel.segment(image, backend, params=params, tile_shape=(24, 120, 120), progress=False)
    whole = whole_image_labels(result.plan, open_source(image, image_info(image), 0, ()))
    report = compare(np.asarray(result.labels), whole)
    assert result.n_objects > 20
    assert report.identical == report.n_a == report.n_b


MEASURE = """
import re, resource, sys, seamlabel
seamlabel.segment(sys.argv[1], "threshold", progress=False)
if sys.platform == "darwin":
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
else:  # what getrusage tells is inherited from the process that started this one
    print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]))
"""


@pytest.mark.timeout(600)
def test_memory_stays_under_600_mb_on_an_image_of_16384(tmp_path):
    image = sample(tmp_path / "large.zarr", (16384, 16384), "dense")
    done = subprocess.run([sys.executable, "-c", MEASURE, image], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 600_000_000
