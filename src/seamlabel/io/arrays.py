"""Arrays in memory (numpy, zarr, dask, …) described as images; knows no stores and reads no pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from seamlabel.axes import ImageInfo, LevelInfo, parse_axes
from seamlabel.errors import ImageError

_LETTERS = "tczyx"
_DEFAULT_AXES = {1: "x", 2: "yx", 3: "zyx"}


def array_info(image: Any, axes: str | None) -> ImageInfo:
    """Describe an array by its shape, type and chunks; its axes are named by letters.

    Raises
    ------
    ImageError
        If it is no array of numbers, or its axes are not known.
    """
    if isinstance(known := getattr(image, "info", None), ImageInfo):
        return known  # `seamlabel.io.opened.Opened` knows from its file
    if not all(hasattr(image, name) for name in ("shape", "dtype", "__getitem__")):
        msg = f"{type(image).__name__} is neither a path nor an array"
        raise ImageError(msg, "Give the path of an OME-Zarr, or a numpy, zarr or dask array")
    if any(n != n for n in image.shape):
        msg = f"an array of shape {tuple(image.shape)}: how long it is has not been computed"
        raise ImageError(msg, "Let dask find out: array.compute_chunk_sizes()")
    shape = tuple(int(n) for n in image.shape)
    names = axes.lower() if axes else _DEFAULT_AXES.get(len(shape), "")
    if not set(names) <= set(_LETTERS):
        msg = f"axes {axes!r} have letters that mean no axis"
        raise ImageError(msg, f"Use {', '.join(_LETTERS)}: time, channel and the space axes")
    if not shape or len(names) != len(shape) or len(set(names)) < len(names):
        msg = f"an array of {len(shape)} dimensions, shape {shape}, with axes {axes!r}"
        raise ImageError(msg, "Name its axes, one letter each: axes='tczyx', axes='cyx', …")
    if axes is None and len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) > 4:
        msg = f"an array of shape {shape} looks like a colour picture"
        raise ImageError(msg, "Say what it is: axes='yxc' for colours, axes='zyx' for a volume")
    dtype = np.dtype(image.dtype)
    if dtype.kind not in "biuf":
        msg = f"pixels of type {dtype} are not numbers that can be segmented"
        raise ImageError(msg, "Give an image of integers or floats")
    parsed = parse_axes(names)
    count = next((n for axis, n in zip(parsed, shape, strict=True) if axis.kind == "channel"), 0)
    return ImageInfo(
        axes=parsed,
        dtype=dtype.newbyteorder("=").name,
        levels=(LevelInfo("", shape, _chunks(image, shape), (1.0,) * len(shape), (0.0,) * len(shape)),),
        channels=tuple(map(str, range(count))),
        computed=hasattr(image, "__dask_graph__"),
    )


def _chunks(image: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the chunk shape, of dask's chunks the longest along each axis.

    zarr and h5py give numbers, dask all sizes along each axis, numpy none.
    """
    chunks = getattr(image, "chunks", None)
    if not chunks or len(chunks) != len(shape):
        return shape
    return tuple(int(max(c)) if isinstance(c, tuple) else int(c) for c in chunks)
