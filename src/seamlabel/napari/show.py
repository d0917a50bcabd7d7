"""Opens an OME-Zarr in a viewer of its own: image, its labels, and the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
from napari.layers import Image, Labels

from seamlabel.io.ngff.model import open_image
from seamlabel.napari.lazy_labels import display_levels
from seamlabel.napari.open_image import layer_data

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
    path = path.rstrip("/")
    data = layer_data(path)
    labels = [_labels_layer(f"{path}/labels/{name}", name) for name in open_image(path).info.labels]
    viewer = napari.Viewer(title=f"{path} - seamlabel")
    images = [viewer.add_layer(Image(levels, **options)) for levels, options, _ in data]
    for layer in labels:
        viewer.add_layer(layer)
    viewer.layers.selection.active = images[0]
    viewer.window.add_plugin_dock_widget("seamlabel", "Seamlabel")
    return viewer


def _labels_layer(path: str, name: str) -> Labels:
    image = open_image(path)
    first, axes = image.info.levels[0], image.info.axes
    levels = display_levels(image.arrays)
    several = len(levels) > 1
    layer = Labels(
        levels if several else levels[0],
        multiscale=several,
        name=name,
        scale=first.scale,
        translate=first.translation,
        units=[axis.unit or "pixel" for axis in axes],
        axis_labels=[axis.name for axis in axes],
    )
    layer.editable = False
    return layer
