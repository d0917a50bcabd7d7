"""qlty's quilts in memory: `NCYXQuilt` of images, `NCZYXQuilt` of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.blend import Blend
from seamlabel.blending.tensors import alike, as_numpy, in_use, is_tensor
from seamlabel.blending.training import border_mask, cut, training_pairs
from seamlabel.compat.qlty.patches import Patches, positions, with_positions
from seamlabel.patch_grid import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray


class Quilt:
    """A grid of patches, whose borders count less.

    Parameters
    ----------
    shape : tuple of int
        Of an image, in voxels.
    window : sequence of int
        Of a patch.
    step : sequence of int
        Voxels from a patch to the next.
    border : int, sequence of int or None
        Width of a patch's border.
    border_weight : float
        What voxels in it count, where others count 1; between 0 and 1.

    Attributes
    ----------
    grid : PatchGrid
        The patches: the last of an axis is moved back to end with the image.

    Raises
    ------
    ValueError
        If the window exceeds the image, the step exceeds the window, or border or weight make no sense.
    """

    def __init__(
        self, shape: tuple[int, ...], window: Sequence[int], step: Sequence[int], border: Any, weight: float
    ) -> None:
        if not 0 <= weight <= 1:
            msg = f"border_weight {weight} is not between 0 and 1"
            raise ValueError(msg)
        self.window, self.step = tuple(map(int, window)), tuple(map(int, step))
        if len(self.window) != len(shape) or any(w > n for w, n in zip(self.window, shape, strict=True)):
            msg = f"window {self.window} does not fit into an image of {shape}: use one that does"
            raise ValueError(msg)
        self.grid = PatchGrid(tuple(map(int, shape)), self.window, self.step)
        self.border = (
            None if border is None else (border,) * len(shape) if np.ndim(border) == 0 else tuple(border)
        )
        self.border_weight = weight
        self.inside = border_mask(self.window, self.border or 0)
        self.weights: NDArray[np.float32] = np.where(self.inside > 0, 1, weight).astype(np.float32)

    @property
    def weight(self) -> Any:
        """What each voxel of a patch counts: a tensor where torch is imported."""
        return in_use(self.weights)

    def border_tensor(self) -> Any:
        """Return 1 inside a patch and 0 in its border: a tensor where torch is imported."""
        return in_use(self.inside)

    def get_times(self) -> tuple[int, ...]:
        """Return the number of patches along each axis."""
        return self.grid.counts


class InMemory(Quilt):
    """A quilt whose results are in memory."""

    def unstitch(
        self,
        tensor: Any,
        return_positions: bool = False,
        include_n_position: bool = False,
        add_positional_channels: bool = False,
        normalize_positions: bool = True,
        position_mode: str = "absolute",
        *,
        lazy: bool | None = None,
    ) -> Any:
        """Cut images into patches.

        Parameters
        ----------
        tensor : array, (N, C, space)
            numpy or torch; or zarr, dask, memmap and the like, of which only patches are read.
        return_positions : bool
            Return where patches start, too.
        include_n_position : bool
            With the number of the image before.
        add_positional_channels : bool
            Add the coordinates of each voxel along each axis as channels.
        normalize_positions : bool
            These between 0 and 1, not in voxels.
        position_mode : {"absolute", "relative"}
            These within the image, or within the patch.
        lazy : bool, optional
            Cut patches when they are asked for: `Patches` have a length, a shape, and can be indexed and
            iterated over. By default where the images are not in memory.

        Returns
        -------
        patches : array, (N * patches, C, window), or Patches
            All of the first image in raster order, then those of the next.
        positions : array of int, (N * patches, axes)
            If asked for.

        Raises
        ------
        ValueError
            If the images have another shape.
        """
        held = is_tensor(tensor) or (isinstance(tensor, np.ndarray) and not isinstance(tensor, np.memmap))
        found: Any = Patches(tensor, self.grid)
        if add_positional_channels:
            found = with_positions(found[:], self.grid, normalize_positions, position_mode)
        elif not (not held if lazy is None else lazy):
            found = cut(tensor, self.grid, 2)
        if not return_positions:
            return found
        return found, alike(positions(self.grid, len(tensor), include_n_position), tensor)

    def unstitch_data_pair(
        self,
        tensor_in: Any,
        tensor_out: Any,
        missing_label: float | None = None,
        **positional: Any,
    ) -> tuple[Any, ...]:
        """Cut images and what is to be learnt of them into patches.

        Parameters
        ----------
        tensor_in : array, (N, C, space)
            numpy or torch.
        tensor_out : array, (N, [C,] space)
            Labels.
        missing_label : number, optional
            The label of what is not known; labels in the border of patches become this.
        **positional
            As for `unstitch`.

        Returns
        -------
        array, (patches, C, window)
        array, (patches, [C,] window)
        positions : array of int, (patches, axes)
            If asked for.

        Raises
        ------
        ValueError
            If shapes do not fit, or labels cannot hold the missing one.
        """
        _, labels = training_pairs(tensor_in, tensor_out, self.grid, missing=missing_label, mask=self.inside)
        found = self.unstitch(tensor_in, **positional)
        return (found[0], labels, found[1]) if positional.get("return_positions") else (found, labels)

    def stitch(self, ml_tensor: Any, use_numba: bool = True) -> tuple[Any, Any]:
        """Make images of patches: overlaps are averaged, borders count less.

        Parameters
        ----------
        ml_tensor : array, (N * patches, C, window), or iterable
            Predictions of all patches, in the order in which `unstitch` gives them. An iterable yields
            patches (C, window) or batches of them, and need not hold them all.
        use_numba : bool
            Makes no difference here.

        Returns
        -------
        array, (N, C, space)
            Of the type of the patches; float32 of integers.
        array, space
            The sum of weights of each voxel.

        Raises
        ------
        ValueError
            If patches have another shape, or are not those of whole images.
        """
        made: list[NDArray[Any]] = []
        blend: Blend | None = None
        first: Any = None
        number = 0
        for values in self._each(ml_tensor):
            if blend is None:
                first = values if first is None else first
                made.append(np.zeros((len(values), *self.grid.shape), _float(as_numpy(first).dtype)))
                precise = made[-1].dtype == np.float64
                blend = Blend(self.grid, made[-1], self.weights, precise=precise, raster=True)
            blend.add(number, as_numpy(values))
            number += 1
            if number == len(self.grid):
                blend.finish()
                blend, number = None, 0
        if number or not made:
            count = len(made) * len(self.grid) - (len(self.grid) - number if number else 0)
            msg = f"{count} patches are not those of whole images: each has {len(self.grid)}"
            raise ValueError(msg)
        result = alike(made[0][None] if len(made) == 1 else np.stack(made), first)
        if is_tensor(first) and first.is_floating_point():
            result = result.to(first.dtype)
        return result, alike(self._contributors(), first)

    def _each(self, patches: Iterable[Any]) -> Iterator[Any]:
        """Yield patches one by one, of what may yield batches."""
        for item in patches:
            if len(item.shape) == self.grid.ndim + 2:
                yield from item
            elif len(item.shape) == self.grid.ndim + 1:
                yield item
            else:
                msg = f"patches have shape {tuple(item.shape)}, not (C, {', '.join(map(str, self.window))})"
                raise ValueError(msg)

    def _contributors(self) -> NDArray[np.float32]:
        found = np.zeros(self.grid.shape, np.float32)
        for patch in self.grid:
            found[patch.box.slices] += self.weights
        return found


class NCYXQuilt(InMemory):
    """Patches of images (N, C, Y, X), and images of patches.

    Parameters
    ----------
    Y, X : int
        Size of an image.
    window, step : (int, int)
        Size of a patch, and voxels from one to the next.
    border : int, (int, int) or None
        Width of a patch's border, which counts less.
    border_weight : float
        What it counts, between 0 and 1; 0: only where nothing else is known.

    Raises
    ------
    ValueError
        As for `Quilt`.
    """

    def __init__(
        self,
        Y: int,
        X: int,
        window: Sequence[int],
        step: Sequence[int],
        border: Any = None,
        border_weight: float = 1.0,
    ) -> None:
        self.Y, self.X = Y, X
        super().__init__((Y, X), window, step, border, border_weight)


class NCZYXQuilt(InMemory):
    """Patches of volumes (N, C, Z, Y, X), and volumes of patches; see `NCYXQuilt`."""

    def __init__(
        self,
        Z: int,
        Y: int,
        X: int,
        window: Sequence[int],
        step: Sequence[int],
        border: Any = None,
        border_weight: float = 0.1,
    ) -> None:
        self.Z, self.Y, self.X = Z, Y, X
        super().__init__((Z, Y, X), window, step, border, border_weight)


def _float(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "f" else np.dtype(np.float32)
