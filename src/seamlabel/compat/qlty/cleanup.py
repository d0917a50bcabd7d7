"""qlty's functions that leave out patches without labels, over `seamlabel.blending.training`."""

from __future__ import annotations

from typing import Any

from seamlabel.blending.tensors import as_numpy
from seamlabel.blending.training import without_empty


def weed_sparse_classification_training_pairs_2D(
    tensor_in: Any, tensor_out: Any, missing_label: float, border_tensor: Any
) -> tuple[Any, Any, Any]:
    """Leave out the patches whose labels are all missing, or lie in the border.

    Parameters
    ----------
    tensor_in : array, (patches, [channels,] y, x)
        numpy or torch.
    tensor_out : array, (patches, [channels,] y, x)
        Labels; left as they are.
    missing_label : number
        The label of what is not known.
    border_tensor : array, (y, x)
        Of the quilt: 0 in the border.

    Returns
    -------
    valid_in, valid_out : array
        What is kept; labels in the border are missing.
    removed : array of bool, (patches,)
        What is not.

    Raises
    ------
    ValueError
        If shapes do not fit, or labels cannot hold the missing one.
    """
    return _weeded(2, tensor_in, tensor_out, missing_label, border_tensor)


def weed_sparse_classification_training_pairs_3D(
    tensor_in: Any, tensor_out: Any, missing_label: float, border_tensor: Any
) -> tuple[Any, Any, Any]:
    """Do the same of patches with axes z, y and x."""
    return _weeded(3, tensor_in, tensor_out, missing_label, border_tensor)


def _weeded(ndim: int, images: Any, labels: Any, missing: float, border: Any) -> tuple[Any, Any, Any]:
    mask = as_numpy(border)
    if mask.ndim != ndim:
        msg = f"the border_tensor has shape {mask.shape}: take that of a quilt of {ndim} axes"
        raise ValueError(msg)
    return without_empty(images, labels, missing, mask)
