"""Pictures of every state of the dock that predicts maps, in both themes, narrow and wide."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.looks import faults
from tests.napari.map_dock import MapDock
from tests.napari.test_screens import CANVAS, FOLDER, LOOKS, settle, too_wide, whole

from seamlabel.backends import torch as torch_backend
from seamlabel.io.ngff.images import write_image
from seamlabel.registry import Backend, register


@pytest.fixture
def maps(make_napari_viewer, qtbot, tmp_path, monkeypatch):
    """Return the dock in a viewer that is shown, beside nothing but the canvas."""
    # torch is not installed here: its form is the same with parameters of its own and no network
    place = {"params": torch_backend.TorchParams, "factory": torch_backend.make, "maps": "no:no"}
    register(Backend("network", "A network", max_channels=None, **place))
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_viewer.dockLayerList.hide()
    viewer.window._qt_viewer.dockLayerControls.hide()
    dock = MapDock(viewer, qtbot, tmp_path)
    yield dock
    (tmp_path / "go").touch()
    from seamlabel import registry

    del registry._registry["network"]


def story(maps, image_path, tmp_path):
    """Play through all states; yields the name of each."""
    yield "map-empty"
    maps.open(image_path, "gated")
    yield "map-planned"
    maps.click(maps.bar.run_button)
    maps.until(lambda: maps.controller.progress[0] >= 2)
    yield "map-running"
    maps.click(maps.bar.cancel_button)
    (tmp_path / "go").touch()
    maps.wait_end()
    yield "map-stopped"
    maps.run()
    yield "map-done"
    for _ in range(20):
        maps.qtbot.keyClick(maps.objects.threshold.slider, Qt.Key.Key_Right)
    maps.until(lambda: maps.control.preview.layer is not None)
    yield "map-objects"
    maps.model("classes")
    maps.form.save.finish.setCurrentIndex(2)
    maps.type(maps.form.save.path.line, "")
    maps.ready()
    maps.run()
    yield "map-channels"
    maps.model("fails")
    maps.type(maps.form.save.path.line, image_path)
    yield "map-wrong-path"
    maps.type(maps.form.save.path.line, str(tmp_path / "other.zarr"))
    maps.ready()
    maps.run()
    yield "map-failed"
    maps.form.method.combo.setCurrentIndex(maps.form.method.combo.findData("network"))
    maps.form.method.params.more.setChecked(True)
    yield "map-network"
    stack = np.zeros((2, 2, 4, 64, 64), np.uint16)
    path = tmp_path / "movie.zarr"
    write_image(path, stack.shape, "uint16", lambda box: stack[box.slices], axes="tczyx", levels=1)
    maps.controller.open(str(path))
    yield "map-movie"


def show(maps, theme, width, height):
    """Have the dock look so."""
    window = maps.viewer.window._qt_window
    if maps.viewer.theme != theme:
        maps.viewer.theme = theme
    window.resize(width + CANVAS, height)
    window.resizeDocks([maps.docked], [width], Qt.Orientation.Horizontal)
    maps.until(lambda: abs(maps.widget.width() - width) <= 12)
    settle(maps.widget.scroll.widget())


def test_nothing_of_the_map_dock_is_cut_in_any_state_theme_or_width(maps, image_path, tmp_path):
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {}
    for at, state in enumerate(story(maps, image_path, tmp_path)):
        for theme, width, height in LOOKS[:: -1 if at % 2 else 1]:
            show(maps, theme, width, height)
            name = f"{state}-{theme}-{width}"
            wrong = faults(maps.widget) + too_wide(maps.widget.scroll)
            whole(maps.widget).save(str(FOLDER / f"{name}.png"))
            if width == 500:
                maps.viewer.window._qt_window.grab().save(str(FOLDER / f"{name}-window.png"))
            if wrong:
                found[name] = wrong
    assert found == {}
