"""Runs that are held: nothing new is begun, what is under way ends, and the run goes on afterwards."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.engine.remerge import remerge
from seamlabel.engine.run import run
from seamlabel.events import Heartbeat, RunFinished, StageStarted, TileDone, TileFailed
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.testing import same_partition
from seamlabel.testing.cells import Tissue

EXECUTORS = ["serial", "threads", "processes", "dask"]


def bright(tile):
    return ndimage.label(tile > 2000, np.ones((3, 3)))[0]


@pytest.fixture(scope="module")
def pixels():
    return Tissue((320, 300), "dense").image()


@pytest.fixture
def image(tmp_path, pixels):
    path = tmp_path / "image.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx")
    return str(path)


def plan_of(image, **fields):
    fields = {"params": {"value": 2000, "smoothing": 0}, "tile_shape": 64, "overlap": 8, **fields}
    return seamlabel.resolve(seamlabel.RunSpec(image=image, **fields), image_info(image))


class Held:
    """What `hold` asks."""

    def __init__(self):
        self.now = False

    def __call__(self):
        return self.now


class Gate:
    """A method whose tiles wait until they may go on."""

    def __init__(self):
        self.begun, self.open = 0, threading.Event()

    def __call__(self, tile):
        self.begun += 1
        self.open.wait(30)
        return bright(tile)


def until(events, stop):
    """Return events up to the first that fulfils a condition."""
    seen = []
    for event in events:
        seen.append(event)
        if stop(event):
            return seen
    raise AssertionError("the run ended")


def idle(event):
    return isinstance(event, Heartbeat) and not event.running


def count(events, kind):
    return sum(isinstance(event, kind) for event in events)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_held_run_begins_nothing_and_goes_on_when_it_is_let_go(image, pixels, executor):
    held = Held()
    events = run(plan_of(image, executor=executor, workers=2), hold=held)
    before = until(events, lambda event: isinstance(event, TileDone))
    held.now = True
    ending = until(events, idle)
    assert count(ending, TileDone) <= 2 * 2
    rest = [next(events) for _ in range(3)]
    assert all(idle(event) for event in rest)
    assert {event.done for event in rest} == {count(before + ending, TileDone)}
    held.now = False
    after = list(events)
    assert isinstance(after[-1], RunFinished)
    assert count(before + ending + after, TileDone) == 25
    assert same_partition(np.asarray(open_labels(after[-1].path)[0]), bright(pixels))


def test_tiles_that_wait_in_the_executor_are_not_begun_either(image):
    held, gate = Held(), Gate()
    events = run(plan_of(image, workers=2), segmenter=gate, hold=held)
    until(events, lambda event: isinstance(event, Heartbeat) and len(event.running) == 2)
    held.now = True
    beat = next(events)  # the first that is told while it is held
    assert len(beat.running) == 2
    gate.open.set()
    ended = until(events, idle)
    assert gate.begun == count(ended, TileDone) == 2
    held.now = False
    assert isinstance(list(events)[-1], RunFinished)
    assert gate.begun == 25


def test_quick_tiles_in_the_coordinators_own_thread_are_held_at_once(image):
    held = Held()
    events = run(plan_of(image, tile_shape=16, executor="serial"), hold=held)
    until(events, lambda event: isinstance(event, TileDone) and event.done == 100)
    held.now = True
    assert not count(until(events, idle), TileDone)
    assert idle(next(events))
    held.now = False
    assert isinstance(list(events)[-1], RunFinished)


def test_a_run_may_be_held_before_its_first_tile_and_closed_while_it_is(image):
    held, gate = Held(), Gate()
    held.now = True
    events = run(plan_of(image), segmenter=gate, hold=held)
    until(events, lambda event: isinstance(event, StageStarted))
    assert idle(next(events))
    events.close()
    assert gate.begun == 0


def test_a_tile_that_fails_is_tried_again_only_after_the_hold(image):
    held, tries = Held(), []

    def shaky(tile):
        tries.append(held.now)
        if len(tries) == 1:
            held.now = True
            raise ValueError("not now")
        return bright(tile)

    events = run(plan_of(image, executor="serial", retries=1), segmenter=shaky, hold=held)
    seen = until(events, idle)
    assert not count(seen, TileFailed)
    assert tries == [False]
    held.now = False
    assert list(events)[-1].failed == {}
    assert len(tries) == 26
    assert not any(tries)


def test_time_limits_count_while_a_run_is_held(image):
    held, gate = Held(), Gate()
    events = run(plan_of(image, workers=2, timeout=1.0, retries=0), segmenter=gate, hold=held)
    until(events, lambda event: isinstance(event, Heartbeat) and len(event.running) == 2)
    held.now = True
    seen = until(events, lambda event: isinstance(event, TileFailed) and event.done == 0)
    seen += until(events, idle)
    assert count(seen, TileFailed) == 2
    gate.open.set()
    events.close()


def test_tiles_that_are_segmented_again_are_held_too(image):
    kept = seamlabel.segment(image, tile_shape=64, overlap=8, keep=True, progress=False)
    held = Held()
    held.now = True
    events = remerge(kept.run_dir, again=[0, 7], hold=held)
    until(events, idle)
    held.now = False
    rest = list(events)
    assert count(rest, TileDone) == 2
    assert isinstance(rest[-1], RunFinished)
