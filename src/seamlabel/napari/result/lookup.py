"""`Lookup`: labels turned into values by a table when they are read, and layers that lie on them.

Knows label arrays and layers' places; not what the values mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.io.sources import open_labels
from seamlabel.napari.layers.lazy_labels import LazyArray, with_axis
from seamlabel.napari.layers.levels import display_levels
from seamlabel.napari.layers.live import same_selection
from seamlabel.napari.tiles.view import level_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from seamlabel.napari.layers.lazy_labels import Picks
    from seamlabel.plan import Plan

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Of a layer: what says where it lies."""
DENSE = 8
"""Up to so many times as many numbers as objects, a table is indexed; beyond that it is searched."""


class Lookup:
    """Values by label, that can be swapped while arrays are read.

    Parameters
    ----------
    nothing : scalar
        The value of background and of labels that have none.
    dtype : dtype
        Of the values.
    """

    def __init__(self, nothing: float, dtype: Any) -> None:
        self._nothing, self.dtype = nothing, np.dtype(dtype)
        self._table: tuple[NDArray[Any] | None, NDArray[Any]] = (None, np.full(1, nothing, dtype))

    def set(self, ids: NDArray[Any], values: Any) -> None:
        """Take other values, one per id (ascending), or one for all."""
        top = int(ids[-1]) if len(ids) else 0
        if top <= DENSE * len(ids) + (1 << 16):
            table = np.full(top + 2, self._nothing, self.dtype)  # the last is of all that is beyond
            table[ids] = values
            self._table = (None, table)
        else:
            padded = np.full(len(ids) + 1, self._nothing, self.dtype)
            padded[:-1] = values
            self._table = (np.asarray(ids), padded)

    def __call__(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return the values of labels."""
        ids, table = self._table
        if ids is None:
            return table[np.minimum(labels, np.asarray(table.size - 1, labels.dtype))]
        at = np.searchsorted(ids, labels)
        at[ids[np.minimum(at, ids.size - 1)] != labels] = ids.size
        return table[at]

    def levels(self, levels: Sequence[LazyArray]) -> list[LazyArray]:
        """Return levels of labels as values, read when they are looked at."""
        return [self._level(level) for level in levels]

    def _level(self, level: LazyArray) -> LazyArray:
        def read(picks: Picks) -> NDArray[Any]:
            return self(level.read(picks))

        return LazyArray(read, tuple(map(range, level.shape)), self.dtype)


def written_levels(path: str, plan: Plan, layer: Labels) -> list[LazyArray]:
    """Return the labels that are written, as their layer shows them while it shows no preview of others.

    Parameters
    ----------
    path : str
        The label group.
    plan : Plan
        Of the run that wrote it.
    layer : napari.layers.Labels
        Shows them; it may have the channels of its image as an axis more.

    Raises
    ------
    ImageError
        If there are no labels any more.
    """
    levels = display_levels(open_labels(path))
    if layer.ndim == levels[0].ndim:
        return levels
    where = plan.info.channel_axis or 0
    return [with_axis(level, where, level_shape(layer, 0)[where]) for level in levels]


def place_of(layer: Labels) -> dict[str, Any]:
    """Return what makes another layer lie where this one lies."""
    return {name: getattr(layer, name) for name in PLACE}


def add_above(viewer: ViewerModel, layer: Layer, below: Layer) -> None:
    """Add a layer right over another one, and leave the user's selection of layers as it is."""
    layers = viewer.layers
    with same_selection(viewer):
        viewer.add_layer(layer)
        layers.move(layers.index(layer), layers.index(below) + 1)
