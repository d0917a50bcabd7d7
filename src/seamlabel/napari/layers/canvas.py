"""`Canvas`: the tile grid and the labels of a run as layers over the image.

Knows the viewer and the lazy arrays; nothing of forms or of how a run is carried out.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from seamlabel.geometry import Box
from seamlabel.napari.layers.lazy_labels import LabelStream, lazy
from seamlabel.napari.layers.levels import display_levels, display_shapes
from seamlabel.napari.layers.live import Live, redraw, same_selection
from seamlabel.napari.layers.pictures import OWN, Placement, placement
from seamlabel.napari.preferences import preferences
from seamlabel.napari.tiles.tile_states import COLORS, TileStates, any_within
from seamlabel.napari.tiles.view import visible
from seamlabel.napari.tiles.where import Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from seamlabel.napari.layers.pictures import Picture
    from seamlabel.plan import Plan

GRID_NAME = "Tiles"
CLEAR = (0.0, 0.0, 0.0, 0.0)
REFRESH_3D = UPDATE = 1.0
"""Least seconds between two refreshes of streaming labels in 3D, and of what is out of sight."""


class Canvas:
    """Owns up to three layers of a viewer; each may be removed by the user at any time.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.grid_layer: Labels | None = None
        self.labels_layer: Labels | None = None
        self.tried_layer: Labels | None = None
        self.states: TileStates | None = None
        self.stream: LabelStream | None = None
        self.ended_stream: LabelStream | None = None
        self.image: Any = None
        self.in_use = False
        """Whether clicks are for something else than tiles."""
        self._placement = Placement({})
        self.where: Where | None = None
        self._stale = self._unseen = False
        self._refreshed = self._updated = 0.0
        self.pause = 1 / preferences().redraws
        self._grid_stale = self._states_stale = False
        self._grid_drawn = 0.0
        self._drawn: tuple[list[tuple[int, ...]], Placement] | None = None
        self._grid = self._labels = self._tried = Live([lazy(np.zeros((1, 1), np.uint8))])

    # -- the grid ------------------------------------------------------------------------------

    def place(self, plan: Plan, picture: Picture, level: int) -> None:
        """Take the tiles of a plan, all of them waiting, and the place of its image; draw nothing."""
        self.states = TileStates(plan.grid, display_shapes(plan.level_shapes))
        self._placement = placement(picture, level)
        self.image = picture.layer
        self.where = Where.of(self._viewer, picture, plan.grid.shape)

    def lies_on(self, picture: Picture, level: int) -> bool:
        """Return whether the tiles are placed on this image, where it is now."""
        return self.image is picture.layer and self._placement == placement(picture, level)

    def forget(self) -> None:
        """Have no tiles."""
        self._remove_grid()
        self.states = self.image = self.where = None

    def show_grid(self) -> None:
        """Draw the tiles as they are over the image that they were placed on."""
        if self.states is None:
            return
        levels = self._placement.fit(self.states.levels)
        shapes = [tuple(level.shape) for level in levels]
        if self._has(self.grid_layer) and (shapes, self._placement) == self._drawn:
            self._grid = Live(levels)
            self.grid_layer.data = self._grid.data
            self.grid_layer.visible = self._viewer.dims.ndisplay == 2
            return
        self._remove_grid()
        self._drawn = shapes, self._placement
        with same_selection(self._viewer):
            self._grid = Live(levels)
            self.grid_layer = self._layer(
                self._grid.data,
                name=GRID_NAME,
                colormap=DirectLabelColormap(color_dict={None: CLEAR, 0: CLEAR, **COLORS}),
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
            with same_selection(self._viewer):
                self._viewer.layers.remove(layer)

    def set_states(self, states: dict[int, str]) -> None:
        """Say what tiles are now; drawn with the next `refresh`."""
        if self.states is None:
            return
        changed = [tile for tile, state in states.items() if self.states.state(tile) != state]
        for tile in changed:
            self.states.set(tile, states[tile])
        self._states_stale |= self._in_sight(self.grid_layer, self.states, changed)

    def tile_under(self, position: Sequence[float]) -> int | None:
        """Return the tile at a world position, or None outside the grid."""
        if self.in_use or self.states is None or not self._has(self.grid_layer):
            return None
        if not self.grid_layer.visible:
            return None
        (voxel,) = np.floor(self.where.voxels([position]) + 0.5).astype(int).tolist()
        return self.states.tile_at(voxel)

    def layer_options(self) -> dict[str, Any] | None:
        """Return how a layer lies on the image, with its number of axes; None without an image."""
        if self.image is None:
            return None
        options = dict(self._placement.options)
        return {"ndim": len(options["scale"]), **options}

    def mark(self, hovered: int | None, picked: int | None) -> None:
        """Show what the picked tile reads past its core, or else the one under the pointer."""
        states = self.states
        if states is None:
            return
        selected = hovered if picked is None else picked
        if (states.selected, states.picked) != (selected, picked):
            states.selected, states.picked = selected, picked
            self._grid_stale = True
            self.refresh()

    def show_only(self, state: str | None) -> None:
        """Draw only the tiles in a state; None for all tiles."""
        if self.states is not None and self.states.only != state:
            self.states.only = state
            self._grid_stale = True
            self.refresh()

    # -- labels --------------------------------------------------------------------------------

    def begin_stream(self, plan: Plan) -> LabelStream:
        """Return the stream that the events of a run are to be fed to."""
        self.pause = 1 / preferences().redraws
        self.stream = LabelStream(plan.grid, display_shapes(plan.level_shapes))
        self.labels_layer = self.ended_stream = None
        return self.stream

    def show_stream(self, name: str, run_dir: str = "") -> None:
        """Show the stream as a new layer, under the grid, in place of what was shown of that run before."""
        if self.stream is None:
            return
        with same_selection(self._viewer):
            for layer in [one for one in self._viewer.layers if isinstance(one, Labels)]:
                if run_dir and layer.metadata.get(OWN, {}).get("run_dir") == run_dir:
                    self._viewer.layers.remove(layer)
            self._labels = Live(self._placement.fit(self.stream.levels))
            notes = {"provisional": True, "run_dir": run_dir}
            self.labels_layer = self._add_under_grid(self._labels, name, notes)

    def show_final(self, levels: Sequence[Any], path: str, name: str) -> None:
        """Show written labels in place of the stream, and no longer those that they replaced."""
        layer = self.labels_layer
        self.ended_stream, self.stream = self.stream or self.ended_stream, None  # for previews of merges
        with same_selection(self._viewer):
            for other in [one for one in self._viewer.layers if isinstance(one, Labels)]:
                if other is not layer and other.metadata.get(OWN, {}).get("path") == path:
                    self._viewer.layers.remove(other)
        if not self._has(layer):
            return
        shown = self._placement.fit(display_levels(levels))
        layer.data = shown if len(shown) > 1 else shown[0]
        layer.editable = False
        axis = {"channel_axis": self._placement.insert[0]} if self._placement.insert else {}
        layer.metadata = {OWN: {"path": path, **axis}}
        layer.name = name
        self._stale = False
        layer.refresh()

    def drop_stream(self, keep: bool) -> None:
        """End the stream without written labels: keep what there is as a layer, or remove it."""
        layer = self.labels_layer
        if not keep and self._has(layer):
            with same_selection(self._viewer):
                self._viewer.layers.remove(layer)
        elif self._has(layer):
            layer.name = f"{layer.name} (unfinished)"
            self._labels.update()
            layer.refresh()
        self.stream = None

    def show_tried(self, stream: LabelStream, name: str) -> None:
        """Show tiles that were tried, in a layer of their own."""
        if self._has(self.tried_layer) and self.tried_layer.metadata[OWN]["tried"] is stream:
            self._tried.update()
            redraw(self.tried_layer)
            return
        self.remove_tried()
        with same_selection(self._viewer):
            self._tried = Live(self._placement.fit(stream.levels))
            self.tried_layer = self._add_under_grid(self._tried, name, {"tried": stream})

    def remove_tried(self) -> None:
        """Show no tried tiles any more."""
        layer, self.tried_layer = self.tried_layer, None
        if self._has(layer):
            with same_selection(self._viewer):
                self._viewer.layers.remove(layer)

    def touch(self, tiles: Sequence[int]) -> None:
        """Note that the labels of these tiles are others now; drawn with the next `refresh`."""
        if self.stream is not None:
            self._stale |= self._in_sight(self.labels_layer, self.stream, tiles)

    def _in_sight(self, layer: Labels | None, shown: LabelStream | TileStates, tiles: Sequence[int]) -> bool:
        """Return whether any of these tiles, which have changed, is looked at in a layer."""
        if not len(tiles) or not self._has(layer) or not layer.visible:
            return False
        self._unseen = True
        inserted = self._placement.insert[0] if self._placement.insert else None
        index = shown.index[layer.data_level]
        view = visible(self._viewer, layer, inserted).intersect(Box.whole(tuple(map(len, index))))
        return not layer.multiscale or any_within(tiles, shown.grid, index, view)  # else napari holds all

    def refresh(self) -> None:
        """Draw what has changed and is looked at, not oftener than the viewer can take it."""
        self._update_unseen()
        waited = self.stream is None or monotonic() - self._grid_drawn >= self.pause
        if (self._grid_stale or (self._states_stale and waited)) and self._has(self.grid_layer):
            self._grid_stale = self._states_stale = False
            self._grid_drawn = monotonic()
            self._grid.update()
            redraw(self.grid_layer)
        wait = self.pause if self._viewer.dims.ndisplay == 2 else max(REFRESH_3D, self.pause)
        if self._stale and monotonic() - self._refreshed >= wait:
            self._stale = False
            if self._has(self.labels_layer):
                self._labels.update()
                redraw(self.labels_layer)
            self._refreshed = monotonic()

    def _update_unseen(self) -> None:
        """Bring what napari keeps for views from afar up to date, now and then."""
        if self._unseen and (self.stream is None or monotonic() - self._updated >= UPDATE):
            self._unseen, self._updated = False, monotonic()
            for levels in (self._grid, self._labels) if self.stream is not None else (self._grid,):
                levels.update()

    def _add_under_grid(self, levels: Live, name: str, notes: dict[str, Any]) -> Labels:
        layer = self._layer(levels.data, name=name, metadata={OWN: notes})
        layers = self._viewer.layers
        self._viewer.add_layer(layer)
        if self._has(self.grid_layer):
            layers.move(layers.index(layer), layers.index(self.grid_layer))
        return layer

    def _layer(self, data: Any, **options: Any) -> Labels:
        """Return a layer that lies on the image and cannot be painted on."""
        layer = Labels(data, multiscale=isinstance(data, list), **options, **self._placement.options)
        layer.editable = False
        return layer

    def _has(self, layer: Labels | None) -> bool:
        return layer is not None and layer in self._viewer.layers
