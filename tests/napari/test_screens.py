"""Pictures of every state of the dock, in both themes, narrow and wide; kept, to be looked at."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QApplication, QWidget
from tests.napari.looks import faults
from tests.napari.states import STORIES, Stage

from seamlabel import registry
from seamlabel.io.ngff.images import write_image
from seamlabel.registry import Backend

FOLDER = Path(os.environ.get("SEAMLABEL_SCREENSHOTS", Path(__file__).parents[2] / "screenshots")) / "states"
CANVAS = 380
"""Pixels beside the dock."""
LOOKS = (("dark", 330, 700), ("dark", 500, 1100), ("light", 500, 1100), ("light", 330, 700))
"""Theme, width of the dock and height of the window."""
WINDOWS = {
    "planned", "measuring", "scope-region", "tile-tried", "running", "done", "done-3d", "merge-preview",
    "edits", "table", "coloured", "doubtful-review", "failed",
}  # fmt: skip
"""States of which more than the dock is worth a picture."""


@pytest.fixture
def movie_path(tmp_path, pixels):
    """Return an OME-Zarr of 3 time points, 2 named channels and 6 planes of 128 x 128 pixels."""
    stack = np.stack([np.stack([np.stack([pixels[:128, :128]] * 6)] * 2)] * 3)
    units = (None, None, *("micrometer",) * 3)
    options = {"axes": "tczyx", "units": units, "channels": ("DAPI", "GFP"), "levels": 2}
    path = tmp_path / "movie.zarr"
    write_image(path, stack.shape, "uint16", lambda box: stack[box.slices], **options)
    return str(path)


@pytest.fixture
def missing_method():
    """Register a method that is not installed; returns nothing."""
    place = {"params": "seamlabel.backends.watershed:WatershedParams", "factory": "no:no"}
    about = {"needs": ("no_such_module",), "install": "pip install 'seamlabel[grand]'"}
    registry.register(Backend("grand", "Grand", **place, **about))
    yield
    del registry._registry["grand"]


@pytest.fixture
def stage(missing_method, shown_dock, image_path, movie_path, pixels, script, gate, monkeypatch):
    """Return the stage on which a story is played."""
    shown_dock.viewer.window._qt_viewer.dockLayerList.hide()
    shown_dock.viewer.window._qt_viewer.dockLayerControls.hide()
    return Stage(shown_dock, image_path, movie_path, pixels, script, gate, monkeypatch)


def show(dock, theme, width, height):
    """Have the dock look so."""
    window, widget = dock.viewer.window._qt_window, dock.widget
    if dock.viewer.theme != theme:
        dock.viewer.theme = theme
    window.resize(width + CANVAS, height)
    window.resizeDocks([dock.docked], [width], Qt.Orientation.Horizontal)
    dock.qtbot.waitUntil(lambda: abs(widget.width() - width) <= 12, timeout=5000)
    settle(widget.scroll.widget())


def settle(body):
    """Have texts that are wrapped anew laid out."""
    sizes = []
    while len(sizes) < 4 or len(set(sizes[-4:])) > 1:
        QApplication.processEvents()
        sizes.append((body.width(), body.height(), body.sizeHint().height()))


def too_wide(scroll):
    """Return what makes the body wider than what is seen of it, since nobody can scroll sideways."""
    if scroll.widget().width() <= scroll.viewport().width():
        return []
    wide = [w for w in scroll.widget().findChildren(QWidget) if w.isVisibleTo(scroll) and not w.isWindow()]
    wide = [w for w in wide if w.minimumSizeHint().width() > scroll.viewport().width() - 16]
    return [f"too wide: {type(w).__name__} {w.minimumSizeHint().width()}" for w in wide] or ["too wide"]


def whole(widget):
    """Return a picture of all that scrolls, with the run bar under it."""
    body, bar = widget.scroll.widget(), widget.bar
    picture = QPixmap(bar.width(), body.height() + bar.height())
    picture.fill(widget.palette().window().color())
    body.render(picture)
    bar.render(picture, QPoint(0, body.height()))
    return picture


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_nothing_is_cut_in_any_state_theme_or_width(stage, story):
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {}
    show(stage.dock, *LOOKS[0])
    for at, state in enumerate(story(stage)):
        for theme, width, height in LOOKS[:: -1 if at % 2 else 1]:  # the last look is the next one's first
            show(stage.dock, theme, width, height)
            name = f"{state}-{theme}-{width}"
            wrong = faults(stage.dock.widget) + too_wide(stage.dock.widget.scroll)
            whole(stage.dock.widget).save(str(FOLDER / f"{name}.png"))
            if state in WINDOWS and width == 330:
                stage.dock.viewer.window._qt_window.grab().save(str(FOLDER / f"{name}-window.png"))
            if menu := QApplication.activePopupWidget():
                menu.grab().save(str(FOLDER / f"{name}-menu.png"))
            if wrong:
                found[name] = wrong
    assert found == {}
