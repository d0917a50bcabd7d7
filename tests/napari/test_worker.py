from __future__ import annotations

import os
import sys
import threading

import pytest

from seamlabel.engine.executors import ThreadExecutor
from seamlabel.events import Heartbeat, RunStarted
from seamlabel.napari.run.priority import STEPS
from seamlabel.napari.run.worker import RunWorker


def beats(count, gate=None):
    for i in range(count):
        if gate is not None:
            gate.wait(0.002)
        yield Heartbeat(i, count, "segment", ())


def run_to_end(qtbot, worker):
    seen, ends, errors = [], [], []
    worker.events.connect(seen.append)
    worker.failed.connect(lambda error, detail: errors.append((error, detail)))
    with qtbot.waitSignal(worker.finished, timeout=10000) as blocker:
        worker.start()
    ends.append(blocker.args[0])
    assert worker.join(5)
    return seen, ends[0], errors


def test_all_events_arrive_in_order_and_in_lists(qtbot):
    seen, cancelled, errors = run_to_end(qtbot, RunWorker(lambda: beats(200, threading.Event())))
    assert [event.done for batch in seen for event in batch] == list(range(200))
    assert len(seen) < 60, "0.4 s of events come in lists, 20 a second at most"
    assert not cancelled
    assert not errors


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, MemoryError, SystemExit])
def test_every_exception_is_reported_even_a_runtime_error(qtbot, kind):
    def broken():
        yield Heartbeat(0, 1, "segment", ())
        raise kind("CUDA out of memory")

    seen, _, errors = run_to_end(qtbot, RunWorker(broken))
    assert len(seen) == 1, "what came before the error is told first"
    assert isinstance(errors[0][0], kind)
    assert "in broken" in errors[0][1]


def test_an_exception_before_the_first_event_is_reported(qtbot):
    def start():
        raise OSError("no such image")

    assert str(run_to_end(qtbot, RunWorker(start))[2][0][0]) == "no such image"


def test_a_failing_listener_in_the_thread_is_reported_and_closes_the_run(qtbot):
    closed = []

    def run():
        try:
            yield from beats(1000)
        finally:
            closed.append(True)

    def listener(_event):
        raise KeyError("lost")

    errors = run_to_end(qtbot, RunWorker(run, listener))[2]
    assert isinstance(errors[0][0], KeyError)
    assert closed


def test_cancelling_closes_the_run_in_the_thread_that_iterates_it(qtbot):
    places = []

    def run():
        places.append(threading.get_ident())
        try:
            yield from beats(10**6, threading.Event())
        finally:
            places.append(threading.get_ident())

    held = run()  # so that no garbage collection closes it
    worker = RunWorker(lambda: held)
    with qtbot.waitSignal(worker.events, timeout=5000):
        worker.start()
    with qtbot.waitSignal(worker.finished, timeout=5000) as blocker:
        worker.cancel()
    assert blocker.args == [True]
    assert worker.join(5)
    assert places[0] == places[1] != threading.get_ident()


def test_a_worker_that_nobody_listens_to_any_more_ends_quietly(qtbot):
    worker = RunWorker(lambda: beats(50))
    worker.start()
    assert worker.join(5)


def test_what_happens_while_the_window_is_busy_comes_as_one_list(qtbot):
    over = threading.Event()

    def run():
        yield RunStarted(0, 300, "")
        for i in range(300):
            yield Heartbeat(i, 300, "segment", ())
        over.set()

    worker, seen = RunWorker(run, interval=0.0), []

    def take(batch):
        seen.append(batch)
        if not isinstance(batch[-1], RunStarted):
            over.wait(5)  # as long as a slow redraw

    worker.events.connect(take)
    with qtbot.waitSignal(worker.finished, timeout=10000):
        worker.start()
    assert worker.join(5)
    assert sum(map(len, seen)) == 301
    assert len(seen) <= 4, "none waits behind another one"
    assert isinstance(seen[0][-1], RunStarted), "the window has shown the beginning before tiles come"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")
def test_threads_of_a_run_let_the_window_go_first(qtbot):
    found = []

    def note():
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def start():
        note()
        threads = ThreadExecutor(1)
        yield Heartbeat(0, 1, "segment", ())
        threads.submit(note).result()
        threads.shutdown()

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    run_to_end(qtbot, RunWorker(start))
    assert found == [min(own + STEPS, 19)] * 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
