"""Offers the dock to who opened an image without it: a notification with a button, once a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

import napari
from napari.utils.notifications import Notification, notification_manager

from seamlabel.napari.commands import open_dock

if TYPE_CHECKING:
    from napari.viewer import Viewer

TITLE = "Seamlabel"
_offered: WeakSet[Viewer] = WeakSet()


def offer_dock() -> None:
    """Offer the dock of the viewer that is open, unless it is there, or was offered before."""
    viewer = napari.current_viewer()
    if viewer is None or viewer in _offered or any(TITLE in name for name in viewer.window.dock_widgets):
        return
    _offered.add(viewer)
    button = ("Open the dock", lambda *_: open_dock(viewer))
    notification_manager.dispatch(Notification("Segment it with Seamlabel?", "info", actions=(button,)))
