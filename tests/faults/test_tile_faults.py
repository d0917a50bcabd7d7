"""Tiles that go wrong, all kinds of them together in one run: the short version of `tile_matrix`."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.faults.strikes import bright
from tests.faults.tile_faults import ERRORS, FAULTS, HANGS, HARMLESS, KILLS, RESULTS, STOPS
from tests.faults.tile_matrix import mended, same, struck_once, survives, wrong
from tests.faults.tile_runs import Bench

import seamlabel
from seamlabel.errors import OutputError
from seamlabel.events import StageStarted
from seamlabel.io import staging
from seamlabel.testing.cells import Tissue

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults are brought about with POSIX signals")


def named(*names):
    return tuple(fault for fault in FAULTS if fault.name in names)


@pytest.fixture
def bench_of(tmp_path):
    """Return what makes an image with faults, and its labels if none strikes."""

    def make(faults):
        bench = Bench(tmp_path / "bench", faults)
        told = bench.run("serial")
        assert (told.end, told.stdout) == ("complete", ""), told
        whole = bench.labels()
        bench.forget()
        return bench, whole

    return make


CASES = {
    "threads": ERRORS + RESULTS + HANGS[:2] + HARMLESS,
    "processes": ERRORS + RESULTS + KILLS + HANGS + HARMLESS,
    "dask": named("exception", "MemoryError", "NaN", "print noise", "_exit(0)", "hang in C with the lock"),
}


@pytest.mark.parametrize("executor", CASES)
def test_failed_tiles_are_named_and_tried_again_once_the_method_is_mended(bench_of, executor):
    faults = CASES[executor]
    assert all(survives(fault, executor) for fault in faults)
    bench, whole = bench_of(faults)
    bench.say("always")
    told = bench.run(executor, retries=0, timeout=3.0, workers=2)
    assert wrong(bench, told, whole) == []
    assert bool(told.stdout) == (executor == "threads")
    assert mended(bench, executor, whole, len(told.failed)) == []


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_fault_that_strikes_once_is_overcome(bench_of, executor):
    few = named("exception", "MemoryError", "out of GPU memory", "BaseException", "print noise")
    bench, whole = bench_of(few + (KILLS if executor == "processes" else ()))
    assert struck_once(bench, executor, whole) == []


@pytest.mark.parametrize("fault", [*named("segfault"), *STOPS], ids=lambda fault: fault.name)
def test_a_run_that_a_method_ended_goes_on(bench_of, fault):
    bench, whole = bench_of([fault])
    bench.say("always")
    told = bench.run("threads", retries=0)
    assert told.end == ("killed" if fault.kind == "kill" else "KeyboardInterrupt")
    assert bench.labels() == []
    assert mended(bench, "threads", whole, 1) == []


def test_a_staged_tile_that_is_gone_is_no_background(tmp_path, monkeypatch):
    pixels = Tissue((240, 240), "dense").image()
    whole = np.asarray(seamlabel.segment(pixels, bright, tile_shape=48, overlap=8, progress=False).labels)
    monkeypatch.setattr(staging, "CACHE_BYTES", 0)
    fields = {"tile_shape": 48, "overlap": 8, "progress": False, "output": tmp_path / "labels.zarr"}
    runs = tmp_path / "labels.zarr.seamlabel"

    def lose(event):
        if isinstance(event, StageStarted) and event.stage == "merge":
            next(runs.glob("labels/staging-*/7.tile")).unlink()

    with pytest.raises(OutputError, match="tile 7 are gone"):
        seamlabel.segment(pixels, bright, on_event=lose, **fields)
    seen = []
    result = seamlabel.segment(pixels, bright, on_event=seen.append, **fields)
    assert np.array_equal(np.asarray(result.labels), whole)
    begun = next(event for event in seen if isinstance(event, StageStarted))
    assert (begun.done, begun.total) == (24, 25)


METHOD = """
import os
import numpy as np
from scipy.ndimage import label

def loud(tile):
    print("{ not JSON")
    os.write(1, b"nor this\\n")
    return label(tile > 2000, np.ones((3, 3)))[0]
"""


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_what_a_method_prints_does_not_spoil_events_in_json(tmp_path, bench_of, executor):
    bench, whole = bench_of([])
    method = tmp_path / "method.py"
    method.write_text(METHOD)
    command = [sys.executable, "-m", "seamlabel", "segment", str(bench.image), "--json", "--tile", "48"]
    command += ["--overlap", "8", "--function", f"{method}:loud", "--executor", executor]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events[0] == "RunStarted"
    assert events[-1] == "RunFinished"
    assert "not JSON" in done.stderr
    assert "nor this" in done.stderr
    assert same(bench.labels(), whole)
    assert np.any(whole[0])
