"""Axes of an image and which part they play: tiled (space), looped (time, planes), chosen (channel).

Knows names, units, shapes and scales; does not know where pixels come from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")
CHANNEL = "c"
TIME = "t"
DEPTH = "z"
_KINDS = {TIME: "time", CHANNEL: "channel", DEPTH: "space", "y": "space", "x": "space"}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis, as NGFF names it.

    Parameters
    ----------
    name : str
        ``"t"``, ``"c"``, ``"z"``, ``"y"``, ``"x"`` or a name of the image's own.
    kind : str
        ``"space"``, ``"time"``, ``"channel"`` or something else.
    unit : str or None
        NGFF unit name such as ``"micrometer"``; None where the image gives none.
    looped : bool
        Of a space axis: the backend sees one position of it at a time, like time; see `by_planes`.
    """

    name: str
    kind: str
    unit: str | None = None
    looped: bool = False

    @property
    def tiled(self) -> bool:
        """Whether the backend sees this axis: tiles cut it and labels are joined along it."""
        return self.kind == "space" and not self.looped


def parse_axes(names: str) -> tuple[Axis, ...]:
    """Return axes for letters such as ``"tczyx"``; unknown letters count as space."""
    return tuple(Axis(name, _KINDS.get(name, "space")) for name in names)


@dataclass(frozen=True, slots=True)
class LevelInfo:
    """One resolution level: all tuples run over the image's axes, in order.

    Parameters
    ----------
    path : str
        Path of the level's array inside the image.
    shape, chunks : tuple of int
        Voxels.
    scale, translation : tuple of float
        World units per voxel, and world position of voxel 0.
    """

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """All that planning needs to know of an image, without its pixels.

    Parameters
    ----------
    axes : tuple of Axis
        In array order.
    dtype : str
        numpy name of the pixel type, such as ``"uint16"``.
    levels : tuple of LevelInfo
        Full resolution first.
    channels : tuple of str
        Channel names, as many as the image has channels; empty without channel axis.
    labels : tuple of str
        Names of labels that the image holds already.
    path : str or None
        Where the image lies; None for an array in memory.
    ngff_version : str or None
        ``"0.4"``, ``"0.5"``; None for arrays.
    writable : bool
        Whether labels can be written into the image.
    computed : bool
        Whether pixels are computed when they are read (dask), so that to read them twice may cost much.
    """

    axes: tuple[Axis, ...]
    dtype: str
    levels: tuple[LevelInfo, ...]
    channels: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    path: str | None = None
    ngff_version: str | None = None
    writable: bool = False
    computed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0 in voxels, over all axes."""
        return self.levels[0].shape

    @property
    def chunks(self) -> tuple[int, ...]:
        """Chunk shape of level 0 in voxels, over all axes."""
        return self.levels[0].chunks

    @property
    def scale(self) -> tuple[float, ...]:
        """World units per voxel of level 0, over all axes."""
        return self.levels[0].scale

    @property
    def units(self) -> tuple[str | None, ...]:
        """Unit of each axis."""
        return tuple(axis.unit for axis in self.axes)

    @property
    def names(self) -> str:
        """Axis names joined, such as ``"tczyx"``."""
        return "".join(axis.name for axis in self.axes)

    @property
    def label_axes(self) -> tuple[int, ...]:
        """Positions of the axes that labels have: time and space, no channel."""
        return tuple(i for i, axis in enumerate(self.axes) if axis.kind in ("space", "time"))

    @property
    def channel_axis(self) -> int | None:
        """Position of the channel axis, or None."""
        return next((i for i, axis in enumerate(self.axes) if axis.kind == "channel"), None)

    def label_values(self, values: tuple[T, ...]) -> tuple[T, ...]:
        """Keep of a per-axis tuple the entries of the label axes."""
        return tuple(values[i] for i in self.label_axes)

    def by_planes(self) -> ImageInfo:
        """Return this image as a stack of planes across its axis z: z is looped, like time."""
        axes = tuple(
            replace(a, looped=True) if a.name == DEPTH and a.kind == "space" else a for a in self.axes
        )
        return replace(self, axes=axes)
