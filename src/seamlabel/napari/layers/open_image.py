"""Opens an OME-Zarr as layers that are read lazily and know their path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from seamlabel.errors import ImageError
from seamlabel.io.addresses import is_remote
from seamlabel.io.ngff.listing import colors
from seamlabel.io.ngff.model import label_names, open_image
from seamlabel.io.ngff.nodes import Node
from seamlabel.napari.layers.choosing import chosen
from seamlabel.napari.layers.lazy_labels import LazyArray, lazy
from seamlabel.napari.layers.levels import display_levels, halved
from seamlabel.napari.layers.pictures import OWN, normal_path, ome_zarr_path

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from seamlabel.axes import ImageInfo

COLORS = ("cyan", "magenta", "yellow", "green", "red", "blue")
"""Colormaps of the channels of an image that has several."""
_SHOWS = re.compile("[0-9A-Fa-f]{6}")
LOOK = 1 << 22
"""Most pixels that are read to choose contrast limits."""


def open_into(viewer: ViewerModel, path: str) -> Image | None:
    """Return the image layer of the OME-Zarr at `path`, added unless it is open already.

    Labels of an OME-Zarr are added as labels; there is no image to return then. Of a plate or collection
    the user is asked which image is meant.

    Raises
    ------
    ImageError
        If it cannot be opened.
    """
    place = chosen(normal_path(path))
    if place is None:
        return None
    path = place
    for layer in viewer.layers:
        if isinstance(layer, Image) and ome_zarr_path(layer) == path:
            return layer
    image, labels = contents(path)
    if image is None:
        shown = {layer.metadata.get(OWN, {}).get("path") for layer in viewer.layers}
        for one in labels:
            if one not in shown:
                viewer.add_layer(labels_layer(one))
        return None
    layers = [Image(levels, **options) for levels, options, _ in layer_data(path)]
    for layer in layers:
        viewer.add_layer(layer)
    return layers[0]


def contents(path: str) -> tuple[str | None, list[str]]:
    """Return the image at a path, if it is one, and the labels that it holds or is.

    Raises
    ------
    ImageError
        If there is neither.
    """
    if is_remote(path):
        held = open_image(path).info.labels
        return (None, [path]) if "/labels/" in path else (path, [f"{path}/labels/{name}" for name in held])
    folder = Path(path)
    if folder.name == "labels" and (names := label_names(folder.parent)):
        return None, [f"{path}/{name}" for name in names]
    labels = [f"{path}/labels/{name}" for name in label_names(folder)] if folder.is_dir() else []
    try:
        open_image(path)
    except ImageError:
        if labels:
            return None, labels
        raise
    return (None, [path]) if folder.parent.name == "labels" else (path, labels)


def labels_layer(path: str) -> Labels:
    """Return the labels at ``IMAGE/labels/NAME`` as a layer that cannot be painted on.

    Raises
    ------
    ImageError
        If they cannot be opened.
    """
    levels, options, _ = label_data(path)
    layer = Labels(levels, **options)
    layer.editable = False
    return layer


def label_data(path: str) -> tuple[Any, dict[str, Any], str]:
    """Return the labels at ``IMAGE/labels/NAME`` as a napari layer tuple.

    It always has several levels: napari lets nobody paint on those, and these cannot be painted on.

    Raises
    ------
    ImageError
        If they cannot be opened.
    """
    image = open_image(path)
    first, axes = image.info.levels[0], image.info.axes
    options = {
        "multiscale": True,
        "name": Path(path).name,
        "scale": first.scale,
        "translate": first.translation,
        "units": [axis.unit or "pixel" for axis in axes],
        "axis_labels": [axis.name for axis in axes],
        "metadata": {OWN: {"path": path}},
    }
    levels = display_levels(image.arrays)
    return levels if len(levels) > 1 else [*levels, halved(levels[0])], options, "labels"


def layer_data(path: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Return one napari layer tuple per channel of the OME-Zarr at `path`.

    Raises
    ------
    ImageError
        If it cannot be opened.
    """
    image = open_image(path)
    info = image.info
    levels = [lazy(array) for array in image.arrays]
    axis = info.channel_axis
    count = 1 if axis is None else info.shape[axis]
    layers = [_layer(path, info, levels, axis, number, count) for number in range(count)]
    for (_, options, _), color in zip(layers, colors(Node.at(path)) if count > 1 else (), strict=False):
        if _SHOWS.fullmatch(color) and color != "000000":
            options["colormap"] = f"#{color}"
    return layers


def _layer(
    path: str, info: ImageInfo, levels: list[LazyArray], axis: int | None, number: int, count: int
) -> tuple[Any, dict[str, Any], str]:
    kept = [i for i in range(len(info.axes)) if i != axis]
    if axis is not None:
        cut = (slice(None),) * axis + (number,)
        levels = [level[cut] for level in levels]
    name = Path(path).name.removesuffix(".zarr").removesuffix(".ome")
    if count > 1:
        given = info.channels[number] if info.channels else str(number)
        name = f"{name} {number}" if given == str(number) else given
    options = {
        "name": name,
        "scale": [info.levels[0].scale[i] for i in kept],
        "translate": [info.levels[0].translation[i] for i in kept],
        "units": [_unit(info, i) for i in kept],
        "axis_labels": [info.axes[i].name for i in kept],
        "contrast_limits": _limits(levels[-1]),
        "metadata": {OWN: {"path": str(path), "channel": number if count > 1 else None}},
        "multiscale": True,
    }
    if count > 1:
        options |= {"colormap": COLORS[number % len(COLORS)], "blending": "additive"}
    return levels, options, "image"


def _unit(info: ImageInfo, axis: int) -> str:
    """Return a unit as napari has it; an axis without one counts pixels."""
    return info.axes[axis].unit or "pixel"


def _limits(coarsest: LazyArray) -> tuple[float, float]:
    """Return contrast limits that leave out the brightest thousandth."""
    step = max(1, round((coarsest.size / LOOK) ** (1 / coarsest.ndim)))
    pixels = np.asarray(coarsest[(slice(None, None, step),) * coarsest.ndim])
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return (0.0, 1.0)
    low, high = float(pixels.min()), float(np.percentile(pixels, 99.9))
    return (low, high) if high > low else (low, low + 1)
