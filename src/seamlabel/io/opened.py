"""`as_source`: whatever holds pixels as something that tiles are read from, a piece at a time.

Knows which reader takes what; the readers are those of conversion, imported where a file needs them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.axes import ImageInfo, LevelInfo, parse_axes
from seamlabel.errors import ImageError
from seamlabel.io.addresses import is_remote
from seamlabel.io.arrays import array_info
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.ngff.places import image_place
from seamlabel.io.segments import Segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.io.convert.inputs import Input

_CACHE_BYTES = 1 << 26
_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_ZIPS = (".zip", ".ozx")
_BY_NAME = (".h5", ".hdf5", ".hdf", ".ims", ".npz")
"""Endings of files whose images have names; in others they have numbers."""
_PLANES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".npy")


class Opened:
    """Pixels of a file (or of several), read piece by piece; an array that slices cut.

    Parameters
    ----------
    array : array-like
        The pixels, axes in NGFF's order: `Segments`, or what dask, zarr or numpy has.
    info : ImageInfo
        Axes, sizes, units and channels as the file says.
    asked : tuple
        Arguments of `as_source` that open it again in another process.
    """

    def __init__(self, array: Any, info: ImageInfo, asked: tuple[Any, ...]) -> None:
        self.array, self.info, self._asked = array, info, asked
        self.shape, self.dtype = info.shape, np.dtype(info.dtype)
        self._reader = ChunkReader(array, ChunkCache(_CACHE_BYTES))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return the pixels at slices of step 1, and at numbers; `...` stands for all axes between."""
        given = key if isinstance(key, tuple) else (key,)
        at = next((i for i, one in enumerate(given) if one is ...), len(given))
        left = len(self.shape) - len(given) + (at < len(given))
        full = (*given[:at], *(slice(None),) * left, *given[at + 1 :])
        if len(full) != len(self.shape) or any(getattr(one, "step", None) not in (None, 1) for one in full):
            msg = f"{key} does not cut an array of {len(self.shape)} axes: use slices of step 1, and numbers"
            raise IndexError(msg)
        spans = [
            one if isinstance(one, slice) else slice(range(n)[one], range(n)[one] + 1)
            for one, n in zip(full, self.shape, strict=True)
        ]
        return self._reader.read(spans)[tuple(slice(None) if isinstance(one, slice) else 0 for one in full)]

    def __reduce__(self) -> Any:
        """Be opened again where it is unpickled: files are not carried along."""
        return _again, self._asked


def as_source(
    image: Any,
    axes: str | None = None,
    *,
    pattern: str | None = None,
    stack: str | None = None,
    series: int | None = None,
    dataset: str | None = None,
    gaps: str = "error",
) -> Any:
    """Return what `seamlabel.blend` and `seamlabel.segment` read tiles from; they call it themselves.

    Parameters
    ----------
    image : str, path or array
        An OME-Zarr or its address, a zarr array; a file: TIFF, HDF5, ``.npy``, a picture, or what bioio
        reads; of several images in one ``"scan.h5/raw/data"``, ``"scan.ome.tif/1"``; a folder of files, or
        with the pattern in one: ``"planes/img_z{z}.tif"``. Or an array: numpy (a memmap too), zarr, dask,
        an HDF5 dataset, a torch tensor.
    axes : str, optional
        Axis letters of a file or HDF5 dataset that does not say them, such as ``"tczyx"``.
    pattern, stack, series, dataset, gaps
        Which files of a folder, and which image of a file; see `seamlabel.io.convert.convert`.

    Returns
    -------
    str, array or Opened
        What it was, where that is read in pieces anyway; else an array that reads the pieces that are
        asked for. A compressed TIFF plane in one strip, a picture and a compressed ``.npz`` are decoded
        as a whole; a tensor of another device is copied here.

    Raises
    ------
    ImageError
        If it cannot be read, or does not say what it holds.
    """
    chosen = {"pattern": pattern, "stack": stack, "series": series, "dataset": dataset, "gaps": gaps}
    if isinstance(image, str | os.PathLike):
        found = None if is_remote(image) else _of_path(image_place(image), axes, chosen)
        return image if found is None else found
    package = type(image).__module__.partition(".")[0]
    if package == "torch":
        return _of_tensor(image)
    if package == "h5py":
        return _of_dataset(image, axes)
    return image


def opened(image: Any, axes: str | None = None) -> Any:
    """Return what `as_source` opens of a file; folders, which are OME-Zarr, and arrays as they are."""
    if isinstance(image, str | os.PathLike) and not os.path.isdir(os.path.expanduser(image)):
        return as_source(image, axes)
    return image


def _again(path: str, axes: str | None, chosen: dict[str, Any]) -> Any:
    return as_source(path, axes, **chosen)


