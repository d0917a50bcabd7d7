"""`Picture`: what an image layer is to the engine, and what of it a label layer must copy.

Turns layers into `ImageInfo` and back into layer geometry. Knows no widget.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from seamlabel.errors import ImageError
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import image_info
from seamlabel.napari.layers.lazy_labels import LazyArray, with_axis

if TYPE_CHECKING:
    from napari.layers import Image

    from seamlabel.axes import ImageInfo, LevelInfo

KNOWN_AXES = "tczyx"
USUAL_AXES = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}
OWN = "seamlabel"
"""Key in a layer's metadata under which this plugin keeps its notes."""
PATCH = 32
"""Pixels along each axis that are compared to tell channels apart."""
PER_AXIS = ("scale", "translate", "units", "axis_labels")


@dataclass(frozen=True, eq=False)
class Picture:
    """An image layer, understood.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    info : ImageInfo
        What planning needs. For an OME-Zarr on disk all its levels; for any other layer each level
        is an image of its own, because nothing is written back into it.
    path : str or None
        The OME-Zarr that the layer was opened from.
    levels : tuple of LevelInfo
        Levels to choose from.
    """

    layer: Image
    info: ImageInfo
    path: str | None
    levels: tuple[LevelInfo, ...]

    def at(self, level: int) -> tuple[ImageInfo, Any, int]:
        """Return info, array (None for an OME-Zarr) and ``spec.level`` for segmenting `level`."""
        if self.path is not None:
            return self.info, None, level
        level = min(level, len(self.levels) - 1)
        data = self.layer.data[level] if self.layer.multiscale else self.layer.data
        return replace(self.info, levels=(self.levels[level],)), data, 0


def ome_zarr_path(layer: Image) -> str | None:
    """Return the OME-Zarr group that a layer was opened from, if there is one."""
    for place in (layer.metadata.get(OWN, {}).get("path"), layer.source.path, layer.metadata.get("path")):
        if isinstance(place, str | Path) and _may_be_group(str(place)):
            return normal_path(str(place))
    return None


def normal_path(path: str) -> str:
    """Return a path or address in one way: absolute, without ``~`` or a slash at its end."""
    if "://" in path:
        return path.rstrip("/")
    return os.path.abspath(Path(path).expanduser())


def _may_be_group(path: str) -> bool:
    return "://" in path or Path(path).is_dir()


def describe(layer: Image, axes: str = "", output: str | None = None) -> Picture:
    """Return what a layer is.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    axes : str
        Letters of its axes, for a layer that is no OME-Zarr; "" to guess them.
    output : str, optional
        The OME-Zarr that is to get the labels, if it is not the image's own.

    Raises
    ------
    ImageError
        If the axes do not fit.
    """
    path = ome_zarr_path(layer)
    if path is not None:
        try:
            info = image_info(path, output=output)
        except (ImageError, OSError):
            info = None  # a folder, but no OME-Zarr: take the layer's own array
        if info is not None and _same_image(layer, info):
            return Picture(layer, info, path, info.levels)
    axes = axes or guess_axes(layer)
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    if len(axes) != arrays[0].ndim:
        msg = f"{len(axes)} axis letters ({axes}) for an image of {arrays[0].ndim} axes"
        raise ImageError(msg, "Give one letter per axis, such as zyx")
    info = image_info(arrays[0], axes=axes, output=output)
    info = _with_units(info, layer)
    levels = tuple(_level(layer, info, k, array) for k, array in enumerate(arrays))
    return Picture(layer, replace(info, levels=levels), None, levels)


def _same_image(layer: Image, info: ImageInfo) -> bool:
    """Return whether a layer shows this OME-Zarr as it is, or one channel of it."""
    finest = layer.data[0] if layer.multiscale else layer.data
    if isinstance(finest, np.ndarray):  # computed since: what is opened from an OME-Zarr is read lazily
        return False
    shape = tuple(int(n) for n in finest.shape)
    return shape in (info.shape, info.label_values(info.shape))


