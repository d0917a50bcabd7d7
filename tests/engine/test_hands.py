"""Workers elsewhere: whatever they do twice, late, or not at all, labels are those of the whole image."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Executor, Future

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel.engine import remote
from seamlabel.engine.pools import Pools
from seamlabel.errors import WorkerError
from seamlabel.testing import same_partition

IMAGE = ndimage.gaussian_filter(np.random.default_rng(3).random((120, 90)), 2.5)
IMAGE[:40, 50:] = 0
IMAGE[70:, :25] = 0
TRUTH = ndimage.label(np.median(IMAGE) < IMAGE, np.ones((3, 3)))[0]


class Erratic(Executor):
    """Carries tasks out in any order, some twice, some in vain, and tells their results late.

    Every result comes from another version of the labels.
    """

    def __init__(self, payload, seed):
        self.workers = [remote.install(payload) for _ in range(2)]
        self.random, self.calls = random.Random(seed), []
        self.pending, self.ready = [], []
        self.more, self.ended = threading.Condition(), False
        threading.Thread(target=self.work, daemon=True).start()

    def submit(self, fn, /, *args):
        future = Future()
        with self.more:
            self.pending.append((future, fn, args))
            self.more.notify()
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        with self.more:
            self.ended = True
            self.more.notify()

    def work(self):
        while True:
            with self.more:
                self.more.wait_for(lambda: self.pending or self.ready or self.ended)
                if self.ended:
                    return
                begin = self.pending and (not self.ready or self.random.random() < 0.6)
                source = self.pending if begin else self.ready
                task = source.pop(self.random.randrange(len(source)))
            if begin:
                self.carry_out(*task)
            else:
                task[0].set_result(task[1])

    def carry_out(self, future, fn, args):
        future.set_running_or_notify_cancel()
        self.calls.append((fn.__name__, args[0]))
        luck = self.random.random()
        if luck < 0.08:
            future.set_exception(WorkerError("it died before it began"))
            return
        result = fn(self.random.choice(self.workers), *args)
        if luck < 0.16:
            future.set_exception(WorkerError("it died before it told"))
            return
        if luck < 0.4:  # the task was carried out again: which of both versions is told is chance
            again = fn(self.random.choice(self.workers), *args)
            result = self.random.choice([result, again])
        self.ready.append((future, result))


class Fickle:
    """Finds the same objects every time, numbers them in another way, and adds one of its own making."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def __call__(self, tile):
        labels = ndimage.label(tile > np.median(IMAGE), np.ones((3, 3)))[0]
        names = 1 + self.random.permutation(labels.max() + 5)
        labels = np.append(0, names)[labels]
        free = np.argwhere(labels == 0)
        if free.size and self.random.random() < 0.8:
            labels[tuple(self.random.choice(free))] = labels.max() + 1
        return labels


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tile=st.sampled_from([(17, 30), (40, 25), (120, 11), (33, 33)]),
    overlap=st.integers(2, 12),
    rule=st.sampled_from(["iou", "touching"]),
)
def test_versions_are_never_mixed(seed, tile, overlap, rule):
    made = []

    def executor(pools, payload):
        made.append(Erratic(payload, seed))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pools, "_made", executor)
        result = seamlabel.segment(
            IMAGE, Fickle(seed), tile_shape=tile, overlap=overlap, merge=rule,
            executor="processes", workers=5, retries=30, progress=False,
        )  # fmt: skip
    labels = np.asarray(result.labels)
    assert same_partition(np.where(TRUTH > 0, labels, 0), TRUTH)
    assert np.array_equal(np.unique(labels), np.arange(result.n_objects + 1))
    assert np.bincount(labels[TRUTH == 0], minlength=1)[1:].max(initial=0) <= 2


def same_every_time(tile):
    return ndimage.label(tile > np.median(IMAGE), np.ones((3, 3)))[0]


def test_a_pair_that_neither_tile_saw_is_compared_by_itself(monkeypatch):
    """As on a disk that shows files late: no worker ever sees a neighbour."""
    asked = []

    class Blind(remote.Worker):
        def _theirs(self, number, seen_by, empty):
            return super()._theirs(number, seen_by, empty) if asked and asked[-1] == "compare" else None

    def run_blind(worker, number, rest, fn):
        asked.append(fn.__name__)
        return fn(worker, number, rest)

    class Direct(Executor):
        def __init__(self, payload):
            self.worker = Blind(remote.cloudpickle.loads(payload))

        def submit(self, fn, /, *args):
            future = Future()
            future.set_result(run_blind(self.worker, *args, fn))
            return future

    monkeypatch.setattr(Pools, "_made", lambda _, payload: Direct(payload))
    result = seamlabel.segment(
        IMAGE, same_every_time, tile_shape=30, overlap=6, executor="processes", progress=False
    )
    assert asked.count("compare") > 6
    assert same_partition(np.asarray(result.labels), TRUTH)


def test_workers_are_told_which_neighbours_are_empty():
    seen = []

    class Direct(Executor):
        def __init__(self, payload):
            self.worker = remote.install(payload)

        def submit(self, fn, /, *args):
            seen.append((fn.__name__, args))
            future = Future()
            future.set_result(fn(self.worker, *args))
            return future

    image = np.zeros((90, 90))
    image[65:80, 65:80] = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pools, "_made", lambda _, payload: Direct(payload))
        result = seamlabel.segment(
            image, lambda tile: ndimage.label(tile > 0.5)[0],
            tile_shape=30, overlap=3, executor="processes", workers=1, progress=False,
        )  # fmt: skip
    assert result.n_objects == 1
    compared = [args for name, args in seen if name == "compare"]
    assert len(compared) <= 1  # with one that was under way together
    assert any(empty for name, (_, empty) in seen if name == "segment")
