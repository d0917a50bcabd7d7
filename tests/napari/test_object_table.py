from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from seamlabel.io.tables import read_table
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.result.object_link import NAME
from seamlabel.napari.result.table_part import TablePart


def ran(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    dock.tiles((128, 128), (32, 32))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    return dock.widget.findChild(TablePart)


def measured(dock, part):
    dock.click(part.table_button)
    dock.qtbot.waitUntil(lambda: dock.controller.results.table is not None, timeout=30000)
    dock.qtbot.waitUntil(lambda: not part.work.active, timeout=5000)
    return dock.viewer.window.dock_widgets["Objects"]


def cell(view, row, column=0):
    return view.model.data(view.model.index(row, column))


def click_row(dock, view, row, modifier=Qt.KeyboardModifier.NoModifier):
    place = view.table.visualRect(view.model.index(row, 0)).center()
    dock.qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton, modifier, pos=place)


def click_header(dock, view, column):
    header = view.table.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(column) + 12, header.height() // 2)
    dock.qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


def click_canvas(dock, world):
    """Click on a world position (y, x)."""
    canvas = dock.viewer.window._qt_viewer.canvas
    camera, size = dock.viewer.camera, canvas.native.size()
    dx = (world[1] - camera.center[2]) * camera.zoom + size.width() / 2
    dy = (world[0] - camera.center[1]) * camera.zoom + size.height() / 2
    dock.qtbot.mouseMove(canvas.native, QPoint(round(dx), round(dy)))
    dock.qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=QPoint(round(dx), round(dy)))


def test_objects_are_measured_on_demand_and_listed(dock, image_path):
    part = ran(dock, image_path)
    results = dock.controller.results
    assert results.table is None
    assert not part.export_button.isEnabled()
    assert not part.colour.isEnabled()
    view = measured(dock, part)
    shown = results.shown
    assert view.model.rowCount() == shown.n_objects
    titles = [column.title for column in view.model.columns]
    assert titles[:3] == ["id", "area (µm²)", "area (pixels)"]
    labels = np.asarray(results.layer.data[0])
    assert results.table["area_voxels"].tolist() == np.bincount(labels.ravel())[1:].tolist()
    assert view.count.text() == f"{shown.n_objects} objects"
    assert part.table_button.text() == "Show table"
    assert "area (pixels)" in results.layer.features.columns


