from __future__ import annotations

import numpy as np
from qtpy.QtWidgets import QFileDialog

from seamlabel.io.sources import image_info, open_labels
from seamlabel.napari.result.unsaved import Unsaved


def ran(dock, pixels):
    dock.add(pixels, scale=(0.5, 0.5), axis_labels=("y", "x"), units=("um", "um"))
    dock.tiles((128, 128), (32, 32))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return dock.widget.result.findChild(Unsaved)


def saves(dock, box, path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_args, **_more: (str(path), ""))
    dock.scroll_to(box.save_button)
    dock.click(box.save_button)
    dock.wait_end()


def test_temporary_labels_are_saved_later_and_merged_there_from_then_on(
    shown_dock, pixels, tmp_path, monkeypatch
):
    dock, results = shown_dock, shown_dock.controller.results
    box = ran(dock, pixels)
    assert box.isVisibleTo(dock.widget)
    assert "Not saved yet" in box.note.text()
    before = np.array(open_labels(results.shown.path)[0])
    saves(dock, box, tmp_path / "mine", monkeypatch)
    assert not box.isVisibleTo(dock.widget)
    assert results.shown.path == str(tmp_path / "mine.zarr/labels/cells")
    np.testing.assert_array_equal(np.asarray(open_labels(results.shown.path)[0]), before)
    assert image_info(tmp_path / "mine.zarr/labels/cells").levels[0].scale == (0.5, 0.5)
    results.set_settings({"min_size": 600})
    results.apply()
    dock.wait_end()
    assert results.shown.path == str(tmp_path / "mine.zarr/labels/cells")
    assert int(np.max(open_labels(results.shown.path)[0])) == results.shown.n_objects < before.max()


def test_labels_of_that_name_in_the_chosen_store_stay(shown_dock, pixels, tmp_path, monkeypatch):
    dock = shown_dock
    box = ran(dock, pixels)
    saves(dock, box, tmp_path / "mine.zarr", monkeypatch)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    saves(dock, box, tmp_path / "mine.zarr", monkeypatch)
    assert set(image_info(pixels, axes="yx", output=tmp_path / "mine.zarr").labels) == {"cells", "cells-2"}
