"""qlty's quilts whose results are on disk: `LargeNCYXQuilt` of images, `LargeNCZYXQuilt` of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.tensors import alike, as_numpy
from seamlabel.blending.training import check, stacked, training_pairs, without_empty
from seamlabel.compat.qlty.maps import Maps
from seamlabel.compat.qlty.patches import Patches, positions
from seamlabel.compat.qlty.quilts import Quilt
from seamlabel.patch_grid import PatchGrid

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


class OnDisk(Quilt):
    """A quilt whose maps are OME-Zarr images, ``FILENAME_mean.zarr`` and ``FILENAME_std.zarr``.

    What is unfinished goes on when a quilt of the same name and numbers is made: `needed` yields the patches
    that are left. Patches may be stitched in any order, and from several threads; each counts once.

    Parameters
    ----------
    filename : str or path
        What names of files begin with.
    shape : tuple of int
        (N, space).
    window, step : sequence of int
        Of the space axes.
    border, weight
        As for `Quilt`.
    overwrite : bool
        Replace maps that are there, finished or not.

    Attributes
    ----------
    N_chunks : int
        Number of patches of all images.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        shape: tuple[int, ...],
        window: Sequence[int],
        step: Sequence[int],
        border: Any,
        weight: float,
        overwrite: bool,
    ) -> None:
        super().__init__(shape[1:], window, step, border, weight)
        self.N = int(shape[0])
        self.images = PatchGrid((self.N, *self.grid.shape), (1, *self.window), (1, *self.step))
        self.N_chunks = len(self.images)
        told = {"border": list(self.border or ()), "border_weight": weight}
        self.maps = Maps(filename, self.images, self.weights[None], told, overwrite)
        self._turns: Iterator[int] = iter(())

    @property
    def weight(self) -> NDArray[np.float32]:
        """What each voxel of a patch counts."""
        return self.weights

    def border_tensor(self) -> NDArray[np.float64]:
        """Return 1 inside a patch and 0 in its border."""
        return self.inside.astype(np.float64)

    def needed(self) -> Iterator[int]:
        """Yield the patches that maps still wait for, in order.

        Raises
        ------
        OutputError
            If what is there is of another quilt.
        """
        return self.maps.needed()

    def unstitch(
        self, tensor: Any, index: int, return_positions: bool = False, include_n_position: bool = False
    ) -> Any:
        """Return a patch (C, window) of images (N, C, space); and where it starts, if asked.

        Raises
        ------
        ValueError
            If the images have another shape.
        """
        found = Patches(tensor, self.grid)[index]
        if not return_positions:
            return found
        return found, alike(positions(self.grid, self.N, include_n_position)[index], tensor)

    def unstitch_next(self, tensor: Any, **positional: Any) -> tuple[Any, ...]:
        """Return the number of the next patch that is needed, and the patch; after the last, the first.

        Parameters
        ----------
        tensor : array, (N, C, space)
            numpy, torch, zarr, dask.
        **positional
            As for `unstitch`.
        """
        number = next(self._turns, None)
        for turns in (self.needed, range(self.N_chunks).__iter__):
            if number is None:
                self._turns = turns()
                number = next(self._turns, None)
        assert number is not None
        found = self.unstitch(tensor, number, **positional)
        return (number, *found) if isinstance(found, tuple) else (number, found)

    unstich_next = unstitch_next
    """As qlty 0.1 spelt it."""

    def stitch(self, patch: Any, index_flat: int, patch_var: Any = None) -> None:
        """Add the prediction of a patch. One that was added before is left out.

        Parameters
        ----------
        patch : array, ([1,] C, window)
            numpy or torch.
        index_flat : int
            Its number.
        patch_var : array, ([1,] C, window), optional
            The model's variance of each value.

        Raises
        ------
        ValueError
            If the shape is another one.
        OutputError
            If maps are there that are finished, or of another quilt.
        """
        spread = None if patch_var is None else self._shaped(patch_var)
        self.maps.add(int(index_flat), self._shaped(patch), spread)

    def return_mean(
        self,
        std: bool = False,
        normalize: bool = False,
        eps: float = 1e-8,
        *,
        renormalize_channels: bool = False,
    ) -> Any:
        """Finish the maps, and return them.

        Parameters
        ----------
        std : bool
            Return the standard deviation, too: of the variances that were given, and of what patches say.
        normalize, renormalize_channels : bool
            Divide by the sum over the channels, so that these sum to 1.
        eps : float
            Least sum that is divided by.

        Returns
        -------
        array, (N, C, space), or two of them
            Of float32. ``FILENAME_mean.zarr`` can be read in parts instead.

        Raises
        ------
        SeamlabelError
            If patches were not stitched.
        """
        self.maps.finish()
        mean = self.maps.read("mean")
        if normalize or renormalize_channels:
            mean = mean / np.maximum(mean.sum(axis=1, keepdims=True), eps)
        return (mean, self.maps.read("sigma")) if std else mean

    def unstitch_and_clean_sparse_data_pair(
        self, tensor_in: Any, tensor_out: Any, missing_label: float
    ) -> tuple[Any, Any]:
        """Cut images and labels into patches, and leave out those of which no label is known.

        Parameters
        ----------
        tensor_in : array, (N, C, space)
            numpy or torch.
        tensor_out : array, (N, [C,] space)
            Labels.
        missing_label : number
            The label of what is not known; labels in the border of patches become this.

        Returns
        -------
        array, (kept, C, window); or an empty list if no patch is
        array, (kept, [C,] window); likewise
        """
        check(tensor_in, self.grid, 2)
        kept: tuple[list[Any], list[Any]] = ([], [])
        for n in range(self.N):
            pair = tensor_in[n : n + 1], tensor_out[n : n + 1]
            pieces = training_pairs(*pair, self.grid, missing=missing_label, mask=self.inside)
            for held, found in zip(kept, without_empty(*pieces, missing_label, self.inside), strict=False):
                held.extend(found)
        return tuple(stacked(held, held[0]) if held else held for held in kept)  # type: ignore[return-value]

    def close(self) -> None:
        """Let go of the maps, finished or not; what is written of them is kept."""
        self.maps.close()

    def _shaped(self, patch: Any) -> NDArray[Any]:
        values = as_numpy(patch)
        ndim = self.grid.ndim
        if values.ndim == ndim + 2 and len(values) == 1:
            values = values[0]
        if values.ndim != ndim + 1 or values.shape[1:] != self.window:
            msg = f"the patch has shape {values.shape}, not (C, {', '.join(map(str, self.window))})"
            raise ValueError(msg)
        found: NDArray[Any] = values[:, None].copy()  # may wait for its turn
        return found


