"""Run directories of strangers: refused when they are merged, with the labels and all else as they were."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile import refused

import seamlabel

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def run(tmp_path):
    """The directory of a kept run of four tiles."""
    image = np.zeros((64, 64), np.uint8)
    image[5:60, 5:60] = 5
    settings = {"params": {"value": 1}, "tile_shape": 32, "overlap": 4}
    made = seamlabel.segment(
        image, "threshold", **settings, output=tmp_path / "out.zarr", keep=True, progress=False
    )
    return Path(made.run_dir)


def staged(run, name):
    return next(run.glob(f"staging-*/{name}"))


def pipe(place):
    place.unlink(missing_ok=True)
    os.mkfifo(place)


def planned(run, change):
    found = json.loads((run / "plan.json").read_text())
    change(found)
    (run / "plan.json").write_text(json.dumps(found))


def linked(run):
    (run.parent.parent / "elsewhere").mkdir()
    (run / "records-01234567").symlink_to(run.parent.parent / "elsewhere")
    (run / "state.json").write_text('{"records": "records-01234567", "empty": []}')


RUNS = {
    "a plan of nothing": (lambda run: (run / "plan.json").write_text("{}"), "cannot be understood"),
    "a plan that is a list": (
        lambda run: (run / "plan.json").write_text("[]"),
        "cannot be understood|object",
    ),
    "a plan that is no text": (lambda run: (run / "plan.json").write_bytes(b"\xff"), "understood|JSON"),
    "tiles of other shapes": (
        lambda run: planned(run, lambda d: d["grid"].update(shape=[1 << 40, 1 << 40])),
        "other tiles",
    ),
    "tiles of negative shape": (
        lambda run: planned(run, lambda d: d["grid"].update(tile_shape=[-1, 0])),
        "cannot be understood",
    ),
    "a name that climbs": (
        lambda run: planned(run, lambda d: d["spec"].update(name="../../x")),
        "name",
    ),
    "a rule that is a function of Python": (
        lambda run: planned(run, lambda d: d["spec"]["merge"].update(rule="builtins:exec")),
        "function of Python itself",
    ),
    "a tile that is junk": (lambda run: staged(run, "0.tile").write_bytes(b"junk" * 99), "tile 0.*damaged"),
    "a tile that is huge": (lambda run: os.truncate(staged(run, "0.tile"), 1 << 33), "tile 0.*damaged"),
    "tiles of no shape": (lambda run: staged(run, "staging.json").write_text("{"), "damaged"),
    "tiles of huge shape": (
        lambda run: staged(run, "staging.json").write_text('{"read_shape": [1099511627776, 2]}'),
        "damaged",
    ),
    "tiles of a shape of text": (
        lambda run: staged(run, "staging.json").write_text('{"read_shape": ["a"]}'),
        "damaged",
    ),
    "records elsewhere": (
        lambda run: (run / "state.json").write_text('{"records": "../..", "empty": []}'),
        "state.json is damaged",
    ),
    "records behind a link": (linked, "state.json is damaged"),
    "files elsewhere to be deleted": (
        lambda run: (run / "state.json").write_text('{"records": "records", "empty": ["../../out"]}'),
        "state.json is damaged",
    ),
    "a state nested too deeply": (lambda run: (run / "state.json").write_text("[" * 99_999), "damaged"),
    "edits that are none": (lambda run: (run / "edits.json").write_text('[{"kind": 5}]'), "edits"),
    "edits nested too deeply": (lambda run: (run / "edits.json").write_text("[" * 99_999), "edits"),
    "sizes of files elsewhere": (
        lambda run: (run / "records" / "sizes.json").write_text('{"../../../passwd": 3}'),
        "damaged",
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_run_directories_made_to_do_harm_are_refused(tmp_path, run, case):
    (tmp_path / "out.tile").write_text("mine")
    make, message = RUNS[case]
    make(run)
    with refused(tmp_path, message):
        seamlabel.remerge(run, progress=False)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes")
@pytest.mark.parametrize("name", ["0.tile", "staging.json"])
def test_pipes_in_place_of_staged_tiles_are_not_waited_for(tmp_path, run, name):
    pipe(staged(run, name))
    with refused(tmp_path, "damaged"):
        seamlabel.remerge(run, progress=False)


def test_code_in_a_run_directory_is_not_run(tmp_path, run):
    proof = tmp_path / "proof"
    (run / "own.py").write_text(
        f"open({str(proof)!r}, 'w')\ndef rule(common, one, other):\n    return common\n"
    )
    planned(run, lambda d: d["spec"]["merge"].update(rule=f"{run}/own.py:rule"))
    with refused(tmp_path, "is not run"):
        seamlabel.remerge(run, progress=False)
    assert not proof.exists()
