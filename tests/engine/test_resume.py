"""Runs that did not reach their end, and go on: what is kept, what is done again, what is refused."""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel import progress
from seamlabel.engine.executors import ThreadExecutor
from seamlabel.engine.run import run
from seamlabel.engine.tasks import TaskQueue
from seamlabel.errors import IncompleteError, OutputError, SpecError
from seamlabel.events import (
    RunFinished,
    SeamsMerged,
    StageStarted,
    TileDone,
    TileFailed,
)
from seamlabel.io import staging
from seamlabel.io.journal import kept_runs, unfinished_run, unfinished_runs
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.kernels.relabel import ProvisionalIds
from seamlabel.testing.cells import Tissue

TILE = 100
FIELDS = {"tile_shape": TILE, "overlap": 8, "progress": False}


def save(path, pixels):
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx", levels=2)
    return str(path)


@pytest.fixture(scope="module")
def pixels():
    return Tissue((480, 430), "dense").image()


@pytest.fixture
def image(tmp_path, pixels):
    return save(tmp_path / "image.zarr", pixels)


LIMIT = 2000


def above(pixels, limit):
    return pixels > limit


def bright(tile):
    return ndimage.label(above(tile, LIMIT), np.ones((3,) * tile.ndim))[0]


class Counting:
    """Segments as `bright` does, and knows how often it was called; stops or fails where told."""

    def __init__(self, fails=(), stop_after=None):
        self.calls, self.fails, self.stop_after = [], set(fails), stop_after
        self.lock = threading.Lock()

    def __call__(self, tile):
        with self.lock:
            self.calls.append(tile.copy())
            if len(self.calls) in self.fails:
                raise ValueError("as planned")
        return bright(tile)


def plan_of(image, **fields):
    spec = seamlabel.RunSpec(image=image, backend="function", params={"target": "math:sqrt"}, **fields)
    return seamlabel.resolve(spec, image_info(image))


def stopped(image, tiles, segmenter=bright, **fields):
    """Cancel a run after so many tiles; return its folder."""
    plan = plan_of(image, tile_shape=TILE, overlap=8, **fields)
    events = run(plan, segmenter=segmenter)
    done = 0
    for event in events:
        done += isinstance(event, TileDone)
        if done == tiles:
            break
    events.close()
    return Path(plan.run_dir)


def levels(path):
    return [level[...] for level in open_labels(path)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(levels(one), levels(other), strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pixels):
    """The labels of a run that was never disturbed."""
    path = save(tmp_path_factory.mktemp("whole") / "image.zarr", pixels)
    return seamlabel.segment(path, bright, **FIELDS).path


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("tiles", [1, 7, 24])
def test_a_cancelled_run_goes_on_and_segments_no_tile_twice(image, whole, tiles, executor):
    folder = stopped(image, tiles, executor=executor)
    before = unfinished_run(folder)
    assert before.total == 25
    assert before.done >= tiles
    counting = Counting()
    result = seamlabel.resume(folder, backend=counting, accept_changes=True, progress=False)
    assert len(counting.calls) == 25 - before.done
    assert same(result.path, whole)
    assert not folder.parent.exists()


def test_events_of_a_run_that_goes_on_tell_of_all_tiles_and_show_the_final_partition(image):
    folder = stopped(image, 12)
    seen = []
    result = seamlabel.resume(folder, backend=bright, progress=False, on_event=seen.append)
    tiles = [event.tile for event in seen if isinstance(event, TileDone)]
    assert sorted(tiles) == list(range(25))
    ids, numbers = ProvisionalIds(), {}
    for event in seen:
        if isinstance(event, TileDone):
            ids.add(event.first_id, event.n_labels)
            numbers[event.tile] = event
        elif isinstance(event, SeamsMerged):
            ids.join(event.joined)
    top = max(event.first_id + event.n_labels for event in numbers.values())
    assert len(np.unique(ids.table()[1 : top + 1])) == result.n_objects
    first = next(i for i, event in enumerate(seen) if isinstance(event, StageStarted))
    told = [event for event in seen[:first] if isinstance(event, TileDone)]
    assert len(told) >= 12
    assert seen[first].done == len(told)
    assert isinstance(seen[-1], RunFinished)


def test_the_same_call_again_goes_on_and_another_is_refused(image, whole):
    seamlabel_fields = {**FIELDS, "backend": bright}
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, on_event=interrupt_at(9), **seamlabel_fields)
    with pytest.raises(OutputError, match=r"min_size was 0, is 30") as refused:
        seamlabel.segment(image, min_size=30, **seamlabel_fields)
    assert "start over" in refused.value.hint
    with pytest.raises(OutputError, match="unfinished run"):
        seamlabel.segment(image, unfinished="refuse", **seamlabel_fields)
    seen = []
    result = seamlabel.segment(image, on_event=seen.append, **seamlabel_fields)
    assert next(e.done for e in seen if isinstance(e, StageStarted)) >= 9
    assert same(result.path, whole)


