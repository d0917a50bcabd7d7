from __future__ import annotations

import pytest

from seamlabel.napari import sample_data
from seamlabel.napari.preferences import Preferences, preferences

settings = pytest.importorskip("napari.settings")
if not hasattr(settings, "get_plugin_settings"):
    pytest.skip("this napari has no preferences of plugins", allow_module_level=True)


@pytest.fixture
def page(make_napari_viewer):
    """Return the Preferences dialog of napari, and a function that finds the editor of a value."""
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    viewer = make_napari_viewer()
    dialog = PreferencesDialog(parent=viewer.window._qt_window)
    names = [dialog._list.item(i).text() for i in range(dialog._list.count())]
    form = dialog._stack.widget(names.index("Seamlabel"))
    yield form
    dialog.close()


def test_without_a_choice_everything_is_as_the_defaults_say(make_napari_viewer):
    make_napari_viewer()
    assert preferences() == Preferences()


def test_the_page_shows_every_preference_with_its_title(page):
    from qtpy.QtWidgets import QLabel

    titles = {label.text() for label in page.findChildren(QLabel)}
    wanted = {"Tiles at once", "Work in", "Redraws per second", "Folder of samples"}
    assert wanted <= titles


def test_what_is_changed_on_the_page_is_what_the_dock_does(page, make_dock, pixels, qtbot):
    from qtpy.QtWidgets import QComboBox, QSpinBox

    at_once = next(box for box in page.findChildren(QSpinBox) if box.maximum() == 1024)
    at_once.setValue(3)
    work_in = next(box for box in page.findChildren(QComboBox) if box.findText("Processes") >= 0)
    work_in.setCurrentText("Processes")
    assert preferences().tiles_at_once == 3
    dock = make_dock()
    dock.add(pixels)
    dock.tiles((64, 64), (16, 16))
    assert dock.controller.plan.executor == "processes"
    assert dock.controller.plan.spec.workers == 3


def test_samples_are_kept_where_the_preferences_say(make_napari_viewer, monkeypatch, tmp_path):
    make_napari_viewer()
    monkeypatch.delenv("SEAMLABEL_CACHE")
    settings.get_plugin_settings("seamlabel").display.cache_folder = str(tmp_path / "mine")
    assert sample_data.cache_folder() == tmp_path / "mine"


def test_labels_are_redrawn_as_often_as_the_preferences_say(dock, pixels):
    settings.get_plugin_settings("seamlabel").display.redraws = 10
    dock.add(pixels)
    dock.canvas.begin_stream(dock.controller.plan)
    assert dock.canvas.pause == pytest.approx(0.1)


def test_a_broken_file_of_preferences_stops_nobody(make_napari_viewer, own_preferences):
    make_napari_viewer()
    own_preferences.write_text("runs: {tiles_at_once: many}\ndisplay: 7\n")
    settings._clear_plugin_settings_cache()
    assert preferences() == Preferences()
