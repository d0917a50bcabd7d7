"""`ScopeControl`: what the row "Run on" means on the canvas, and which tiles are looked at.

Knows viewer and layers; hands boxes of voxels to the row, and tile numbers to the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from qtpy.QtCore import QTimer

from seamlabel.geometry import Box
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.tiles.nearest import nearest
from seamlabel.napari.tiles.region_boxes import coarse_mask, ellipse, mask_boxes, merged, polygon_boxes
from seamlabel.napari.tiles.view import camera, level_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from seamlabel.napari.form.scope_form import ScopeForm
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.tiles.grid_control import GridControl
    from seamlabel.napari.tiles.region_boxes import Spans

SETTLE_MS = 150
"""The view and what is drawn are looked at so many milliseconds after their last change."""
NAME = "Region"
LINES = 400
"""Lines of a drawn region are so many times thinner than the image."""


class ScopeControl:
    """Follows the view, the pick and the layers of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : ScopeForm
        The row.
    canvas : Canvas
        Knows where the image lies and what tiles it has.
    grid : GridControl
        Knows the picked tile.
    """

    def __init__(self, viewer: ViewerModel, form: ScopeForm, canvas: Canvas, grid: GridControl) -> None:
        self._viewer, self._form, self._canvas, self._grid = viewer, form, canvas, grid
        self._near: tuple[int, ...] = ()
        self._next: tuple[int, ...] = ()
        self._following: Any = None
        self._settle = QTimer(form)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.look)
        form.chosen.connect(self.look)
        form.draw_requested.connect(self.draw)
        dims, view = viewer.dims.events, camera(viewer).events
        self._emitters = [view.center, view.zoom, dims.point, dims.order, dims.ndisplay]
        for emitter in self._emitters:
            emitter.connect(self._moved)
        for emitter in (viewer.layers.events.inserted, viewer.layers.events.removed):
            emitter.connect(self._layers_changed)
        self._layers_changed()

    def close(self) -> None:
        """Let go of the viewer; safe to call after the widgets are gone."""
        self._follow(None)
        for emitter in self._emitters:
            emitter.disconnect(self._moved)
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed):
            emitter.disconnect(self._layers_changed)

    # -- which tiles are wanted first ------------------------------------------------------------

    def first(self) -> tuple[int, ...]:
        """Return the tiles to come next, the most wanted first. From any thread."""
        return self._near

    def want(self, tile: int) -> None:
        """Have a tile come before all others."""
        self._next = (tile, *(other for other in self._next if other != tile))
        self._near = (*self._next, *self._near)

    def begin(self) -> None:
        """Want no tile before others: a run begins."""
        self._next = ()

    def _look_first(self) -> None:
        plan, view = self._grid.plan, self._view()
        if plan is None or view is None:
            self._near = self._next
            return
        among = None if plan.region.whole else plan.region.tiles
        self._near = (*self._next, *nearest(plan.grid, view, among))

    # -- what the choices mean -------------------------------------------------------------------

    def look(self) -> None:
        """Look at the view, the pick and the layers anew, as far as that is asked for."""
        self._look_first()
        kind = self._form.kind
        if self._canvas.states is None:
            return
        if kind == "view":
            view = self._view()
            shown = set(self._canvas.where.shown_axes())
            self._form.set_found("view", None if view is None else [self._widened(view, shown)])
        elif kind == "tile":
            tile = self._grid.picked
            core = None if tile is None else self._canvas.states.grid[tile].core
            self._form.set_found("tile", None if core is None else [_spans(core)])
        elif kind == "region":
            self._follow(self._form.layer())
            self._form.set_found("region", self._region())

    def _view(self) -> Box | None:
        where = self._canvas.where
        return None if where is None else where.view()

    def draw(self) -> None:
        """Add a layer over the image to draw on, ready for a rectangle."""
        options = self._canvas.layer_options()
        if options is None:
            return
        layer = Shapes(ndim=options.pop("ndim"), name=NAME, **options)
        layer.current_face_color, layer.current_edge_color = "#ffd93330", "#ffd933"
        layer.current_edge_width = max(1, round(max(self._canvas.where.shape) / LINES))
        self._viewer.add_layer(layer)
        self._form.set_layers(self._usable(), layer)
        layer.mode = "add_rectangle"

    def _layers_changed(self, _event: Any = None) -> None:
        self._form.set_layers(self._usable())

    def _usable(self) -> list[Any]:
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Shapes | Labels)]
        return [layer for layer in layers if OWN not in layer.metadata]

    def _moved(self, _event: Any = None) -> None:
        self._settle.start()

    def _follow(self, layer: Any) -> None:
        """Look again whenever this layer changes, and no longer at another one."""
        if layer is self._following:
            return
        for one, change in ((self._following, "disconnect"), (layer, "connect")):
            for name in ("data", "set_data", "paint"):
                emitter = getattr(one.events, name, None) if one is not None else None
                if emitter is not None:
                    getattr(emitter, change)(self._moved)
        self._following = layer

    def _widened(self, box: Box, shown: set[int]) -> Spans:
        """Return a box with all of those axes that labels are joined along and that are not shown."""
        plan, spans = self._grid.plan, _spans(box)
        if plan is None:
            return spans
        whole = [joined or axis == plan.linked for axis, joined in enumerate(plan.joined)]
        return tuple(
            (0, n) if whole[axis] and axis not in shown else span
            for axis, (span, n) in enumerate(zip(spans, plan.grid.shape, strict=True))
        )

    # -- what is drawn ---------------------------------------------------------------------------

    def _region(self) -> Sequence[Spans] | None:
        layer = self._form.layer()
        if layer is None or layer not in self._viewer.layers:
            return None
        found = self._shapes(layer) if isinstance(layer, Shapes) else self._labels(layer)
        whole = Box.whole(self._canvas.states.grid.shape)
        inside = [(box.intersect(whole), shown) for box, shown in found]
        return merged([self._widened(box, shown) for box, shown in inside if box.size])

    def _shapes(self, layer: Shapes) -> Iterator[tuple[Box, set[int]]]:
        for corners, kind in zip(layer.data, layer.shape_type, strict=True):
            points = ellipse(corners) if kind == "ellipse" else np.asarray(corners)
            voxels = self._canvas.where.voxels([layer.data_to_world(point) for point in points])
            varies = np.ptp(voxels, axis=0)
            drawn = sorted(np.argsort(varies, kind="stable")[-2:].tolist())
            closed = kind not in ("line", "path")
            for ends in polygon_boxes(voxels[:, drawn], closed):
                low, high = voxels.min(axis=0), voxels.max(axis=0)
                low[drawn], high[drawn] = ends.T
                yield _box(low, high), set(drawn)

    def _labels(self, layer: Labels) -> Iterator[tuple[Box, set[int]]]:
        data = layer.data[-1] if layer.multiscale else layer.data
        ratio = np.divide(level_shape(layer, 0), data.shape)
        mask, cell = coarse_mask(data)
        ndim = len(self._canvas.states.grid.shape)
        shown = set(range(ndim - layer.ndim, ndim))
        for spans in mask_boxes(mask):
            ends = np.minimum(np.array(spans) * cell[:, None], np.array(data.shape)[:, None])
            corners = ends * ratio[:, None] - 0.5
            low, high = self._canvas.where.voxels([layer.data_to_world(end) for end in corners.T])
            yield _box(np.minimum(low, high), np.maximum(low, high)), shown


def _spans(box: Box) -> Spans:
    return tuple(zip(box.start, box.stop, strict=True))


def _box(low: NDArray[Any], high: NDArray[Any]) -> Box:
    """Return the voxels that lie between two places; their middles are at whole numbers."""
    start = np.floor(low + 0.5 + 1e-6).astype(int)
    stop = np.maximum(np.ceil(high + 0.5 - 1e-6).astype(int), start + 1)
    return Box(tuple(start.tolist()), tuple(stop.tolist()))