def interrupt_at(n):
    done = []

    def listen(event):
        done.extend([event] * isinstance(event, TileDone))
        if len(done) == n:
            raise KeyboardInterrupt

    return listen


def test_starting_over_segments_everything(image):
    stopped(image, 9)
    counting = Counting()
    seamlabel.segment(image, counting, unfinished="restart", **FIELDS)
    assert len(counting.calls) == 25


def test_another_function_is_refused_unless_that_is_accepted(image):
    folder = stopped(image, 9)
    other = compile_variant("def bright(tile):\n    return label(above(tile, LIMIT))\n")
    with pytest.raises(OutputError, match="the code of the method was edited"):
        seamlabel.resume(folder, backend=other, progress=False)
    assert unfinished_run(folder).done >= 9
    seamlabel.resume(folder, backend=other, accept_changes=True, progress=False)


def compile_variant(text):
    space = {"above": above, "LIMIT": LIMIT, "label": lambda mask: ndimage.label(mask, np.ones((3, 3)))[0]}
    exec(text, space)
    return space["bright"]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("> limit", ">= limit", False),
        ("2000", "2001", False),
        ("# note", "# another note", True),
    ],
)
def test_an_edited_function_of_a_file_is_noticed_and_an_edited_comment_is_not(
    image, tmp_path, old, new, same
):
    file = tmp_path / "method.py"
    text = (
        "from scipy.ndimage import label\nLIMIT = 2000\n\ndef above(tile, limit):  # note\n"
        "    return tile > limit\n\ndef bright(tile):\n    return label(above(tile, LIMIT))[0]\n"
    )
    file.write_text(text)
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(
            image, "function", params={"target": f"{file}:bright"}, on_event=interrupt_at(9), **FIELDS
        )
    file.write_text(text.replace(old, new))
    folder = unfinished_runs(image)[0].path
    if same:
        assert seamlabel.resume(folder, progress=False).n_objects
    else:
        with pytest.raises(OutputError, match="edited"):
            seamlabel.resume(folder, progress=False)


def test_another_image_is_refused(image, pixels):
    folder = stopped(image, 9)
    save_over = pixels.copy()
    save_over[:20, :20] += 1
    write_image(
        Path(image),
        pixels.shape,
        "uint16",
        lambda box: save_over[box.slices],
        axes="yx",
        levels=2,
        overwrite=True,
    )
    with pytest.raises(OutputError, match="pixels of the image differ"):
        seamlabel.resume(folder, backend=bright, progress=False)
    with pytest.raises(OutputError, match="pixels of the image differ"):
        seamlabel.resume(folder, backend=bright, accept_changes=True, progress=False)