def channel_shown(picture: Picture) -> int | None:
    """Return which channel of an OME-Zarr a layer shows, found by its pixels; None if that is open.

    Other readers cut an image into layers and do not say which is which.
    """
    layer, info = picture.layer, picture.info
    axis = info.channel_axis
    if picture.path is None or axis is None or layer.ndim != len(info.axes) - 1 or not layer.multiscale:
        return None
    arrays = open_image(picture.path).arrays
    level = min(len(arrays), len(layer.data)) - 1
    shape = arrays[level].shape
    cut = [slice(n // 2, n // 2 + (PATCH if info.axes[i].tiled else 1)) for i, n in enumerate(shape)]
    mine = np.asarray(layer.data[level][tuple(cut[:axis] + cut[axis + 1 :])])
    fitting = []
    for number in range(shape[axis]):
        cut[axis] = slice(number, number + 1)
        pixels = np.asarray(arrays[level][tuple(cut)])
        if np.array_equal(pixels.squeeze(axis), mine):
            fitting.append(number)
    return fitting[0] if len(fitting) == 1 else None


def guess_axes(layer: Image) -> str:
    """Return the letters of a layer's axes: its axis labels if they are letters, else the usual ones."""
    labels = _axis_letters(layer) if axes_given(layer) else USUAL_AXES.get(layer.ndim, "")
    return labels + "c" if layer.rgb else labels


def axes_given(layer: Image) -> bool:
    """Return whether a layer says by letters what its axes are."""
    labels = _axis_letters(layer)
    return len(labels) == len(set(labels)) == layer.ndim and set(labels) <= set(KNOWN_AXES)


def _axis_letters(layer: Image) -> str:
    return "".join(str(label).lower() for label in layer.axis_labels)


def _with_units(info: ImageInfo, layer: Image) -> ImageInfo:
    units = [unit_name(unit) for unit in layer.units] + [None] * layer.rgb
    named = zip(info.axes, units, strict=True)
    return replace(info, axes=tuple(replace(axis, unit=unit) for axis, unit in named))


def unit_name(unit: Any) -> str | None:
    """Return a unit of a layer as NGFF names it; None for pixels."""
    name = str(unit)
    return None if name in {"pixel", "dimensionless", ""} else name


def _level(layer: Image, info: ImageInfo, k: int, array: Any) -> LevelInfo:
    shape = tuple(int(n) for n in array.shape)
    ratio = [full / n for full, n in zip(info.shape, shape, strict=True)]
    scale = [float(s) for s in layer.scale] + [1.0] * layer.rgb
    move = [float(t) for t in layer.translate] + [0.0] * layer.rgb
    chunks = getattr(array, "chunks", None) or info.chunks
    chunks = tuple(int(c[0] if isinstance(c, tuple) else c) for c in chunks)
    return replace(
        info.levels[0],
        path=str(k),
        shape=shape,
        chunks=tuple(min(c, n) for c, n in zip(chunks, shape, strict=True)),
        scale=tuple(s * r for s, r in zip(scale, ratio, strict=True)),
        translation=tuple(t + s * (r - 1) / 2 for t, s, r in zip(move, scale, ratio, strict=True)),
    )


@dataclass(frozen=True, eq=False)
class Placement:
    """How label levels become a layer that lies on its image.

    Parameters
    ----------
    options : dict
        Keyword arguments of the layer: scale, translate, affine, units and so on.
    insert : tuple of int or None
        Position and length of a channel axis that the labels are repeated along, for images whose
        channel axis has an axis on its left; None for none.
    """

    options: dict[str, Any]
    insert: tuple[int, int] | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether layers lie at the same place."""
        if not isinstance(other, Placement) or self.options.keys() != other.options.keys():
            return False
        pairs = ((value, other.options[name]) for name, value in self.options.items())
        return self.insert == other.insert and all(np.array_equal(a, b) for a, b in pairs)

    __hash__ = None

    def fit(self, levels: list[LazyArray]) -> list[LazyArray]:
        """Return `levels` with the axes that the layer has."""
        return [with_axis(level, *self.insert) for level in levels] if self.insert else levels


def placement(picture: Picture, level: int) -> Placement:
    """Return where labels over the label axes of `picture` lie, as copied from its layer.

    `level` is the level whose labels are shown at full size: 0 for an OME-Zarr, where labels mirror
    all levels.
    """
    layer, info = picture.layer, picture.info
    options = {name: list(getattr(layer, name)) for name in PER_AXIS}
    if picture.path is None and level:
        inside = slice(0, layer.ndim)
        options["scale"] = list(picture.levels[level].scale[inside])
        ratio = np.divide(options["scale"], layer.scale)  # its first voxel lies in the middle of so many
        turned = {name: getattr(layer, name) for name in ("scale", "translate", "rotate", "shear")}
        options["translate"] = list(Affine(**turned, ndim=layer.ndim)((ratio - 1) / 2))
    whole = {"rotate": layer.rotate, "shear": layer.shear, "affine": layer.affine.affine_matrix}
    channel = info.channel_axis
    if channel is None or channel >= layer.ndim or layer.ndim != len(info.axes):
        return Placement({**options, **whole})
    if channel == 0:
        options = {name: values[1:] for name, values in options.items()}
        whole = _last_axes(whole, layer.ndim - 1)
        return Placement({**options, **whole})
    return Placement({**options, **whole}, (channel, info.shape[channel]))


def _last_axes(whole: dict[str, Any], ndim: int) -> dict[str, Any]:
    """Return rotation, shear and affine over the last `ndim` axes only."""
    rotate = np.asarray(whole["rotate"])
    affine = whole["affine"][-ndim - 1 :, -ndim - 1 :]
    shear = np.asarray(whole["shear"])
    kept = {"affine": affine}
    if rotate.shape[0] >= ndim:
        kept["rotate"] = rotate[-ndim:, -ndim:]
    if shear.ndim == 1:
        kept["shear"] = shear[-(ndim * (ndim - 1) // 2) :] if ndim > 1 else None
    return kept
