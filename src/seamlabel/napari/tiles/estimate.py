"""How long a run will take, from tiles that were segmented the same way before. Pure."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from seamlabel.napari.run.progress import duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seamlabel.plan import Plan

FROM_TRY = "from the tried tile"
FROM_RUN = "from the last run"


class Estimates:
    """Remembers what tiles took, by method, settings and what of the image they read."""

    def __init__(self) -> None:
        self._tried: dict[str, list[float]] = {}
        self._ran: dict[str, float] = {}

    def tried(self, plan: Plan, seconds: float) -> None:
        """Take in a tile that was tried: the quickest counts, since the first one warms up."""
        self._tried.setdefault(_key(plan), []).append(seconds)

    def ran(self, plan: Plan, seconds: Iterable[float]) -> None:
        """Take in the tiles of a run."""
        took = sorted(seconds)
        if took:
            self._ran[_key(plan)] = median(took)

    def text(self, plan: Plan) -> str:
        """Return how long a run takes, ``"≈ 1 min 12 s (from the tried tile)"``; "" if nobody knows."""
        key = _key(plan)
        if key in self._tried:
            each, source = min(self._tried[key]), FROM_TRY
        elif key in self._ran:
            each, source = self._ran[key], FROM_RUN
        else:
            return ""
        rounds = -(-plan.n_tiles // plan.workers)
        time = f"≈ {duration(rounds * each)}".replace("≈ under", "under").replace(" ", "\u00a0")
        return f"{time} ({source})"


def _key(plan: Plan) -> str:
    """Return what the time of a tile depends on."""
    spec = plan.spec
    return repr((spec.image, plan.info.shape, spec.level, plan.channels, plan.grid.read_shape,
                 plan.backend.name, plan.params))  # fmt: skip
