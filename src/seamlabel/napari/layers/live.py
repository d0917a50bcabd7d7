"""`Live`: levels that change while a layer shows them; layers drawn anew, or added unselected."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Labels

    from seamlabel.napari.layers.lazy_labels import LazyArray


class Live:
    """Levels that change while a layer shows them.

    napari 0.9 reads the coarsest level of a 2D pyramid once and keeps that array until `data` is set
    anew. So it is given a real array for it, which `update` fills before the layer is refreshed.

    Parameters
    ----------
    levels : list of LazyArray
        Full resolution first.
    """

    def __init__(self, levels: list[LazyArray]) -> None:
        self._source = levels[-1]
        self._kept = None
        self.data: Any = levels if len(levels) > 1 else levels[0]
        if len(levels) > 1 and levels[0].ndim == 2:
            self._kept = np.array(self._source)
            self.data = [*levels[:-1], self._kept]

    def update(self) -> None:
        """Bring the array that napari keeps up to date."""
        if self._kept is not None:
            self._kept[...] = self._source


def redraw(layer: Labels) -> None:
    """Draw what a layer shows anew, and nothing beside it."""
    layer.refresh(thumbnail=False, highlight=False, extent=False)


@contextmanager
def same_selection(viewer: ViewerModel) -> Iterator[None]:
    """Leave the user's selection of layers as it is."""
    before, active = set(viewer.layers.selection), viewer.layers.selection.active
    yield
    viewer.layers.selection = before & set(viewer.layers)
    if active in viewer.layers:
        viewer.layers.selection.active = active
