"""What is unwise about the tiles of a plan, and the numbers that mend it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.engine.needs import OverlapNeeds
    from seamlabel.errors import Problem
    from seamlabel.plan import Plan

MANY_TILES = 20_000
"""Above it tiles cost more to start and to join than to segment: mostly a number typed wrongly."""
WASTE = 2.0
"""Times that pixels are read, above which larger tiles are advised."""


@dataclass(frozen=True)
class Advice:
    """One thing to mend.

    Parameters
    ----------
    text : str
        What is unwise.
    field : {"tile_shape", "overlap", ""}
        What mends it; "" if no number does.
    numbers : tuple of int
        Its new value, for the axes that tiles cut.
    """

    text: str
    field: str = ""
    numbers: tuple[int, ...] = ()

    @property
    def button(self) -> str:
        """Text of the button that mends it, ``"Use 48"``; "" for none."""
        if not self.numbers:
            return ""
        numbers = self.numbers if len(set(self.numbers)) > 1 else self.numbers[:1]
        return f"Use {' × '.join(f'{n:,}' for n in numbers)}"


def advice(plan: Plan) -> list[Advice]:
    """Return what is unwise about the tiles of a plan."""
    waste, thin = _wasteful(plan), _thin(plan)
    found = [*_too_many(plan), *waste, *thin]
    said = ("larger tiles",) * len(waste) + ("an overlap of",) * len(thin)
    others = [text for text in plan.warnings if not any(part in text for part in said)]
    return found + [_of_text(_capital(text), plan) for text in others]


def problem_advice(problem: Problem) -> Advice | None:
    """Return what mends a problem of tiles, if a number does."""
    named = re.search(r"tiles of about (\d+)", problem.fix)
    return Advice("", "tile_shape", (int(named[1]),)) if named else None


def measured_advice(needs: OverlapNeeds, tile_shape: tuple[int, ...]) -> list[Advice]:
    """Return what a measurement advises, for tiles of this shape: an overlap, and aligned tiles."""
    if needs.normalises_per_tile:
        return [Advice(". ".join([needs.headline, *needs.notes]))]
    found = [Advice(" ".join(needs.notes), "overlap", needs.overlap)]
    units = tuple(max(1, n) for n in needs.align)
    aligned = tuple(-(-n // unit) * unit for n, unit in zip(tile_shape, units, strict=True))
    if aligned != tile_shape:
        found.append(Advice("Tiles that begin where the method wants them to", "tile_shape", aligned))
    return found


def _too_many(plan: Plan) -> list[Advice]:
    if plan.n_tiles <= MANY_TILES:
        return []
    text = f"{plan.n_tiles:,} tiles are slow to start and to join: use larger tiles"
    grown = _grown(plan, lambda tile: _count(plan, tile) <= MANY_TILES / 4)
    return [Advice(text, "tile_shape", grown)]


def _wasteful(plan: Plan) -> list[Advice]:
    read = _read(plan, plan.grid.tile_shape)
    if read <= WASTE or plan.n_tiles > MANY_TILES:
        return []
    grown = _grown(plan, lambda tile: _read(plan, tile) <= (1 + WASTE) / 2)
    return [
        Advice(f"Every pixel is read {read:.1f} times: larger tiles waste less work", "tile_shape", grown)
    ]


def _thin(plan: Plan) -> list[Advice]:
    """Return that objects are wider than the overlap, if the method says how wide they are."""
    diameter = getattr(plan.params, "diameter", None)
    cut = [o for o, t, n in _axes(plan) if t < n]
    if not isinstance(diameter, int | float) or not cut or not plan.spec.merge.overlapping:
        return []
    if min(cut) >= diameter:
        return []
    text = f"Objects of {diameter:g} pixels are wider than the overlap of {min(cut)}: some may be cut in two"
    wanted = tuple(max(o, ceil(diameter)) if t < n else o for o, t, n in _axes(plan))
    return [Advice(text, "overlap", wanted)]


def _of_text(text: str, plan: Plan) -> Advice:
    """Return a warning of the plan, with the overlap that it names."""
    named = re.search(r"an overlap of (\d+)", text)
    if not named:
        return Advice(text)
    wanted = tuple(max(o, int(named[1])) if t < n else o for o, t, n in _axes(plan))
    return Advice(text, "overlap", wanted)


def _axes(plan: Plan) -> list[tuple[int, int, int]]:
    """Return overlap, tile and size of every axis that tiles may cut."""
    grid = plan.grid
    axes = zip(grid.overlap, grid.tile_shape, grid.shape, plan.joined, strict=True)
    return [(o, t, n) for o, t, n, joined in axes if joined]


def _grown(plan: Plan, enough: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Return the tile shape, doubled until it is enough or the whole image."""
    sizes = plan.grid.shape
    tile = plan.grid.tile_shape
    while not enough(tile) and any(t < n for t, n, j in zip(tile, sizes, plan.joined, strict=True) if j):
        tile = tuple(min(2 * t, n) if j else t for t, n, j in zip(tile, sizes, plan.joined, strict=True))
    return tuple(t for t, joined in zip(tile, plan.joined, strict=True) if joined)


def _count(plan: Plan, tile: tuple[int, ...]) -> int:
    return prod(-(-n // t) for n, t in zip(plan.grid.shape, tile, strict=True))


def _read(plan: Plan, tile: tuple[int, ...]) -> float:
    """Return how often pixels are read with such tiles."""
    grid = plan.grid
    box = (min(n, t + 2 * o) for n, t, o in zip(grid.shape, tile, grid.overlap, strict=True))
    return _count(plan, tile) * prod(box) / prod(grid.shape)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
