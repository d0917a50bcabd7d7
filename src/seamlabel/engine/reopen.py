"""The image of a kept run, opened again: where the run found it, or what is given in its place.

Knows what the run saw of it: axes, shapes and the type of pixels; not what it is needed for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError, Problem, SpecError
from seamlabel.io.sources import image_info, open_source

if TYPE_CHECKING:
    from seamlabel.axes import ImageInfo
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan

_FIX = "Give the image that was segmented, wherever it is now"


def reopen(plan: Plan, image: Any = None) -> Source | None:
    """Open the image of a kept run.

    Parameters
    ----------
    plan : Plan
        Of the run.
    image : str, path-like or array, optional
        The image, if it is an array or not where the run found it.

    Returns
    -------
    Source or None
        None if the run was of an array and none is given.

    Raises
    ------
    SpecError
        If what is given cannot be opened, or is another image by its axes, shapes or type of pixels.
    ImageError
        If nothing is given and the image is not where it was, or is no longer as it was.
    """
    try:
        if image is not None:
            _check_same(image, plan)
        given = plan.spec.image if image is None else image
        if given is None:
            return None
        return open_source(given, plan.info, plan.spec.level, plan.channels, axes=plan.spec.axes)
    except ImageError as error:
        if image is not None:
            raise SpecError([Problem("image", str(error), _FIX)]) from error
        raise ImageError(str(error), "Say where the image of the run is now: image=, --image") from error


def _check_same(image: Any, plan: Plan) -> None:
    info = plan.info
    axes = plan.spec.axes if isinstance(image, str | os.PathLike) else info.names
    found = image_info(image, axes=axes)
    if _looks(found) != _looks(info):
        message = f"it is {_looks(found)}, the image of the run was {_looks(info)}"
        raise SpecError([Problem("image", message, _FIX)])


def _looks(info: ImageInfo) -> str:
    """Return what is compared, for people: axes, shapes of all levels, type of pixels."""
    shapes = ", ".join(" x ".join(map(str, level.shape)) for level in info.levels)
    return f"{info.names.lower()} {shapes} of {info.dtype}"
