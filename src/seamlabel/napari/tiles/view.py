"""What of a layer is looked at, as boxes of voxels. Knows viewers and layers; nothing of tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray


def camera(viewer: ViewerModel) -> Any:
    """Return the camera, which has moved within napari."""
    return getattr(viewer, "scene", viewer).camera


def window(viewer: ViewerModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return from where to where the canvas shows the world in 2D, along the displayed axes.

    A layer's `corner_pixels` say what napari has loaded: after zooming in, that is more than is seen.
    """
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    half = np.array(size, float) / camera(viewer).zoom / 2
    middle = np.array(camera(viewer).center[-2:], float)
    return middle - half, middle + half


def shown_axes(viewer: ViewerModel, layer: Layer) -> list[int]:
    """Return the axes of a layer that are displayed, in the order in which they are."""
    more = viewer.dims.ndim - layer.ndim
    return [axis - more for axis in viewer.dims.displayed if axis >= more]


def visible(viewer: ViewerModel, layer: Layer, drop: int | None = None) -> Box:
    """Return the part of a layer's present level that is looked at.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    layer : napari.layers.Image or napari.layers.Labels
        The layer.
    drop : int, optional
        An axis of the layer to leave out.
    """
    ndim = layer.ndim
    low, high = np.array(layer.corner_pixels)
    point = layer.world_to_data(viewer.dims.point[-ndim:])
    shape = _shape(layer)
    ratio = np.divide(level_shape(layer, 0), shape)
    shown = set(shown_axes(viewer, layer))
    for axis in range(ndim):
        if axis not in shown:
            low[axis] = high[axis] = int(point[axis] / ratio[axis])
    if viewer.dims.ndisplay == 3:
        for axis in shown:
            low[axis], high[axis] = 0, shape[axis] - 1
    if drop is not None:
        low, high = (np.delete(corner, drop) for corner in (low, high))
    return Box(tuple(int(a) for a in low), tuple(int(b) + 1 for b in high))


def visible_voxels(
    viewer: ViewerModel, layer: Layer, shape: Sequence[int], drop: int | None = None
) -> Box | None:
    """Return the part of an array of `shape` that is looked at, shown by a layer; None if none is.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    layer : napari.layers.Image or napari.layers.Labels
        Shows the array, perhaps on a coarser level.
    shape : sequence of int
        Shape of the array, without the axis that is left out.
    drop : int, optional
        An axis of the layer to leave out.
    """
    found, level = visible(viewer, layer, drop), _shape(layer)
    level = tuple(np.delete(level, drop)) if drop is not None else level
    ratio = np.divide(shape, level)
    start = tuple(int(np.floor(a * r)) for a, r in zip(found.start, ratio, strict=True))
    stop = tuple(int(np.ceil(b * r)) for b, r in zip(found.stop, ratio, strict=True))
    box = Box(start, stop).intersect(Box.whole(tuple(shape)))
    return None if _out_of_sight(viewer, layer) or not box.size else box


def _out_of_sight(viewer: ViewerModel, layer: Layer) -> bool:
    """Return whether the view is beside a layer, or was never drawn: napari cuts it off at the layer."""
    low, high = layer.corner_pixels
    shown = [axis for axis in shown_axes(viewer, layer) if axis < len(low) and _shape(layer)[axis] > 1]
    return viewer.dims.ndisplay == 2 and any(low[axis] >= high[axis] for axis in shown)


def level_shape(layer: Layer, level: int) -> tuple[int, ...]:
    """Return the shape of a level of a layer, over the layer's own axes."""
    shapes = layer.level_shapes if layer.multiscale else [layer.data.shape]
    return tuple(int(n) for n in shapes[level][: layer.ndim])


def _shape(layer: Layer) -> tuple[int, ...]:
    return level_shape(layer, layer.data_level)


def frame(viewer: ViewerModel, layer: Layer, names: str) -> int:
    """Return the time point of a layer that is looked at; `names` are the letters of its image's axes."""
    left = names if layer.ndim + getattr(layer, "rgb", False) == len(names) else names.replace("c", "")
    return round(float(layer.world_to_data(viewer.dims.point[-layer.ndim :])[left.index("t")]))
