"""Tiles that failed: told, looked at, tried again and avoided, with real clicks."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from seamlabel.io.sources import image_info, open_labels
from seamlabel.napari.result.failed import FailedBox, causes_of


def use(dock, script, name, tile=(128, 128)):
    dock.form.method.set_values("function", script(name))
    dock.form.method.changed.emit()
    dock.tiles(tile, (8, 8))


def run(dock):
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return dock.widget.result.findChild(FailedBox)


@pytest.fixture
def mend(tmp_path):
    """Mend the method of `script` that fails in the dark."""

    def mend():
        path = tmp_path / "segmenters.py"
        path.write_text(path.read_text().replace("< 600", "< 0"))

    return mend


def test_failed_tiles_are_listed_by_cause_and_shown_one_after_another(dock, image_path, script):
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "dark_fails")
    box = run(dock)
    failed = sorted(dock.run.progress.failures)
    assert len(failed) > 1
    assert box.isVisibleTo(dock.widget)
    assert len(box.rows) == 1
    assert box.rows[0].text.text().startswith(f"{len(failed)} tiles: ValueError: too dark in this tile")
    assert dock.bar.failures.text() == "", "not said twice"
    assert not dock.bar.unfinished.more.text(), "nor in the row of the unfinished run"
    for tile in failed[:2]:
        dock.click(box.rows[0].show_button)
        core = dock.canvas.states.grid[tile].core
        middle = [(a + b) / 2 * 0.5 - 0.25 for a, b in zip(core.start, core.stop, strict=True)]
        np.testing.assert_allclose(dock.viewer.scene.camera.center[-2:], middle, atol=0.3)
        assert dock.canvas.states.selected == tile
    dock.click(box.copy)
    text = QApplication.clipboard().text()
    assert text.count("Traceback") == len(failed)
    assert "Tile (" in text


def test_retry_segments_failed_tiles_alone_once_their_cause_is_gone(shown_dock, image_path, script, mend):
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "dark_fails")
    box = run(dock)
    count = len(dock.run.progress.failures)
    dock.click(box.retry)
    dock.wait_end()
    assert len(dock.run.progress.failures) == count, "the cause is still there"
    assert box.isVisibleTo(dock.widget)
    mend()
    dock.click(box.retry)
    dock.wait_end()
    dock.click(dock.bar.unfinished.accept)  # the method's code is another now
    dock.wait_end()
    assert not box.isVisibleTo(dock.widget)
    assert image_info(image_path).labels == ("cells",)


def test_tiles_of_an_array_can_be_tried_again(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "dark_fails")
    box = run(dock)
    done = dock.canvas.states.counts["done"]
    assert done
    assert box.isVisibleTo(dock.widget)
    dock.click(box.retry)
    dock.wait_end()
    assert dock.canvas.states.counts["done"] == done
    assert box.isVisibleTo(dock.widget)


def test_memory_that_ran_out_offers_smaller_tiles_which_the_form_then_shows(dock, pixels, script):
    dock.add(pixels)
    use(dock, script, "out_of_memory", (192, 192))
    box = run(dock)
    assert box.isVisibleTo(dock.widget)
    assert "Use tiles of 64?" in box.smaller.text()
    dock.click(box.use)
    assert dock.form.value().tile_shape == (64, 64)
    dock.ready()


def test_the_cause_is_told_at_a_tile_after_a_retry_that_was_refused(dock, image_path, script, tmp_path):
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "dark_fails")
    box = run(dock)
    tile = sorted(dock.run.progress.failures)[0]
    assert "too dark" in dock.run.reason(tile)
    path = tmp_path / "segmenters.py"
    path.write_text(path.read_text().replace("600", "500"))
    dock.click(box.retry)
    dock.wait_end()
    assert "Nothing was run" in dock.bar.unfinished.text.text()
    assert "too dark" in dock.run.reason(tile)
    assert box.isVisibleTo(dock.widget)


def test_causes_are_ordered_by_how_many_tiles_they_hit():
    causes = causes_of({3: ("dark\nmore", ""), 1: ("MemoryError", ""), 2: ("dark", "")})
    assert [(c.reason, c.tiles, c.memory) for c in causes] == [
        ("dark", (2, 3), False),
        ("MemoryError", (1,), True),
    ]


def test_a_picked_tile_of_finished_labels_is_segmented_again(shown_dock, image_path, script, tmp_path):
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    use(dock, script, "label")
    row = dock.form.tiles.pick_row
    dock.wait_grid()
    dock.qtbot.waitUntil(lambda: sum(dock.canvas.states.counts.values()) == 16, timeout=5000)
    dock.controller.grid.pick(5)
    assert not row.again_button.isVisibleTo(row), "there are no labels yet"
    run(dock)
    results = dock.controller.results
    before = np.asarray(results.layer.data[0]).copy()
    assert row.again_button.isVisibleTo(row)
    path = tmp_path / "segmenters.py"
    path.write_text(path.read_text().replace("tile > 1800)", "tile > 60000)"))
    dock.scroll_to(row.again_button)
    dock.click(row.again_button)
    assert dock.run.active
    dock.wait_end()
    core = dock.canvas.states.grid[5].core
    after = np.asarray(results.layer.data[0])
    inner = tuple(slice(a + 40, b - 40) for a, b in zip(core.start, core.stop, strict=True))
    assert before[inner].any()
    np.testing.assert_array_equal(after, np.asarray(open_labels(results.shown.path)[0]))
    assert not after[inner].any(), "as the method sees it now"
    assert results.shown.path.endswith("cells")
    path.write_text(path.read_text().replace("return scipy.ndimage.label(tile > 60000)", "int('x')"))
    dock.scroll_to(row.again_button)
    dock.click(row.again_button)
    dock.wait_end()
    assert "as they were" in dock.bar.result.text() or "Stopped" in dock.bar.result.text()
    assert dock.causes()[0].startswith("Tile (1, 1): ValueError")
    assert results.shown.path.endswith("cells"), "the labels stay"
    dock.tiles((64, 64), (8, 8))
    dock.qtbot.waitUntil(lambda: not row.again_button.isVisibleTo(row), timeout=5000)
