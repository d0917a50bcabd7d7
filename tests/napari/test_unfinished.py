"""Runs that did not reach their end, in the dock: found, gone on with, shown, started over, refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from seamlabel.engine.run import run
from seamlabel.events import TileDone
from seamlabel.io.journal import unfinished_run
from seamlabel.io.lock import Lock
from seamlabel.io.sources import image_info, open_labels
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.result.failed import FailedBox
from seamlabel.plan import resolve
from seamlabel.spec import RunSpec

SLOW = {"tile_shape": (96, 96), "overlap": (8, 8)}


@pytest.fixture
def unfinished(image_path, script):
    """Return a function that leaves a run of 36 tiles after some, and its folder."""

    def leave(tiles=12, function="label", **fields):
        wish = {**SLOW, "name": "cells", "backend": "function", "params": script(function), **fields}
        spec = RunSpec(image=image_path, **wish)
        plan = resolve(spec, image_info(image_path))
        events, done = run(plan), 0
        for event in events:
            done += isinstance(event, TileDone)
            if done == tiles:
                break
        events.close()
        return Path(plan.run_dir)

    return leave


def open_image(dock, path):
    dock.controller.open(path)
    dock.ready()


def ask(dock, script, name="label", tile=(96, 96)):
    dock.form.method.set_values("function", script(name))
    dock.form.method.changed.emit()
    dock.tiles(tile, (8, 8))


def begin(dock, button, tiles=2):
    dock.click(button)
    dock.qtbot.waitUntil(lambda: dock.run.progress.began or not dock.run.active, timeout=20000)
    wait_tiles(dock, tiles)


def wait_tiles(dock, tiles):
    dock.qtbot.waitUntil(lambda: dock.run.progress.done >= tiles or not dock.run.active, timeout=20000)


def row(dock):
    return dock.bar.unfinished


def shown(dock):
    """Return the texts of the buttons that the row has now."""
    found = row(dock)
    buttons = (found.accept, found.resume, found.start_over, found.show_tiles, found.sure, found.keep)
    return [button.text() for button in buttons if button.isVisibleTo(found)]


def tiles_in(dock, state):
    return [tile for tile in range(36) if dock.canvas.states.state(tile) == state]


# -- found ---------------------------------------------------------------------------------------


def test_an_unfinished_run_is_found_with_its_image(dock, image_path, unfinished):
    folder = unfinished(12)
    done = unfinished_run(folder).done
    open_image(dock, image_path)
    assert row(dock).isVisibleTo(dock.bar)
    assert row(dock).text.text() == f"Unfinished run found: {done} of 36 tiles"
    assert "method was 'function', is 'watershed'" in row(dock).more.text()
    assert shown(dock) == ["Resume", "Start over", "Show"]
    assert dock.bar.run_button.text() == "Run"
    dock.type(dock.form.save.name, "others")
    assert row(dock).text.text() == f"Unfinished run 'cells' found: {done} of 36 tiles"
    assert shown(dock) == ["Resume", "Show"], "another name takes nothing away"


def test_of_two_unfinished_runs_that_of_the_name_is_told(dock, image_path, unfinished):
    own = unfinished_run(unfinished(5)).done
    other = unfinished_run(unfinished(9, name="later")).done
    open_image(dock, image_path)
    assert row(dock).text.text() == f"Unfinished run found: {own} of 36 tiles"
    dock.type(dock.form.save.name, "third")
    assert row(dock).text.text() == f"Unfinished run 'later' found: {other} of 36 tiles"


def test_no_row_where_there_is_no_unfinished_run(dock, image_path, pixels):
    open_image(dock, image_path)
    assert not row(dock).isVisibleTo(dock.bar)
    dock.add(pixels)
    assert not row(dock).isVisibleTo(dock.bar)


def test_a_long_journal_is_read_in_a_thread_and_the_row_comes_then(dock, image_path, unfinished, monkeypatch):
    unfinished(12)
    readers = []
    from seamlabel.napari.run import finder

    go = threading.Event()

    def look(path):
        go.wait(5)
        readers.append(threading.current_thread())
        return finder_look(path)

    finder_look = finder.look
    monkeypatch.setattr(finder, "look", look)
    monkeypatch.setattr(finder, "QUICK_BYTES", 10)
    open_image(dock, image_path)
    dock.wait_grid()
    assert not row(dock).isVisibleTo(dock.bar)
    go.set()
    dock.qtbot.waitUntil(lambda: row(dock).isVisibleTo(dock.bar), timeout=5000)
    assert readers
    assert threading.main_thread() not in readers
    before = len(readers)
    dock.tiles((100, 100), (8, 8))
    assert len(readers) == before, "what was read is remembered"


# -- resume --------------------------------------------------------------------------------------


def test_resume_goes_on_as_it_was_asked_for_and_segments_no_tile_twice(dock, image_path, unfinished, script):
    folder = unfinished(12, "slow", min_size=3)
    done = unfinished_run(folder).done
    open_image(dock, image_path)
    begin(dock, row(dock).resume)
    value = dock.form.value()
    assert (value.backend, value.params, value.min_size) == ("function", script("slow"), 3)
    assert (value.tile_shape, value.overlap) == ((96, 96), (8, 8))
    assert len(dock.canvas.states.grid) == 36
    assert dock.run.progress.done >= done, "finished tiles are told at once"
    assert len(tiles_in(dock, "done")) >= done
    assert not row(dock).isVisibleTo(dock.bar)
    dock.wait_end()
    assert "36 tiles done" in dock.bar.result.text()
    assert dock.run.progress.result.seconds < 36 * 0.15, "only what was left was segmented"
    assert image_info(image_path).labels == ("cells",)
    assert not row(dock).isVisibleTo(dock.bar)
    assert dock.bar.run_button.text() == "Run"
    stored = np.asarray(open_labels(f"{image_path}/labels/cells")[0][...])
    np.testing.assert_array_equal(np.asarray(dock.canvas.labels_layer.data[0]), stored)


def test_run_is_resume_where_the_request_is_the_same(dock, image_path, unfinished, script):
    unfinished(12, "slow")
    open_image(dock, image_path)
    ask(dock, script, "slow")
    assert dock.bar.run_button.text() == "Resume"
    assert row(dock).more.text() == ""
    begin(dock, dock.bar.run_button)
    assert dock.run.progress.done >= 12
    dock.wait_end()
    assert "36 tiles done" in dock.bar.result.text()


def test_a_run_with_automatic_tiles_goes_on_with_the_tiles_it_had(dock, image_path, unfinished, script):
    folder = unfinished(1, tile_shape="auto", overlap="auto", workers=1)
    if unfinished_run(folder) is None:
        pytest.skip("one tile was all")
    plan = json.loads((folder / "plan.json").read_text())
    plan["spec"]["tile_shape"], plan["grid"]["tile_shape"] = [200, 200], [200, 200]
    (folder / "plan.json").write_text(json.dumps(plan))
    open_image(dock, image_path)
    dock.form.method.set_values("function", script("label"))
    dock.form.method.changed.emit()
    assert dock.bar.run_button.text() == "Resume"
    assert dock.controller.plan.grid.tile_shape == (200, 200)
    assert dock.form.tiles.shape.auto.isChecked()
    assert [box.value() for box in dock.form.tiles.shape.boxes] == [200, 200]


def test_a_cancelled_run_is_kept_and_goes_on_in_the_same_session(dock, image_path, script):
    open_image(dock, image_path)
    ask(dock, script, "slow")
    begin(dock, dock.bar.run_button, tiles=3)
    dock.click(dock.bar.cancel_button)
    dock.wait_end(5000)
    kept = unfinished_run(Path(f"{image_path}.seamlabel/cells")).done
    assert dock.bar.result.text() == f"Cancelled after {kept} of 36 tiles · they are kept: Resume goes on"
    assert row(dock).text.text() == f"Unfinished run found: {kept} of 36 tiles"
    assert dock.bar.run_button.text() == "Resume"
    assert "cells (unfinished)" in dock.viewer.layers
    begin(dock, dock.bar.run_button)
    assert "cells (unfinished)" not in dock.viewer.layers, "its tiles are in the new layer"
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)


def test_a_run_cut_short_by_closing_the_viewer_is_found_by_the_next(make_dock, qtbot, image_path, script):
    dock = make_dock()
    open_image(dock, image_path)
    ask(dock, script, "slow")
    begin(dock, dock.bar.run_button, tiles=3)
    worker = dock.run.worker
    dock.viewer.close()
    qtbot.waitUntil(lambda: not worker.running, timeout=4000)
    other = make_dock()
    open_image(other, image_path)
    assert row(other).text.text().startswith("Unfinished run found: ")
    other.click(row(other).resume)
    other.wait_end()
    assert image_info(image_path).labels == ("cells",)


# -- start over and show --------------------------------------------------------------------------


def test_start_over_asks_once_more_and_can_be_taken_back(dock, image_path, unfinished, script):
    folder = unfinished(12)
    done = unfinished_run(folder).done
    open_image(dock, image_path)
    ask(dock, script, "slow", (128, 128))
    dock.click(row(dock).start_over)
    assert row(dock).text.text() == f"Start over removes {done} finished tiles"
    assert shown(dock) == ["Remove them", "Keep them"]
    dock.click(row(dock).keep)
    assert unfinished_run(folder).done == done
    assert shown(dock) == ["Resume", "Start over", "Show"]
    dock.click(row(dock).start_over)
    dock.click(row(dock).sure)
    assert dock.run.active
    dock.wait_end()
    assert "16 tiles done" in dock.bar.result.text()
    assert image_info(image_path).labels == ("cells",)


def test_show_shows_the_finished_tiles_and_runs_nothing(dock, image_path, unfinished):
    folder = unfinished(12)
    before = sorted((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in folder.rglob("*"))
    done = unfinished_run(folder).done
    open_image(dock, image_path)
    dock.click(row(dock).show_tiles)
    dock.wait_end()
    layer = dock.viewer.layers["cells (unfinished)"]
    labels = np.asarray(layer.data[0])
    assert len(dock.canvas.states.grid) == 36
    assert len(tiles_in(dock, "done")) == done
    grid = dock.canvas.states.grid
    for tile in range(36):
        assert labels[grid[tile].core.slices].any() == (tile in tiles_in(dock, "done"))
    assert sorted((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in folder.rglob("*")) == before
    assert dock.bar.result.text() == f"Shown: {done} of 36 tiles · nothing was run"
    assert dock.form.value().backend == "watershed", "the form stays as it is"
    dock.click(row(dock).show_tiles)
    dock.wait_end()
    assert [one.name for one in dock.viewer.layers].count("cells (unfinished)") == 1


def test_objects_across_seams_are_one_in_what_is_shown(dock, image_path, unfinished):
    unfinished(35)
    open_image(dock, image_path)
    dock.click(row(dock).show_tiles)
    dock.wait_end()
    shown_labels = np.asarray(dock.viewer.layers["cells (unfinished)"].data[0])
    dock.click(row(dock).resume)
    dock.wait_end()
    final = np.asarray(dock.canvas.labels_layer.data[0])
    both = (shown_labels > 0) & (final > 0)
    pairs = np.unique(np.stack([shown_labels[both], final[both]]), axis=1)
    assert pairs.shape[1] <= len(np.unique(pairs[1])) + 4, "but for objects of the tiles that were missing"


# -- refused --------------------------------------------------------------------------------------


def test_run_with_other_settings_is_refused_and_nothing_is_lost(dock, image_path, unfinished, script):
    folder = unfinished(12)
    done = unfinished_run(folder).done
    open_image(dock, image_path)
    ask(dock, script, "label", (128, 96))
    dock.click(dock.bar.run_button)
    assert not dock.run.active
    assert row(dock).text.text() == f"Nothing was run: {done} of 36 tiles are from another run"
    assert row(dock).more.text() == "These settings are others: tile shape was (96, 96), is (128, 96)"
    assert shown(dock) == ["Resume", "Start over", "Show"]
    assert unfinished_run(folder).done == done
    dock.tiles((96, 96), (8, 8))
    assert row(dock).text.text() == f"Unfinished run found: {done} of 36 tiles"
    assert dock.bar.run_button.text() == "Resume"


def test_what_the_engine_refuses_is_told_in_the_row(dock, image_path, unfinished):
    folder = unfinished(12)
    done = unfinished_run(folder).done
    plan = json.loads((folder / "plan.json").read_text())
    plan["identity"]["pixels"] = "others"
    (folder / "plan.json").write_text(json.dumps(plan))
    open_image(dock, image_path)
    dock.click(row(dock).resume)
    dock.wait_end()
    assert row(dock).text.text() == f"Nothing was run: {done} of 36 tiles are from another run"
    assert row(dock).more.text() == "Pixels of the image differ"
    assert dock.bar.failures.text() == ""
    assert shown(dock) == ["Resume", "Start over", "Show"]
    assert unfinished_run(folder).done == done
    assert dock.viewer.layers["image"]
    assert "cells" not in dock.viewer.layers


def test_a_run_of_another_process_can_only_be_looked_at(dock, image_path, unfinished):
    folder = unfinished(12)
    lock = Lock(folder.with_name("cells.lock"))
    try:
        open_image(dock, image_path)
        assert row(dock).more.text().startswith("It is under way in another window or process.")
        assert shown(dock) == ["Show"]
        dock.click(dock.bar.run_button)
        dock.wait_end()
        assert "is in use by process" in row(dock).text.text()
    finally:
        lock.release()
    dock.type(dock.form.save.name, "cells")
    dock.tiles((100, 100), (8, 8))
    assert shown(dock) == ["Resume", "Start over", "Show"]


def test_a_run_of_another_version_is_told_and_can_be_started_over(dock, image_path, unfinished, script):
    folder = unfinished(12)
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "format": 1}))
    open_image(dock, image_path)
    assert "another version of seamlabel" in row(dock).more.text()
    assert shown(dock) == ["Start over"]
    ask(dock, script)
    dock.click(row(dock).start_over)
    dock.click(row(dock).sure)
    dock.wait_end()
    assert image_info(image_path).labels == ("cells",)


# -- failed tiles ---------------------------------------------------------------------------------


FLAKY = """
import pathlib
import scipy.ndimage

