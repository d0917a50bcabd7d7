"""`measure_overlap`: how much overlap a backend needs on an image, measured at a few places of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from seamlabel.api import method_fields
from seamlabel.engine.survey import PARTS, PLACES, SECONDS, measure_needs
from seamlabel.errors import Problem, SpecError
from seamlabel.io.sources import image_info, open_source
from seamlabel.plan import resolve
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


def measured(
    spec: RunSpec,
    image: Any,
    axes: str | None = None,
    segmenter: Segmenter | None = None,
    places: int = PLACES,
    seconds: float = SECONDS,
    on_progress: Callable[[int, int], None] | None = None,
) -> OverlapNeeds:
    """Measure with the method of a spec; see `measure_overlap`."""
    if places < 1 or not seconds > 0:
        field = "seconds" if places >= 1 else "places"
        raise SpecError([Problem(field, "it is not positive", "Give a larger number, or leave it out")])
    info = image_info(image, axes=axes)
    plan = resolve(
        spec.replace(image=None, output=None, overlap="auto", tile_shape="auto", region=None), info
    )
    source = open_source(image, plan.info, spec.level, plan.channels)
    work = measure_needs(plan, source, segmenter=segmenter, places=places, seconds=seconds)
    while True:
        try:
            told = next(work)
        except StopIteration as end:
            found: OverlapNeeds = end.value
            break
        if on_progress:
            on_progress(*told)
    if on_progress:
        on_progress(PARTS, PARTS)
    return found