def test_a_run_of_an_array_needs_the_array_again(tmp_path, pixels, whole):
    output = tmp_path / "labels.zarr"
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(pixels, bright, output=output, on_event=interrupt_at(9), **FIELDS)
    folder = unfinished_runs(output)[0].path
    with pytest.raises(SpecError, match="Give the array again"):
        seamlabel.resume(folder, backend=bright, progress=False)
    with pytest.raises(OutputError, match="pixels"):
        seamlabel.resume(folder, image=pixels + 1, backend=bright, progress=False)
    result = seamlabel.resume(folder, image=pixels, backend=bright, progress=False)
    assert np.array_equal(levels(result.path)[0], levels(whole)[0])


def test_failed_tiles_stay_failed_until_they_are_tried_again(image, whole):
    with pytest.raises(IncompleteError) as incomplete:
        seamlabel.segment(image, Counting(fails=[5, 8]), executor="serial", retries=0, **FIELDS)
    folder = incomplete.value.run_dir
    assert "--retry-failed" in incomplete.value.hint
    assert len(incomplete.value.failed) == 2
    seen = []
    with pytest.raises(IncompleteError) as again:
        seamlabel.resume(
            folder, backend=Counting(), accept_changes=True, progress=False, on_event=seen.append
        )
    assert again.value.failed == incomplete.value.failed
    assert {e.tile for e in seen if isinstance(e, TileFailed)} == set(again.value.failed)
    counting = Counting()
    result = seamlabel.resume(folder, retry=True, backend=counting, accept_changes=True, progress=False)
    assert len(counting.calls) == 2
    assert same(result.path, whole)


def damage_nothing(folder):
    return 0


def tear_the_records(folder):
    for file in (folder / "records").iterdir():
        with file.open("ab") as log:
            log.write(b"\x07" * 37)
    return 0


def cut_the_notes(folder):
    file = folder / "records" / "tiles.bin"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 3 // 5])
    return 4


def empty_a_staged_tile(folder):
    next(iter(sorted(folder.glob("staging-*/*.tile")))).write_bytes(b"")
    return 1


def flip_a_bit(folder):
    file = sorted(folder.glob("staging-*/*.tile"))[3]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(bytes(data))
    return 1


def lose_all_tiles(folder):
    for file in folder.glob("staging-*/*.tile"):
        file.unlink()
    return 9


def zero_a_page_of_the_records(folder):
    for name in ("rows.bin", "nodes.bin"):
        file = folder / "records" / name
        data = bytearray(file.read_bytes())
        data[64:96] = bytes(range(32))
        file.write_bytes(bytes(data))
    return 1


def zero_a_note(folder):
    file = folder / "records" / "tiles.bin"
    data = bytearray(file.read_bytes())
    data[20:300] = bytes(280)
    file.write_bytes(bytes(data))
    return 1


def leave_a_stranger(folder):
    staging = next(folder.glob("staging-*"))
    (staging / "24.tile").write_bytes(b"SLT2 of somebody else")
    (staging / ".3.99.1").write_bytes(b"half")
    return 0


DAMAGES = [
    damage_nothing, tear_the_records, cut_the_notes, empty_a_staged_tile, flip_a_bit, lose_all_tiles,
    zero_a_page_of_the_records, zero_a_note, leave_a_stranger,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_done_again_and_nothing_else(image, whole, damage):
    folder = stopped(image, 9, executor="serial")
    least = damage(folder)
    counting = Counting()
    result = seamlabel.resume(folder, backend=counting, accept_changes=True, keep=True, progress=False)
    assert same(result.path, whole)
    redone = len(counting.calls) - (25 - 9)
    assert least <= redone <= max(least, 4 if "zero" in damage.__name__ else least)
    assert same(seamlabel.remerge(folder, progress=False).path, whole)  # and so are its records


def test_a_table_of_a_run_that_goes_on_is_that_of_an_undisturbed_one(image, tmp_path, pixels):
    other = save(tmp_path / "other.zarr", pixels)
    expected = seamlabel.segment(other, bright, table=tmp_path / "a.csv", **FIELDS).table
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, bright, table=tmp_path / "b.csv", on_event=interrupt_at(9), **FIELDS)
    seamlabel.segment(image, bright, table=tmp_path / "b.csv", **FIELDS)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert expected["area"].size


