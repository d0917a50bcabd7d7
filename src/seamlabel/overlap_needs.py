"""The overlap that the method of a request needs, measured on its image; and plans that use it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seamlabel.engine.survey import PARTS, PLACES, SECONDS, measure_needs
from seamlabel.errors import Problem, SpecError
from seamlabel.io.sources import image_info, open_source
from seamlabel.plan import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.engine.needs import OverlapNeeds
    from seamlabel.plan import Plan
    from seamlabel.protocols import Segmenter
    from seamlabel.spec import RunSpec


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
    axes = axes or spec.axes
    info = image_info(image, axes=axes)
    plan = resolve(
        spec.replace(image=None, output=None, overlap="auto", tile_shape="auto", region=None), info
    )
    source = open_source(image, plan.info, spec.level, plan.channels, axes=axes)
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


def with_overlap(plan: Plan, image: Any, segmenter: Segmenter | None = None) -> Plan:
    """Return the plan with the overlap measured, if that is asked for and it does not go on with a run.

    Parameters
    ----------
    plan : Plan
        Of a spec whose overlap may be ``"measure"``.
    image : str, path or array
        The image.
    segmenter : callable, optional
        The method, if it is a function that no spec can hold.

    Raises
    ------
    SpecError
        If no overlap will make tiles agree.
    ImageError, BackendError
        As `measured`.
    """
    spec = plan.spec
    if spec.overlap != "measure" or plan.asked is not None:
        return plan
    axes = "".join(axis.name for axis in plan.info.axes)
    needs = measured(spec, image, axes if spec.image is None else None, segmenter)
    if needs.normalises_per_tile:
        fix = "Have it use numbers of the whole image (context.statistics), or give an overlap all the same"
        raise SpecError([Problem("overlap", needs.headline[:1].lower() + needs.headline[1:], fix)])
    found = resolve(spec.replace(overlap=needs.overlap), plan.info)
    return replace(found, spec=spec)
