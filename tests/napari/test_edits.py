"""Objects joined, cut apart and deleted by real clicks on the labels, with undo."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from tests.napari.hand import Hand

from seamlabel.napari.result.edits import EditsBox
from seamlabel.napari.result.highlight import NAME
from seamlabel.testing.cells import Tissue


class Mender:
    """The dock after a run, the box of edits, and a hand on the canvas."""

    def __init__(self, dock):
        self.dock, self.results = dock, dock.controller.results
        self.box = dock.widget.result.findChild(EditsBox)
        self.hand = Hand(dock)
        self.see(self.box)

    def see(self, widget):
        QApplication.processEvents()
        self.dock.widget.scroll.ensureWidgetVisible(widget, 0, 0)

    def tool(self, kind):
        self.dock.click(self.box.tools[kind])

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        window = self.dock.viewer.window._qt_window
        window.activateWindow()
        self.dock.qtbot.waitUntil(window.isActiveWindow, timeout=5000)
        self.hand.canvas.setFocus()
        self.dock.qtbot.keyClick(self.hand.canvas, key, modifier)

    @property
    def labels(self):
        data = self.results.layer.data
        return np.asarray(data[0] if self.results.layer.multiscale else data)

    def world(self, point):
        """Return where a voxel is."""
        return self.results.layer.data_to_world(point)

    def click(self, *points):
        for point in points:
            self.hand.click(self.world(point))

    def apply(self):
        self.results.apply()
        self.dock.wait_end()


def middle(labels, number):
    """Return a voxel inside an object."""
    found = np.argwhere(labels == number)
    return tuple(found[np.abs(found - found.mean(axis=0)).sum(axis=1).argmin()])


def two(labels):
    """Return voxels in two objects that lie in the middle of the image, in different tiles."""
    row = [n for n in dict.fromkeys(labels[200, 180:330]) if n]
    return middle(labels, row[0]), middle(labels, row[-1])


@pytest.fixture
def mender(shown_dock, image_path):
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    dock.tiles((128, 128), (32, 32))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return Mender(dock)


def test_two_clicks_join_two_objects_and_a_click_deletes_one(mender):
    labels, box = mender.labels, mender.box
    one, other = two(labels)
    mender.tool("join")
    assert "Click an object" in box.hint.text()
    mender.click(one)
    assert "Now click" in box.hint.text()
    assert NAME in mender.dock.viewer.layers
    mender.click(other)
    edits = mender.results.wish.edits
    assert [edit.kind for edit in edits] == ["join"]
    np.testing.assert_allclose(edits[0].points, [one, other], atol=1)
    assert box.count.text() == "1 edit, not written yet"
    gone = middle(labels, labels[labels > 0].max())
    mender.tool("remove")
    assert not box.tools["join"].isChecked()
    mender.click(gone)
    assert box.list.count() == 2
    mender.press(Qt.Key.Key_Escape)
    assert not box.tools["remove"].isChecked()
    assert NAME not in mender.dock.viewer.layers
    mender.click(one)
    assert len(mender.results.wish.edits) == 2, "no tool is on"
    mender.apply()
    after = mender.labels
    assert after[one] == after[other] > 0
    assert after[gone] == 0
    assert box.count.text() == "2 edits"


def test_clicks_hit_their_objects_at_any_zoom_and_drags_move_the_view(mender):
    one, other = two(mender.labels)
    mender.tool("join")
    camera = mender.dock.viewer.scene.camera
    before = camera.center
    mender.hand.drag(mender.world(one), mender.world((one[0] + 40, one[1] + 40)))
    assert not mender.box.wrong.text()
    assert "Click an object" in mender.box.hint.text()
    assert camera.center != before
    camera.zoom *= 3
    camera.center = tuple(mender.world(one))
    mender.click(one)
    camera.zoom /= 5
    mender.click(other)
    np.testing.assert_allclose(mender.results.wish.edits[0].points, [one, other], atol=2)


def test_background_and_the_same_object_twice_are_told_at_once(mender):
    labels, box = mender.labels, mender.box
    one, _ = two(labels)
    mender.tool("join")
    mender.click(one, one)
    assert "one object" in box.wrong.text()
    assert not mender.results.wish.edits
    mender.tool("cut")
    mender.click(one, (one[0] + 2, one[1]))
    assert "One tile sees a single object at both places" in box.wrong.text()
    assert not mender.results.wish.edits
    background = tuple(np.argwhere(labels == 0)[0])
    mender.click(background)
    assert "There is no object" in box.wrong.text()


def test_undo_and_redo_by_keys_and_buttons_and_an_edit_that_is_removed(mender):
    labels, box = mender.labels, mender.box
    one, other = two(labels)
    mender.tool("remove")
    mender.click(one, other)
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    mender.press(Qt.Key.Key_Z, control)
    assert len(mender.results.wish.edits) == 1
    mender.press(Qt.Key.Key_Z, control | shift)
    assert len(mender.results.wish.edits) == 2
    mender.press(Qt.Key.Key_Escape)
    mender.press(Qt.Key.Key_Z, control)
    assert len(mender.results.wish.edits) == 2, "the key is napari's while no tool is on"
    box.tools["join"].setFocus()
    mender.dock.qtbot.keyClick(box.tools["join"], Qt.Key.Key_Z, control)
    assert len(mender.results.wish.edits) == 1, "but in the panel it is ours"
    mender.see(box.redo)
    mender.dock.click(box.redo)
    assert box.list.count() == 2
    first = mender.results.wish.edits[0]
    box.list.setCurrentRow(0)
    mender.see(box.remove)
    mender.dock.click(box.remove)
    assert first not in mender.results.wish.edits
    assert box.list.count() == 1


def test_an_edit_that_the_engine_refuses_says_why_and_can_be_removed(mender):
    one, other = two(mender.labels)
    mender.tool("join")
    mender.click(one, other)
    mender.tool("cut")
    mender.click(one, other)
    cut = mender.results.wish.edits[-1]
    problem = mender.box.problem
    mender.dock.qtbot.waitUntil(lambda: problem.text() != "", timeout=10000)
    assert problem.text() == "2. Cut: These two are joined by other edits"
    assert "cannot be done" in mender.box.list.item(1).text()
    mender.box.list.setCurrentRow(1)
    mender.see(mender.box.remove)
    mender.dock.click(mender.box.remove)
    assert cut not in mender.results.wish.edits
    mender.dock.qtbot.waitUntil(lambda: not problem.text(), timeout=10000)


def test_tools_end_with_the_dock_and_leave_no_callback(mender):
    callbacks = mender.dock.viewer.mouse_drag_callbacks
    before = len(callbacks)
    mender.tool("join")
    one, _ = two(mender.labels)
    mender.click(one)
    assert len(callbacks) == before + 1
    mender.dock.viewer.window.remove_dock_widget(mender.dock.widget)
    mender.dock.widget.deleteLater()
    mender.dock.qtbot.waitUntil(lambda: NAME not in mender.dock.viewer.layers, timeout=5000)
    assert len(callbacks) < before + 1


def test_clicks_in_a_time_point_of_a_series_with_channels(shown_dock):
    cells = Tissue((256, 256), "dense", diameter=24, seed=3).image()
    series = np.stack([np.stack([cells, cells[::-1]]), np.stack([cells[:, ::-1], cells])])
    dock = shown_dock
    dock.viewer.add_image(
        series, axis_labels=("t", "c", "y", "x"), scale=(1, 1, 2, 2), translate=(0, 0, 7, 9)
    )
    dock.ready()
    dock.tiles((128, 128), (32, 32))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    mender = Mender(dock)
    dock.viewer.dims.set_point(0, 1)
    plane = mender.labels[1, 0]
    point = middle(plane, plane[128, 128] or plane[128, 130])
    mender.tool("remove")
    mender.click((1, 0, *point))
    edit = mender.results.wish.edits[0]
    assert edit.points[0][0] == 1
    np.testing.assert_allclose(edit.points[0][1:], point, atol=1)
    mender.tool("join")
    mender.click((1, 0, *point))
    outline = dock.viewer.layers[NAME]
    assert outline.data.shape[1] == 2, "seen in both channels"
    assert outline.get_value(mender.world((1, 1, *point)), world=True) == 1
    dock.viewer.dims.set_point(0, 0)
    mender.see(mender.box)
    listed = mender.box.list
    place = listed.visualItemRect(listed.item(0)).center()
    dock.qtbot.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=place)
    dock.qtbot.mouseDClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert dock.viewer.dims.point[0] == 1
    mender.apply()
    assert mender.labels[(1, 0, *point)] == 0