class LargeNCYXQuilt(OnDisk):
    """Patches of images (N, C, Y, X), and maps of patches on disk.

    Parameters
    ----------
    filename : str or path
        What the names of the maps begin with.
    N, Y, X : int
        Number of images, and their size.
    window, step : (int, int)
        Size of a patch, and voxels from one to the next.
    border : int, (int, int) or None
        Width of a patch's border, which counts less.
    border_weight : float
        What it counts, between 0 and 1.
    overwrite : bool
        Replace maps of that name.
    """

    def __init__(  # noqa: PLR0913 - qlty's
        self,
        filename: str | os.PathLike[str],
        N: int,
        Y: int,
        X: int,
        window: Sequence[int],
        step: Sequence[int],
        border: Any = None,
        border_weight: float = 0.1,
        *,
        overwrite: bool = False,
    ) -> None:
        self.Y, self.X = Y, X
        super().__init__(filename, (N, Y, X), window, step, border, border_weight, overwrite)


class LargeNCZYXQuilt(OnDisk):
    """Patches of volumes (N, C, Z, Y, X), and maps of patches on disk; see `LargeNCYXQuilt`."""

    def __init__(  # noqa: PLR0913 - qlty's
        self,
        filename: str | os.PathLike[str],
        N: int,
        Z: int,
        Y: int,
        X: int,
        window: Sequence[int],
        step: Sequence[int],
        border: Any = None,
        border_weight: float = 0.1,
        *,
        overwrite: bool = False,
    ) -> None:
        self.Z, self.Y, self.X = Z, Y, X
        super().__init__(filename, (N, Z, Y, X), window, step, border, border_weight, overwrite)
