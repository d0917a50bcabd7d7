"""Where voxels of a run lie in the viewer, and the camera moved to them.

Knows layers and grids. A layer may have more pixels than the segmented level, and a channel axis that the
labels do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.plan import Plan

PIXELS = 240
"""Of the screen that the longer side of what is looked at gets."""


@dataclass(frozen=True, eq=False)
class Place:
    """The voxels of a run's segmented level in a layer.

    Parameters
    ----------
    layer : napari.layers.Layer
        Labels, tiles or image of the run.
    shape : tuple of int
        Of the segmented level, over the label axes.
    channel : int or None
        The axis of the layer that the labels do not have.
    """

    layer: Layer
    shape: tuple[int, ...]
    channel: int | None

    @classmethod
    def of(cls, plan: Plan, layer: Layer) -> Place:
        """Return where the voxels of a plan lie in a layer of its image."""
        shape = plan.grid.shape
        return cls(layer, shape, plan.info.channel_axis if layer.ndim > len(shape) else None)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Pixels of the layer per voxel, by label axis."""
        full = self.layer.level_shapes[0] if self.layer.multiscale else self.layer.data.shape
        sides = np.array(full[: self.layer.ndim], float)
        if self.channel is not None:
            sides = np.delete(sides, self.channel)
        return sides / self.shape

    def voxel(self, world: Sequence[float]) -> tuple[int, ...] | None:
        """Return the voxel at a world position; None outside the image."""
        pixel = np.array(self.layer.world_to_data(world)[-self.layer.ndim :])
        if self.channel is not None:
            pixel = np.delete(pixel, self.channel)
        found = np.floor((pixel + 0.5) / self.ratio).astype(int)
        inside = (found >= 0).all() and (found < self.shape).all()
        return tuple(found.tolist()) if inside else None

    def world(self, edge: Sequence[float]) -> NDArray[np.float64]:
        """Return the world position of a point between voxels: voxel n goes from n to n + 1."""
        pixel = np.array(edge, float) * self.ratio - 0.5
        if self.channel is not None:
            pixel = np.insert(pixel, self.channel, 0.0)
        return np.array(self.layer.data_to_world(pixel), float)

    def affine(self, start: Sequence[int]) -> NDArray[np.float64]:
        """Return what places an array of voxels from `start` on; with the axes of the layer."""
        ndim = self.layer.ndim
        kept = [axis for axis in range(ndim) if axis != self.channel]
        first = self.world(np.array(start) + 0.5)
        out = np.eye(ndim + 1)
        for axis, step in zip(kept, np.eye(len(kept)), strict=True):
            out[:ndim, axis] = self.world(np.array(start) + 0.5 + step) - first
        out[:ndim, ndim] = first
        return out


def look_at(viewer: ViewerModel, place: Place, box: Box, pixels: int = PIXELS) -> None:
    """Move sliders and camera so that a box of voxels is seen, `pixels` wide."""
    corners = np.array(np.meshgrid(*zip(box.start, box.stop, strict=True))).reshape(len(box.start), -1).T
    points = np.array([place.world(corner) for corner in corners])
    first = viewer.dims.ndim - points.shape[1]
    middle = place.world((np.array(box.start) + box.stop) / 2)
    voxel = place.world(np.floor((np.array(box.start) + box.stop) / 2) + 0.5)
    shown = [axis - first for axis in viewer.dims.displayed if axis >= first]
    for axis in range(points.shape[1]):
        if axis not in shown and axis != place.channel:
            viewer.dims.set_point(axis + first, voxel[axis])
    extent = (points.max(axis=0) - points.min(axis=0))[shown].max(initial=0)
    center = np.zeros(3)
    center[3 - len(shown) :] = middle[shown]
    viewer.scene.camera.center = tuple(center)
    if extent > 0:
        viewer.scene.camera.zoom = pixels / extent


def place_of(control: Any) -> Place | None:
    """Return where the voxels of the shown run lie; None if none of its layers is there any more."""
    if control.shown is None:
        return None
    canvas, layers = control.canvas, control.viewer.layers
    for layer in (control.layer, canvas.grid_layer, canvas.image):
        if layer is not None and layer in layers:
            return Place.of(control.shown.plan, layer)
    return None
