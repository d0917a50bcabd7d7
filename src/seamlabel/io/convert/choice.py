"""What the user says about reading a source, and names put to arrays that say nothing of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seamlabel.errors import ImageError
from seamlabel.io.arrays import array_info
from seamlabel.io.convert.inputs import Input, letters


@dataclass(frozen=True)
class Choice:
    """What the user says about reading a source.

    Parameters
    ----------
    axes : str or None
        Letters of the axes as they lie in a file.
    series : int or None
        Which image of several.
    dataset : str or None
        Which array of several.
    gaps : str
        What to do about missing planes of a stack.
    bioio : bool
        Read with bioio whatever it is.
    """

    axes: str | None = None
    series: int | None = None
    dataset: str | None = None
    gaps: str = "error"
    bioio: bool = False


def named(path: str, array: Any, choice: Choice, *files: str) -> Input:
    """Return an array of a file that says nothing of its axes."""
    try:
        info = array_info(array, choice.axes)
    except ImageError as error:
        raise ImageError(
            f"{path}: {error}", error.hint.replace("axes=", "--axes ").replace("'", "")
        ) from None
    return Input(path, array, letters(info.names, "", info.shape, path), files=files or (path,))


def one_of(path: str, choice: Choice, found: dict[str, Any], what: str) -> str:
    """Return the name of the array that is meant."""
    wanted = choice.dataset.strip("/") if choice.dataset else None
    shown = ", ".join(
        name if shape is None else f"{name} ({' x '.join(map(str, shape))})"
        for name, shape in list(found.items())[:20]
    )
    if not found:
        raise ImageError(f"{path} holds no {what} of numbers with two axes or more", "Give another file")
    if wanted is None and len(found) > 1:
        raise ImageError(f"{path} holds {len(found)} {what}s", f"Choose one by --dataset: {shown}")
    if wanted is not None and wanted not in found:
        raise ImageError(f"{path} holds no {what} {wanted!r}", f"Choose one: {shown}")
    return wanted if wanted is not None else next(iter(found))
