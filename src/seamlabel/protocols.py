"""The few contracts between layers: what a segmenter, a source, a staging store and a sink are.

Only shapes of things; no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from seamlabel.geometry import Box
    from seamlabel.staged import StagedTile

Labels = NDArray[Any]
"""Integer array, 0 = background, one positive number per object."""

Image = NDArray[Any]


class Segmenter(Protocol):
    """Anything that turns an image tile into labels. Any callable is one.

    Called with pixels of shape ``(z, y, x)`` or ``(y, x)`` (the space axes of the image, in its
    order), with a leading channel axis if several channels were chosen, in the image's dtype.
    Returns integer labels of the same spatial shape, 0 for background, numbered as it likes.
    """

    def __call__(self, image: Image, /) -> Labels:
        """Segment one tile."""
        ...


class Statistics(Protocol):
    """Intensity statistics of one channel of the whole image, at the level that is segmented."""

    @property
    def minimum(self) -> float:
        """Lowest value."""
        ...

    @property
    def maximum(self) -> float:
        """Highest value."""
        ...

    @property
    def mean(self) -> float:
        """Mean value."""
        ...

    @property
    def deviation(self) -> float:
        """Standard deviation of the values."""
        ...

    def otsu(self) -> float:
        """Return Otsu's threshold; foreground is what lies above it."""
        ...

    def li(self) -> float:
        """Return Li's threshold, of least cross entropy."""
        ...

    def triangle(self) -> float:
        """Return the threshold by the triangle method, for one high peak and a long tail."""
        ...

    def percentile(self, percent: float) -> float:
        """Return the value that `percent` % of the voxels do not exceed."""
        ...


class PixelFilter(Protocol):
    """Changes pixels before statistics are taken; can be hashed and pickled, as a frozen dataclass can."""

    def __call__(self, image: Image, spacing: tuple[float, ...], /) -> Image:
        """Return pixels of the same shape.

        `spacing` is the extent of a voxel per axis, in units of the finest axis of the level that is
        segmented; the pixels may be of a coarser one.
        """
        ...


def _no_statistics(*_: Any) -> Statistics:
    msg = "no image-wide statistics: make the segmenter with a context that has them"
    raise ValueError(msg)


@dataclass(frozen=True)
class SegmentContext:
    """What a backend's factory may know of the image, the same for every tile.

    Parameters
    ----------
    axes : str
        Names of the space axes in the order of the tile's, such as ``"zyx"``.
    dtype : str
        numpy name of the pixel type.
    scale : tuple of float
        World units per voxel of the space axes at the level that is segmented.
    channels : tuple of str
        Names of the chosen channels.
    statistics : callable
        ``statistics(i)`` gives the image-wide `Statistics` of the i-th chosen channel. Taken on
        first use, once per image, from a pyramid level; never per tile.
    filtered : callable
        ``filtered(i, function)`` gives those of what a `PixelFilter` makes of the channel; taken once
        for each filter.
    """

    axes: str
    dtype: str
    scale: tuple[float, ...] = ()
    channels: tuple[str, ...] = ()
    statistics: Callable[[int], Statistics] = field(default=_no_statistics)
    filtered: Callable[[int, PixelFilter], Statistics] = field(default=_no_statistics)


class ImageSource(Protocol):
    """An image that can be cut: numpy, zarr and dask arrays already are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in voxels."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type."""
        ...

    def __getitem__(self, key: Any) -> Any:
        """Return the pixels at these slices (something `numpy.asarray` takes)."""
        ...


@runtime_checkable
class LabelStore(Protocol):
    """Staging: the labels of tiles over their whole read boxes. `write` is all or nothing."""

    def write(self, tile: int, staged: StagedTile, durable: bool = False) -> tuple[int, int]:
        """Store the labels of a tile; return size and CRC-32 of what was stored."""
        ...

    def read(self, tile: int) -> StagedTile | None:
        """Return the labels of a tile, or None for one that was never written (empty)."""
        ...


class LabelSink(Protocol):
    """Where final labels go: one array per resolution level, invisible until `commit`.

    Axes are the label axes (time and space). Writers own whole chunks.
    """

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every level, full resolution first."""
        ...

    @property
    def path(self) -> str:
        """Where the finished label group is found."""
        ...

    def check(self) -> None:
        """Raise what `begin` would refuse, without writing anything."""
        ...

    def begin(
        self, dtype: str, chunks: tuple[tuple[int, ...], ...], blocks: tuple[tuple[int, ...], ...] = ()
    ) -> None:
        """Create the arrays, chunked so on each level; every voxel is 0 until it is written.

        `blocks` are what is written together of each level: no file need be smaller.
        """
        ...

    def write(self, level: int, box: Box, labels: Labels) -> None:
        """Write a box made of whole chunks (or cut by the array's end)."""
        ...

    def read(self, level: int, box: Box) -> Labels:
        """Read back what was written."""
        ...

    def commit(self) -> None:
        """Make the labels visible, in place of an older label of that name."""
        ...

    def abort(self) -> None:
        """Remove everything written since `begin`; an older label stays as it was.

        A `write` that is under way in another thread leaves nothing; later ones do nothing.
        """
        ...


class SeamRule(Protocol):
    """Judges overlap statistics of two tiles' labels at their seam.

    Called with integer arrays of equal length, one entry per pair of fragments that share voxels:
    `common` voxels in both, `one` and `other` voxels of each fragment. Returns a boolean array:
    the pairs that are one object.
    """

    def __call__(self, common: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        """Decide which pairs are one object."""
        ...
