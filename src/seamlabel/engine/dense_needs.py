"""How far a model is found to see, and how it pools: overlap and alignment of a dense prediction's tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamlabel.blending.needs import MOST_ALIGN, ModelNeeds, measure_model
from seamlabel.blending.predicting import answered
from seamlabel.engine.places import best_places, window_shape
from seamlabel.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.blending.context import Context
    from seamlabel.engine.segment import TileJob

_WINDOW = {1: 1 << 16, 2: 1 << 18, 3: 1 << 21}
"""Voxels of the window that an overlap is measured on."""
_FIX = "Give an overlap all the same, such as overlap=64"


def measured(
    job: TileJob, model: Any, align: Any, batch: int, *, context: Context | None
) -> tuple[int | Sequence[int], list[int]]:
    """Return the alignment, that of the user if there is one, and the overlap along axes that are cut.

    Along those that were not measured, tiles are whole.

    Raises
    ------
    SpecError
        If it cannot be measured, or no overlap will do.
    """
    if context is not None:
        raise SpecError([Problem("overlap", "it cannot be measured of planes with context", _FIX)])
    size = tuple(n for n, a in zip(job.plan.grid.shape, job.plan.axes, strict=True) if a.tiled)
    needs = _needs(job, model, size, batch > 1)
    if needs.normalises_per_tile:
        msg = "the model normalises per tile: no overlap will make tiles agree"
        raise SpecError([Problem("overlap", msg, f"Give it pixels scaled by the whole image. {_FIX}")])
    if not all(needs.align) and align is None:
        msg = f"the model's answers depend on where tiles start, in steps of more than {MOST_ALIGN} voxels"
        raise SpecError([Problem("overlap", msg, f"Say in which: align=64, say. {_FIX}")])
    found = zip(needs.overlap, needs.cut, size, strict=True)
    return needs.align if align is None else align, [overlap if cut else n for overlap, cut, n in found]


def _needs(job: TileJob, model: Any, size: tuple[int, ...], many: bool) -> ModelNeeds:
    """Return what the model needs of tiles, measured where the image has contrast."""
    window = window_shape(size, _WINDOW.get(len(size), 1 << 21))
    pixels = job.source.read(best_places(job.plan, job.source, window, 1)[0])

    def answer(part: NDArray[Any]) -> Any:
        found = model(part[None] if many else part)
        return answered(found)[0][0] if many else found

    try:
        return measure_model(answer, pixels, len(size))
    except ValueError as error:
        raise SpecError([Problem("overlap", f"it cannot be measured: {error}", _FIX)]) from error
