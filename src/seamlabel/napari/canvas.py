"""`Canvas`: the tile grid and the labels of a run as layers over the image.

Knows the viewer and the lazy arrays; nothing of forms or of how a run is carried out.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from seamlabel.geometry import Box
from seamlabel.napari.lazy_labels import LabelStream, LazyArray, display_levels, display_shapes, lazy
from seamlabel.napari.pictures import OWN, Placement, placement
from seamlabel.napari.preferences import preferences
from seamlabel.napari.tile_states import COLORS, TileStates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.components import ViewerModel

    from seamlabel.napari.pictures import Picture
    from seamlabel.plan import Plan

GRID_NAME = "Tiles"
REFRESH_3D = 1.0
"""Least seconds between two refreshes of the labels while they stream in, in 3D."""


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


class Canvas:
    """Owns two layers of a viewer; either may be removed by the user at any time.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.grid_layer: Labels | None = None
        self.labels_layer: Labels | None = None
        self.states: TileStates | None = None
        self.stream: LabelStream | None = None
        self.image: Any = None
        self._placement = Placement({})
        self._stale = False
        self._refreshed = 0.0
        self._pause = 1 / preferences().redraws
        self._grid_stale = False
        self._grid = self._labels = Live([lazy(np.zeros((1, 1), np.uint8))])

    # -- the grid ------------------------------------------------------------------------------

    def place(self, plan: Plan, picture: Picture, level: int) -> None:
        """Take the tiles of a plan, all of them waiting, and the place of its image; draw nothing."""
        self.states = TileStates(plan.grid, display_shapes(plan.level_shapes))
        self._placement = placement(picture, level)
        self.image = picture.layer

    def forget(self) -> None:
        """Have no tiles."""
        self._remove_grid()
        self.states = self.image = None

    def show_grid(self) -> None:
        """Draw the tiles as they are over the image that they were placed on."""
        if self.states is None:
            return
        levels = self._placement.fit(self.states.levels)
        if self._has(self.grid_layer) and _same_place(self.grid_layer, self._placement, levels):
            self._grid = Live(levels)
            self.grid_layer.data = self._grid.data
            self.grid_layer.visible = self._viewer.dims.ndisplay == 2
            return
        self._remove_grid()
        with self._same_selection():
            self._grid = Live(levels)
            self.grid_layer = self._layer(
                self._grid.data,
                name=GRID_NAME,
                colormap=DirectLabelColormap(color_dict=_colors()),
                opacity=1.0,
                blending="translucent_no_depth",
                metadata={OWN: {"tiles": True}},
            )
            self.grid_layer.visible = self._viewer.dims.ndisplay == 2
            self._viewer.add_layer(self.grid_layer)

    def hide_grid(self) -> None:
        """Draw no tiles; the layer stays, since napari checks all units whenever one comes."""
        if self._has(self.grid_layer):
            self.grid_layer.visible = False

    def _remove_grid(self) -> None:
        layer, self.grid_layer = self.grid_layer, None
        if self._has(layer):
            with self._same_selection():
                self._viewer.layers.remove(layer)

    def set_states(self, states: dict[int, str]) -> None:
        """Say what tiles are now; drawn with the next `refresh`."""
        if self.states is None:
            return
        for tile, state in states.items():
            if self.states.state(tile) != state:
                self.states.set(tile, state)
                self._grid_stale = True

    def tile_under(self, position: Sequence[float]) -> int | None:
        """Return the tile at a world position, or None outside the grid."""
        if self.states is None or not self._has(self.grid_layer) or not self.grid_layer.visible:
            return None
        layer = self.grid_layer
        point = layer.world_to_data(position)[-layer.ndim :]
        if self._placement.insert:
            point = np.delete(point, self._placement.insert[0])
        ratio = np.divide(self.states.grid.shape, self.states.levels[0].shape)
        return self.states.tile_at([int(np.floor((p + 0.5) * r)) for p, r in zip(point, ratio, strict=True)])

    def select(self, tile: int | None) -> None:
        """Show what this tile reads past its core; None for no tile."""
        if self.states is not None and self.states.selected != tile:
            self.states.selected = tile
            self._grid_stale = True
            self.refresh()

    # -- labels --------------------------------------------------------------------------------

    def begin_stream(self, plan: Plan) -> LabelStream:
        """Return the stream that the events of a run are to be fed to."""
        self._pause = 1 / preferences().redraws
        self.stream = LabelStream(plan.grid, display_shapes(plan.level_shapes))
        self.labels_layer = None
        return self.stream

    def show_stream(self, name: str, run_dir: str = "") -> None:
        """Show the stream as a new layer, under the grid, in place of what was shown of that run before."""
        if self.stream is None:
            return
        with self._same_selection():
            for layer in [one for one in self._viewer.layers if isinstance(one, Labels)]:
                if run_dir and layer.metadata.get(OWN, {}).get("run_dir") == run_dir:
                    self._viewer.layers.remove(layer)
            self._labels = Live(self._placement.fit(self.stream.levels))
            self.labels_layer = self._layer(
                self._labels.data, name=name, metadata={OWN: {"provisional": True, "run_dir": run_dir}}
            )
            self._viewer.add_layer(self.labels_layer)
            layers = self._viewer.layers
            if self._has(self.grid_layer):
                layers.move(layers.index(self.labels_layer), layers.index(self.grid_layer))

    def show_final(self, levels: Sequence[Any], path: str, name: str) -> None:
        """Show written labels in place of the stream, and no longer those that they replaced."""
        layer, self.stream = self.labels_layer, None
        with self._same_selection():
            for other in [one for one in self._viewer.layers if isinstance(one, Labels)]:
                if other is not layer and other.metadata.get(OWN, {}).get("path") == path:
                    self._viewer.layers.remove(other)
        if not self._has(layer):
            return
        shown = self._placement.fit(display_levels(levels))
        layer.data = shown if len(shown) > 1 else shown[0]
        layer.editable = False
        layer.metadata = {OWN: {"path": path}}
        layer.name = name
        self._stale = False
        layer.refresh()

    def drop_stream(self, keep: bool) -> None:
        """End the stream without written labels: keep what there is as a layer, or remove it."""
        layer = self.labels_layer
        if not keep and self._has(layer):
            with self._same_selection():
                self._viewer.layers.remove(layer)
        elif self._has(layer):
            layer.name = f"{layer.name} (unfinished)"
            self._labels.update()
            layer.refresh()
        self.stream = None

    def touch(self, tiles: Sequence[int]) -> None:
        """Note that the labels of these tiles are others now; drawn with the next `refresh`."""
        layer = self.labels_layer
        if self._stale or self.stream is None or not self._has(layer) or not layer.visible:
            return
        view = self._view(layer)
        self._stale = any(self.stream.span(t, layer.data_level).intersect(view).size for t in tiles)

    def refresh(self) -> None:
        """Draw what has changed, not oftener than the viewer can take it."""
        if self._grid_stale and self._has(self.grid_layer):
            self._grid_stale = False
            self._grid.update()
            _redraw(self.grid_layer)
        wait = self._pause if self._viewer.dims.ndisplay == 2 else max(REFRESH_3D, self._pause)
        if self._stale and monotonic() - self._refreshed >= wait:
            self._stale = False
            if self._has(self.labels_layer):
                self._labels.update()
                _redraw(self.labels_layer)
            self._refreshed = monotonic()

    def _layer(self, data: Any, **options: Any) -> Labels:
        """Return a layer that lies on the image and cannot be painted on."""
        layer = Labels(data, multiscale=isinstance(data, list), **options, **self._placement.options)
        layer.editable = False
        return layer

    def _view(self, layer: Labels) -> Box:
        """Return the part of a layer's level that is looked at, without an inserted axis."""
        ndim = layer.ndim
        low, high = np.array(layer.corner_pixels)
        point = layer.world_to_data(self._viewer.dims.point[-ndim:])
        shape = layer.level_shapes[layer.data_level]
        ratio = np.divide(layer.level_shapes[0], shape)
        shown = {axis - (self._viewer.dims.ndim - ndim) for axis in self._viewer.dims.displayed}
        for axis in range(ndim):
            if axis not in shown:
                low[axis] = high[axis] = int(point[axis] / ratio[axis])
        if self._viewer.dims.ndisplay == 3:
            for axis in shown:
                low[axis], high[axis] = 0, shape[axis] - 1
        if self._placement.insert:
            low, high = (np.delete(corner, self._placement.insert[0]) for corner in (low, high))
        return Box(tuple(int(a) for a in low), tuple(int(b) + 1 for b in high))

    def _has(self, layer: Labels | None) -> bool:
        return layer is not None and layer in self._viewer.layers

    @contextmanager
    def _same_selection(self) -> Iterator[None]:
        """Leave the user's selection of layers as it is."""
        before = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        yield
        left = before & set(self._viewer.layers)
        self._viewer.layers.selection = left
        if active in self._viewer.layers:
            self._viewer.layers.selection.active = active


def _redraw(layer: Labels) -> None:
    layer.refresh(thumbnail=False, highlight=False, extent=False)


def _colors() -> dict[int | None, Any]:
    clear = (0.0, 0.0, 0.0, 0.0)
    return {None: clear, 0: clear, **COLORS}


def _same_place(layer: Labels, wanted: Placement, levels: Sequence[Any]) -> bool:
    """Return whether a layer already lies where these levels belong."""
    if [tuple(level.shape) for level in levels] != [tuple(map(int, s)) for s in layer.level_shapes]:
        return False
    return all(
        np.array_equal(np.asarray(getattr(layer, name)), np.asarray(wanted.options[name]))
        for name in ("scale", "translate")
    )
