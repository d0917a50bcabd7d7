"""`MapLayers`: the Image layers of a map, from its first block to what is read back from its OME-Zarr."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.transforms import Affine

from seamlabel.napari.layers.lazy_labels import LazyArray, lazy
from seamlabel.napari.layers.live import redraw, same_selection
from seamlabel.napari.layers.open_image import COLORS, layer_data
from seamlabel.napari.layers.pictures import OWN, placement
from seamlabel.napari.tiles.view import visible_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from seamlabel.geometry import Box
    from seamlabel.napari.layers.pictures import Picture, Placement
    from seamlabel.napari.maps.stream import MapStream
    from seamlabel.plan import Plan

SHOWS = "unfinished", "path"
"""Keys of a layer's notes that say of which OME-Zarr it is."""
MOST = 16
"""Channels of a map that are shown as layers."""


class MapLayers:
    """Shows one map at a time; layers of finished maps stay, and are the user's.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._stream: MapStream | None = None
        self._placement: Placement | None = None
        self._limits: dict[Image, tuple[float, float]] = {}
        self._path = ""
        self.layers: list[Image] = []
        """One for each channel that is shown, the first ones; also those that the user has removed."""

    def begin(self, stream: MapStream, picture: Picture, plan: Plan, names: Sequence[str], path: str) -> None:
        """Show a stream as new layers, in place of what was shown of the same map before it was cut short."""
        self._stream, self._placement, self._path = stream, placed(picture, plan), path
        # also of one that was replaced on disk: its pixels are gone
        self._remove(lambda layer: path in (layer.metadata.get(OWN, {}).get(key) for key in SHOWS))
        self._limits.clear()
        self.layers = [self._layer(channel, name) for channel, name in enumerate(names[: stream.count])]
        with same_selection(self._viewer):
            for layer in self.layers:
                self._viewer.add_layer(layer)

    def redraw(self) -> bool:
        """Draw what came since the last time, as far as it is looked at; return whether anything came."""
        stream, news = self._stream, self._stream.news() if self._stream is not None else []
        if stream is None or not news:
            return False
        for channel, layer in enumerate(self.layers):
            if layer not in self._viewer.layers:
                continue
            self._stretch(layer, stream.limits[channel])
            if layer.visible and self._seen(layer, news):
                redraw(layer)
        return True

    def number(self, layer: Image | None) -> int | None:
        """Return which channel of the map a layer shows; None for others."""
        return self.layers.index(layer) if layer in self.layers else None

    def finish(self, path: str) -> None:
        """Show what is on disk, with the pyramid that is there now."""
        for layer, (levels, options, _) in zip(self.layers, layer_data(path), strict=False):
            if layer in self._viewer.layers:
                layer.data = self._fitting(levels)
                layer.metadata = options["metadata"]
        for layer in self.layers[:1]:  # of the image below nothing is to shine through any more
            layer.blending = "translucent_no_depth"
        self._stream = None

    def cut_short(self) -> None:
        """Keep what there is, and say that there is more to come; remove layers with nothing in them."""
        stream = self._stream
        if stream is None:
            return
        nothing = all(low > high for low, high in stream.limits)
        mine, self._stream = set(self.layers), None
        if nothing:
            self._remove(lambda layer: layer in mine)
        for layer in self.layers:
            if layer in self._viewer.layers:
                layer.name = f"{layer.name} (unfinished)"
                layer.refresh()

    def _layer(self, channel: int, name: str) -> Image:
        assert self._stream is not None
        assert self._placement is not None
        one = self._stream.total == 1
        levels = self._fitting(self._stream.levels(channel))
        return Image(
            levels,
            name=name,
            multiscale=True,
            colormap="magma" if one else COLORS[channel % len(COLORS)],
            blending="additive",
            contrast_limits=(0.0, 1.0),
            metadata={OWN: {"unfinished": self._path}},
            **self._placement.options,
        )

    def _fitting(self, levels: list[Any]) -> list[Any]:
        """Return levels with the axes that the image's layer has."""
        assert self._placement is not None
        if self._placement.insert is None:
            return levels
        return self._placement.fit([one if isinstance(one, LazyArray) else lazy(one) for one in levels])

    def _stretch(self, layer: Image, limits: tuple[float, float]) -> None:
        """Have all values seen, unless the user has chosen other contrast limits."""
        last = self._limits.get(layer, (0.0, 1.0))
        low, high = limits
        if low == inf or tuple(layer.contrast_limits) != last:
            return
        wanted = (low, high) if high > low else (low, low + 1.0)
        if wanted != last:
            layer.contrast_limits_range = wanted
            layer.contrast_limits = wanted
            self._limits[layer] = tuple(layer.contrast_limits)

    def _seen(self, layer: Image, news: Sequence[Box]) -> bool:
        """Return whether any of these blocks is looked at."""
        assert self._stream is not None
        assert self._placement is not None
        drop = self._placement.insert[0] if self._placement.insert else None
        view = visible_voxels(self._viewer, layer, self._stream.shapes[0], drop)
        return view is not None and any(box.intersect(view).size for box in news)

    def _remove(self, which: Any) -> None:
        with same_selection(self._viewer):
            for layer in [one for one in self._viewer.layers if isinstance(one, Image) and which(one)]:
                self._viewer.layers.remove(layer)


def placed(picture: Picture, plan: Plan) -> Placement:
    """Return where a map lies: on its image, with the voxels of the level that it is made of."""
    place = placement(picture, 0)
    info = picture.info
    first = info.label_values(info.levels[0].scale), info.label_values(info.levels[0].translation)
    keep = [i for i in range(len(place.options["scale"])) if not place.insert or i != place.insert[0]]
    if len(keep) != len(plan.scale):
        return place
    scale, origin = list(place.options["scale"]), [0.0] * len(place.options["scale"])
    turned = {name: place.options.get(name) for name in ("scale", "translate", "rotate", "shear")}
    for i, one, other, at, start in zip(keep, plan.scale, first[0], plan.translation, first[1], strict=True):
        origin[i] = (at - start) / other  # of the map, in voxels of the layer
        scale[i] *= one / other
    place.options.update(scale=scale, translate=list(Affine(**turned, ndim=len(scale))(origin)))
    return place
