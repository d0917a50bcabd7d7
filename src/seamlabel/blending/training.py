"""Patches to train on: pairs of images and labels, masks of their borders, and which hold labels at all.

numpy in, numpy out; torch in, torch out. Knows grids and labels; no networks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.tensors import alike, as_numpy, is_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from seamlabel.patch_grid import PatchGrid


def border_mask(patch: Sequence[int], border: Sequence[int] | int) -> NDArray[np.float32]:
    """Return which voxels of a patch are inside its border: 1 there, 0 in the border.

    Parameters
    ----------
    patch : sequence of int
        Shape of the patch.
    border : int or sequence of int
        Width of the border in voxels, along each axis.

    Raises
    ------
    ValueError
        If a border is negative, or leaves nothing of the patch.
    """
    each = [border] * len(patch) if isinstance(border, int) else [int(b) for b in border]
    if len(each) != len(patch) or min(each) < 0:
        msg = f"border {border} needs one number, 0 or more, or one for each of {len(patch)} axes"
        raise ValueError(msg)
    if any(2 * b >= n for b, n in zip(each, patch, strict=True)):
        msg = f"border {tuple(each)} leaves nothing of a patch of {tuple(patch)}: make it narrower"
        raise ValueError(msg)
    mask = np.zeros(tuple(patch), np.float32)
    mask[tuple(slice(b, n - b) for b, n in zip(each, patch, strict=True))] = 1
    return mask


def cut(images: Any, grid: PatchGrid, lead: int = 1) -> Any:
    """Return the patches of some images.

    Parameters
    ----------
    images : array, (images, [rest,] space)
        numpy or torch.
    grid : PatchGrid
        Over the space axes; all patches of one shape, within the image.
    lead : int
        How many axes there are before those of space: 1, or 2 with channels.

    Returns
    -------
    array, (images * patches, [rest,] patch)
        All patches of the first image in raster order, then those of the next.

    Raises
    ------
    ValueError
        If images have another shape than the grid.
    """
    check(images, grid, lead)
    boxes = [patch.box.slices for patch in grid]
    return stacked([image[(..., *box)] for image in images for box in boxes], images)


def check(images: Any, grid: PatchGrid, lead: int) -> None:
    """Raise `ValueError` if images have another shape than the grid.

    Parameters
    ----------
    images, grid, lead
        As for `cut`.
    """
    found = tuple(images.shape)
    if len(found) != lead + grid.ndim or found[lead:] != grid.shape:
        wanted = ", ".join(["N", "C"][:lead] + list(map(str, grid.shape)))
        msg = f"the images have shape {found}, not ({wanted})"
        raise ValueError(msg)


def stacked(parts: Iterable[Any], model: Any) -> Any:
    """Return arrays or tensors of one shape as one, with an axis in front; of the kind of `model`."""
    held = list(parts)
    return sys.modules["torch"].stack(held) if is_tensor(model) else np.stack(held)


def training_pairs(
    images: Any, labels: Any, grid: PatchGrid, *, missing: float | None = None, mask: Any = None
) -> tuple[Any, Any]:
    """Return patches of images and of their labels.

    Parameters
    ----------
    images : array, (images, channels, space)
        numpy or torch.
    labels : array, (images, [channels,] space)
        What is to be learnt of them.
    grid : PatchGrid
        Over the space axes.
    missing : number, optional
        The label of voxels of which nothing is known.
    mask : array, optional
        0 where labels of a patch are not to be learnt, as by `border_mask`: they become `missing`.

    Returns
    -------
    array, (patches, channels, patch)
    array, (patches, [channels,] patch)

    Raises
    ------
    ValueError
        If shapes do not fit, or labels cannot hold `missing`.
    """
    lead = len(labels.shape) - grid.ndim
    if lead not in (1, 2) or len(labels) != len(images):
        msg = f"labels of shape {tuple(labels.shape)} do not go with images of {tuple(images.shape)}"
        raise ValueError(msg)
    pieces, targets = cut(images, grid, 2), cut(labels, grid, lead)
    return pieces, targets if missing is None or mask is None else _masked(targets, missing, mask)


def without_empty(images: Any, labels: Any, missing: float, mask: Any = None) -> tuple[Any, Any, Any]:
    """Leave out the patches of which no label is known.

    Parameters
    ----------
    images : array, (patches, …)
        numpy or torch.
    labels : array, (patches, [channels,] patch)
        Their labels.
    missing : number
        The label of voxels of which nothing is known; may be NaN.
    mask : array of the patch's shape, optional
        0 where labels are not to be learnt, as by `border_mask`: they do not count, and become `missing`.

    Returns
    -------
    images, labels : array
        Those that are kept.
    removed : array of bool, (patches,)
        Which were left out.

    Raises
    ------
    ValueError
        If there are not as many labels as images, or these cannot hold `missing`.
    """
    if len(images) != len(labels):
        msg = f"{len(images)} patches have labels for {len(labels)}"
        raise ValueError(msg)
    targets = labels if mask is None else _masked(labels, missing, mask)
    known = _known(as_numpy(targets), missing)
    kept = known.reshape(len(known), -1).any(axis=1)
    if is_tensor(labels):
        kept = alike(kept, labels)
    chosen = alike(as_numpy(kept), images) if is_tensor(images) else as_numpy(kept)
    return images[chosen], targets[kept], ~kept


def _known(labels: NDArray[Any], missing: float) -> NDArray[np.bool_]:
    return ~np.isnan(labels) if missing != missing else np.asarray(labels != missing)


def _masked(labels: Any, missing: float, mask: Any) -> Any:
    """Return labels that are `missing` where the mask is 0."""
    values = as_numpy(labels)
    if np.array(missing).astype(values.dtype) != missing and missing == missing:
        msg = f"labels of type {values.dtype} cannot hold {missing}: use another missing label, or type"
        raise ValueError(msg)
    inside = as_numpy(mask).astype(bool)
    if inside.shape != values.shape[values.ndim - inside.ndim :]:
        msg = f"the mask has shape {inside.shape}, patches of labels have {values.shape[1:]}"
        raise ValueError(msg)
    found = alike(np.where(inside, values, values.dtype.type(missing)), labels)
    return found.to(labels.dtype) if is_tensor(labels) else found
