"""Writers that meet: two runs with one label, a write that an abort overtakes, a disk that is full."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import zarr

from seamlabel.errors import OutputError
from seamlabel.geometry import Box
from seamlabel.io.ngff import chunkfiles, documents, labels
from seamlabel.io.ngff.generations import MARKER, STALE
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import open_labels

VERSIONS = ["0.4", "0.5"]


def files(folder):
    """Return everything below a folder: files with their content."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def values(label):
    return {int(value) for level in open_labels(label) for value in np.unique(level)}


def arrays(label):
    return sorted(path.name for path in label.iterdir() if path.is_dir())


@pytest.fixture
def paths(bench):
    """Return two paths of one image."""
    image = bench.image()
    link = bench.folder / "link.zarr"
    link.symlink_to(image, target_is_directory=True)
    return image, link


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("consolidated", [False, True], ids=["plain", "consolidated"])
def test_two_runs_that_write_one_label_both_commit_whole(bench, version, consolidated):
    image = bench.image("yx", version, consolidated=consolidated)
    link = bench.folder / "link.zarr"
    link.symlink_to(image, target_is_directory=True)
    one, other = (bench.write(bench.plan(p, overwrite=True), v) for p, v in ((image, 3), (link, 5)))
    label = Path(one.path)
    one.commit()
    assert values(label) == {3}
    shown = zarr.open_group(str(image), mode="r", use_consolidated=consolidated)
    if consolidated:
        assert set(shown["labels/cells"].array_keys()) == {"1.0", "1.1"}
    other.commit()
    assert values(label) == {5}
    assert arrays(label) == ["2.0", "2.1"]
    assert not list(image.rglob(MARKER))


def test_a_label_that_appeared_while_this_one_was_written_is_not_replaced_unasked(bench, paths):
    one, other = (bench.write(bench.plan(p), v) for p, v in zip(paths, (3, 5), strict=True))
    one.commit()
    before = files(Path(one.path) / "1.0")
    with pytest.raises(OutputError, match="exists"):
        other.commit()
    other.abort()
    assert values(one.path) == {3}
    assert files(Path(one.path) / "1.0") == before
    assert arrays(Path(one.path)) == ["1.0", "1.1"]


def test_a_label_committed_while_another_commit_sweeps_is_kept(bench, monkeypatch, paths):
    one, other = (bench.write(bench.plan(p, overwrite=True), v) for p, v in zip(paths, (3, 5), strict=True))
    monkeypatch.setattr(documents, "LOCK_WAIT", 0)
    sweep = labels.left_over

    def late(*args):
        one.commit()
        return sweep(*args)

    monkeypatch.setattr(labels, "left_over", late)
    other.commit()
    assert values(one.path) == {3}


@pytest.mark.parametrize("lost", ["all", "document", "marker"])
def test_arrays_that_somebody_deleted_are_not_published(bench, lost):
    image = bench.image()
    label = bench.commit(bench.plan(image), value=3)
    sink = bench.write(bench.plan(image, overwrite=True), value=5)
    if lost == "all":
        shutil.rmtree(label / "2.1")
    elif lost == "document":
        (label / "2.1" / "zarr.json").unlink()
    else:  # deleted, and the number given to another writer
        (label / "2.0" / MARKER).write_text("{}")
    before = files(image)
    with pytest.raises(OutputError, match="another run"):
        sink.commit()
    assert files(image) == before
    assert values(label) == {3}
    assert open_image(image).info.labels == ("cells",)


def test_arrays_are_swept_once_their_writer_is_gone(bench):
    image = bench.image()
    sink = bench.write(bench.plan(image))
    marker = Path(sink.path) / "1.0" / MARKER
    owner = json.loads(marker.read_text())
    number = 1
    for change, age, alive in (
        ({}, 0, True),
        ({"host": "elsewhere"}, 0, True),
        ({"host": "elsewhere"}, STALE + 60, False),
        ({"started": owner["started"] - 60}, 0, False),
        ({"pid": 2**22 + 1}, 0, False),
    ):
        shutil.copytree(Path(sink.path) / "1.0", Path(sink.path) / "0.0", dirs_exist_ok=True)
        copy = Path(sink.path) / "0.0" / MARKER
        copy.write_text(json.dumps({**owner, **change}))
        os.utime(copy, (time.time() - age,) * 2)
        label = bench.commit(bench.plan(image, overwrite=True), value=4)
        number += 1
        left = ["0.0"] if alive else []
        assert arrays(label) == [*left, "1.0", "1.1", f"{number}.0", f"{number}.1"]


