"""The button that has the overlap measured: a real click, the window alive, numbers to take."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QApplication

PER_TILE = """
import numpy as np
import scipy.ndimage

def own(tile):
    low, high = np.percentile(tile, (1, 99))
    return scipy.ndimage.label(tile > low + 0.4 * (high - low))[0]

def blocks(tile):
    rows, columns = (-n % 4 for n in tile.shape)
    padded = np.pad(tile.astype(float), ((0, rows), (0, columns)), mode="edge")
    means = padded.reshape(padded.shape[0] // 4, 4, -1, 4).mean((1, 3))
    coarse = np.repeat(np.repeat(means, 4, 0), 4, 1)[: tile.shape[0], : tile.shape[1]]
    return scipy.ndimage.label(coarse > 1800)[0]
"""


@pytest.fixture
def tissue(shown_dock, pixels):
    dock = shown_dock
    dock.image = dock.add(pixels)
    dock.tiles((97, 97), (20, 20))
    dock.wait_grid()
    dock.row = dock.form.tiles.measured
    dock.control = dock.controller.tiles.overlap
    dock.scroll_to(dock.row.button)
    return dock


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PER_TILE)
    return lambda name: {"target": f"{path}:{name}"}


def choose(dock, params, backend="function"):
    dock.form.method.set_values(backend, params)
    dock.form.method.changed.emit()
    dock.ready()


def measure(dock):
    dock.click(dock.row.button)
    assert dock.control.worker is not None
    dock.qtbot.waitUntil(lambda: dock.control.worker is None, timeout=60000)
    QApplication.processEvents()


def test_a_click_measures_and_another_takes_the_number(tissue):
    choose(tissue, {"smoothing": 1.0}, "threshold")
    measure(tissue)
    assert tissue.row.note.text() == "Overlap 5"
    assert "radius     y 4, x 4" in tissue.row.note.toolTip()
    (button,) = tissue.row.found.buttons
    assert button.text() == "Use 5"
    tissue.scroll_to(button)
    tissue.click(button)
    tissue.ready()
    assert tissue.controller.plan.grid.overlap == (5, 5)
    assert tissue.row.note.text() == "Overlap 5"  # of the same method still


def test_tiles_that_a_method_wants_aligned_are_offered_too(tissue, mine):
    choose(tissue, mine("blocks"))
    measure(tissue)
    assert [button.text() for button in tissue.row.found.buttons] == ["Use 4", "Use 100"]
    for button in tissue.row.found.buttons:
        tissue.scroll_to(button)
        tissue.click(button)
    tissue.ready()
    assert tissue.controller.plan.grid.tile_shape == (100, 100)
    assert tissue.controller.plan.grid.overlap == (4, 4)


def test_a_method_that_normalises_per_tile_gets_words_and_no_number(tissue, mine):
    choose(tissue, mine("own"))
    measure(tissue)
    assert "no overlap will make tiles agree" in tissue.row.found.text()
    assert "whole image" in tissue.row.found.text()
    assert not tissue.row.found.buttons


def test_what_was_found_goes_with_the_method_that_it_was_of(tissue, script):
    measure(tissue)
    choose(tissue, script("label"))
    assert tissue.row.note.text() == ""
    assert not tissue.row.found.buttons


def test_a_second_click_cancels(tissue, script, gate):
    choose(tissue, script("gated"))
    tissue.click(tissue.row.button)
    worker = tissue.control.worker
    assert tissue.row.button.text().startswith("Cancel")
    tissue.click(tissue.row.button)
    assert tissue.control.worker is None
    assert tissue.row.button.text() == "&Measure overlap"
    gate.touch()
    assert worker.join(20)
    QApplication.processEvents()
    assert tissue.row.note.text() == ""


def test_a_method_that_fails_is_told_beside_the_button(tissue, script):
    choose(tissue, script("out_of_memory"))
    measure(tissue)
    assert "CUDA out of memory" in tissue.row.note.text()
    assert tissue.row.note.property("kind") == "problem"


def test_it_ends_with_its_image_and_with_the_dock(tissue, script, gate):
    choose(tissue, script("gated"))
    tissue.click(tissue.row.button)
    first = tissue.control.worker
    tissue.viewer.layers.remove(tissue.image)
    assert tissue.control.worker is None
    tissue.add(tissue.image.data)
    tissue.click(tissue.row.button)
    second = tissue.control.worker
    tissue.widget.controller.close()
    gate.touch()
    assert first.join(20)
    assert second.join(20)


def test_a_run_takes_its_place(tissue, script, gate):
    choose(tissue, script("gated"))
    tissue.click(tissue.row.button)
    worker = tissue.control.worker
    tissue.scroll_to(tissue.bar.run_button)
    tissue.click(tissue.bar.run_button)
    tissue.qtbot.waitUntil(lambda: tissue.run.active, timeout=20000)
    assert tissue.control.worker is None
    assert not tissue.row.isEnabled()
    gate.touch()
    assert worker.join(20)
    tissue.wait_end()
