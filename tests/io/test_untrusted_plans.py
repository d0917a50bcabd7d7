"""Plans, edits and records of a kept run that somebody else wrote: refused before anything is painted."""

from __future__ import annotations

import json
import os
import sys

import pytest
from hostile import refused
from test_untrusted_runs import pipe, planned, run

import seamlabel

pytestmark = pytest.mark.timeout(60)
__all__ = ["run"]


def level(**change):
    return lambda run: planned(run, lambda d: d["info"]["levels"][0].update(change))


def write(name, text):
    return lambda run: (run / name).write_text(text)


PLANS = {
    "no levels": (lambda run: planned(run, lambda d: d["info"].update(levels=[])), "cannot be understood"),
    "no axes": (lambda run: planned(run, lambda d: d["info"].update(axes=[])), "cannot be understood"),
    "scales that are no numbers": (level(scale=[float("nan"), 1]), "cannot be understood"),
    "negative scales": (level(scale=[-1, 1]), "cannot be understood"),
    "an infinite translation": (level(translation=[float("inf"), 1]), "cannot be understood"),
    "a huge image": (level(shape=[1 << 40, 1 << 40]), "cannot be understood"),
    "an image of a negative shape": (level(shape=[-1, 64]), "cannot be understood"),
    "chunks of 0": (level(chunks=[0, 64]), "cannot be understood"),
    "nested too deeply": (write("plan.json", '{"a":' * 99_999), "nested"),
    "a key twice": (write("plan.json", '{"spec": 1, "spec": 2}'), "twice"),
    "hundreds of megabytes": (lambda run: os.truncate(run / "plan.json", 300 << 20), "314,572,800 bytes"),
    "sizes that are a list": (write("records/sizes.json", "[1]"), "sizes.json is damaged"),
    "sizes nested too deeply": (write("records/sizes.json", "[" * 99_999), "sizes.json is damaged"),
    "sizes of files elsewhere": (write("records/sizes.json", json.dumps({"../plan.json": 1})), "is damaged"),
}


@pytest.mark.parametrize("case", PLANS)
def test_plans_made_to_do_harm_are_refused(tmp_path, run, case):
    make, message = PLANS[case]
    make(run)
    with refused(tmp_path, message):
        seamlabel.remerge(run, progress=False)


FILES = [
    "plan.json",
    "edits.json",
    "records/sizes.json",
    "records/nodes.bin",
    "records/tiles.bin",
    "state.json",
]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes")
@pytest.mark.parametrize("name", FILES)
def test_pipes_in_a_run_directory_are_not_waited_for(tmp_path, run, name):
    if name.endswith(".bin"):
        (run / "records" / "sizes.json").unlink()
    pipe(run / name)
    with refused(tmp_path, "pipe|not a file|damaged"):
        seamlabel.remerge(run, progress=False)
