from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context
from typing import get_args, get_type_hints

import numpy as np
import psutil
import pytest

from seamlabel.backends import BACKENDS
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.parameters import options
from seamlabel.protocols import SegmentContext
from seamlabel.testing.cells import Tissue


@pytest.mark.parametrize("record", BACKENDS, ids=lambda record: record.name)
def test_every_parameter_has_a_label_a_tooltip_and_a_default_in_range(record):
    hints = get_type_hints(record.params_type(), include_extras=True)
    values = {"function": {"target": "a:b"}, "torch": {"model": "a"}, "bioimageio": {"model": "a"}}
    values = values.get(record.name, {})
    params, problems = record.parse(values)
    assert not problems
    for field in fields(params):
        assert {"label", "tooltip"} <= set(options(hints[field.name]))
        kinds = set(get_args(get_args(hints[field.name])[0])) | {get_args(hints[field.name])[0]}
        if kinds & {int, float}:
            assert {"min", "max", "unit"} <= set(options(hints[field.name])), field.name
    assert record.parse(vars(params)) == (params, [])


class Peak:
    """Watches the memory of this process in a thread, as numbers of numpy alone miss C's."""

    def __enter__(self):
        from threading import Event, Thread

        self.process, self.stop = psutil.Process(), Event()
        self.before = self.highest = self.process.memory_info().rss
        self.thread = Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.stop.wait(0.002):
            self.highest = max(self.highest, self.process.memory_info().rss)

    def __exit__(self, *args):
        self.stop.set()
        self.thread.join()


MOST = [
    ("threshold", {}),
    ("threshold", {"background": 20, "smoothing": 0, "method": "local mean"}),
    ("watershed", {}),
    ("watershed", {"seeds": "markers", "background": 20}),
    ("blobs", {"diameter": 5, "largest": 12}),
    ("blobs", {"kind": "dog", "labels": "regions", "background": 20}),
]


def taken(name, given):
    """Return the bytes that a method takes at most for a volume, and its voxels."""
    record = next(record for record in BACKENDS if record.name == name)
    image = Tissue((40, 200, 250), "tissue3d").image()
    channels = ("0", "1") if given.get("seeds") == "markers" else ("0",)
    context = SegmentContext(
        "zyx",
        "uint16",
        channels=channels,
        statistics=lambda i: ImageStatistics.of(image),
        filtered=lambda i, function: ImageStatistics.of(function(image, (1, 1, 1))),
    )
    segment = record.make(record.parse({"min_size": 9, **given})[0], context)
    tile = image if len(channels) == 1 else np.stack([image, image])
    segment(tile[..., :5, :20, :20])
    with Peak() as peak:
        segment(tile)
    return peak.highest - peak.before, image.size


@pytest.fixture(scope="module")
def alone():
    """A process in which nothing else takes memory or gives it back."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize(("name", "given"), MOST)
def test_memory_stays_within_what_the_declaration_says(alone, name, given):
    found, voxels = alone.submit(taken, name, given).result()
    assert found < next(record for record in BACKENDS if record.name == name).bytes_per_voxel * voxels