def test_a_new_run_leaves_a_kept_one_until_it_is_whole(image, whole):
    kept = seamlabel.segment(image, bright, keep=True, **FIELDS)
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, bright, overwrite=True, min_size=50, on_event=interrupt_at(9), **FIELDS)
    aside = Path(f"{kept.run_dir}~")
    assert kept_runs(image) == [aside]
    assert len(unfinished_runs(image)) == 1
    assert same(seamlabel.remerge(aside, progress=False).path, whole)
    last = seamlabel.segment(image, bright, overwrite=True, min_size=50, **FIELDS)
    assert last.n_objects < kept.n_objects
    assert kept_runs(image) == unfinished_runs(image) == []


def test_a_new_run_that_does_nothing_gives_a_kept_one_back(image):
    kept = seamlabel.segment(image, bright, keep=True, **FIELDS)
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, bright, overwrite=True, on_event=interrupt_at(0), **FIELDS)
    assert kept_runs(image) == [Path(kept.run_dir)]


def test_a_run_that_is_whole_or_is_none_cannot_go_on(image, tmp_path):
    kept = seamlabel.segment(image, bright, keep=True, **FIELDS)
    with pytest.raises(OutputError, match="nothing is left to do"):
        seamlabel.resume(kept.run_dir)
    with pytest.raises(OutputError, match="there is no folder"):
        seamlabel.resume(tmp_path / "nothing")


def test_a_run_directory_of_another_format_is_refused(image):
    folder = stopped(image, 9)
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "format": 1}))
    with pytest.raises(OutputError, match="another version"):
        seamlabel.resume(folder)


def test_labels_that_came_meanwhile_are_not_replaced(image):
    folder = stopped(image, 9)
    seamlabel.segment(image, bright, output=image, name="other", **FIELDS)
    (Path(image) / "labels" / "other").rename(Path(image) / "labels" / "labels")
    with pytest.raises((OutputError, SpecError), match=r"exists|already"):
        seamlabel.resume(folder, backend=bright, progress=False)
    assert unfinished_run(folder).done >= 9
    seamlabel.resume(folder, backend=bright, overwrite=True, progress=False)


@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_a_run_goes_on_with_another_executor_and_changes_no_voxel(image, whole, executor):
    stopped(image, 9, executor=executor, workers=2)
    (folder,) = [run.path for run in unfinished_runs(image)]
    assert same(seamlabel.resume(folder, backend=bright, executor="threads", progress=False).path, whole)
    stopped(image, 9, name="b")
    (folder,) = [run.path for run in unfinished_runs(image)]
    how = {"executor": executor, "workers": 2, "progress": False}
    assert same(seamlabel.resume(folder, backend=bright, **how).path, whole)


def test_a_run_that_was_moved_with_its_image_goes_on_there(image, tmp_path, whole):
    stopped(image, 9)
    place = tmp_path / "elsewhere"
    place.mkdir()
    Path(image).rename(place / "moved.zarr")
    Path(f"{image}.seamlabel").rename(place / "moved.zarr.seamlabel")
    folder = place / "moved.zarr.seamlabel" / "labels"
    result = seamlabel.resume(folder, backend=bright, progress=False)
    assert result.path == str(place / "moved.zarr" / "labels" / "labels")
    assert same(result.path, whole)
    assert not Path(image).exists()
    assert not Path(f"{image}.seamlabel").exists()