def test_rows_are_sorted_filtered_selected_and_copied(shown_dock, image_path):
    dock = shown_dock
    view = measured(dock, ran(dock, image_path))
    dock.qtbot.waitUntil(view.table.isVisible, timeout=5000)
    areas = dock.controller.results.table["area_voxels"]
    click_row(dock, view, 1)
    assert view.selected_rows().tolist() == [1]
    click_header(dock, view, 2)
    assert cell(view, 0, 2) == f"{areas.min():,}"
    assert view.selected_rows().tolist() == [1]
    click_header(dock, view, 2)
    assert cell(view, 0, 2) == f"{areas.max():,}"
    dock.qtbot.keyClicks(view.filter, "area pixels > 300 and not at_border")
    table = dock.controller.results.table
    wanted = (areas > 300) & ~table["at_border"]
    assert view.model.rowCount() == wanted.sum() < areas.size
    assert view.count.text().startswith(f"{wanted.sum()} of {areas.size} objects")
    click_row(dock, view, 0)
    dock.qtbot.keyClick(view.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    dock.qtbot.keyClick(view.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[:2] == ["id", "area (µm²)"]
    assert len(lines) == 3
    assert int(lines[1].split("\t")[2]) == np.where(wanted, areas, 0).max()
    dock.type(view.filter, "foo > 3")
    assert view.note.text().startswith("'foo' is not understood. Columns: id, area")
    assert view.model.rowCount() == wanted.sum()
    dock.qtbot.keyClick(view.filter, Qt.Key.Key_Escape)
    assert view.model.rowCount() == areas.size
    assert view.note.text() == ""


def test_a_row_shows_its_object_and_a_click_on_an_object_its_row(shown_dock, image_path):
    dock = shown_dock
    view = measured(dock, ran(dock, image_path))
    dock.qtbot.waitUntil(view.table.isVisible, timeout=5000)
    dock.click(dock.form.tiles.show_grid)
    viewer, table = dock.viewer, dock.controller.results.table
    viewer.camera.zoom *= 4
    viewer.camera.center = (0, 200, 200)
    click_row(dock, view, 0)
    place = [table[f"position_{axis}"][0] for axis in "yx"]
    np.testing.assert_allclose(viewer.camera.center[1:], place, atol=15)
    outline = viewer.layers[NAME]
    labels = np.asarray(dock.controller.results.layer.data[0])
    assert set(np.unique(labels[np.asarray(outline.data[0]) > 0])) == {1}
    click_row(dock, view, 2, Qt.KeyboardModifier.ControlModifier)
    assert set(np.unique(labels[np.asarray(outline.data[0]) > 0])) == {1, 3}
    viewer.reset_view()
    center = viewer.camera.center
    big = int(np.argmax(table["area_voxels"]))
    click_canvas(dock, [table[f"position_{axis}"][big] for axis in "yx"])
    assert view.selected_rows().tolist() == [big]
    assert viewer.camera.center == center
    results = dock.controller.results
    results.set_settings({"min_size": 300})  # a preview has fewer objects
    dock.qtbot.waitUntil(lambda: results.preview.showing, timeout=10000)
    assert np.unique(results.layer.data[0]).size < np.unique(labels).size
    click_row(dock, view, 0)
    click_canvas(dock, [table[f"position_{axis}"][big] for axis in "yx"])
    assert view.selected_rows().tolist() == [big]
    assert set(np.unique(labels[np.asarray(viewer.layers[NAME].data[0]) > 0])) == {big + 1}
    viewer.layers.remove(dock.controller.results.layer)
    assert NAME not in viewer.layers


def test_objects_are_coloured_by_a_measurement(dock, image_path):
    part = ran(dock, image_path)
    measured(dock, part)
    results, layers = dock.controller.results, dock.viewer.layers

    def choose(title):
        part.colour.setCurrentIndex(part.colour.findText(title))
        part.colour.activated.emit(part.colour.currentIndex())

    choose("area (pixels)")
    coloured = layers["area (pixels)"]
    labels = np.asarray(results.layer.data[0])
    areas = np.r_[np.nan, results.table["area_voxels"]]
    np.testing.assert_array_equal(np.asarray(coloured.data[0]), areas[labels].astype(np.float32))
    np.testing.assert_array_equal(coloured.scale, results.layer.scale)
    assert layers.index(coloured) == layers.index(results.layer) + 1
    assert dock.form.image.layer() is not coloured
    assert dock.form.image.layers.findText("area (pixels)") < 0
    choose("mean intensity")
    assert coloured.name == "mean intensity"
    means = np.r_[np.nan, results.table["mean_intensity"]]
    np.testing.assert_array_equal(np.asarray(coloured.data[0]), means[labels].astype(np.float32))
    results.set_settings({"min_size": 400})
    results.apply()
    dock.wait_end()
    dock.qtbot.waitUntil(lambda: results.table is not None, timeout=30000)
    again = np.asarray(results.layer.data[0])
    means = np.r_[np.nan, results.table["mean_intensity"]]
    assert results.table["area_voxels"].min() >= 400
    np.testing.assert_array_equal(np.asarray(coloured.data[0]), means[again].astype(np.float32))
    choose("None")
    assert not any(layer.metadata.get(OWN, {}).get("measurement") for layer in layers)
    choose("mean intensity")
    layers.remove(results.layer)
    assert part.colour.currentText() == "None"
    assert [layer for layer in layers if isinstance(layer, Image)] == [dock.form.image.layer()]


@pytest.mark.parametrize("name", ["cells", "cells.csv"])
def test_the_table_is_exported(dock, image_path, tmp_path, name):
    part = ran(dock, image_path)
    measured(dock, part)
    dock.click(part.export_button)
    dialog = part.findChild(QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile(name)
    dialog.accept()
    dock.qtbot.waitUntil(lambda: "Wrote" in part.note.text(), timeout=10000)
    written = read_table(tmp_path / "cells.csv")
    for column, values in dock.controller.results.table.items():
        np.testing.assert_array_equal(written[column], values)


def test_an_export_that_cannot_be_written_says_so_in_place(dock, image_path, tmp_path):
    part = ran(dock, image_path)
    measured(dock, part)
    part._export(str(tmp_path / "nowhere" / "cells.csv"))
    dock.qtbot.waitUntil(lambda: "Cannot write" in part.note.text(), timeout=10000)
    assert part.export_button.isEnabled()


def test_the_table_can_be_closed_and_opened_again_and_leaves_nothing(dock, image_path):
    part = ran(dock, image_path)
    view = measured(dock, part)
    view.select(0)
    assert NAME in dock.viewer.layers
    callbacks = len(dock.viewer.mouse_drag_callbacks)
    with dock.qtbot.waitSignal(view.destroyed, timeout=5000):
        view.parent().destroyOnClose()
    assert NAME not in dock.viewer.layers
    assert len(dock.viewer.mouse_drag_callbacks) == callbacks - 1
    dock.click(part.table_button)
    assert dock.viewer.window.dock_widgets["Objects"] is not view


def test_measuring_can_be_cancelled(dock, image_path):
    part = ran(dock, image_path)
    dock.click(part.table_button)
    assert part.table_button.text() == "Cancel"
    dock.click(part.table_button)
    dock.qtbot.waitUntil(lambda: not part.work.active, timeout=10000)
    assert part.table_button.text() in ("Measure objects", "Show table")  # it may have been quicker


def test_a_viewer_that_is_closed_while_objects_are_measured_ends(make_dock, image_path):
    dock = make_dock()
    part = ran(dock, image_path)
    view = measured(dock, part)
    view.select(0)
    part._measure()
    dock.viewer.close()
