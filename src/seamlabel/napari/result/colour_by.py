"""`ColourBy`: objects in the colours of a measurement, as an image layer computed when it is looked at.

Knows layers and columns; neither the panel nor how the table came about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from seamlabel.napari.layers.canvas import Live
from seamlabel.napari.layers.live import redraw
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.result.lookup import Lookup, add_above, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from seamlabel.napari.layers.lazy_labels import LazyArray
    from seamlabel.napari.result.table_columns import Column

ENDS = (1, 99)
"""Percentiles of the values that are the ends of the colours."""


class ColourBy:
    """Owns one layer of a viewer; the user may take it away at any time.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    on_gone : callable
        Called when the user takes the layer away, or the labels under it.
    """

    def __init__(self, viewer: ViewerModel, on_gone: Callable[[], None]) -> None:
        self._viewer, self._on_gone = viewer, on_gone
        self.layer: Image | None = None
        self._lookup = Lookup(np.nan, np.float32)
        self._labels: Labels | None = None
        self._levels: Sequence[LazyArray] = ()
        self._live: Live | None = None
        viewer.layers.events.removed.connect(self._removed)

    def show(self, labels: Labels, levels: Sequence[LazyArray], ids: NDArray[Any], column: Column) -> None:
        """Colour objects by a measurement.

        Parameters
        ----------
        labels : napari.layers.Labels
            The layer that shows them.
        levels : sequence of LazyArray
            What is written of them.
        ids : ndarray of integers
            Their labels, ascending.
        column : Column
            A value for each.
        """
        self._lookup.set(ids, column.values)
        if self.layer is None or self._labels is not labels:
            self.drop()
            self._make(labels, levels, column)
            return
        self._follow(levels)
        low, high, least, most = limits(column.values)
        self.layer.contrast_limits_range = (least, most)
        self.layer.contrast_limits = (low, high)
        self.layer.name = column.title

    def empty(self) -> None:
        """Colour nothing until values are known that fit the labels."""
        if self.layer is not None:
            self._lookup.set(np.zeros(0, np.int64), np.zeros(0))
            self._follow(self._levels)

    def drop(self) -> None:
        """Take the layer away."""
        layer, self.layer, self._labels = self.layer, None, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Let go of the viewer."""
        self._viewer.layers.events.removed.disconnect(self._removed)

    def _make(self, labels: Labels, levels: Sequence[LazyArray], column: Column) -> None:
        self._labels, self._levels = labels, levels
        self._live = Live(self._lookup.levels(levels))
        low, high, least, most = limits(column.values)
        self.layer = Image(
            self._live.data,
            multiscale=isinstance(self._live.data, list),
            name=column.title,
            colormap="viridis",
            contrast_limits=(least, most),
            blending="translucent_no_depth",
            interpolation2d="nearest",
            interpolation3d="nearest",
            metadata={OWN: {"measurement": True}},
            **place_of(labels),
        )
        self.layer.contrast_limits = (low, high)
        add_above(self._viewer, self.layer, labels)

    def _follow(self, levels: Sequence[LazyArray]) -> None:
        """Draw what the labels and their values are now."""
        assert self.layer is not None
        assert self._live is not None
        if levels is self._levels:
            self._live.update()
            redraw(self.layer)
        else:
            self._levels = levels
            self._live = Live(self._lookup.levels(levels))
            self.layer.data = self._live.data

    def _removed(self, event: Any) -> None:
        if self.layer is not None and event.value in (self.layer, self._labels):
            self.drop()
            self._on_gone()


def limits(values: NDArray[Any]) -> tuple[float, float, float, float]:
    """Return which values get the first and last colour, and the least and largest value there is."""
    known = values[np.isfinite(values)].astype(float)
    if not known.size:
        return 0.0, 1.0, 0.0, 1.0
    least, most = float(known.min()), float(known.max())
    most = most if most > least else least + 1
    if values.dtype.kind == "b":
        return 0.0, 1.0, 0.0, 1.0
    low, high = map(float, np.percentile(known, ENDS))
    return (low, high, least, most) if high > low else (least, most, least, most)