def test_a_run_directory_says_nothing_of_other_places(image, tmp_path):
    folder = stopped(image, 9)
    moved = folder.rename(tmp_path / "labels")
    with pytest.raises(OutputError, match="does not lie in a folder"):
        seamlabel.resume(moved, backend=bright, progress=False)
    renamed = tmp_path / "image.zarr.seamlabel" / "other"
    moved.rename(renamed)
    with pytest.raises(OutputError, match="was renamed"):
        seamlabel.resume(renamed, backend=bright, progress=False)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_of_a_run_that_goes_on_begins_where_it_was(image, monkeypatch, terminal):
    folder = stopped(image, 9)
    shown = io.StringIO()
    shown.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    seamlabel.resume(folder, backend=bright)
    text = shown.getvalue()
    assert "25/25" in text if terminal else "Segmenting 25 of 25" in text
    assert "0/25" not in text.replace("10/25", "").replace("20/25", "")


def test_an_edited_mask_is_noticed(image, pixels, tmp_path):
    mask = (pixels > 0).astype("uint8")
    place = save(tmp_path / "mask.zarr", mask)
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, bright, skip_empty=place, on_event=interrupt_at(9), **FIELDS)
    mask[200:300] = 0
    size = {"axes": "yx", "levels": 2, "overwrite": True}
    write_image(Path(place), mask.shape, "uint8", lambda box: mask[box.slices], **size)
    with pytest.raises(OutputError, match="the mask differs"):
        seamlabel.segment(image, bright, skip_empty=place, **FIELDS)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_function_that_is_edited_while_the_run_goes_on_ends_it(image, tmp_path, executor):
    file = tmp_path / "method.py"
    text = "from scipy.ndimage import label\n\ndef cells(tile):\n    return label(tile > 2000)[0]\n"
    file.write_text(text)

    def edit(event):
        if isinstance(event, StageStarted) and event.stage == "segment":
            file.write_text(text.replace("2000", "2100"))

    how = {"params": {"target": f"{file}:cells"}, "executor": executor, "workers": 2, "on_event": edit}
    if executor == "threads":  # each thread makes its own
        with pytest.raises(OutputError, match="was edited while the run went on"):
            list(_slowly(image, file, edit))
    else:
        with pytest.raises(OutputError, match="was edited while the run went on"):
            seamlabel.segment(image, "function", **how, **FIELDS)


def _slowly(image, file, edit):
    """Yield the events of a run whose second thread begins after the first."""
    spec = {"backend": "function", "params": {"target": f"{file}:cells"}, "executor": "threads"}
    plan = seamlabel.resolve(
        seamlabel.RunSpec(image=image, tile_shape=TILE, overlap=8, workers=2, **spec), image_info(image)
    )
    for event in run(plan):
        edit(event)
        yield event


def test_a_function_may_change_the_folder_it_works_in(tmp_path, pixels, whole, monkeypatch):
    save(tmp_path / "here.zarr", pixels)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)

    def moves(tile):
        monkeypatch.chdir(tmp_path / "there")
        return bright(tile)

    result = seamlabel.segment("here.zarr", moves, table="cells.csv", **FIELDS)
    assert same(tmp_path / "here.zarr" / "labels" / "labels", whole)
    assert result.path == str(tmp_path / "here.zarr" / "labels" / "labels")
    assert (tmp_path / "cells.csv").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_disk_that_cannot_be_read_loses_nothing(image, whole, monkeypatch):
    folder = stopped(image, 9)
    done = unfinished_run(folder).done

    def fails(path, limit):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "read_regular", fails)
        with pytest.raises(OutputError, match="cannot read the staged tile"):
            seamlabel.resume(folder, backend=bright, progress=False)
    counting = Counting()
    assert same(seamlabel.resume(folder, backend=counting, accept_changes=True, progress=False).path, whole)
    assert len(counting.calls) == 25 - done


def test_after_memory_ran_out_more_tiles_are_tried_again():
    queue = TaskQueue(ThreadExecutor(4), 8)
    most = []
    for ended in queue.drain((("tile", n), int, ()) for n in range(100)):
        if ended is not None:
            if not most:
                assert 0 < queue.narrow() < 4
            queue.eased()
            most.append(queue._most)
    assert most[0] < 4
    assert most[-1] > 8
