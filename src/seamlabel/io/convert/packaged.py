"""Files that a package of their own reads: HDF5, pictures, and all that bioio has a reader for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from seamlabel.errors import ImageError, SeamlabelError
from seamlabel.io.convert import tiff
from seamlabel.io.convert.choice import named, one_of
from seamlabel.io.convert.inputs import Input, letters, needed
from seamlabel.io.segments import Segments, even

if TYPE_CHECKING:
    from seamlabel.io.convert.choice import Choice

_MOST_PICTURE = 1 << 29
"""Pixels of a picture, which is decoded at once."""
BROKEN: tuple[type[Exception], ...] = (*tiff.BROKEN, ImportError)
"""What readers of bioio raise of files that they cannot read."""


def of_hdf5(path: str, choice: Choice) -> Input:
    """Return a dataset of an HDF5 file, in its chunks; raises `ImageError` where that cannot be."""
    h5py = needed("h5py", "convert")
    found: dict[str, Any] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim >= 2 and node.dtype.kind in "biuf":
            found[name] = node.shape

    try:
        file = h5py.File(path, "r")
        file.visititems(visit)
        array = file[one_of(path, choice, found, "dataset")]
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, SeamlabelError):
            raise
        raise tiff.unreadable(path, error) from error
    made = named(path, dataset_pieces(array, path), choice)
    sizes_um = array.attrs.get("element_size_um")
    if sizes_um is None or len(sizes_um) != 3:
        return made
    scale = {a: float(s) for a, s in zip("zyx", sizes_um, strict=True) if a in made.axes and s > 0}
    return replace(made, scale=scale, units=dict.fromkeys(scale, "micrometer"))


def dataset_pieces(array: Any, path: str) -> Segments:
    """Return a dataset of h5py's in its chunks; reading raises `ImageError` where that cannot be."""
    sizes = [even(n, c) for n, c in zip(array.shape, array.chunks or _flat(array), strict=True)]
    starts = [np.concatenate([[0], np.cumsum(side)]).tolist() for side in sizes]

    def compute(index: tuple[int, ...]) -> Any:
        try:
            return array[tuple(slice(s[i], s[i + 1]) for s, i in zip(starts, index, strict=True))]
        except (OSError, RuntimeError) as error:
            raise tiff.unreadable(path, error) from error

    return Segments(sizes, array.dtype, compute)


def _flat(array: Any) -> tuple[int, ...]:
    """Return pieces of a dataset that is not in chunks: some rows of its last axes."""
    rows: int = max(1, (1 << 20) // max(1, int(array.shape[-1]) * int(array.dtype.itemsize)))
    if array.ndim == 1:
        return (1 << 18,)
    return (1,) * (int(array.ndim) - 2) + (rows, int(array.shape[-1]))


def of_picture(path: str, choice: Choice) -> Input:
    """Return a picture, decoded at once; raises `ImageError` where that cannot be."""
    try:
        with Image.open(path) as picture:
            bands, (width, height) = len(picture.getbands()), picture.size
            if picture.mode in ("P", "PA", "CMYK", "YCbCr", "HSV", "LAB"):
                raise ImageError(
                    f"{path} is a picture of mode {picture.mode}", "Save it as grey values or RGB"
                )
            probe = np.asarray(picture.crop((0, 0, 1, 1)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, SeamlabelError):
            raise
        raise tiff.unreadable(path, error) from error
    shape = (height, width) + ((bands,) if bands > 1 else ())
    if height * width > _MOST_PICTURE:
        raise ImageError(
            f"{path} has {height} x {width} pixels, too many to decode at once", "Save it as TIFF"
        )

    def compute(index: tuple[int, ...]) -> Any:
        try:
            with Image.open(path) as picture:
                return np.asarray(picture)
        except (OSError, ValueError, SyntaxError) as error:
            raise tiff.unreadable(path, error) from error

    array = Segments([(n,) for n in shape], probe.dtype, compute)
    axes = letters(choice.axes, "yxc" if bands > 1 else "yx", shape, path)
    return Input(path, array, axes, files=(path,))


def of_bioio(path: str, choice: Choice) -> Input:
    """Return what a reader of bioio gives, whichever is installed."""
    bioio, base = needed("bioio", "bioio"), needed("bioio_base.exceptions", "bioio")
    try:
        image = bioio.BioImage(path)
        scenes = list(image.scenes)
        if choice.series is None and len(scenes) > 1:
            shown = "; ".join(f"--series {i}: {name}" for i, name in enumerate(scenes[:20]))
            raise ImageError(f"{path} holds {len(scenes)} images", f"Choose one: {shown}")
        image.set_scene(choice.series or 0)
        array = image.dask_data
        axes = str(image.dims.order).lower()
        sizes = image.physical_pixel_sizes
        names = image.channel_names
    except SeamlabelError:
        raise
    except (*BROKEN, base.UnsupportedFileFormatError) as error:
        hint = "Install the reader that bioio has for it, such as: pip install bioio-czi"
        raise ImageError(
            f"{path}: bioio cannot read it: {str(error).partition('. ')[0][:300]}", hint
        ) from error
    axes = axes.replace("s", "c") if "c" not in axes else axes
    kept = [i for i, n in enumerate(array.shape) if n > 1 or axes[i] in "yx"]
    array = array[tuple(slice(None) if i in kept else 0 for i in range(array.ndim))]
    axes = letters(choice.axes, "".join(axes[i] for i in kept), array.shape, path)
    scale = {a: float(s) for a, s in zip("zyx", (sizes.Z, sizes.Y, sizes.X), strict=True) if s and a in axes}
    channels = tuple(map(str, names or ())) if "c" in axes or len(names or ()) == 1 else ()
    units = dict.fromkeys(scale, "micrometer")
    return Input(path, array, axes, scale, units, channels, (path,))
