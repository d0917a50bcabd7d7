"""Cancels while tiles hang: Ctrl-C at the command line, a closed generator, an exception of a listener.

Measures how long the run and its process take to end, and looks for processes that are left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.faults.cancelling import TILES
from tests.faults.jobs import Ground, Job, make_base
from tests.faults.judge import judge
from tests.faults.method import stuck
from tests.faults.processes import GONE_SECONDS, ROOT, TOKEN, with_token

import seamlabel

CASES = {
    "serial": (("ctrl-c",), ("sleep", "python")),
    "threads": (("ctrl-c", "close", "raise"), ("sleep", "python")),
    "processes": (("ctrl-c", "close", "raise"), ("sleep", "python", "c")),
    "dask": (("ctrl-c", "close", "raise"), ("sleep", "python", "c")),
}
"""Executors, ways to cancel, ways to hang. A serial run is in the tile itself, so nobody can close it; and
C code that keeps the interpreter's lock keeps threads, and so the whole process, from hearing anything."""
WAIT = 60.0


def run_cancels(only: str = "", ways: str = "", hangs: str = "") -> dict[str, Any]:
    """Cancel in all ways; return by case how long it took, what is left, and what a resume gives.

    Parameters
    ----------
    only, ways, hangs : str
        Executors, ways to cancel and to hang, with commas between; all by default.
    """
    place, found = Path(tempfile.mkdtemp(prefix="faults-")), {}
    try:
        ground = _ground(place)
        files = ground.files, _files_of_the_command(ground)
        for executor, (all_ways, all_hangs) in CASES.items():
            for way in all_ways:
                for hang in all_hangs:
                    asked = ((only, executor), (ways, way), (hangs, hang))
                    if all(not names or one in names.split(",") for names, one in asked):
                        ground.files = files[way == "ctrl-c"]
                        found[f"{executor}, {way}, {hang}"] = _cancel(ground, executor, way, hang)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return found


def _heed_ctrl_c() -> None:
    """Undo what a shell does to programs that it starts in the background: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _ground(place: Path) -> Ground:
    wishes = {"tile_shape": (100, 100), "overlap": 8, "name": "cells"}
    how = {"executor": "serial", "workers": 2, "retries": 1, "keep": False}
    ground = Ground(Job(0, False, wishes, how, 0.0), make_base(place / "base"), place / "job")
    ground.refer(stuck)
    return ground


def _files_of_the_command(ground: Ground) -> dict[str, bytes]:
    """Return what the command line gives; it says in other words what was asked for."""
    ground.clear(old=False)
    subprocess.run(_cli(ground, "serial"), cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return ground.written()


def _cancel(ground: Ground, executor: str, way: str, hang: str) -> dict[str, Any]:
    """Begin a run, cancel it when tiles hang, resume it."""
    ground.clear(old=False)
    go, token = ground.folder / "go.log", uuid4().hex
    hanging = {"SEAMLABEL_FAULT_HANG": hang, "SEAMLABEL_FAULT_GO": str(go), TOKEN: token}
    command = _cli(ground, executor) if way == "ctrl-c" else _inside(ground, executor, way, go)
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | hanging, start_new_session=True, preexec_fn=_heed_ctrl_c,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    figures: dict[str, Any] = {}
    if way == "ctrl-c":
        _until_it_hangs(process, go)
        time.sleep(0.3)
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
    else:
        out = process.stdout.readline() if process.stdout else ""
        start = time.monotonic()
        figures["let go after"] = round(float(out or "nan"), 2)
    figures |= _ended(process, start)
    time.sleep(max(0.0, GONE_SECONDS - (time.monotonic() - start)))
    left = with_token(token)
    figures["left after 2 s"] = len(left)
    for one in left:
        one.kill()
    go.unlink(missing_ok=True)
    figures["identical"] = _resumed(ground)
    return figures


def _cli(ground: Ground, executor: str) -> list[str]:
    """Return the command of the case; what it is to do is as in the reference."""
    wishes = ground.wishes
    tile = ",".join(map(str, wishes["tile_shape"]))
    return [
        sys.executable, "-W", "ignore", "-m", "seamlabel", "segment", str(ground.image),
        "--function", "tests.faults.method:stuck", "--tile", tile, "--overlap", str(wishes["overlap"]),
        "--name", wishes["name"], "--executor", executor, "--workers", "2", "--json",
    ]  # fmt: skip


def _inside(ground: Ground, executor: str, way: str, go: Path) -> list[str]:
    """Return the command of a case that cancels itself."""
    file = ground.folder / "cancel.json"
    wishes = ground.wishes | {"executor": executor, "workers": 2}
    file.write_text(json.dumps({"image": str(ground.image), "wishes": wishes, "way": way, "go": str(go)}))
    return [sys.executable, "-W", "ignore", "-m", "tests.faults.cancelling", str(file)]


def _until_it_hangs(process: subprocess.Popen[str], go: Path) -> None:
    """Let tiles hang after a few, and wait for the first."""
    assert process.stdout is not None
    done = 0
    for line in process.stdout:
        done += '"TileDone"' in line
        if done >= TILES:
            break
    go.touch()
    end = time.monotonic() + WAIT
    while not go.stat().st_size and time.monotonic() < end:
        time.sleep(0.01)


def _ended(process: subprocess.Popen[str], start: float) -> dict[str, Any]:
    """Wait for the end of a process; return how long that took, and what it said."""
    try:
        process.wait(WAIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    seconds = time.monotonic() - start
    said = process.stderr.read() if process.stderr else ""
    return {
        "ended after": round(seconds, 2),
        "exit code": process.returncode,
        "hint": "seamlabel resume" in said,
        "said": "" if "seamlabel resume" in said else said[-600:],
    }


def _resumed(ground: Ground) -> bool | str:
    """Go on with the run, and tell whether it gives what an undisturbed one gives."""
    try:
        seamlabel.resume(ground.run_dir, progress=False, executor="threads")
    except seamlabel.SeamlabelError as error:
        return f"{type(error).__name__}: {error}"
    (ground.folder / "cancel.json").unlink(missing_ok=True)
    wrong = judge(ground, 1).wrong
    return "; ".join(wrong) if wrong else True


if __name__ == "__main__":
    print(json.dumps(run_cancels(*sys.argv[1:4]), indent=1))
