"""Whether what a segmenter returned is labels. Knows no segmenters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import TileError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_labels(result: Any, shape: tuple[int, ...], tile: int) -> NDArray[Any]:
    """Return a segmenter's result as an integer array.

    Parameters
    ----------
    result : array-like
        What the segmenter returned.
    shape : tuple of int
        Space shape of the tile that it was given.
    tile : int
        The tile's number, for messages.

    Raises
    ------
    TileError
        If it is nothing, of another shape, not of integers, or negative somewhere.
    """
    if result is None:
        raise TileError(tile, "the segmenter returned nothing", "Let it return the label array")
    if isinstance(result, tuple | list):
        what = type(result).__name__
        raise TileError(
            tile, f"the segmenter returned a {what}", "Return only the labels: scipy.ndimage.label(mask)[0]"
        )
    labels = np.asarray(result)
    if labels.shape != shape:
        raise TileError(
            tile,
            f"the segmenter returned shape {labels.shape} for a tile of {shape}",
            "Let it return one label per voxel, without channel axis",
        )
    if labels.dtype == bool:
        raise TileError(
            tile, "the segmenter returned a mask", "Number its objects: scipy.ndimage.label(mask)[0]"
        )
    if labels.dtype.kind not in "iu":
        nans = labels.dtype.kind == "f" and bool(np.isnan(labels).any())
        what = f"{labels.dtype} labels" + (" with NaN" if nans else "")
        raise TileError(
            tile, f"the segmenter returned {what}", "Let it return integers: labels.astype('int32')"
        )
    if labels.dtype.kind == "i" and labels.size and int(labels.min()) < 0:
        raise TileError(
            tile,
            f"the segmenter returned negative labels (least {int(labels.min())})",
            "Let background be 0 and objects be positive",
        )
    return labels
