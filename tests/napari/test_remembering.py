"""What the dock remembers, presets, run files, and the diameter that is measured on the image."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog, QLineEdit
from tests.napari.hand import Hand

from seamlabel import registry
from seamlabel.backends.threshold import ThresholdParams
from seamlabel.napari import settings
from seamlabel.napari.form import disk
from seamlabel.napari.form.measuring import NAME
from seamlabel.registry import Backend
from seamlabel.spec import RunSpec


def choose(dock, name):
    """Choose a method with the keyboard."""
    combo = dock.form.method.combo
    dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(combo.findData(name)):
        dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentData() == name


def number(dock, name):
    box = dock.form.method.params.widget(name)
    return getattr(getattr(box, "inner", None), "native", box)


def entry(dock, text):
    """Return an entry of the menu of presets."""
    menu = dock.form.method.presets.list
    menu.aboutToShow.emit()
    return next(action for action in menu.actions() if action.text().replace("&", "") == text)


def keep(values):
    settings.save("form", values)


@pytest.fixture
def other_method():
    """Register a method that has a diameter too, and one that is not installed; Returns nothing."""
    place = {"params": "seamlabel.backends.watershed:WatershedParams"}
    factory = "seamlabel.backends.watershed:make"
    registry.register(Backend("other", "Other", **place, factory=factory))
    missing = {"needs": ("no_such_module",), "install": "pip install grand"}
    registry.register(Backend("grand", "Grand", **place, factory="no:no", **missing))
    yield
    del registry._registry["other"], registry._registry["grand"]


# -- from one day to the next --------------------------------------------------------------------


def test_a_dock_that_is_opened_again_shows_what_was_run_with(make_dock, pixels):
    dock = make_dock()
    dock.add(pixels)
    choose(dock, "threshold")
    dock.type(number(dock, "smoothing").lineEdit(), "2.5")
    dock.tiles((128, 96), (16, 12))
    dock.type(dock.form.save.name, "nuclei")
    assert settings.load("form") is None, "nothing is kept before anything was run"
    dock.click(dock.bar.run_button)
    dock.wait_end()
    again = make_dock()
    again.add(pixels)
    spec = again.form.value()
    assert (spec.backend, spec.params["smoothing"], spec.name) == ("threshold", 2.5, "nuclei")
    assert (spec.tile_shape, spec.overlap) == ((128, 96), (16, 12))


def test_a_dock_that_is_closed_keeps_what_it_showed(make_dock, pixels):
    dock = make_dock()
    dock.add(pixels)
    dock.type(number(dock, "diameter").lineEdit(), "44")
    dock.viewer.close()
    dock.qtbot.waitUntil(lambda: settings.load("form") is not None, timeout=3000)
    assert settings.load("form")["params"]["watershed"]["diameter"] == 44


@pytest.mark.parametrize(
    "kept",
    [
        {"method": "gone", "params": {"gone": {"a": 1}, "watershed": 7}},
        {
            "method": 5,
            "params": [1],
            "tiles": [2],
            "executor": 3,
            "workers": "x",
            "retries": -4,
            "name": "a/b",
        },
        {"params": {"watershed": {"diameter": -1e9, "seeds": "none", "smoothing": "a", "more": 1}}},
        {"tiles": {"tile_shape": {"y": 0, "x": -5}, "overlap": {"y": "a", "x": None}}},
        {
            "tiles": {"tile_shape": {"y": 1, "x": 1}, "overlap": {"y": 9, "x": 9}},
            "keep": "perhaps",
            "name": 5,
        },
        {"tiles": {"tile_shape": {"z": 1, "y": 64, "x": 64}, "overlap": {}}},
    ],
)
def test_what_was_kept_and_makes_no_sense_is_left_out(make_dock, pixels, kept):
    plain = make_dock()
    plain.add(pixels)
    first = plain.form.value()
    keep(kept)
    dock = make_dock()
    dock.add(pixels)
    assert dock.form.value().replace(overlap="auto") == first.replace(overlap="auto")
    assert dock.bar.run_button.isEnabled()


def test_a_value_that_is_kept_of_a_method_stays_although_another_one_is_wrong(make_dock, pixels):
    keep({"method": "watershed", "params": {"watershed": {"diameter": 44.0, "smoothing": 1e9}}})
    dock = make_dock()
    dock.add(pixels)
    assert dock.form.value().params["diameter"] == 44
    assert dock.form.value().params["smoothing"] == 1


def test_reset_brings_back_the_defaults_and_forgets_what_was_kept(make_dock, pixels):
    keep({"method": "threshold", "params": {"threshold": {"smoothing": 9.0}}, "name": "old"})
    dock = make_dock()
    dock.add(pixels)
    dock.tiles((100, 90), (7, 8))
    assert dock.form.value().name == "old"
    dock.form.objects.border.setChecked(True)
    entry(dock, "Reset to defaults").trigger()
    spec = dock.form.value()
    assert (spec.backend, spec.name, spec.tile_shape) == ("watershed", "cells", "auto")
    assert not spec.drop_border
    choose(dock, "threshold")
    assert dock.form.value().params["smoothing"] == 1
    dock.ready()


# -- presets -------------------------------------------------------------------------------------


def test_parameters_are_saved_under_a_name_chosen_again_and_deleted(shown_dock, pixels):
    dock = shown_dock
    dock.add(pixels)
    choose(dock, "threshold")
    dock.type(number(dock, "smoothing").lineEdit(), "3.5")

    def save(name):
        entry(dock, "Save parameters as…").trigger()
        asked = dock.form.method.presets.findChild(QInputDialog)
        dock.qtbot.keyClicks(asked.findChild(QLineEdit), name)
        button = asked.okButtonText()
        dock.qtbot.keyClick(asked, Qt.Key.Key_Return)
        dock.qtbot.waitUntil(lambda: dock.form.method.presets.findChild(QInputDialog) is None, timeout=3000)
        return button

    assert save("Mine & others") == "Save"
    dock.type(number(dock, "smoothing").lineEdit(), "1")
    menu = dock.form.method.presets.list
    menu.aboutToShow.emit()
    menu.actions()[0].trigger()
    assert menu.actions()[0].text() == "Mine && others"
    assert dock.form.value().params["smoothing"] == 3.5
    assert save("Mine & others") == "Replace"
    choose(dock, "watershed")
    menu.aboutToShow.emit()
    assert "Mine && others" not in [action.text() for action in menu.actions()]
    choose(dock, "threshold")
    entry(dock, "Delete").menu().actions()[0].trigger()
    menu.aboutToShow.emit()
    assert "Mine && others" not in [action.text() for action in menu.actions()]


def test_presets_that_come_along_leave_the_diameter_as_it_is(dock, pixels):
    dock.add(pixels)
    dock.type(number(dock, "diameter").lineEdit(), "44")
    entry(dock, "Cells with dark borders").trigger()
    params = dock.form.value().params
    assert (params["seeds"], params["diameter"]) == ("intensity", 44)
    dock.ready()


@pytest.mark.parametrize("name", ["threshold", "watershed"])
def test_every_preset_that_comes_along_is_taken_by_its_method(name):
    from seamlabel.napari.form.presets import BUILT_IN

    for values in BUILT_IN[name].values():
        assert registry.backend(name).parse(values)[1] == []


def test_broken_presets_do_no_harm(dock, pixels):
    settings.save("presets", {"watershed": {"a": 5, "b": {"diameter": "wide", "dark": True}}, "x": 3})
    dock.add(pixels)
    entry(dock, "b").trigger()
    assert dock.form.value().params["dark"] is True
    assert dock.form.value().params["diameter"] == 30


# -- run files -----------------------------------------------------------------------------------


def test_a_run_file_is_loaded_from_the_menu_or_dropped(dock, image_path, tmp_path):
    file = tmp_path / "run.json"
    spec = RunSpec(image=image_path, backend="threshold", params={"value": 900.5}, name="mine", max_size=400)
    file.write_text(spec.to_json())
    entry(dock, "Load run file…").trigger()
    asked = dock.form.findChild(QFileDialog)
    asked.fileSelected.emit(str(file))
    asked.reject()
    dock.ready()
    value = dock.form.value()
    assert (value.image, value.name, value.max_size) == (image_path, "mine", 400)
    assert value.params["value"] == 900.5


def test_a_run_file_that_is_dropped_on_the_dock_is_loaded(shown_dock, image_path, tmp_path):
    file = tmp_path / "run.json"
    file.write_text(RunSpec(image=image_path, name="mine").to_json())
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    drop = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
    shown_dock.widget.dropEvent(drop)
    shown_dock.ready()
    assert (shown_dock.form.value().image, shown_dock.form.value().name) == (image_path, "mine")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"imag": 1}', '{"name": "a/b"}', None])
def test_a_file_that_is_no_run_file_is_told_and_changes_nothing(dock, pixels, tmp_path, text):
    dock.add(pixels)
    before, file = dock.form.value(), tmp_path / "run.json"
    if text is not None:
        file.write_text(text)
    dock.form.load(str(file))
    assert "run.json" in dock.form.method.problem("backend")
    assert dock.form.value() == before


def test_values_of_a_run_file_that_a_method_does_not_take_are_left_out(dock, image_path, tmp_path):
    file = tmp_path / "run.json"
    params = {"smoothing": -5, "value": 7, "unheard": 1}
    file.write_text(json.dumps({"image": image_path, "backend": "threshold", "params": params}))
    dock.form.load(str(file))
    dock.ready()
    assert dock.form.value().params == {**vars(ThresholdParams()), "value": 7.0}


# -- methods -------------------------------------------------------------------------------------


def test_a_method_that_is_missing_says_what_installs_it_and_copies_that(other_method, dock, pixels):
    dock.add(pixels)
    method = dock.form.method
    assert not method.install.isVisibleTo(dock.form)
    choose(dock, "grand")
    assert method.install.line.text() == "pip install grand"
    assert method.install.isVisibleTo(dock.form)
    assert method.problem("backend") == "Grand is not installed here"
    assert not dock.bar.run_button.isEnabled()
    dock.click(method.install.copy)
    assert QApplication.clipboard().text() == "pip install grand"
    choose(dock, "threshold")
    assert not method.install.isVisibleTo(dock.form)
    dock.ready()


def test_methods_share_the_diameter_of_the_objects(other_method, dock, pixels):
    dock.add(pixels)
    dock.type(number(dock, "diameter").lineEdit(), "44")
    choose(dock, "threshold")
    choose(dock, "other")
    assert dock.form.value().params["diameter"] == 44
    dock.type(number(dock, "diameter").lineEdit(), "12")
    choose(dock, "watershed")
    assert dock.form.value().params["diameter"] == 12


def draw(dock, start, stop):
    """Draw a line with the mouse, given in world coordinates."""
    dock.click(dock.form.method.measure)
    assert dock.viewer.layers.selection.active.name == NAME
    hand = Hand(dock)
    hand.settle()
    hand.drag(start, stop)


def test_the_length_of_a_line_over_an_object_becomes_the_diameter(shown_dock, image_path):
    dock = shown_dock
    dock.controller.open(image_path)
    dock.ready()
    active = dock.viewer.layers.selection.active
    for level, pixels in ((0, 80), (1, 40)):  # 40 µm
        dock.form.image.level.setCurrentIndex(level)
        draw(dock, (100, 100), (100, 140))
        dock.qtbot.waitUntil(lambda: NAME not in dock.viewer.layers, timeout=3000)
        assert abs(dock.form.value().params["diameter"] - pixels) < 2
        assert not dock.form.method.measure.isChecked()
        assert dock.viewer.layers.selection.active is active


def test_a_click_is_no_line_and_a_line_beyond_all_objects_is_told(shown_dock):
    dock = shown_dock
    dock.add(np.zeros((3000, 3000), np.uint8))
    draw(dock, (1000, 1000), (1000, 1001))
    assert NAME in dock.viewer.layers
    Hand(dock).drag((100, 100), (100, 2500))
    dock.qtbot.waitUntil(lambda: NAME not in dock.viewer.layers, timeout=3000)
    assert "out of range" in dock.form.method.params.problem("params.diameter")
    assert dock.form.value().params["diameter"] == 30


def test_escape_or_a_second_click_ends_measuring(shown_dock, pixels):
    dock = shown_dock
    dock.add(pixels)
    window = dock.viewer.window._qt_window
    window.activateWindow()
    dock.qtbot.waitUntil(window.isActiveWindow, timeout=3000)
    for target in (dock.viewer.window._qt_viewer.canvas.native, dock.form.method.measure):
        dock.click(dock.form.method.measure)
        assert NAME in dock.viewer.layers
        dock.qtbot.keyClick(target, Qt.Key.Key_Escape)
        dock.qtbot.waitUntil(lambda: NAME not in dock.viewer.layers, timeout=3000)
        assert not dock.form.method.measure.isChecked()
    dock.click(dock.form.method.measure)
    dock.click(dock.form.method.measure)
    assert NAME not in dock.viewer.layers
    assert dock.form.value().params["diameter"] == 30


def test_measuring_ends_with_its_image_its_method_and_its_dock(make_dock, pixels):
    dock = make_dock()
    dock.add(pixels)
    dock.click(dock.form.method.measure)
    choose(dock, "threshold")
    assert NAME not in dock.viewer.layers
    choose(dock, "watershed")
    dock.click(dock.form.method.measure)
    dock.viewer.layers.remove(NAME)
    assert not dock.form.method.measure.isChecked()
    dock.click(dock.form.method.measure)
    dock.viewer.layers.remove(dock.form.image.layer())
    dock.qtbot.waitUntil(lambda: NAME not in dock.viewer.layers, timeout=3000)
    dock.add(pixels)
    dock.click(dock.form.method.measure)
    dock.viewer.window.remove_dock_widget(dock.docked)
    dock.qtbot.waitUntil(lambda: NAME not in dock.viewer.layers, timeout=3000)


# -- saving --------------------------------------------------------------------------------------


def test_labels_of_an_image_that_cannot_be_written_go_beside_it(dock, image_path, monkeypatch, tmp_path):
    from seamlabel.napari.layers import pictures

    known = pictures.image_info

    def read_only(path, **options):
        info = known(path, **options)
        from dataclasses import replace

        return replace(info, writable=False) if options.get("output") is None else info

    monkeypatch.setattr(pictures, "image_info", read_only)
    dock.controller.open(image_path)
    dock.ready()
    save = dock.form.save
    assert save.place.currentText() == "Another OME-Zarr"
    assert save.path.path() == str(tmp_path / "image-labels.zarr")
    assert not save.place.model().item(0).isEnabled()
    choose(dock, "threshold")
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert (tmp_path / "image-labels.zarr" / "labels" / "cells").is_dir()


def test_labels_of_a_picture_file_go_beside_it(dock, tmp_path, pixels):
    import imageio.v3 as iio

    iio.imwrite(tmp_path / "cells.stack.tif", np.asarray(pixels))
    dock.viewer.open(tmp_path / "cells.stack.tif", plugin="napari")
    dock.ready()
    assert dock.form.save.path.path() == str(tmp_path / "cells-labels.zarr")


def test_what_does_not_fit_on_the_disk_is_told_and_refused_if_it_is_sure(dock, pixels, monkeypatch):
    dock.add(pixels)
    save, wanted = dock.form.save, disk.needed(dock.controller.plan)
    assert not save.space.isVisibleTo(dock.form)
    assert "kB)" in save.keep_tiles.text()
    room = {"free": wanted // 2}
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _place: type("Usage", (), room))
    dock.form.image.changed.emit()
    assert "this may take up to" in save.space.text()
    assert dock.bar.run_button.isEnabled()
    room["free"] = wanted // 100
    dock.form.image.changed.emit()
    assert save.problem("place").startswith("The disk has")
    assert not dock.bar.run_button.isEnabled()
    room["free"] = wanted
    dock.form.image.changed.emit()
    assert save.problem("place") == ""
    dock.ready()


@pytest.mark.parametrize("kept", [True, False])
def test_tiles_are_kept_beside_the_image_if_that_is_ticked(dock, image_path, tmp_path, kept):
    dock.controller.open(image_path)
    dock.ready()
    choose(dock, "threshold")
    if not kept:
        dock.click(dock.form.save.keep_tiles)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert (tmp_path / "image.zarr.seamlabel" / "cells").is_dir() is kept
