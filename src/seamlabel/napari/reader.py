"""The reader that napari asks for folders and ``.zarr`` files: OME-Zarr images with their labels.

What is no OME-Zarr it leaves to other readers. Knows no widget.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError
from seamlabel.napari.layers.choosing import choices, chosen
from seamlabel.napari.layers.open_image import contents, label_data, layer_data
from seamlabel.napari.layers.pictures import normal_path
from seamlabel.napari.offer import offer_dock

if TYPE_CHECKING:
    from collections.abc import Callable

    LayerData = tuple[Any, ...]


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the function that reads a path, or None to leave it to other readers.

    Why a zarr cannot be read is told in a warning, which napari shows; about other folders nothing
    is said.

    Parameters
    ----------
    path : str or list of str
        What is opened; several paths, which are to be one stack, are left to others.
    """
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        path = path[0]
    if choices(normal_path(path)):
        return read_ome_zarr
    try:
        contents(normal_path(path))
    except ImageError as error:
        if ".zarr" in Path(path).suffixes:
            warnings.warn(f"Seamlabel cannot open it: {error}. {error.hint}", stacklevel=2)
        return None
    return read_ome_zarr


def read_ome_zarr(path: str | list[str]) -> list[LayerData]:
    """Return layers of an OME-Zarr: one per channel of its image, and one per label.

    Of a plate or collection it asks which image; of none there are no layers.

    Raises
    ------
    ImageError
        If it cannot be opened.
    """
    place = chosen(normal_path(path if isinstance(path, str) else path[0]))
    if place is None:
        return [(None,)]  # as napari wants it where a reader has nothing to show
    image, labels = contents(place)
    if image:
        offer_dock()
    return [*(layer_data(image) if image else ()), *map(label_data, labels)]
