"""Opens an OME-Zarr in a viewer of its own: image, its labels, and the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
from napari.layers import Image

from seamlabel.io.ngff.model import open_image
from seamlabel.napari.layers.open_image import labels_layer, layer_data
from seamlabel.napari.layers.pictures import normal_path

if TYPE_CHECKING:
    from napari.viewer import Viewer


def show(path: str) -> None:
    """Open the image at `path` in napari and stay until the window is closed."""
    open_viewer(path)
    napari.run()


def open_viewer(path: str) -> Viewer:
    """Return a new viewer with the image at `path`, its labels over it, and the dock.

    Raises
    ------
    ImageError
        If the image cannot be opened.
    """
    path = normal_path(path)
    data = layer_data(path)
    labels = [labels_layer(f"{path}/labels/{name}") for name in open_image(path).info.labels]
    viewer = napari.Viewer(title=f"{path} - seamlabel")
    images = [viewer.add_layer(Image(levels, **options)) for levels, options, _ in data]
    for layer in labels:
        viewer.add_layer(layer)
    viewer.layers.selection.active = images[0]
    viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")
    return viewer