def _of_path(text: str, axes: str | None, chosen: dict[str, Any]) -> Any:
    """Return what is opened of a path; None where it leads to an OME-Zarr, or nowhere."""
    asked, path = (text, axes, chosen), Path(text)
    if "{" in path.name and chosen["pattern"] is None and not path.exists():
        folders = [parent for parent in path.parents if "{" not in str(parent)]
        pattern = path.relative_to(folders[0]).as_posix()
        return _of_path(str(folders[0]), axes, {**chosen, "pattern": pattern})
    if path.is_dir() and (chosen["pattern"] is not None or _holds_planes(path)):
        return _opened(_stacked(path, axes, chosen), asked)
    if path.is_dir():
        return _of_zarr(text)
    if path.is_file():
        return None if text.lower().endswith(_ZIPS) else _opened(_of_file(text, axes, chosen), asked)
    file = next((parent for parent in path.parents if parent.is_file()), None)
    if file is not None and not file.name.lower().endswith(_ZIPS):
        part = path.relative_to(file).as_posix()
        by_name = file.name.lower().endswith(_BY_NAME) or not part.isdecimal()
        picked = {"dataset": part} if by_name else {"series": int(part)}
        return _opened(_of_file(str(file), axes, {**chosen, **picked}), asked)
    return None


def _of_file(text: str, axes: str | None, chosen: dict[str, Any]) -> Input:
    from seamlabel.io.convert.files import open_file

    try:
        return open_file(text, _choice(axes, chosen))
    except ImageError as error:  # it is told with options of conversion
        hint = error.hint.replace(" by --dataset:", f", as {text}/NAME:").replace("--series ", f"{text}/")
        raise ImageError(str(error), hint) from None


def _holds_planes(path: Path) -> bool:
    """Return whether a folder is no zarr, and holds files that are planes."""
    if any(os.path.lexists(path / name) for name in _ZARR):
        return False  # it may hold very many chunks
    with suppress(OSError):  # opening it says what is wrong
        return any(entry.name.lower().endswith(_PLANES) for entry in os.scandir(path))
    return False


def _choice(axes: str | None, chosen: dict[str, Any]) -> Any:
    from seamlabel.io.convert.choice import Choice

    return Choice(axes, chosen["series"], chosen["dataset"], chosen["gaps"])


def _stacked(path: Path, axes: str | None, chosen: dict[str, Any]) -> Input:
    from seamlabel.io.convert import stack as stacks

    held = stacks.open_folder(path, chosen["pattern"])
    return stacks.open_stack(held, held.chosen(chosen["stack"]), _choice(axes, chosen))


def _of_zarr(text: str) -> Any:
    """Return a zarr array by itself; None for an image, and for an array that is an image's level."""
    from seamlabel.io.ngff.model import open_image
    from seamlabel.io.ngff.single import open_level

    array = open_level(text)
    try:
        open_image(text)
    except ImageError:
        return array
    return None


def _opened(found: Input, asked: tuple[Any, ...]) -> Opened:
    """Return pixels with their axes in NGFF's order."""
    order = tuple(found.axes.index(letter) for letter in found.kept)
    shape = found.shape
    count = shape[found.kept.index("c")] if "c" in found.kept else 0
    axes = tuple(replace(axis, unit=found.units.get(axis.name)) for axis in parse_axes(found.kept))
    scale = tuple(found.scale.get(letter, 1.0) for letter in found.kept)
    info = ImageInfo(
        axes=axes,
        dtype=np.dtype(found.array.dtype).newbyteorder("=").name,
        levels=(LevelInfo("", shape, tuple(map(min, found.pieces, shape)), scale, (0.0,) * len(shape)),),
        channels=(found.channels or tuple(map(str, range(count)))) if count else (),
        computed=hasattr(found.array, "__dask_graph__"),
    )
    return Opened(_turned(found.array, order), info, asked)


def _turned(array: Any, order: tuple[int, ...]) -> Any:
    """Return an array with its axes in another order."""
    if order == tuple(range(len(order))):
        return array
    if not isinstance(array, Segments):
        return array.transpose(order)
    back = tuple(order.index(axis) for axis in range(len(order)))

    def compute(index: tuple[int, ...]) -> NDArray[Any]:
        return np.ascontiguousarray(array.compute(tuple(index[i] for i in back)).transpose(order))

    return Segments([array.sizes[i] for i in order], array.dtype, compute)


def _of_tensor(tensor: Any) -> NDArray[Any]:
    """Return a tensor's values: the same memory, where it lies in that of this machine."""
    try:
        return np.asarray(tensor.detach().cpu())
    except TypeError as error:
        msg = f"a tensor of {tensor.dtype} cannot be read: {error}"
        raise ImageError(msg, "Give it as float32: tensor.float()") from None


def _of_dataset(dataset: Any, axes: str | None) -> Opened:
    from seamlabel.io.convert.packaged import dataset_pieces

    name, pieces = str(dataset.file.filename), dataset_pieces(dataset, str(dataset.file.filename))
    info = array_info(dataset, axes)
    chosen = {"pattern": None, "stack": None, "series": None, "dataset": dataset.name, "gaps": "error"}
    return Opened(pieces, info, (name, axes, chosen))
