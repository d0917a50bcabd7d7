"""`ObjectLink`: the canvas side of the table. Outlines objects, brings them into sight, notices clicks.

Knows layers, plan and table; no widget.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from seamlabel.napari.layers.canvas import Live
from seamlabel.napari.layers.live import redraw
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.result.lookup import Lookup, add_above, place_of
from seamlabel.napari.tiles.view import camera, level_shape, shown_axes, window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from seamlabel.engine.table import Table
    from seamlabel.napari.layers.lazy_labels import LazyArray
    from seamlabel.plan import Plan

NAME = "Selected objects"
WIDTH = 2
"""Of an outline, in pixels of the level that is shown. napari's own contours complain of 3D."""
COLOR = (1.0, 1.0, 1.0, 1.0)
TINY, WELL = 8, 60
"""Pixels of the screen: what is smaller cannot be made out, and how large it is shown then."""
STILL = 4
"""Pixels that the mouse may move between press and release of a click."""


class ObjectLink:
    """Between the objects of one labels layer and their rows.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    on_click : callable
        Called with the label under a click, and whether it is to be added to what is selected.
    """

    def __init__(self, viewer: ViewerModel, on_click: Callable[[int, bool], None]) -> None:
        self._viewer, self._on_click = viewer, on_click
        self.outline: Labels | None = None
        self._labels: Labels | None = None
        self._levels: Sequence[LazyArray] = ()
        self._live: Live | None = None
        self._plan: Plan | None = None
        self._table: Table = {}
        self._lookup = _Outlines(0, np.uint8)
        viewer.mouse_drag_callbacks.append(self._pressed)
        viewer.layers.events.removed.connect(self._removed)

    def forget(self) -> None:
        """Have no objects."""
        self._drop()
        self._labels = None

    def follow(self, labels: Labels | None, levels: Sequence[LazyArray], plan: Plan, table: Table) -> None:
        """Have other objects from now on, none of them outlined; `levels` are their written labels."""
        if labels is not self._labels or levels is not self._levels:
            self._drop()
        self._labels, self._levels, self._plan, self._table = labels, levels, plan, table
        self.highlight(np.zeros(0, np.int64))

    def close(self) -> None:
        """Let go of the viewer, in which nothing of this stays."""
        self._viewer.layers.events.removed.disconnect(self._removed)
        if self._pressed in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._pressed)
        self._drop()

    def highlight(self, rows: NDArray[Any]) -> None:
        """Outline the objects in these rows."""
        if self._labels is None or self._labels not in self._viewer.layers:
            return
        ids = np.sort(self._table["id"][rows])
        if self.outline is None and not ids.size:
            return
        self._lookup.set(ids, 1)
        if self.outline is None:
            self._make(self._labels)
        else:
            assert self._live is not None
            self._live.update()
            redraw(self.outline)

    def go_to(self, row: int) -> None:
        """Bring an object's middle into sight, and make it so large that it can be seen, where it is not."""
        if self._labels is None or self._labels not in self._viewer.layers:
            return
        low, high, given = self._span(row)
        dims, eye = self._viewer.dims, camera(self._viewer)
        first, shown = dims.ndim - low.size, shown_axes(self._viewer, self._labels)
        middle = np.array(self._labels.data_to_world((low + high) / 2))
        here = np.array(self._labels.world_to_data(dims.point[first:]))
        for axis in range(low.size):
            if axis not in shown and given[axis] and not low[axis] <= here[axis] <= high[axis]:
                dims.set_point(first + axis, middle[axis])
        corners = [self._labels.data_to_world(corner) for corner in _corners(low, high, shown)]
        begin, end = (function(np.array(corners)[:, shown], 0) for function in (np.min, np.max))
        extent = float((end - begin).max())
        if extent * eye.zoom < TINY:
            eye.zoom = WELL / extent
        elif dims.ndisplay == 2:
            left, right = window(self._viewer)
            if (left <= middle[shown]).all() and (middle[shown] <= right).all():
                return
        eye.center = tuple(middle[shown])

    def _span(self, row: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
        """Return an object's box in voxels of the layer, and along which axes it has one."""
        assert self._plan is not None
        assert self._labels is not None
        spans = []
        for axis in self._plan.axes:
            if axis.name in self._table:  # a frame or a plane
                at = int(self._table[axis.name][row])
                spans.append((at, at + 1))
            else:
                ends = (self._table[f"bbox_{axis.name}_{end}"][row] for end in ("start", "stop"))
                spans.append(tuple(map(int, ends)))
        shape = np.array(level_shape(self._labels, 0))
        fine, given = list(self._plan.grid.shape), np.ones(shape.size, bool)
        if shape.size > len(spans):  # labels repeated along the channels of their image
            where = self._plan.info.channel_axis or 0
            spans.insert(where, (0, 1))
            fine.insert(where, int(shape[where]))
            given[where] = False
        low, high = (np.array(ends) * shape / fine - 0.5 for ends in zip(*spans, strict=True))
        return low, high, given

    # -- the outline ---------------------------------------------------------------------------

    def _make(self, labels: Labels) -> None:
        self._live = Live(self._lookup.levels(self._levels))
        clear = (0.0, 0.0, 0.0, 0.0)
        self.outline = Labels(
            self._live.data,
            multiscale=isinstance(self._live.data, list),
            name=NAME,
            colormap=DirectLabelColormap(color_dict={None: clear, 0: clear, 1: COLOR}),
            opacity=1.0,
            blending="translucent_no_depth",
            metadata={OWN: {"selection": True}},
            **place_of(labels),
        )
        self.outline.editable = False
        add_above(self._viewer, self.outline, self._topmost(labels))

    def _topmost(self, labels: Labels) -> Any:
        """Return the layer to lie on: the labels, or the colours over them."""
        after = self._viewer.layers[self._viewer.layers.index(labels) + 1 :]
        return next((layer for layer in after if layer.metadata.get(OWN, {}).get("measurement")), labels)

    def _drop(self) -> None:
        layer, self.outline = self.outline, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _removed(self, event: Any) -> None:
        if event.value is self.outline:
            self.outline = None
        elif event.value is self._labels:
            self._drop()
            self._labels = None

    # -- clicks --------------------------------------------------------------------------------

    def _pressed(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        """Tell which object was clicked, once the mouse is released where it was pressed."""
        layer, active = self._labels, viewer.layers.selection.active
        modifiers = set(event.modifiers)
        busy = active is not None and str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"
        if layer is None or layer not in viewer.layers or not layer.visible or busy:
            return
        if event.button != 1 or modifiers - {"Control"}:
            return
        begin = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            if np.abs(np.array(event.pos) - begin).max() > STILL:
                return
            yield
        label = self._label_in_3d(layer, event) if viewer.dims.ndisplay == 3 else self._label(layer, event)
        if label:
            self._on_click(label, bool(modifiers))

    def _label(self, layer: Labels, event: Any) -> int:
        """Return the written label under the pointer, whatever the layer shows; 0 for none."""
        place = np.round(layer.world_to_data(event.position[-layer.ndim :])).astype(int)
        if (place < 0).any() or (place >= level_shape(layer, 0)).any():
            return 0
        return int(np.asarray(self._levels[0][tuple(place.tolist())]))

    def _label_in_3d(self, layer: Labels, event: Any) -> int:
        how = {"view_direction": event.view_direction, "dims_displayed": event.dims_displayed}
        value = layer.get_value(event.position, world=True, **how)
        return int((value[1] if isinstance(value, tuple) else value) or 0)


class _Outlines(Lookup):
    """Values at the rims of labels; inside nothing."""

    def __call__(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return the values of labels where others are near, along the axes that are read."""
        rim = np.zeros(labels.shape, bool)
        for axis in range(labels.ndim):
            for step in range(1, WIDTH + 1):
                one, other = (
                    (slice(None),) * axis + (slice(step, None),),
                    (slice(None),) * axis + (slice(-step),),
                )
                differ = labels[one] != labels[other]
                rim[one] |= differ
                rim[other] |= differ
        return np.where(rim, super().__call__(labels), self.dtype.type(0))


def _corners(low: NDArray[Any], high: NDArray[Any], shown: list[int]) -> Iterator[NDArray[Any]]:
    """Yield the corners of a box along the axes that are shown, in the middle of all others."""
    for chosen in product(*([low[a], high[a]] for a in shown)):
        corner = (low + high) / 2
        corner[shown] = chosen
        yield corner
