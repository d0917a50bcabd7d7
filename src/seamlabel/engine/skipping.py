"""Tiles that hold nothing, found before they are segmented, and without reading them where that can be.

Knows values, masks and missing chunks; not what is looked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seamlabel.errors import Problem, SpecError
from seamlabel.io.masks import open_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from seamlabel.geometry import Box
    from seamlabel.io.masks import Mask
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan
    from seamlabel.protocols import Statistics


@dataclass(frozen=True)
class Skipping:
    """Says which tiles need not be segmented.

    Parameters
    ----------
    plan : Plan
        What to skip by.
    source : Source
        The image.
    statistics : callable
        Image-wide statistics of the i-th chosen channel.
    mask : Mask, optional
        Where objects may be.
    """

    plan: Plan
    source: Source
    statistics: Callable[[int], Statistics]
    mask: Mask | None = None

    def unread(self, box: Box) -> str:
        """Return why a read box holds nothing, as far as that is known without reading it; else ""."""
        if self.mask is not None:
            return "" if self.mask.any(box) else "outside the mask"
        limits = self._limits
        if not limits:
            return ""
        fill = self.source.fill
        if fill is not None and not any(fill > limit for limit in limits) and self.source.missing(box):
            return "no chunk of it is stored"
        level = self.plan.spec.skip_level
        if level is not None and not _any_above(self.source.coarse(level, box), limits):
            return f"{_nothing(limits)} on level {level}"
        return ""

    def read(self, image: NDArray[Any]) -> str:
        """Return why the pixels of a read box hold nothing; else ""."""
        limits = self._limits
        return _nothing(limits) if limits and not _any_above(image, limits) else ""

    @cached_property
    def _limits(self) -> list[float]:
        """For every chosen channel the value that makes a tile worth segmenting."""
        limit, count = self.plan.spec.skip_empty, max(1, len(self.plan.channels))
        if isinstance(limit, float):
            return [limit] * count
        return [self.statistics(i).otsu() for i in range(count)] if limit == "otsu" else []


def _nothing(limits: list[float]) -> str:
    return f"nothing above {', '.join(f'{limit:g}' for limit in limits)}"


def _any_above(image: NDArray[Any], limits: list[float]) -> bool:
    """Return whether any channel of a tile exceeds its own limit."""
    channels = [image] if len(limits) == 1 else image
    return any(bool((pixels > limit).any()) for pixels, limit in zip(channels, limits, strict=True))


def find_mask(plan: Plan, given: Any) -> Mask | None:
    """Open the mask that a plan names, or the array that is given for it.

    Raises
    ------
    SpecError
        If it cannot be opened or does not fit the image.
    """
    wanted = plan.spec.skip_empty
    if not isinstance(wanted, str) or wanted == "otsu":
        return None
    if wanted == "mask" and given is None:
        fix = "Hand it over in Python, or give the path of an OME-Zarr"
        raise SpecError([Problem("skip_empty", "the mask is an array that is not here", fix)])
    return open_mask(given if wanted == "mask" else wanted, plan.info, plan.spec.level)


def skip_fields(skip_empty: Any) -> tuple[Any, Any]:
    """Return what the spec says of skipping, and the mask if that is an array."""
    if isinstance(skip_empty, os.PathLike):
        return os.fspath(skip_empty), None
    return ("mask", skip_empty) if getattr(skip_empty, "ndim", 0) else (skip_empty, None)
