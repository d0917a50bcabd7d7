"""Patches of images that are cut when they are asked for, and where they lie."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.tensors import alike, is_tensor
from seamlabel.blending.training import check, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.patch_grid import PatchGrid


class Patches:
    """The patches of some images, cut when they are asked for.

    Parameters
    ----------
    images : array, (N, C, space)
        numpy, torch, zarr, dask: anything with a shape that is cut by slices.
    grid : PatchGrid
        Over the space axes.

    Attributes
    ----------
    shape : tuple of int
        (N * patches, C, patch).

    Raises
    ------
    ValueError
        If the images have another shape than the grid.
    """

    def __init__(self, images: Any, grid: PatchGrid) -> None:
        check(images, grid, 2)
        self.images, self.grid = images, grid
        self.dtype = images.dtype
        self.shape = (len(grid) * int(images.shape[0]), int(images.shape[1]), *grid.patch)

    def __len__(self) -> int:
        """Return how many there are."""
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Yield one after the other; may be done again."""
        return (self[number] for number in range(len(self)))

    def __getitem__(self, key: int | slice) -> Any:
        """Return a patch (C, patch), or some of them (patches, C, patch)."""
        if isinstance(key, slice):
            return stacked((self[number] for number in range(len(self))[key]), self.images)
        image, number = divmod(range(len(self))[key], len(self.grid))
        found = self.images[(image, slice(None), *self.grid[number].box.slices)]
        return found if is_tensor(found) else np.asarray(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them."""
        return np.asarray(self[:], dtype)


def positions(grid: PatchGrid, images: int, with_image: bool) -> NDArray[np.int64]:
    """Return where the patches of some images start: (patches, axes), the image's number before if asked."""
    starts = np.array([patch.box.start for patch in grid], np.int64)
    found = np.tile(starts, (images, 1))
    if with_image:
        found = np.column_stack([np.repeat(np.arange(images), len(grid)), found])
    return found


def with_positions(patches: Any, grid: PatchGrid, normalize: bool, mode: str) -> Any:
    """Return patches (patches, C, patch) with a channel for each axis's coordinates more.

    Parameters
    ----------
    patches : array
        numpy or torch.
    grid : PatchGrid
        What they were cut by.
    normalize : bool
        Coordinates from 0 to 1, not in voxels.
    mode : {"absolute", "relative"}
        Within the image, or within the patch.

    Raises
    ------
    ValueError
        If the mode is unknown.
    """
    if mode not in ("absolute", "relative"):
        msg = f"position_mode {mode!r} is neither absolute nor relative"
        raise ValueError(msg)
    absolute = mode == "absolute"
    most = [max(n - 1, 1) for n in (grid.shape if absolute else grid.patch)] if normalize else [1] * grid.ndim
    planes = [
        np.stack(
            np.meshgrid(
                *(
                    (np.arange(n) + (a if absolute else 0)) / m
                    for n, a, m in zip(grid.patch, patch.box.start, most, strict=True)
                ),
                indexing="ij",
            )
        )
        for patch in grid
    ]
    where = np.tile(
        np.stack(planes).astype(np.float32), (len(patches) // len(grid),) + (1,) * (grid.ndim + 1)
    )
    if not is_tensor(patches):
        return np.concatenate([patches, where], axis=1)
    return sys.modules["torch"].cat([patches, alike(where, patches).to(patches.dtype)], dim=1)