def flaky(tile):
    if (pathlib.Path(__file__).parent / "fail").exists() and tile[:8, :8].mean() < 600:
        raise ValueError("too dark")
    return scipy.ndimage.label(tile > 1800)[0]
"""


def incomplete(dock, image_path, tmp_path):
    """Run with some tiles failing; return the file of the method."""
    file = tmp_path / "flaky.py"
    file.write_text(FLAKY)
    (tmp_path / "fail").touch()
    open_image(dock, image_path)
    ask(dock, lambda name: {"target": f"{file}:{name}"}, "flaky")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return file


def test_failed_tiles_are_tried_again_with_one_click(dock, image_path, tmp_path):
    incomplete(dock, image_path, tmp_path)
    failed = len(tiles_in(dock, "failed"))
    assert failed > 1
    assert f"{failed} failed" in dock.bar.result.text()
    assert dock.causes()[0] == f"{failed} tiles: ValueError: too dark (flaky.py, line 7)"
    assert row(dock).text.text() == f"Unfinished run found: {36 - failed} of 36 tiles, {failed} failed"
    assert row(dock).more.text() == "", "the causes are above"
    assert shown(dock) == ["Start over", "Show"], "Retry is above, beside the causes"
    assert "too dark" in dock.run.reason(tiles_in(dock, "failed")[0])
    (tmp_path / "fail").unlink()
    dock.click(dock.widget.result.findChild(FailedBox).retry)
    dock.wait_end()
    assert "36 tiles done, 0 empty, 0 failed" in dock.bar.result.text()
    assert image_info(image_path).labels == ("cells",)
    assert not row(dock).isVisibleTo(dock.bar)


def test_failed_tiles_of_an_earlier_session_are_told_with_their_cause(make_dock, image_path, tmp_path):
    dock = make_dock()
    incomplete(dock, image_path, tmp_path)
    failed = len(tiles_in(dock, "failed"))
    dock.viewer.close()
    other = make_dock()
    open_image(other, image_path)
    assert f"{failed} tiles: ValueError: too dark" in row(other).more.text()
    other.click(row(other).show_tiles)
    other.wait_end()
    assert other.canvas.states.counts["failed"] == failed
    assert "too dark" in other.run.reason(tiles_in(other, "failed")[0])


def test_an_edited_method_goes_on_only_if_finished_tiles_may_stay(shown_dock, image_path, tmp_path):
    dock = shown_dock
    file = incomplete(dock, image_path, tmp_path)
    failed = len(tiles_in(dock, "failed"))
    file.write_text(FLAKY.replace("mean() < 600", "mean() < 0"))
    dock.click(dock.widget.result.findChild(FailedBox).retry)
    dock.wait_end()
    assert (
        row(dock).text.text() == "Nothing was run: the code of the method was edited, or values that it uses"
    )
    assert row(dock).more.text() == f"{36 - failed} of 36 tiles were done before that"
    assert shown(dock) == ["Retry, keep finished tiles", "Start over", "Show"]
    assert dock.canvas.states.counts["failed"] == failed, "the tiles are as they were"
    assert dock.form.tiles.legend.text("failed") == f"{failed} failed"
    dock.click(row(dock).accept)
    dock.wait_end()
    assert "36 tiles done" in dock.bar.result.text()
    assert failed > 0
    assert image_info(image_path).labels == ("cells",)


def test_an_array_with_temporary_labels_has_no_row(dock, pixels, script):
    dock.add(pixels)
    ask(dock, script, "slow", (64, 64))
    begin(dock, dock.bar.run_button)
    dock.click(dock.bar.cancel_button)
    dock.wait_end(5000)
    assert not row(dock).isVisibleTo(dock.bar)
    assert "nothing was written" in dock.bar.result.text()
    assert all("run_dir" in one.metadata[OWN] for one in dock.viewer.layers if "unfinished" in one.name)


def test_an_array_with_labels_in_a_folder_goes_on(dock, pixels, script, tmp_path):
    dock.add(pixels)
    ask(dock, script, "slow", (96, 96))
    dock.form.save.place.setCurrentText("Another OME-Zarr")
    dock.type(dock.form.save.path.line, str(tmp_path / "out.zarr"))
    dock.ready()
    begin(dock, dock.bar.run_button)
    dock.click(dock.bar.cancel_button)
    dock.wait_end(5000)
    assert shown(dock) == ["Resume", "Start over", "Show"]
    dock.click(row(dock).resume)
    dock.wait_end()
    assert open_labels(tmp_path / "out.zarr" / "labels" / "cells")[0].shape == pixels.shape


HUNGRY = """
import pathlib, time
import scipy.ndimage

def hungry(tile):
    try:
        pathlib.Path(__file__).with_name("begun").touch(exist_ok=False)
    except FileExistsError:
        time.sleep(0.1)  # still at work while memory runs out
        return scipy.ndimage.label(tile > 1800)[0]
    time.sleep(0.25)
    raise MemoryError
"""


def test_running_out_of_memory_is_told(dock, pixels, tmp_path):
    file = tmp_path / "hungry.py"
    file.write_text(HUNGRY)
    dock.add(pixels)
    spec = {"target": f"{file}:hungry"}
    dock.form.setValue(dock.form.value().replace(backend="function", params=spec, workers=2))
    dock.tiles((96, 96), (8, 8))
    dock.click(dock.bar.run_button)
    dock.qtbot.waitUntil(lambda: bool(dock.run.progress.workers) or not dock.run.active, timeout=20000)
    assert dock.bar.memory.text() == "Memory ran out: 1 tile at a time from now on"
    dock.wait_end()
