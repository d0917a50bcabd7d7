"""Outputs whose axes lie in another order than a blend's (channels, *space): numpy, torch, zarr."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.tensors import alike, is_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dtype_of(out: Any) -> np.dtype[Any]:
    """Return the numpy type of an array or tensor; float32 for types that numpy lacks."""
    name = str(out.dtype).removeprefix("torch.") if is_tensor(out) else out.dtype
    found: np.dtype[Any] = np.dtype(np.float32 if name == "bfloat16" else name)
    return found


class Laid:
    """An output, as a blend writes into it.

    Parameters
    ----------
    out : array
        Written to, ``out[box] = block``: (space, rest) or (rest, space).
    ndim : int
        Number of space axes.
    spatial_first : bool
        Which of the two.
    chunks : tuple of int, optional
        Voxels along the space axes that are written at once; by default the chunks of `out`.
    """

    def __init__(self, out: Any, ndim: int, spatial_first: bool, chunks: Any = None) -> None:
        self.out, self.ndim, self.spatial_first = out, ndim, spatial_first
        self.rest, space = parted(tuple(out.shape), ndim, spatial_first)
        self.shape = (prod(self.rest), *space) if self.rest else space
        self.dtype = dtype_of(out)
        found = getattr(out, "shards", None) or getattr(out, "chunks", None)
        if chunks is None and found and all(isinstance(n, int) for n in found):
            chunks = parted(tuple(found), ndim, spatial_first)[1]
        self.chunks = None if chunks is None else tuple(int(n) for n in chunks)

    def __setitem__(self, key: tuple[slice, ...], block: NDArray[Any]) -> None:
        """Write a block of all channels."""
        box = key[-self.ndim :]
        values = arranged(
            block.reshape(*self.rest, *block.shape[-self.ndim :]), self.ndim, self.spatial_first
        )
        self.out[box if self.spatial_first else (..., *box)] = alike(values, self.out)


def parted(shape: tuple[int, ...], ndim: int, spatial_first: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes of the axes that are no space, and of those that are."""
    if spatial_first:
        return shape[ndim:], shape[:ndim]
    return shape[: len(shape) - ndim], shape[len(shape) - ndim :]


def space_last(values: NDArray[Any], ndim: int, spatial_first: bool) -> NDArray[Any]:
    """Return values as (rest, space)."""
    return np.moveaxis(values, range(ndim), range(-ndim, 0)) if spatial_first else values


def arranged(values: NDArray[Any], ndim: int, spatial_first: bool) -> NDArray[Any]:
    """Return values that lie as (rest, space) the way they are wanted."""
    return np.moveaxis(values, range(-ndim, 0), range(ndim)) if spatial_first else values
