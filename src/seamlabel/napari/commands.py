"""Commands of the manifest: what menus and the command palette of napari can ask of the dock.

Each presses the control that a user would press, so that nothing goes that is greyed out there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari.viewer  # noqa: TC002  napari hands over the viewer by the annotation
from napari.utils.notifications import show_info

if TYPE_CHECKING:
    from qtpy.QtWidgets import QAbstractButton

    from seamlabel.napari.widget import SeamlabelWidget


def open_dock(viewer: napari.viewer.Viewer) -> None:
    """Open the dock, or bring it to the front."""
    dock_of(viewer)


def segment_layer(viewer: napari.viewer.Viewer) -> None:
    """Open the dock with the active image chosen."""
    dock_of(viewer).choose(viewer.layers.selection.active)


def predict_map(viewer: napari.viewer.Viewer) -> None:
    """Open the dock that predicts maps, with the active image chosen."""
    _in_front(viewer, "Predict a map").choose(viewer.layers.selection.active)


def open_ome_zarr(viewer: napari.viewer.Viewer) -> None:
    """Ask for an OME-Zarr, and open it in the dock."""
    dock_of(viewer).form.image.path.button.click()


def run(viewer: napari.viewer.Viewer) -> None:
    """Press Run."""
    _press(dock_of(viewer).bar.run_button, "Nothing to run yet: see the dock")


def cancel(viewer: napari.viewer.Viewer) -> None:
    """Press Cancel."""
    _press(dock_of(viewer).bar.cancel_button, "Nothing is running")


def pause(viewer: napari.viewer.Viewer) -> None:
    """Press Pause, or Resume."""
    _press(dock_of(viewer).bar.pause_button, "Nothing is running")


def toggle_tiles(viewer: napari.viewer.Viewer) -> None:
    """Tick or untick "Show tiles"."""
    _press(dock_of(viewer).form.tiles.show_grid, "No tiles to show yet: choose an image first")


def _press(button: QAbstractButton, otherwise: str) -> None:
    if button.isEnabled() and not button.isHidden():
        button.click()
    else:
        show_info(otherwise)


def dock_of(viewer: napari.viewer.Viewer, tabify: bool = False) -> SeamlabelWidget:
    """Return the dock of a viewer, opened if need be, in front; with `tabify` as a tab of those there."""
    found: SeamlabelWidget = _in_front(viewer, "Seamlabel", tabify)
    return found


def _in_front(viewer: napari.viewer.Viewer, title: str, tabify: bool = False) -> Any:
    docked, widget = viewer.window.add_plugin_dock_widget("seamlabel", title, tabify=tabify)
    docked.show()
    docked.raise_()
    return widget
