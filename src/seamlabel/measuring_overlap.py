"""`measure_overlap`: how much overlap a backend needs on an image, measured at a few places of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from seamlabel.api import method_fields
from seamlabel.engine.survey import PLACES, SECONDS
from seamlabel.overlap_needs import measured
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.engine.needs import OverlapNeeds
    from seamlabel.protocols import Segmenter


def measure_overlap(  # noqa: PLR0913 - as `segment`, all but two by name
    image: Any,
    backend: str | Segmenter = "threshold",
    *,
    params: Any = None,
    axes: str | None = None,
    level: int = 0,
    channels: Any = None,
    planes: bool = False,
    places: int = PLACES,
    seconds: float = SECONDS,
    on_progress: Callable[[int, int], None] | None = None,
) -> OverlapNeeds:
    """Measure which overlap and alignment a backend needs, and whether any overlap will do.

    Windows at places with contrast are segmented whole, cut in two, shifted, and with bands filled with
    dark and with bright pixels; where labels then differ, up to renaming, is what counts.

    Parameters
    ----------
    image : str, path or array
        An OME-Zarr, or a numpy, zarr or dask array.
    backend : str or callable
        Name of a backend; or a function ``fn(tile) -> labels``.
    params : dict or dataclass, optional
        The backend's parameters; for a callable its keyword arguments.
    axes : str, optional
        Axes of an array of more than three dimensions, such as ``"tczyx"``.
    level : int
        Resolution level to segment, 0 = full.
    channels : int, str or sequence of them, optional
        Channels that the backend gets, by index or name.
    planes : bool
        The backend gets 2D planes across z.
    places : int
        Windows to look at.
    seconds : float
        Time that it may take; a few calls of the backend are made in any case.
    on_progress : callable, optional
        Called with (parts done, parts).

    Returns
    -------
    OverlapNeeds
        `overlap` is what `segment` takes; ``print(needs.summary())`` tells all.

    Raises
    ------
    SpecError
        If the request does not fit the image.
    ImageError, BackendError
        If image or backend cannot be used, or there are no objects to measure with.
    """
    path = os.fspath(image) if isinstance(image, str | os.PathLike) else None
    fields, segmenter = method_fields(backend, params)
    # Labels go nowhere: what is in the image already is no hindrance.
    spec = RunSpec(**fields, level=level, channels=channels, planes=planes)
    return measured(spec, image if path is None else path, axes, segmenter, places, seconds, on_progress)
