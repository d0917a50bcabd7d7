"""One file or array opened for conversion, by what it is: TIFF, numpy, HDF5, zarr, pictures, bioio.

Knows which reader takes what; the readers' packages are imported when a file needs them.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError, SeamlabelError
from seamlabel.io.arrays import array_info
from seamlabel.io.convert import packaged, tiff
from seamlabel.io.convert.choice import Choice, named, one_of
from seamlabel.io.convert.inputs import Input, letters
from seamlabel.io.convert.tiffmeta import metadata
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.single import open_level
from seamlabel.io.segments import raw_array

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
MOST_NPZ = 1 << 30
"""Bytes of a compressed array of numpy's, which is held in memory."""
HDF5 = (".h5", ".hdf5", ".hdf", ".ims")


def open_file(path: str, choice: Choice) -> Input:
    """Open a file, or a zarr folder.

    Raises
    ------
    ImageError
        If it cannot be read, or does not say what it holds; the hint names the choices.
    """
    name = path.lower()
    if not os.path.exists(path):
        raise ImageError(f"{path} does not exist", "Check the path")
    if not os.path.isfile(path) and not os.path.isdir(path):
        raise ImageError(f"{path} is neither a file nor a folder", "Check the path")
    if choice.bioio:
        return packaged.of_bioio(path, choice)
    if os.path.isdir(path):
        return _of_zarr(path, choice)
    readers: list[tuple[tuple[str, ...], Callable[[str, Choice], Input]]] = [
        (tiff.SUFFIXES, _of_tiff),
        ((".npy",), _of_npy),
        ((".npz",), _of_npz),
        (HDF5, packaged.of_hdf5),
        (PICTURES, packaged.of_picture),
        ((".zip", ".ozx"), _of_zarr),
    ]
    for suffixes, reader in readers:
        if name.endswith(suffixes):
            return reader(path, choice)
    try:
        return packaged.of_bioio(path, choice)
    except ImageError as error:
        known = ", ".join(end for ends, _ in readers for end in ends)
        hint = f"{error.hint}; or save it as TIFF or OME-Zarr"
        raise ImageError(f"{path}: its ending is none of {known}; {error}", hint) from None


def open_array_input(array: Any, axes: str | None) -> Input:
    """Return an array of Python's (numpy, dask, zarr, h5py) as an input."""
    info = array_info(array, axes)
    return Input("the array", array, letters(info.names, "", info.shape, "the array"))


def _of_tiff(path: str, choice: Choice) -> Input:
    image = tiff.open_tiff(path, choice.series)
    axes = letters(choice.axes, image.axes.replace("S", "C"), image.array.shape, path)
    try:
        scale, units, channels, notes = metadata(image)
    except tiff.BROKEN:  # a plane is worth more than its metadata
        scale, units, channels, notes = {}, {}, (), ("its metadata could not be read",)
    count = image.array.shape[axes.index("c")] if "c" in axes else 0
    return Input(
        path,
        image.array,
        axes,
        {a: s for a, s in scale.items() if a in axes},
        {a: u for a, u in units.items() if a in axes},
        channels if len(channels) == max(count, 1) else (),
        image.files,
        notes,
    )


def _of_npy(path: str, choice: Choice, start: int = 0) -> Input:
    """Return the array that begins at a place of a file."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            version = np.lib.format.read_magic(file)
            read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version[0]](file)
            offset = file.tell()
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise tiff.unreadable(path, error) from error
    if dtype.hasobject:
        raise ImageError(f"{path} holds Python objects, not numbers", "Save an array of numbers")
    found = raw_array(path, offset, tuple(shape[::-1] if fortran else shape), dtype, 0)
    if not fortran:
        return named(path, found, choice)
    # a file in the order of Fortran is one in that of C, its axes the other way round
    turned = named(path, np.broadcast_to(np.zeros((), dtype), shape), choice)
    return replace(turned, array=found, axes=turned.axes[::-1])


def _of_npz(path: str, choice: Choice) -> Input:
    try:
        with zipfile.ZipFile(path) as held:
            entries = {e.filename.removesuffix(".npy"): e for e in held.infolist()}
            entry = entries[one_of(path, choice, dict.fromkeys(entries), "array")]
            if entry.compress_type == zipfile.ZIP_STORED:
                with open(path, "rb") as file:  # the file's own header may be longer than the listed one
                    file.seek(entry.header_offset)
                    name, more = struct.unpack("<26xHH", file.read(30))
                return _of_npy(path, choice, entry.header_offset + 30 + name + more)
            if entry.file_size > MOST_NPZ:
                msg = f"{path} holds {entry.file_size:,} bytes compressed, which can only be read at once"
                raise ImageError(msg, "Save it as .npy")
            with held.open(entry) as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, struct.error, zlib.error) as error:
        if isinstance(error, SeamlabelError):
            raise
        raise tiff.unreadable(path, error) from error
    return named(path, array, choice)


def _of_zarr(path: str, choice: Choice) -> Input:
    """Return an OME-Zarr image at full resolution, or a zarr array."""
    array = open_level(path)
    if array is not None:
        return named(path, array, choice, *_documents(path))
    image = open_image(path)
    info = image.info
    axes = letters(choice.axes, info.names, info.shape, path)
    pairs = list(zip(axes, info.scale, info.units, strict=True))
    return Input(
        path,
        image.arrays[0],
        axes,
        {axis: size for axis, size, _ in pairs if axis != "c"},
        {axis: unit for axis, _, unit in pairs if unit},
        info.channels,
        _documents(path),
    )


def _documents(path: str) -> tuple[str, ...]:
    """Return what tells one zarr from another without looking at its chunks."""
    if os.path.isfile(path):
        return (path,)
    names = ("zarr.json", ".zattrs", ".zarray", ".zgroup")
    return tuple(str(Path(path) / name) for name in names if (Path(path) / name).is_file())
