from __future__ import annotations

import numpy as np

from seamlabel.engine.edits import Edit
from seamlabel.io.sources import open_labels


def ran(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    dock.tiles((128, 128), (32, 32))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return dock.controller.results


def test_a_finished_run_is_shown_and_can_be_merged_again(dock, image_path):
    results = ran(dock, image_path)
    shown, layer = results.shown, results.layer
    assert shown.n_objects > 50
    assert layer is not None
    assert results.can_merge
    results.set_settings({"min_size": 1000, "merge": {"iou": 0.9}})
    assert results.differs
    results.apply()
    assert not results.can_merge
    dock.wait_end()
    assert results.shown.n_objects < shown.n_objects
    assert results.layer is layer
    assert int(np.max(layer.data[0])) == results.shown.n_objects
    assert not results.differs
    assert "merged again" in dock.bar.result.text()


def test_wishes_can_be_undone_and_done_again_and_put_back(dock, image_path):
    results = ran(dock, image_path)
    edit = Edit("remove", ((10, 10),))
    results.set_settings({"min_size": 5})
    results.set_settings({"min_size": 50})
    results.set_edits([edit])
    results.undo()
    assert results.wish.edits == ()
    assert results.wish.settings == {"min_size": 50}
    results.undo()
    assert results.wish.settings == {}
    results.redo()
    results.redo()
    assert results.wish.edits == (edit,)
    results.put_back()
    assert not results.differs
    assert results.can_undo


def test_a_merge_that_is_cancelled_leaves_the_labels_as_they_were(dock, image_path):
    results = ran(dock, image_path)
    before = np.asarray(open_labels(results.shown.path)[0])
    results.set_settings({"min_size": 100000})
    results.apply()
    dock.run.cancel()
    dock.wait_end()
    if "Cancelled" in dock.bar.result.text():  # it may have been quicker
        np.testing.assert_array_equal(np.asarray(open_labels(results.shown.path)[0]), before)
        assert results.differs


def test_a_result_is_in_sight_when_its_run_has_ended(shown_dock, image_path):
    dock = shown_dock
    dock.viewer.window._qt_window.resize(1000, 700)
    dock.controller.open(image_path)
    dock.ready()
    dock.tiles((128, 128), (32, 32))
    assert dock.widget.scroll.verticalScrollBar().value() == 0
    dock.click(dock.bar.run_button)
    dock.wait_end()

    def seen():
        return dock.widget.result.header.visibleRegion().boundingRect().height()

    dock.qtbot.waitUntil(lambda: seen() == dock.widget.result.header.height(), timeout=5000)
