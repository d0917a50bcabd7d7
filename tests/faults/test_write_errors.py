"""A sample of the write errors and crashes of `tests.faults.write_errors`, and the injector itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.inject import AWAY, READS, armed, environment, full_disk, short_files

ROOT = Path(__file__).parents[2]


def test_no_write_error_and_no_crash_loses_the_old_label_or_hinders_the_next_run():
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.write_errors", "--every", "37"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures = json.loads(ended.stdout)
    assert figures["wrong"] == []
    assert figures["write errors"] > 20
    assert figures["old label kept"] > 5
    assert figures["new label whole"] > 5
    assert figures["crashes"] > 5 or not hasattr(os, "fork")


def test_the_fault_happens_at_the_operation_that_is_named(tmp_path):
    with armed(tmp_path, 2, "ENOSPC") as fault:
        (tmp_path / "one").write_text("1")
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "two").mkdir()
        (tmp_path / "two").mkdir()
    assert fault.happened == "mkdir two"
    assert fault.seen == ["write one", "mkdir two", "mkdir two"]
    (tmp_path / "three").write_text("disarmed")


def test_a_full_disk_stays_full_but_files_can_be_removed(tmp_path):
    (tmp_path / "old").write_text("1")
    with armed(tmp_path, 1, "ENOSPC", lasting=True):
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                (tmp_path / "one").write_text("1")
        (tmp_path / "old").unlink()
    with armed(tmp_path, 1, "EROFS", lasting=True):
        for act in ((tmp_path / "a").mkdir, tmp_path.rmdir):
            with pytest.raises(OSError, match="Read-only"):
                act()


def test_only_what_is_asked_for_counts(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("1")
    with armed(tmp_path / "in", 1, "EIO", ops=READS, name="file"):
        (tmp_path / "out").write_text("1")
        (tmp_path / "in" / "new").write_text("1")
        with pytest.raises(OSError, match="Input/output"):
            (tmp_path / "in" / "file").read_text()


def test_a_folder_vanishes(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with armed(folder, 1, "vanish"), pytest.raises(FileNotFoundError):
        (folder / "file").write_text("1")
    assert Path(f"{folder}{AWAY}").is_dir()


@pytest.mark.parametrize(("kind", "code"), [("exit", 3), ("kill", -9)])
def test_another_process_dies_at_the_operation(tmp_path, kind, code):
    script = (
        "import sys, pathlib; from tests.faults.inject import arm_from_environment as arm; arm();"
        "[(pathlib.Path(sys.argv[1]) / name).write_text(name) for name in 'abc']"
    )
    child = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment(tmp_path, 3, kind) | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert child.returncode == code or os.name == "nt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_small_disk_is_full(tmp_path):
    with full_disk(tmp_path / "disk", 1 << 16) as mounted:
        if not mounted:
            pytest.skip("mounting is not allowed")
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "disk" / "file").write_bytes(bytes(1 << 17))


@pytest.mark.skipif(os.name == "nt", reason="no such limit on Windows")
def test_a_file_ends_where_it_may(tmp_path):
    with short_files(100), pytest.raises(OSError, match="too large"):
        (tmp_path / "file").write_bytes(bytes(200))
    assert (tmp_path / "file").stat().st_size == 100
