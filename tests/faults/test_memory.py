"""Memory that runs out lowers how many tiles are segmented at once, and is no failure but of a tile alone."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.faults.crowds import Crowd
from tests.faults.memory_peaks import FUNCTION_BYTES, measure
from tests.faults.strikes import bright

import seamlabel
from seamlabel.api import sample
from seamlabel.errors import IncompleteError
from seamlabel.events import WorkersReduced
from seamlabel.testing.cells import Tissue

FIELDS = {"tile_shape": 48, "overlap": 8, "progress": False}
CASES = [
    ("threads", "MemoryError"), ("threads", "OutOfMemoryError"), ("processes", "OutOfMemoryError"),
    ("processes", "kill"), ("dask", "MemoryError"),
]  # fmt: skip


@pytest.fixture(scope="module")
def pixels():
    return Tissue((240, 240), "dense").image()


@pytest.fixture(scope="module")
def whole(pixels):
    return np.asarray(seamlabel.segment(pixels, bright, **FIELDS).labels)


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize(("executor", "end"), CASES)
def test_fewer_tiles_at_once_where_memory_runs_out(tmp_path, pixels, whole, executor, end, most):
    if end == "kill" and sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    seen = []
    result = seamlabel.segment(
        pixels,
        Crowd(str(tmp_path), most, end),
        executor=executor,
        workers=4,
        retries=0,
        on_event=seen.append,
        **FIELDS,
    )
    assert np.array_equal(np.asarray(result.labels), whole)
    reduced = [event.workers for event in seen if isinstance(event, WorkersReduced)]
    assert reduced
    assert reduced == sorted(reduced, reverse=True)
    assert len(set(reduced)) == len(reduced)


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_a_tile_that_does_not_fit_alone_fails(tmp_path, pixels, executor):
    output = tmp_path / "labels.zarr"
    fields = {**FIELDS, "executor": executor, "retries": 0, "output": output}
    marked = np.minimum(pixels, 50_000)
    marked[120, 120] = 60_000
    with pytest.raises(IncompleteError) as failed:
        seamlabel.segment(marked, big_tile, **fields)
    (reason,) = failed.value.failed.values()
    assert "MemoryError: too big" in reason


def big_tile(tile):
    if tile.max() == 60_000:
        raise MemoryError("too big")
    return bright(tile)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return sample(tmp_path_factory.mktemp("peaks") / "image.zarr", (2048, 2048))


@pytest.mark.skipif(sys.platform != "linux", reason="shared memory is told apart on Linux only")
@pytest.mark.parametrize(
    ("method", "executor"), [("function", "threads"), ("function", "processes"), ("threshold", "threads")]
)
def test_a_run_takes_no_more_memory_than_planned(image, method, executor):
    peak = measure(image, method, executor, tile=1024)
    assert peak.workers == 2
    assert 2 * FUNCTION_BYTES * 1024**2 * (method == "function") < peak.measured <= peak.planned, str(peak)
