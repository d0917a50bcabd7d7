"""`ThresholdPreview`: the objects of a map above a threshold, found as they are looked at.

Each view is labelled by itself, with the numbers it needs: what a run would find over the whole map is
the same, but for the numbers. Nothing is predicted for it.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from seamlabel.backends.pixels import connected
from seamlabel.napari.layers.lazy_labels import LazyArray
from seamlabel.napari.layers.live import Live, redraw, same_selection
from seamlabel.napari.layers.pictures import OWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from seamlabel.napari.layers.lazy_labels import Picks

NAME = "objects (preview)"
MOST = 1 << 25
"""Pixels of a view that are labelled; a map without a pyramid may have more."""


class ThresholdPreview:
    """A Labels layer over one image layer at a time.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    drawn : callable
        Called after objects were drawn, also where another part of the map is looked at.
    """

    def __init__(self, viewer: ViewerModel, drawn: Callable[[], None] = lambda: None) -> None:
        self._viewer, self._drawn = viewer, drawn
        self._value = 0.0
        self._live: Live | None = None
        self.source: Image | None = None
        self.layer: Labels | None = None
        self._counts: dict[int, int | None] = {}

    @property
    def count(self) -> int | None:
        """Objects in what is looked at; None if that is too much."""
        return 0 if self.layer is None else self._counts.get(self.layer.data_level, 0)

    def show(self, source: Image, value: float) -> None:
        """Show what is above a value in a layer."""
        self._value = value
        if source is not self.source or self.layer not in self._viewer.layers:
            self.hide()
            self._add(source)
        self.draw()

    def draw(self) -> None:
        """Draw anew: the map, or the threshold, is another one."""
        if self.layer is not None and self.layer in self._viewer.layers and self._live is not None:
            self._live.update()
            redraw(self.layer)

    def hide(self) -> None:
        """Show nothing."""
        layer, self.layer, self.source, self._live = self.layer, None, None, None
        if layer is not None and layer in self._viewer.layers:
            with same_selection(self._viewer):
                self._viewer.layers.remove(layer)

    def _add(self, source: Image) -> None:
        self.source = source
        data = list(source.data) if source.multiscale else [source.data]
        self._counts.clear()
        self._live = Live([self._level(k, level) for k, level in enumerate(data)])
        shown = self._live.data
        place = {name: getattr(source, name) for name in ("scale", "translate", "rotate", "shear")}
        self.layer = Labels(
            shown,
            multiscale=isinstance(shown, list),
            name=NAME,
            affine=source.affine.affine_matrix,
            units=source.units,
            axis_labels=source.axis_labels,
            metadata={OWN: {"provisional": True}},
            **place,
        )
        self.layer.editable = False
        self.layer.events.set_data.connect(self._seen)
        with same_selection(self._viewer):
            self._viewer.add_layer(self.layer)

    def _seen(self, event: Any) -> None:
        if event.source is self.layer:
            self._drawn()

    def _level(self, k: int, level: Any) -> LazyArray:
        def read(picks: Picks) -> NDArray[Any]:
            if prod(map(len, picks)) > MOST:
                self._counts[k] = None
                return np.zeros(tuple(map(len, picks)), np.uint32)
            pixels = np.asarray(level[tuple(slice(p.start, p.stop, p.step) for p in picks)])
            labels = connected(pixels > self._value)
            self._counts[k] = int(labels.max(initial=0))
            return labels

        return LazyArray(read, tuple(map(range, level.shape)), np.dtype(np.uint32))
