"""Metadata documents change in one step, crash or not, and one writer at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import zarr
from tests.faults.inject import armed

from seamlabel.errors import ImageError, OutputError
from seamlabel.io.ngff import documents, labels
from seamlabel.io.ngff.documents import (
    LOCK,
    group_format,
    locked,
    make_group,
    read_attributes,
    write_attributes,
)
from seamlabel.io.ngff.generations import MARKER
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import open_labels


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("consolidated", [False, True], ids=["plain", "consolidated"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_crash_at_any_step_of_a_commit_leaves_the_old_label_or_the_new_one(
    bench, monkeypatch, version, consolidated
):
    step = 0
    seen = set()
    while True:
        image = bench.image("yx", version, name=f"{step}.zarr", consolidated=consolidated)
        path = bench.commit(bench.plan(image), value=3)
        plan = bench.plan(image, overwrite=True)
        sink = bench.write(plan, value=5)
        left = [step]

        def count(function, left=left):
            def counted(*args, **kwargs):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return function(*args, **kwargs)

            return counted

        with monkeypatch.context() as patched:
            patched.setattr(documents, "_save", count(documents._save))
            patched.setattr(labels, "remove", count(labels.remove))
            try:
                sink.commit()
                break
            except Killed:
                step += 1
        values = {int(value) for level in open_labels(path) for value in np.unique(level)}
        assert values in ({3}, {5})
        seen |= values
        for marker in path.rglob(MARKER):  # its process is gone
            marker.write_text(json.dumps({**json.loads(marker.read_text()), "started": 0}))
        assert open_image(image).info.labels == ("cells",)
        bench.commit(plan, value=6)
        assert {int(value) for level in open_labels(path) for value in np.unique(level)} == {6}
        assert sorted(p.name for p in path.iterdir() if p.is_dir()) == ["3.0", "3.1"]
    assert seen == {3, 5}
    assert step >= 3


def test_a_process_killed_while_it_writes_harms_nothing(bench):
    image = bench.image()
    code = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from conftest import Bench;"
        "b = Bench(Path(sys.argv[1]).parent); b.write(b.plan(Path(sys.argv[1]))); os.kill(os.getpid(), 9)"
    )
    folder = os.path.dirname(__file__)
    assert subprocess.run([sys.executable, "-c", code, str(image), folder], check=False).returncode == -9
    assert open_image(image).info.labels == ()
    label = bench.commit(bench.plan(image), value=4)
    assert (np.asarray(open_labels(label)[0]) == 4).all()
    assert sorted(p.name for p in label.iterdir() if p.is_dir()) == ["2.0", "2.1"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_groups_are_groups_to_zarr_and_attributes_are_replaced(tmp_path, zarr_format):
    folder = tmp_path / "a" / "b.zarr"
    assert group_format(folder) is None
    make_group(folder, zarr_format, {"one": [1, "µm"]})
    group = zarr.open_group(str(folder), mode="r")
    assert (group.metadata.zarr_format, dict(group.attrs)) == (zarr_format, {"one": [1, "µm"]})
    write_attributes(folder, {"two": 2})
    assert read_attributes(folder) == dict(zarr.open_group(str(folder), mode="r").attrs) == {"two": 2}
    assert group_format(folder) == zarr_format
    zarr.create_array(str(tmp_path / "array"), shape=(3,), dtype="u1", zarr_format=zarr_format)
    assert group_format(tmp_path / "array") is None


def test_a_write_that_fails_leaves_the_old_document_and_no_rest(tmp_path):
    make_group(tmp_path, 3, {"one": 1})
    with pytest.raises(TypeError):
        write_attributes(tmp_path, {"one": object()})
    assert read_attributes(tmp_path) == {"one": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["zarr.json"]


def test_a_document_that_is_not_json_is_named(tmp_path):
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(ImageError, match=r"zarr\.json is not JSON"):
        read_attributes(tmp_path)


def test_a_lock_keeps_others_out_and_says_who_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LOCK_WAIT", 0.0)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text().split()[:2] == [socket.gethostname(), str(os.getpid())]
        with pytest.raises(OutputError, match="another process"), locked(tmp_path):
            pass
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_a_dead_process_is_taken_over_one_of_another_host_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LOCK_WAIT", 0.0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / LOCK).write_text(f"{socket.gethostname()} {dead.pid}")
    with locked(tmp_path):
        pass
    (tmp_path / LOCK).write_text("elsewhere 1")
    with pytest.raises(OutputError), locked(tmp_path):
        pass
    os.utime(tmp_path / LOCK, (1, 1))
    with locked(tmp_path):
        pass


def test_consolidated_entries_of_other_nodes_are_not_touched(bench):
    image = bench.image("yx", "0.4", consolidated=True)
    document = json.loads((image / ".zmetadata").read_text())
    document["metadata"]["elsewhere/.zarray"] = {"strange": True}
    (image / ".zmetadata").write_text(json.dumps(document))
    bench.commit(bench.plan(image))
    after = json.loads((image / ".zmetadata").read_text())["metadata"]
    assert {key: after[key] for key in document["metadata"]} == document["metadata"]
    assert after["labels/.zattrs"] == {"labels": ["cells"]}


def test_a_lock_of_ours_that_could_not_be_removed_keeps_nobody_out(tmp_path):
    with armed(tmp_path, 1, "EACCES", ops=frozenset({"remove"}), name=LOCK), locked(tmp_path):
        pass
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_a_former_process_with_our_number_keeps_nobody_out(tmp_path):
    (tmp_path / LOCK).write_text(f"{socket.gethostname()} {os.getpid()} {'0' * 32} {'1' * 32}")
    with locked(tmp_path):
        pass
