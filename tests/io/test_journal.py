"""The run directory: one run at a time, what it keeps, what a full or closed disk does to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from seamlabel.errors import OutputError
from seamlabel.io import folders
from seamlabel.io.folders import remove_folder
from seamlabel.io.journal import (
    RunDirectory,
    finished_tiles,
    read_journal,
    unfinished_runs,
)
from seamlabel.io.owner import is_alive, this_process


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.zarr.seamlabel" / "cells"


def test_only_one_run_holds_a_directory(path):
    first = RunDirectory(path, "{}")
    with pytest.raises(OutputError, match="in use by process"):
        RunDirectory(path, "{}")
    first.close(keep=True)
    RunDirectory(path, "{}").close(keep=False)
    assert not path.parent.exists()


def test_of_many_that_start_at_once_one_gets_it(path):
    def attempt(_):
        try:
            return RunDirectory(path, "{}")
        except OutputError:
            return None

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            held = [run for run in pool.map(attempt, range(8)) if run]
        assert len(held) == 1
        held[0].close(keep=False)


@pytest.mark.parametrize("text", ["", "{", '{"host": "here"'])
def test_a_torn_lock_is_taken_over(path, text):
    path.parent.mkdir(parents=True)
    lock = path.with_name("cells.lock")
    lock.write_text(text)
    RunDirectory(path, "{}").close(keep=False)


def test_a_lock_that_is_being_written_is_not_taken(path):
    """As where there are no links: the file is there before what it says is."""
    path.parent.mkdir(parents=True)
    lock = path.with_name("cells.lock")
    lock.touch()
    owner = {**this_process(), "pid": os.getppid(), "started": psutil.Process(os.getppid()).create_time()}
    writer = threading.Timer(0.1, lock.write_text, [json.dumps(owner)])
    writer.start()
    with pytest.raises(OutputError, match="in use by process"):
        RunDirectory(path, "{}")
    writer.join()


def test_the_lock_of_a_dead_process_is_taken_over(path):
    path.parent.mkdir(parents=True)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = {**this_process(), "pid": child.pid, "started": psutil.Process(child.pid).create_time()}
    path.with_name("cells.lock").write_text(json.dumps(owner))
    assert is_alive(owner)
    with pytest.raises(OutputError, match=f"process {child.pid}"):
        RunDirectory(path, "{}")
    child.communicate(b"\n")
    assert not is_alive(owner)
    RunDirectory(path, "{}").close(keep=False)


def test_a_process_of_another_machine_counts_as_alive():
    assert is_alive({"host": "elsewhere", "pid": 1, "started": 0.0})


def test_torn_lines_and_failed_tiles_are_not_finished(path):
    run = RunDirectory(path, "{}")
    run.record(tile=3, n_core=2)
    run.record(tile=4, failed="why")
    run.close(keep=True)
    (log,) = (path / "journal").iterdir()
    log.write_text(log.read_text() + '0badc0de {"tile": 9}\n12345678 {"til')
    assert [record["tile"] for record in read_journal(path)] == [3, 4]
    assert finished_tiles(path) == {3}
    (run,) = unfinished_runs(path.parent.with_suffix(""))
    assert (run.path, run.done, run.failed) == (path, 1, {4: "why"})


def test_a_directory_that_cannot_be_made_leaves_no_lock(tmp_path):
    (tmp_path / "x.seamlabel").write_text("a file in the way")
    with pytest.raises(OutputError, match="cannot stage tiles"):
        RunDirectory(tmp_path / "x.seamlabel" / "cells", "{}")
    assert (tmp_path / "x.seamlabel").read_text() == "a file in the way"


def test_what_cannot_be_written_is_told_and_the_lock_released(path, monkeypatch):
    run = RunDirectory(path, "{}")

    class Full:
        def write(self, _text):
            raise OSError(28, "No space left on device")

        def close(self):
            raise OSError(28, "No space left on device")

    run._log.close()
    monkeypatch.setattr(run, "_log", Full())
    with pytest.raises(OutputError, match="No space left"):
        run.record(tile=1)
    run.close(keep=True)
    assert not path.with_name("cells.lock").exists()


def test_a_folder_of_very_many_files_is_removed_without_a_list_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "AT_ONCE", 100)
    folder, other = tmp_path / "run", tmp_path / "other"
    for place in (folder / "staging" / "deeper", other):
        place.mkdir(parents=True)
        (place / "file").write_text("kept if not below the folder")
    (folder / "link").symlink_to(other, target_is_directory=True)
    for n in range(5000):
        (folder / "staging" / f"{n}.tile").touch()
    tracemalloc.start()
    remove_folder(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not folder.exists()
    assert (other / "file").exists()
    assert peak < 200_000  # the names of all files take more than a million bytes
