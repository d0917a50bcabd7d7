"""A stack of files, one plane or volume each, as one array in pieces.

Every file is looked at before any work: one of another shape or type is named. Knows file names only as
`seamlabel.io.convert.pattern` found them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError
from seamlabel.io.convert import pattern as names
from seamlabel.io.convert.files import open_file
from seamlabel.io.segments import Segments, even

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.io.convert.choice import Choice
    from seamlabel.io.convert.inputs import Input

OPEN_FILES = 256
"""Files whose structure is kept in memory."""
LOOKERS = 4


@dataclass(frozen=True)
class Folder:
    """The stacks of a folder.

    Parameters
    ----------
    path : Path
        The folder.
    pattern : str
        Of the file names.
    found : dict
        Files by stack, then by values of the pattern's other fields.
    """

    path: Path
    pattern: str
    found: dict[str, dict[tuple[str, ...], str]]

    def chosen(self, stack: str | None) -> str:
        """Return the name of the stack that is meant.

        Raises
        ------
        ImageError
            If there are several and none is named, or none of that name.
        """
        listed = sorted(self.found, key=names.natural)
        shown = ", ".join(listed[:20]) + (", …" if len(listed) > 20 else "")
        if stack is None and len(listed) > 1:
            raise ImageError(
                f"{self.path} holds {len(listed)} stacks: {shown}", "Choose one: --stack NAME, or --stack all"
            )
        if stack is not None and stack not in self.found:
            raise ImageError(f"{self.path} holds no stack {stack!r}", f"Choose one: {shown}")
        return listed[0] if stack is None else stack


def open_folder(path: Path, pattern: str | None) -> Folder:
    """Return the stacks of a folder.

    Raises
    ------
    ImageError
        If no pattern is given, or no file fits it.
    """
    if pattern is None:
        raise ImageError(f"{path} is a folder", names.suggestion(path))
    return Folder(path, pattern, names.stacks(path, pattern))


def open_stack(folder: Folder, stack: str, choice: Choice) -> Input:
    """Open a stack; all its files must have one shape and type.

    Raises
    ------
    ImageError
        If planes are missing, or a file cannot be read or differs from the first; it is named.
    """
    fields = tuple(field for field in names.compiled(folder.pattern)[1] if field != names.STACK)
    planes = names.planes(folder.found[stack], fields, choice.gaps)
    paths = tuple(None if file is None else str(folder.path / file) for file in planes.files)
    present = [path for path in paths if path is not None]
    first = open_file(present[0], choice)
    if set(first.axes) & set(planes.axes):
        both = ", ".join(sorted(set(first.axes) & set(planes.axes)))
        msg = f"{present[0]} has axes {first.axes} itself: {both} is in the pattern too"
        raise ImageError(msg, "Use another letter in the pattern, or give the file's --axes")
    opened = lru_cache(maxsize=OPEN_FILES)(lambda path: open_file(path, choice))
    with ThreadPoolExecutor(LOOKERS) as pool:
        for path, problem in zip(
            present, pool.map(lambda p: _differs(opened, p, first), present), strict=True
        ):
            if problem:
                raise ImageError(f"{path} {problem}, {present[0]} has not", "Leave it out, or mend it")
    array = _stacked(first, planes.shape, paths, opened)
    notes = (f"missing planes become zeros: {'; '.join(planes.missing)}",) if planes.missing else ()
    return replace(
        first,
        name=str(folder.path / folder.pattern.replace("{stack}", stack)),
        array=array,
        axes=planes.axes + first.axes,
        channels=planes.names or first.channels,
        files=tuple(present),
        notes=(*first.notes, *notes),
    )


def _differs(opened: Any, path: str, first: Input) -> str:
    """Return in what a file differs from the first one; "" where it does not."""
    one = opened(path)
    if one.array.shape != first.array.shape:
        return f"has {' x '.join(map(str, one.array.shape))} voxels"
    if np.dtype(one.array.dtype) != np.dtype(first.array.dtype):
        return f"has pixels of type {one.array.dtype}"
    return f"has axes {one.axes}" if one.axes != first.axes else ""


def _stacked(first: Input, shape: tuple[int, ...], paths: tuple[str | None, ...], opened: Any) -> Segments:
    inner: list[tuple[int, ...]] = list(_sizes(first.array))
    counts = [(1,) * n for n in shape]

    def compute(index: tuple[int, ...]) -> NDArray[Any]:
        path = paths[int(np.ravel_multi_index(index[: len(shape)], shape))]
        within = index[len(shape) :]
        part = tuple(side[i] for side, i in zip(inner, within, strict=True))
        if path is None:
            return np.zeros((1,) * len(shape) + part, first.array.dtype)
        array = opened(path).array
        if isinstance(array, Segments) and array.sizes == tuple(inner):
            piece = array.compute(within)
        else:
            starts = [sum(side[:i]) for side, i in zip(inner, within, strict=True)]
            piece = np.asarray(array[tuple(slice(a, a + n) for a, n in zip(starts, part, strict=True))])
        return piece.reshape((1,) * len(shape) + part)

    return Segments([*counts, *inner], np.dtype(first.array.dtype), compute)


def _sizes(array: Any) -> tuple[tuple[int, ...], ...]:
    if isinstance(array, Segments):
        return array.sizes
    return tuple(even(n, n) for n in array.shape)
