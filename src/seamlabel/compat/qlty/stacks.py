"""qlty's `stack_files_to_zarr`: stacks of image files as OME-Zarr, over `seamlabel.io.convert`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.finishing import cast
from seamlabel.errors import ImageError
from seamlabel.io.convert import convert
from seamlabel.io.convert.choice import Choice
from seamlabel.io.convert.stack import Folder, open_stack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from seamlabel.io.convert.inputs import Input


def stack_files_to_zarr(  # noqa: PLR0913 - qlty's
    directory: str | os.PathLike[str],
    extension: str,
    pattern: str | re.Pattern[str],
    output_dir: str | os.PathLike[str] | None = None,
    zarr_chunks: tuple[int, ...] | None = None,
    dtype: DTypeLike | None = None,
    axis_order: str = "ZCYX",
    output_naming: Callable[[str], str] | None = None,
    sort_by_counter: bool = True,
    dry_run: bool = False,
    num_workers: int | None = None,
    *,
    gaps: str = "error",
) -> dict[str, dict[str, Any]]:
    r"""Make an OME-Zarr of each stack of image files in a folder.

    Parameters
    ----------
    directory : str or path
        Where the files are.
    extension : str
        What their names end with.
    pattern : str or compiled expression
        Of their names, with two groups: name of the stack, and number of the plane: ``(.+)_(\d+)\.tif$``.
    output_dir : str or path, optional
        Where to make them; by default beside the files.
    zarr_chunks : tuple of int, optional
        Voxels of a chunk along the axes of the result.
    dtype : dtype, optional
        Of the result: for integers values are rounded and clipped. By default that of the stack's files.
    axis_order : str
        Accepted and not followed: OME-Zarr has channels before z, and names its axes.
    output_naming : callable, optional
        Makes the name of the OME-Zarr of that of the stack; by default ``NAME.zarr``.
    sort_by_counter : bool
        Planes in the order of their numbers; else of the files' names, and gaps are not looked for.
    dry_run : bool
        Make nothing.
    num_workers : int, optional
        Blocks at once.
    gaps : {"error", "fill", "close-up"}
        Missing planes: refuse, fill with zeros, or move the others together.

    Returns
    -------
    dict of str to dict
        By name of the stack: ``zarr_path``, ``shape``, ``dtype``, ``file_count``, ``files``,
        ``counter_range``, ``axis_order``.

    Raises
    ------
    ImageError
        If no file fits, planes are missing, or files of one stack differ; it is said which.
    OutputError
        If something else is where an OME-Zarr is to be made.
    """
    folder, result = Path(directory), {}
    found = _grouped(folder, extension, re.compile(pattern), sort_by_counter)
    # all are looked at before any is made
    held = {name: _opened(folder, name, planes, gaps) for name, planes in found.items()}
    for name, one in held.items():
        place = Path(output_dir or folder) / (output_naming(name) if output_naming else f"{name}.zarr")
        array = one.array if dtype is None else _Cast(one.array, np.dtype(dtype))
        if not dry_run:
            sides = None if zarr_chunks is None else dict(zip(one.kept, zarr_chunks, strict=True))
            workers = None if num_workers is None else max(1, num_workers)
            convert(array, place, axes=one.axes, chunks=sides, workers=workers)
        numbers = [int(key) for (key,) in found[name]]
        result[name] = {
            "zarr_path": str(place),
            "shape": one.shape,
            "dtype": np.dtype(array.dtype),
            "file_count": len(numbers),
            "files": list(one.files),
            "counter_range": (min(numbers), max(numbers)),
            "axis_order": one.kept.upper(),
        }
    return result


class _Cast:
    """An array in pieces whose values are cast when they are read."""

    def __init__(self, array: Any, dtype: np.dtype[Any]) -> None:
        self._array, self.dtype = array, dtype
        self.shape, self.chunks, self.ndim = array.shape, array.chunks, len(array.shape)

    def __getitem__(self, key: Any) -> Any:
        return cast(np.asarray(self._array[key]), self.dtype)


def _grouped(
    folder: Path, extension: str, pattern: re.Pattern[str], by_number: bool
) -> dict[str, dict[tuple[str, ...], str]]:
    """Return the files of each stack by the number of their plane."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for path in sorted(folder.iterdir()):
        match = pattern.match(path.name) if path.name.endswith(extension) and path.is_file() else None
        if match is None:
            continue
        planes = found.setdefault(match.group(1), {})
        key = (str(int(match.group(2)) if by_number else len(planes)),)
        if key in planes:
            msg = f"{planes[key]} and {path.name} in {folder} are both plane {key[0]} of {match.group(1)}"
            raise ImageError(msg, "Take one away, or let the pattern's first group tell them apart")
        planes[key] = path.name
    if not found:
        msg = f"no file in {folder} ends with {extension} and fits {pattern.pattern}"
        raise ImageError(msg, r"Give a pattern with two groups, such as (.+)_(\d+)\.tif$")
    return found


def _opened(folder: Path, name: str, planes: dict[tuple[str, ...], str], gaps: str) -> Input:
    return open_stack(Folder(folder, "{stack}_{z}", {name: planes}), name, Choice(gaps=gaps))
