"""`Memory`: what the form shows, kept from one day to the next; what does not fit any more is dropped.

Plain data, so that it can be written when all widgets are gone. Knows the spec, no widget.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from seamlabel.napari import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.axes import ImageInfo
    from seamlabel.spec import RunSpec

KEY = "form"
MANY_TILES = 20_000
"""A tile shape of another day that makes more tiles of this image was meant for a smaller one."""


@dataclass(frozen=True)
class Kept:
    """What was kept, as far as it is of use."""

    method: Any
    params: dict[str, Any]
    name: Any


class Memory:
    """What one form is to remember."""

    def __init__(self) -> None:
        self._noted: dict[str, Any] = {}
        self._tiles: dict[str, Any] = {}
        self._passing: tuple[str, dict[str, Any]] | None = None

    def pass_by(self, backend: str, params: dict[str, Any]) -> None:
        """Remember nothing of this method with these parameters: they are of one image, a map, alone."""
        self._passing = backend, params

    def load(self) -> Kept:
        """Return what was kept on another day."""
        kept: dict[str, Any] = settings.load(KEY, {})
        params, tiles = kept.get("params"), kept.get("tiles")
        self._tiles = tiles if isinstance(tiles, dict) else {}
        params = params if isinstance(params, dict) else {}
        return Kept(kept.get("method"), params, kept.get("name"))

    def tiles(self, info: ImageInfo, level: int) -> tuple[Any, Any] | None:
        """Return tile shape and overlap of another day, once; None where they do not suit this image."""
        kept, self._tiles = self._tiles, {}
        sizes = {a.name: n for a, n in zip(info.axes, info.levels[level].shape, strict=True) if a.tiled}
        shape, overlap = (_numbers(kept.get(name), sizes) for name in ("tile_shape", "overlap"))
        if shape is not None and not _suits(shape, tuple(sizes.values())):
            shape = None
        if overlap is not None and (min(overlap) < 0 or _wider(overlap, shape or tuple(sizes.values()))):
            overlap = None
        if shape is None and overlap is None:
            return None
        return "auto" if shape is None else shape, "auto" if overlap is None else overlap

    def note(self, spec: RunSpec, params: dict[str, Any], names: Sequence[str], name: str) -> None:
        """Take note of what is shown now.

        Parameters
        ----------
        spec : RunSpec
            What is asked for.
        params : dict
            Parameters of all methods.
        names : sequence of str
            Axes of the tile shape.
        name : str
            Name of the labels, as it was entered.
        """
        if self._passing is not None:
            backend, values = self._passing
            if spec.backend == backend and values.items() <= spec.params.items():
                return
            if values.items() <= params.get(backend, {}).items():
                params = {key: kept for key, kept in params.items() if key != backend}
        sizes = {"tile_shape": spec.tile_shape, "overlap": spec.overlap}
        self._noted = {
            "method": spec.backend,
            "params": params,
            "tiles": {
                key: dict(zip(names, value, strict=True))
                for key, value in sizes.items()
                if isinstance(value, tuple) and len(value) == len(names)
            },
            "name": name,
        }

    def write(self) -> None:
        """Keep what was noted last; does nothing if nothing was."""
        if self._noted:
            settings.save(KEY, self._noted)

    def forget(self) -> None:
        """Keep nothing of what was noted so far, nor of other days."""
        self._noted, self._tiles = {}, {}
        settings.save(KEY, None)


def _numbers(kept: Any, sizes: dict[str, int]) -> tuple[int, ...] | None:
    """Return whole numbers for these axes, None if there is not one for each."""
    if not isinstance(kept, dict) or set(kept) != set(sizes):
        return None
    values = tuple(kept[name] for name in sizes)
    return values if all(type(value) is int for value in values) else None


def _suits(shape: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    """Return whether tiles of this shape are a sensible number."""
    counts = [ceil(n / max(1, t)) for n, t in zip(sizes, shape, strict=True)]
    return min(shape) > 0 and prod(counts) <= MANY_TILES


def _wider(overlap: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return any(h > t for h, t in zip(overlap, shape, strict=True))
