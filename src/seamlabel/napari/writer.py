"""Saves a Labels layer into an OME-Zarr: the writer that napari calls for ``.zarr``.

Into the image that the path is or lies in, else into an OME-Zarr of its own. Knows no widget.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info

from seamlabel.axes import Axis, ImageInfo, parse_axes
from seamlabel.engine.saving import save_labels
from seamlabel.errors import OutputError, SeamlabelError
from seamlabel.io.ngff.model import label_names, open_image
from seamlabel.io.ngff.places import image_around
from seamlabel.io.ngff.pyramid import pyramid_levels
from seamlabel.napari.layers.pictures import KNOWN_AXES, OWN, USUAL_AXES, normal_path, unit_name
from seamlabel.napari.names import free_name

if TYPE_CHECKING:
    from collections.abc import Collection


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a Labels layer; napari hands over its data and attributes.

    Parameters
    ----------
    path : str
        An OME-Zarr image, or ``IMAGE/labels/NAME`` or ``IMAGE/NAME``: the labels go into the image.
        Any other path: an OME-Zarr of its own, made if it does not exist.
    data : array-like or sequence of them
        The labels; of several levels the first counts.
    attributes : dict
        The layer's name, scale, translate, units, axis labels and so on.

    Returns
    -------
    list of str
        Where the labels are.

    Raises
    ------
    OutputError
        If the name that the path gives is taken, or the labels cannot be written.
    """
    labels = data[0] if attributes.get("multiscale") else data
    try:
        return [_save(Path(normal_path(path)), labels, attributes)]
    except SeamlabelError as error:  # napari shows the message only
        raise OutputError(f"{str(error).rstrip('.')}. {error.hint}", error.hint) from error


def _save(place: Path, labels: Any, attributes: dict[str, Any]) -> str:
    layer, given = str(attributes.get("name", "labels")), place.name.removesuffix(".zarr")
    store = image_around(place)
    if store is not None:
        info = open_image(store).info
        if info.channel_axis is not None and labels.ndim == len(info.axes):
            labels = _one_channel(labels, info.channel_axis, attributes)
        name = _clean(given) if store != place else _free(_clean(layer), info.labels)
        return save_labels(labels, info, store, name)
    info, labels = _own_image(labels, attributes)
    if place.parent.name == "labels":
        return save_labels(labels, info, place.parent.parent, _clean(given))
    return save_labels(labels, info, place, _free(_clean(layer), label_names(place)))


def _clean(name: str) -> str:
    """Return a name that labels can have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:100] or "labels"


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, and tell if it is another."""
    free = free_name(name, taken)
    if free != name:
        show_info(f"'{name}' is taken: saved as '{free}'")
    return free


def _one_channel(labels: Any, axis: int, attributes: dict[str, Any]) -> Any:
    """Return the labels of the only channel; those of a run are the same in all channels."""
    if labels.shape[axis] > 1 and OWN not in attributes.get("metadata", {}):
        msg = f"labels with {labels.shape[axis]} channels"
        raise OutputError(msg, "Split them along the channel axis, and save each by itself")
    return labels[(slice(None),) * axis + (0,)]


def _own_image(labels: Any, attributes: dict[str, Any]) -> tuple[ImageInfo, Any]:
    """Return the image that labels would belong to, as their layer describes it."""
    names = "".join(map(str, attributes.get("axis_labels", ()))).lower()
    if len(names) != labels.ndim or len(set(names)) < len(names) or not set(names) <= set(KNOWN_AXES):
        names = USUAL_AXES.get(labels.ndim, "")
    if not names:
        msg = f"labels of {labels.ndim} axes without names"
        raise OutputError(msg, "Name the axes of the layer, one letter each, such as t z y x")
    if _turned(attributes):
        warnings.warn(
            "Rotation, shear and affine of the layer are not saved: OME-Zarr has no place for them",
            stacklevel=2,
        )
    values = [
        parse_axes(names),
        attributes.get("scale", (1.0,) * labels.ndim),
        attributes.get("translate", (0.0,) * labels.ndim),
        attributes.get("units", (None,) * labels.ndim),
    ]
    if (channel := names.find("c")) >= 0:
        labels = _one_channel(labels, channel, attributes)
        values = [[v for i, v in enumerate(one) if i != channel] for one in values]
    pairs = zip(values[0], values[3], strict=True)
    axes = tuple(Axis(axis.name, axis.kind, unit_name(unit)) for axis, unit in pairs)
    scale, translate = (tuple(map(float, one)) for one in values[1:3])
    levels = pyramid_levels(axes, tuple(labels.shape), scale, translate)
    return ImageInfo(axes, "uint32", levels, ngff_version="0.5"), labels


def _turned(attributes: dict[str, Any]) -> bool:
    """Return whether a layer is more than scaled and moved."""
    turned = [attributes[name] for name in ("rotate", "affine") if attributes.get(name) is not None]
    return bool(np.any(attributes.get("shear", 0))) or any(
        not np.allclose(matrix, np.eye(len(np.asarray(matrix)))) for matrix in turned
    )
