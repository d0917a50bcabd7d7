"""A sample of the kills, crashes and cancels of `tests.faults`; all of them: ``python -m tests.faults``."""

from __future__ import annotations

import os
import sys

import pytest
from tests.faults.cancels import run_cancels
from tests.faults.crash_points import run_crash_points
from tests.faults.kills import run_kills

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux
@pytest.mark.parametrize("executor", ["t", "p"])
def test_what_is_killed_at_random_goes_on_and_loses_nothing(executor):
    figures = run_kills(3, 1, executor)
    assert figures["kills"] >= 3
    assert figures["wrong"] == []
    assert figures["left behind"] == []
    assert figures["done tiles segmented again"] == 0


@linux
@pytest.mark.skipif(not hasattr(os, "fork"), reason="sessions are forks")
@pytest.mark.parametrize("kind", ["crash", "twice", "power"])
def test_a_crash_in_any_operation_loses_nothing(kind):
    figures = run_crash_points(37, 5, kind)
    assert figures[f"crashes, {kind}"] >= 5
    assert figures["wrong"] == []


@linux
@pytest.mark.parametrize(("executor", "hang"), [("threads", "python"), ("processes", "c")])
def test_a_run_with_a_hanging_tile_is_cancelled_leaves_no_process_and_goes_on(executor, hang):
    (figures,) = run_cancels(executor, "ctrl-c", hang).values()
    assert figures["exit code"] == 130
    assert figures["hint"]
    assert figures["left after 2 s"] == 0
    assert figures["identical"] is True
