"""Volumes on disk that look like arrays (N, C, Z, Y, X): OME-Zarr, zarr, HDF5, memory maps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.tensors import in_use
from seamlabel.errors import ImageError
from seamlabel.io.convert.inputs import needed
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.single import open_level

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_ORDER = "tczyx"
_FIX = "Give an array with axes (N, C,) Z, Y, X"


class TensorLike3D:
    """An array as one with axes (N, C, Z, Y, X), of which only what is asked for is read.

    Parameters
    ----------
    array : array
        Anything with a shape that is cut by slices.
    axes : str, optional
        Its axes, letters of ``tczyx`` (N is t); by default the last of these.
    dtype : dtype, optional
        What is returned, of numpy or torch; by default what is stored.

    Raises
    ------
    ImageError
        If it has other axes, or less than two.
    """

    def __init__(self, array: Any, axes: str | None = None, dtype: Any = None) -> None:
        letters = _ORDER[-len(array.shape) :] if axes is None else axes.lower()
        if not 2 <= len(array.shape) <= len(_ORDER) or set(letters) - set(_ORDER):
            raise ImageError(f"an array of shape {tuple(array.shape)} with axes '{letters}'", _FIX)
        self._array, self._axes = array, letters
        self._kept = [letters.index(letter) for letter in _ORDER if letter in letters]
        self.shape: tuple[int, ...] = tuple(
            int(array.shape[letters.index(letter)]) if letter in letters else 1 for letter in _ORDER
        )
        wanted = array.dtype if dtype is None else dtype
        told = str(wanted)
        self.dtype: np.dtype[Any] = np.dtype(told[6:] if told.startswith("torch.") else wanted)

    @property
    def ndim(self) -> int:
        """Number of axes: five."""
        return len(self.shape)

    def __len__(self) -> int:
        """Return the number of volumes."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Return a part, by numbers, slices and lists along each axis: a tensor where torch is imported."""
        return in_use(self._part(key))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of it."""
        return np.asarray(self._part(...), dtype)

    def _part(self, key: Any) -> NDArray[Any]:
        given = list(key) if isinstance(key, tuple) else [key]
        if any(one is Ellipsis for one in given):
            at = next(i for i, one in enumerate(given) if one is Ellipsis)
            given[at : at + 1] = [slice(None)] * (self.ndim - len(given) + 1)
        given += [slice(None)] * (self.ndim - len(given))
        pairs = [_read_and_take(one, n) for one, n in zip(given, self.shape, strict=True)]
        reads = dict(zip(_ORDER, (read for read, _ in pairs), strict=True))
        found = np.asarray(self._array[tuple(reads[letter] for letter in self._axes)])
        sides = iter(found.transpose(self._kept).shape)
        full = [next(sides) if letter in self._axes else 1 for letter in _ORDER]
        found = found.transpose(self._kept).reshape(full)
        found = found[tuple(slice(None) if a in self._axes else reads[a] for a in _ORDER)]
        for axis, (_, take) in reversed(list(enumerate(pairs))):
            found = found.take(take, axis=axis) if take is not None else found
        return found.astype(self.dtype, copy=False)


def _read_and_take(one: Any, length: int) -> tuple[slice, Any]:
    """Return the slice of an axis that is read, and what is taken of it; None: all."""
    if isinstance(one, slice):
        start, stop, step = one.indices(length)
        if step == 1:
            return slice(start, max(start, stop)), None
        one = range(start, stop, step)
    places = np.arange(length)[np.asarray(one, np.intp)]  # counts from the end, and refuses what is beyond
    if not places.size:
        return slice(0, 0), places
    low = int(places.min())
    return slice(low, int(places.max()) + 1), places - low


def from_zarr(zarr_path: str | os.PathLike[str], dtype: DTypeLike | Any = None) -> TensorLike3D:
    """Return an OME-Zarr image, or a zarr array, as (N, C, Z, Y, X); nothing is read yet.

    Parameters
    ----------
    zarr_path : str or path
        An image names its axes; an array is taken as (N, C, Z, Y, X), or the last of these axes.
    dtype : dtype, optional
        What is returned; by default what is stored.

    Raises
    ------
    ImageError
        If it cannot be opened.
    """
    array = open_level(os.fspath(zarr_path))
    if array is not None:
        return TensorLike3D(array, None, dtype)
    image = open_image(zarr_path)
    return TensorLike3D(image.arrays[0], image.info.names, dtype)


def from_hdf5(
    hdf5_path: str | os.PathLike[str], dataset_path: str, dtype: DTypeLike | Any = None
) -> TensorLike3D:
    """Return a dataset of an HDF5 file as (N, C, Z, Y, X), or the last of these axes; nothing is read yet.

    Raises
    ------
    ImageError
        If there is none, or h5py is not installed.
    """
    h5py = needed("h5py", "convert")
    try:
        found = h5py.File(os.fspath(hdf5_path), "r")[dataset_path]
    except (OSError, KeyError) as error:
        msg = f"{hdf5_path} has no dataset {dataset_path} that can be read: {error}"
        raise ImageError(msg, "Give an HDF5 file, and the path of an array in it") from None
    if not hasattr(found, "shape"):
        raise ImageError(f"{dataset_path} of {hdf5_path} is a group", "Give the path of an array in it")
    return TensorLike3D(found, None, dtype)


def from_memmap(
    file_path: str | os.PathLike[str], dtype: DTypeLike, shape: tuple[int, ...], mode: Any = "r"
) -> TensorLike3D:
    """Return a file of raw pixels as (N, C, Z, Y, X), or the last of these axes; nothing is read yet.

    Parameters
    ----------
    file_path : str or path
        The file.
    dtype : dtype
        Of its pixels.
    shape : tuple of int
        Its axes.
    mode : str
        As for `numpy.memmap`.

    Raises
    ------
    ImageError
        If it cannot be read, or holds less than that.
    """
    try:
        return TensorLike3D(np.memmap(os.fspath(file_path), dtype, mode, shape=tuple(shape)))
    except (OSError, ValueError) as error:
        msg = f"{file_path} cannot be read as {tuple(shape)} of {np.dtype(dtype)}: {error}"
        raise ImageError(msg, "Check path, type and shape") from None
