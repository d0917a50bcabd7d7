"""Two coordinators and one run: locks of the living, the dead, the stopped, and of other machines."""

from __future__ import annotations

import json
import os
import signal
import time
from uuid import uuid4

import pytest
from tests.faults.jobs import Ground, Job, environment, make_base
from tests.faults.judge import judge
from tests.faults.method import noted
from tests.faults.processes import Session

import seamlabel
from seamlabel.errors import OutputError
from seamlabel.io.lock import STALE_SECONDS

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="signals of POSIX")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def ground(base, tmp_path):
    how = {"executor": "threads", "workers": 2, "retries": 1, "keep": False}
    wishes = {"tile_shape": (60, 60), "overlap": 8, "name": "cells"}
    made = Ground(Job(0, False, wishes, how, 0.05), base, tmp_path / "job")
    made.refer()
    made.clear(old=True)
    return made


@pytest.fixture
def begin(ground):
    """Starts sessions; ends those that are left."""
    begun = []

    def start(number=1, **more):
        given = {
            "session": number, "image": str(ground.image), "done": str(ground.folder / "done.log"),
            "resume": "", "wishes": ground.wishes, "how": ground.job.how | {"overwrite": True},
        }  # fmt: skip
        session = Session(
            given, environment(ground, number, uuid4().hex) | more, ground.folder / "session.log"
        )
        begun.append(session)
        return session

    yield start
    for session in begun:
        session.process.send_signal(signal.SIGCONT)
        session.kill("group", 0)
        session.close()


def done(ground, least):
    """Wait until so many tiles are done."""
    log, end = ground.folder / "done.log", time.monotonic() + 60
    while not log.exists() or len(log.read_text().splitlines()) < least:
        assert time.monotonic() < end
        time.sleep(0.01)


def lock_of(ground):
    return ground.run_dir.with_name(f"{ground.run_dir.name}.lock")


def disguise(ground, age):
    """Let a lock look as if a process of another machine had touched it so long ago."""
    lock = lock_of(ground)
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "host": "elsewhere"}))
    then = time.time() - age
    os.utime(lock, (then, then))


def again(ground):
    wishes = ground.wishes | ground.job.how | {"overwrite": True, "progress": False}
    return seamlabel.segment(str(ground.image), noted, **wishes)


def right(ground, kills=0):
    for file in ground.folder.glob("session-*.json"):
        file.unlink()
    verdict = judge(ground, kills)
    return verdict.wrong


@pytest.mark.parametrize("unfinished", ["resume", "restart"])
def test_a_second_coordinator_is_refused_and_the_first_is_not_harmed(ground, begin, unfinished):
    first = begin()
    done(ground, 5)
    with pytest.raises(OutputError, match="in use by process"):
        seamlabel.segment(
            str(ground.image), noted, unfinished=unfinished, overwrite=True, progress=False, **ground.wishes
        )
    assert not first.hear(60)
    assert first.error == ""
    assert right(ground) == []


def test_the_lock_of_a_dead_process_is_taken_over(ground, begin):
    first = begin()
    done(ground, 5)
    first.kill("coordinator", 0)
    assert lock_of(ground).exists()
    again(ground)
    assert ground.state() == "new"
    assert not ground.run_dir.parent.exists()


def test_a_lock_of_another_machine_counts_while_it_is_touched_by_the_clock_of_the_disk(
    ground, begin, monkeypatch
):
    first = begin()
    done(ground, 5)
    first.kill("coordinator", 0)
    disguise(ground, STALE_SECONDS - 60)
    for skew in (-86_400, 0, 86_400):
        now = time.time
        monkeypatch.setattr(time, "time", lambda now=now, skew=skew: now() + skew)
        with pytest.raises(OutputError, match=r"in use by process .* on elsewhere"):
            again(ground)
        monkeypatch.undo()
    disguise(ground, STALE_SECONDS + 60)
    again(ground)
    assert ground.state() == "new"
    assert not ground.run_dir.parent.exists()


@pytest.mark.parametrize("phase", ["segment", "paint"])
@pytest.mark.parametrize("meanwhile", ["half", "whole"])
def test_a_coordinator_that_slept_while_its_run_was_taken_stops_and_harms_nothing(
    ground, begin, meanwhile, phase
):
    first = begin(SEAMLABEL_FAULT_HOST="elsewhere", SEAMLABEL_FAULT_STALE="2")
    if phase == "segment":
        done(ground, 5)
    else:
        assert first.hear(60, until="paint")
    first.process.send_signal(signal.SIGSTOP)
    first.hear(3)
    second = begin(2, SEAMLABEL_FAULT_STALE="2")
    if meanwhile == "whole":
        assert not second.hear(60)
    else:
        assert second.hear(60, until="segment")
        second.hear(0.3)
    first.process.send_signal(signal.SIGCONT)
    assert not first.hear(60)
    assert not second.hear(60)
    if "is being written by another process" in second.error:  # it was stopped within its commit
        assert ground.state() == "new"
        return
    assert second.error == ""
    assert "was taken by another process" in first.error or "commit" in first.times
    assert right(ground, kills=2) == []


def test_a_run_that_somebody_deleted_stops(ground, begin):
    import shutil

    first = begin()
    done(ground, 5)
    shutil.rmtree(ground.run_dir.parent)
    assert not first.hear(60)
    assert "error" in first.error
    assert ground.state() == "old"
