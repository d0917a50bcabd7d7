"""`Highlight`: a layer that outlines objects as their tiles see them. Knows places, no edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from seamlabel.napari.layers.live import same_selection
from seamlabel.napari.layers.pictures import OWN
from seamlabel.staged import LABEL_BITS, LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from seamlabel.engine.review import Review
    from seamlabel.napari.result.look import Place

NAME = "Highlighted objects"
COLORS = {1: (1.0, 0.6, 0.0, 1.0), 2: (0.25, 0.65, 1.0, 1.0), 3: (1.0, 1.0, 1.0, 1.0)}
"""Of the first object, of the second, and of where both are."""


class Highlight:
    """One layer, which several parts of the panel use in turn."""

    def __init__(self) -> None:
        self.layer: Labels | None = None
        self._viewer: ViewerModel | None = None
        self._leave: Callable[[], None] | None = None

    def take(self, leave: Callable[[], None]) -> None:
        """Use it from now on; who had it before is told to leave."""
        before, self._leave = self._leave, leave
        if before is not None and before != leave:
            before()

    def show(self, viewer: ViewerModel, place: Place, review: Review, keys: Sequence[int]) -> None:
        """Outline one or two labels.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            Where.
        place : Place
            Where voxels lie.
        review : Review
            The run.
        keys : sequence of int
            The labels, ``tile << 32 | label``.
        """
        start, values = outlined(review, keys)
        if place.channel is not None:
            values = np.expand_dims(values, place.channel)
            shape = list(values.shape)
            shape[place.channel] = place.layer.level_shapes[0][place.channel]
            values = np.broadcast_to(values, shape)
        self.hide()
        self._viewer = viewer
        self.layer = Labels(
            values,
            name=NAME,
            colormap=DirectLabelColormap(color_dict={None: (0.0,) * 4, 0: (0.0,) * 4, **COLORS}),
            affine=place.affine(start),
            units=place.layer.units,
            axis_labels=place.layer.axis_labels,
            opacity=1.0,
            blending="translucent_no_depth",
            metadata={OWN: {"highlight": True}},
        )
        self.layer.contour = 1
        self.layer.editable = False
        with same_selection(viewer):
            viewer.add_layer(self.layer)

    def hide(self) -> None:
        """Outline nothing."""
        layer, self.layer = self.layer, None
        if layer is not None and self._viewer is not None and layer in self._viewer.layers:
            with same_selection(self._viewer):
                self._viewer.layers.remove(layer)


def outlined(review: Review, keys: Sequence[int]) -> tuple[tuple[int, ...], NDArray[np.uint8]]:
    """Return where an array of voxels begins, and the array: 1 and 2 in the objects, 3 in both."""
    parts: list[tuple[Any, NDArray[np.bool_]]] = []
    for key in keys:
        tile = review.plan.grid[key >> LABEL_BITS]
        staged = review.store.read(tile.number)
        if staged is None:
            continue
        mask = staged.labels() == key & LOCAL
        where = np.argwhere(mask)
        if not where.size:
            continue
        low, high = where.min(axis=0), where.max(axis=0) + 1
        cut = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].copy()
        parts.append((low + tile.read.start, cut))
    ndim = review.plan.grid.ndim
    if not parts:
        return (0,) * ndim, np.zeros((1,) * ndim, np.uint8)
    low = np.min([start for start, _ in parts], axis=0) - 1  # outlines need background around
    high = np.max([start + cut.shape for start, cut in parts], axis=0) + 1
    out = np.zeros(high - low, np.uint8)
    for bit, (start, cut) in enumerate(parts):
        inside = tuple(slice(a, a + n) for a, n in zip(start - low, cut.shape, strict=True))
        out[inside] |= cut.astype(np.uint8) << bit
    return tuple(low.tolist()), out