@pytest.mark.parametrize("made", [False, True], ids=["beside an older label", "in a new store"])
def test_a_write_that_an_abort_overtakes_leaves_nothing(bench, monkeypatch, made):
    image = bench.image()
    output = str(bench.folder / "own.zarr") if made else None
    if not made:
        bench.commit(bench.plan(image), value=3)
    before = files(bench.folder)
    sink = open_sink(bench.plan(image, output=output, overwrite=True))
    sink.begin("uint32", ((16, 16), (16, 16)))
    inside, go_on = threading.Event(), threading.Event()
    put = sink._put

    def slow(*args):
        inside.set()
        assert go_on.wait(30)
        put(*args)

    monkeypatch.setattr(sink, "_put", slow)
    box = Box((32, 32), (45, 48))
    writers = [
        threading.Thread(target=sink.write, args=(0, b, np.ones(b.shape, "uint32")))
        for b in (box, Box((0, 0), (16, 16)))
    ]
    for writer in writers:
        writer.start()
    assert inside.wait(30)
    sink.abort()
    go_on.set()
    for writer in writers:
        writer.join()
    sink.write(0, box, np.ones(box.shape, "uint32"))
    assert files(bench.folder) == before
    with pytest.raises(OutputError, match="aborted"):
        sink.begin("uint32", ((16, 16), (16, 16)))
    with pytest.raises(OutputError):
        sink.commit()
    assert files(bench.folder) == before


def full(function, after):
    """Return a function whose calls fail, as on a full disk, after some."""
    left = [after]

    def failing(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*args, **kwargs)

    return failing


@pytest.mark.parametrize(
    ("own", "module", "name", "after"),
    [
        *((own, chunkfiles, "create_array", after) for own in (False, True) for after in (0, 1)),
        *((False, documents, "_save", after) for after in (0, 1)),
        *((True, documents, "_save", after) for after in (0, 1, 2)),
        *((own, documents, "_take", 0) for own in (False, True)),
        *((own, Path, "write_text", 0) for own in (False, True)),
    ],
)
def test_a_begin_that_fails_half_way_leaves_nothing(bench, monkeypatch, own, module, name, after):
    image = bench.image()
    sink = open_sink(bench.plan(image, output=str(bench.folder / "own.zarr") if own else None))
    before = files(bench.folder)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, full(getattr(module, name), after))
        with pytest.raises(OutputError, match="No space") as caught:
            sink.begin("uint32", ((16, 16), (16, 16)))
    assert "Free some space" in caught.value.hint
    assert files(bench.folder) == before
    bench.commit(bench.plan(image))


def test_a_full_disk_while_writing_is_told_with_its_remedy(bench, monkeypatch):
    sink = open_sink(bench.plan(bench.image()))
    sink.begin("uint32", ((16, 16), (16, 16)))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full(None, 0))
        with pytest.raises(OutputError, match="No space") as caught:
            sink.write(0, Box((0, 0), (16, 16)), np.ones((16, 16), "uint32"))
    assert "Free some space" in caught.value.hint


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("consolidated", [False, True], ids=["plain", "consolidated"])
def test_a_commit_that_fails_at_any_step_leaves_a_whole_label_for_every_reader(
    bench, monkeypatch, version, consolidated
):
    for step in range(3):
        image = bench.image("yx", version, name=f"{step}.zarr", consolidated=consolidated)
        label = bench.commit(bench.plan(image), value=3)
        sink = bench.write(bench.plan(image, overwrite=True), value=5)
        before = files(label / "1.0")
        with monkeypatch.context() as patched:
            patched.setattr(documents, "_save", full(documents._save, step))
            failed = step < 1 + consolidated
            with pytest.raises(OutputError, match="No space") if failed else nullcontext():
                sink.commit()
        if failed:
            sink.abort()
            assert values(label) == ({3} if step == 0 else {5})
            assert files(label / "1.0") == before
        group = zarr.open_group(str(image), mode="r", use_consolidated=consolidated)["labels/cells"]
        shown = dict(group.attrs)
        shown = shown.get("ome", shown)["multiscales"][0]["datasets"]
        assert all(len(np.unique(group[dataset["path"]][:])) == 1 for dataset in shown)
        assert np.unique(group[shown[0]["path"]][:])[0] in (3, 5)


def test_a_lock_that_could_not_be_written_is_taken_back(tmp_path, monkeypatch):
    monkeypatch.setattr(documents.socket, "gethostname", full(None, 0))
    with pytest.raises(OSError, match="No space"), documents.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
