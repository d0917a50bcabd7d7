"""`Where`: from places in the world to voxels of the tile grid and back, and what of it is looked at.

Knows the image layer and its viewer; nothing of tiles. Goes on working when the layer is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.napari.tiles.view import level_shape, shown_axes, visible_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.napari.layers.pictures import Picture


@dataclass(frozen=True, eq=False)
class Where:
    """Voxels of the level that is segmented, over the label axes.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    layer : napari.layers.Image
        The image.
    shape : tuple of int
        Shape of the labels at that level.
    channel : int or None
        Axis of the layer that labels do not have.
    """

    viewer: ViewerModel
    layer: Image
    shape: tuple[int, ...]
    channel: int | None = None

    @classmethod
    def of(cls, viewer: ViewerModel, picture: Picture, shape: tuple[int, ...]) -> Where:
        """Return where the labels of a picture are."""
        layer, channel = picture.layer, picture.info.channel_axis
        has_channel = channel is not None and channel < layer.ndim == len(picture.info.axes)
        return cls(viewer, layer, shape, channel if has_channel else None)

    def voxels(self, places: Sequence[Any]) -> NDArray[Any]:
        """Return places in the world as voxels; axes that a place has not got are 0."""
        ndim, ratio = self.layer.ndim, self._ratio()
        points = np.zeros((len(places), ndim))
        for point, place in zip(points, places, strict=True):
            full = np.zeros(ndim)
            full[max(0, ndim - len(place)) :] = place[-ndim:]
            point[:] = self.layer.world_to_data(full)
        if self.channel is not None:
            points = np.delete(points, self.channel, axis=1)
        return (points + 0.5) * ratio - 0.5

    def world(self, voxel: Sequence[float]) -> NDArray[Any]:
        """Return where a voxel is in the world, over the axes of the layer."""
        point = (np.array(voxel, float) + 0.5) / self._ratio() - 0.5
        if self.channel is not None:
            point = np.insert(point, self.channel, 0)
        return np.asarray(self.layer.data_to_world(point))

    def look_at(self, voxel: Sequence[float], camera: Any) -> None:
        """Move sliders and camera so that a voxel is in the middle of the view."""
        place, dims = self.world(voxel), self.viewer.dims
        more = dims.ndim - len(place)
        for axis in range(more, dims.ndim):
            if axis not in dims.displayed and axis - more != self.channel:
                dims.set_point(axis, place[axis - more])
        camera.center = [place[axis - more] for axis in dims.displayed if axis >= more]

    def view(self) -> Box | None:
        """Return the voxels that are looked at; None if that is not known."""
        if self.layer not in self.viewer.layers:
            return None
        return visible_voxels(self.viewer, self.layer, self.shape, self.channel)

    def shown_axes(self) -> list[int]:
        """Return the label axes that are displayed, in the order in which they are."""
        axes = [axis for axis in shown_axes(self.viewer, self.layer) if axis != self.channel]
        return [axis - (self.channel is not None and axis > self.channel) for axis in axes]

    def _ratio(self) -> NDArray[Any]:
        level = level_shape(self.layer, 0)
        kept = level if self.channel is None else np.delete(level, self.channel)
        return np.divide(self.shape, kept)
