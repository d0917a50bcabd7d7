from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import psutil
import pytest

from seamlabel.backends import BACKENDS
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.registry import options
from seamlabel.testing.cells import Tissue


@pytest.mark.parametrize("record", BACKENDS, ids=lambda record: record.name)
def test_every_parameter_has_a_label_a_tooltip_and_a_default_in_range(record):
    hints = get_type_hints(record.params_type(), include_extras=True)
    values = {"target": "a:b"} if record.name == "function" else {}
    params, problems = record.parse(values)
    assert not problems
    for field in fields(params):
        assert {"label", "tooltip"} <= set(options(hints[field.name]))
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


@pytest.mark.parametrize("name", ["threshold", "watershed"])
def test_memory_stays_within_what_the_declaration_says(name):
    record = next(record for record in BACKENDS if record.name == name)
    image = Tissue((40, 200, 250), "tissue3d").image()
    context = SegmentContext("zyx", "uint16", statistics=lambda i: ImageStatistics.of(image))
    segment = record.make(record.parse({"min_size": 9})[0], context)
    segment(image[:5, :20, :20])
    with Peak() as peak:
        segment(image)
    assert peak.highest - peak.before < record.bytes_per_voxel * image.size
