"""Results that are looked at again: by their layers, and in another session."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seamlabel.engine.edits import Edit
from seamlabel.napari.layers.open_image import labels_layer
from seamlabel.napari.result.edits import EditsBox


def run(dock, tile):
    dock.tiles((tile, tile), (32, 32))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return dock.controller.results.shown


def select(dock, layer):
    dock.viewer.layers.selection.active = layer


def test_a_kept_run_of_another_session_is_shown_when_its_labels_are_selected(make_dock, image_path):
    dock = make_dock()
    dock.controller.open(image_path)
    dock.ready()
    shown = run(dock, 128)
    results = dock.controller.results
    labels = np.asarray(results.layer.data[0])
    edit = Edit("remove", (tuple(np.argwhere(labels == 5)[0].tolist()),))
    results.set_edits([edit])
    results.set_settings({"min_size": 40})
    results.apply()
    dock.wait_end()
    written = results.shown.written
    dock.viewer.close()
    other = make_dock()
    other.controller.open(image_path)
    other.ready()
    layer = labels_layer(shown.path)
    other.viewer.add_layer(layer)
    select(other, layer)
    again = other.controller.results
    assert again.shown is not None
    assert again.shown.run_dir == shown.run_dir
    assert again.wish == written
    assert not again.differs
    assert again.shown.report.n_joined == results.shown.report.n_joined
    assert other.canvas.states.counts["done"] == 16
    assert other.form.tiles.legend.text("done") == "16 done"
    assert other.widget.result.header.text() == "Result: cells"
    assert other.widget.result.findChild(EditsBox).count.text() == "1 edit"
    again.set_edits([])
    again.apply()
    other.wait_end()
    assert "merged again" in other.bar.result.text()
    assert len(other.viewer.layers) == 3


def test_results_of_one_session_are_gone_through_by_their_layers_with_their_wishes(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    first = run(dock, 128)
    results = dock.controller.results
    results.set_settings({"min_size": 40})
    second = run(dock, 256)
    assert second.path != first.path
    assert not results.differs
    select(dock, first.layer)
    assert results.shown is first
    assert results.wish.settings == {"min_size": 40}
    assert sum(dock.canvas.states.counts.values()) == 16
    select(dock, second.layer)
    assert results.shown is second
    assert not results.differs
    assert sum(dock.canvas.states.counts.values()) == 4


def test_labels_that_no_kept_run_made_leave_the_panel_as_it_is(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    shown = run(dock, 256)
    other = dock.viewer.add_labels(
        np.zeros((8, 8), int), metadata={"seamlabel": {"path": "/nowhere/labels/x"}}
    )
    select(dock, other)
    assert dock.controller.results.shown is shown
    Path(shown.run_dir, "plan.json").unlink()
    select(dock, None)
    select(dock, shown.layer)
    assert dock.controller.results.shown is shown
