"""Context channels (2.5D): a plane of a volume with what lies around it, as channels for a 2D model.

Planes are looked up in the whole volume, whatever box is asked for, and only those that are needed are
read. Knows no grid and no model.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

_GROUPS: dict[str, Callable[..., NDArray[Any]]] = {
    "mean": np.mean,
    "std": np.std,
    "max": np.amax,
    "min": np.amin,
}
OPERATIONS = ("identity", *_GROUPS)
"""What a channel may be of the planes around."""
BOUNDARIES = ("clamp", "zero", "reflect", "wrap")
"""What stands for planes beyond the volume."""
_FROM_END = {"z": -3, "y": -2, "x": -1}


class ContextChannel(NamedTuple):
    """One channel: an operation over planes at these offsets, of one channel of the volume."""

    operation: str
    offsets: tuple[int, ...]
    channel: int


@dataclass(frozen=True)
class Context:
    """What a model is to see of the planes around the one that it predicts.

    Parameters
    ----------
    channels : mapping of str to sequence
        ``"identity"``: offsets, a channel each. ``"mean"``, ``"std"``, ``"max"``, ``"min"``: groups of
        offsets, a channel each, such as ``{"identity": [-1, 0, 1], "mean": [[-3, -2], [2, 3]]}``.
    axis : str or int
        Along which axis planes lie: its letter, or its place among the axes of boxes, negative from the
        end.
    boundary : {"clamp", "zero", "reflect", "wrap"}
        What stands for planes beyond the volume: its last one, zeros, planes mirrored at the last one
        (which is not repeated), planes from the other end.
    z_slices : iterable of int, optional
        The planes that are wanted; all by default. All others still are context.

    Raises
    ------
    ValueError
        If an operation, an offset or the boundary is none.
    """

    channels: Mapping[str, Sequence[Any]]
    axis: str | int = "z"
    boundary: str = "clamp"
    z_slices: Iterable[int] | None = None

    def __post_init__(self) -> None:
        """Check it, and bring numbers into one form."""
        if self.boundary not in BOUNDARIES:
            msg = f"boundary {self.boundary!r} is none of {', '.join(BOUNDARIES)}"
            raise ValueError(msg)
        found = {name: tuple(_offsets(name, one) for one in given) for name, given in self.channels.items()}
        if not any(found.values()):
            msg = "no context channels: give some, such as {'identity': [-1, 0, 1]}"
            raise ValueError(msg)
        plain = {name: tuple(o for (o,) in one) if name == "identity" else one for name, one in found.items()}
        object.__setattr__(self, "channels", plain)
        if self.z_slices is not None:
            object.__setattr__(self, "z_slices", tuple(map(operator.index, self.z_slices)))

    def of(self, inputs: int = 1) -> tuple[ContextChannel, ...]:
        """Return the channels in their order: of the volume's first channel all, of its second all, ….

        Parameters
        ----------
        inputs : int
            Channels of the volume.
        """
        wanted = [(name, _offsets(name, one)) for name, given in self.channels.items() for one in given]
        return tuple(ContextChannel(name, offsets, c) for c in range(inputs) for name, offsets in wanted)

    def place(self, plane: int, length: int) -> int | None:
        """Return which plane of a volume of this length stands for a plane; None: zeros do."""
        if 0 <= plane < length:
            return plane
        if self.boundary == "zero":
            return None
        if self.boundary == "wrap":
            return plane % length
        if self.boundary == "clamp" or length == 1:
            return min(max(plane, 0), length - 1)
        there = plane % (2 * length - 2)
        return there if there < length else 2 * length - 2 - there


class ContextChannels:
    """Reads boxes of a volume with context channels.

    Parameters
    ----------
    source : array or callable
        A volume, axes (channels,) … z, y, x: anything that slices cut; or ``read(box)``, which returns an
        array whose last axes are those of the box, such as that of `Padded`.
    channels, axis, boundary, z_slices
        See `Context`, which may be given in place of `channels`.
    shape : tuple of int, optional
        Of the volume along the axes of boxes; of an array that of its last three by default, needed of a
        function.

    Raises
    ------
    ValueError
        If these do not fit, or a plane of `z_slices` is not in the volume.
    """

    def __init__(
        self,
        source: Any,
        channels: Mapping[str, Sequence[Any]] | Context,
        *,
        axis: str | int = "z",
        boundary: str = "clamp",
        z_slices: Iterable[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> None:
        whole = channels if isinstance(channels, Context) else Context(channels, axis, boundary, z_slices)
        self.context, self._source = whole, source
        self._is_array = hasattr(source, "shape") and hasattr(source, "__getitem__")
        if shape is None and not self._is_array:
            msg = "shape is needed where the source is a function: that of the volume"
            raise ValueError(msg)
        self.shape = tuple(int(n) for n in (source.shape[-3:] if shape is None else shape))
        self._axis = _place(whole.axis, len(self.shape))
        self._length = self.shape[self._axis]
        wanted = range(self._length) if whole.z_slices is None else whole.z_slices
        self.z_slices = tuple(wanted)
        """The planes that are wanted."""
        if beyond := [plane for plane in self.z_slices if not 0 <= plane < self._length]:
            msg = f"z_slices {beyond} are not among the volume's {self._length} planes"
            raise ValueError(msg)
        self._kept = frozenset(self.z_slices)

    def channels(self, inputs: int = 1) -> tuple[ContextChannel, ...]:
        """Return what the channels are, in the order in which `read` gives them; see `Context.of`."""
        return self.context.of(inputs)

    def skip(self, box: Box) -> bool:
        """Return whether none of a box's planes is wanted; for `seamlabel.blending.predicting.predict`."""
        return not any(plane in self._kept for plane in range(box.start[self._axis], box.stop[self._axis]))

    def read(self, box: Box) -> NDArray[Any]:
        """Return a box of planes with their context.

        Parameters
        ----------
        box : Box
            In voxels of the volume, of one or more planes.

        Returns
        -------
        ndarray
            (channels, *box.shape). Of the volume's type if all channels are single planes; else float32,
            or float64 where that type needs it.
        """
        first, stop = box.start[self._axis], box.stop[self._axis]
        wanted = {offset for one in self.context.of() for offset in one.offsets}
        places = {
            plane: self.context.place(plane, self._length)
            for plane in sorted({z + offset for z in range(first, stop) for offset in wanted})
        }
        planes, zeros = self._planes(box, {place for place in places.values() if place is not None})
        made = self.context.of(len(zeros))
        out = np.empty((len(made), *box.shape), self._dtype(zeros.dtype))
        along = np.moveaxis(out, self._axis, 1)
        for number, one in enumerate(made):
            for z in range(first, stop):
                met = [places[z + offset] for offset in one.offsets]
                parts = [(zeros if p is None else planes[p])[one.channel] for p in met]
                along[number, z - first] = self._made(one.operation, parts, out.dtype)
        return out

    def _made(self, operation: str, parts: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
        if operation == "identity":
            return parts[0]
        return _GROUPS[operation](np.stack(parts).astype(dtype, copy=False), axis=0)

    def _dtype(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        plain = all(one.operation == "identity" for one in self.context.of())
        return stored if plain else np.result_type(stored, np.float32)

    def _planes(self, box: Box, places: set[int]) -> tuple[dict[int, NDArray[Any]], NDArray[Any]]:
        """Return planes (channels, *plane) by their place, and one of zeros; runs are read at once."""
        found: dict[int, NDArray[Any]] = {}
        runs = _runs(sorted(places)) or [(0, 1)]  # a plane is read to know type and channels
        for first, stop in runs:
            pixels = self._pixels(_with(box, self._axis, first, stop))
            pixels = pixels if pixels.ndim > len(self.shape) else pixels[None]
            found |= zip(range(first, stop), np.moveaxis(pixels, self._axis, 0), strict=True)
        return found, np.zeros_like(next(iter(found.values())))

    def _pixels(self, box: Box) -> NDArray[Any]:
        if not self._is_array:
            return np.asarray(self._source(box))
        if not Box.whole(self.shape).contains(box):
            msg = f"{box} reaches past the volume's {self.shape}: read through Padded, and give its read"
            raise ValueError(msg)
        return np.asarray(self._source[(..., *box.slices)])


def _offsets(operation: str, given: Any) -> tuple[int, ...]:
    """Return the offsets of one channel."""
    if operation not in OPERATIONS:
        msg = f"context {operation!r} is none of {', '.join(OPERATIONS)}"
        raise ValueError(msg)
    try:
        found = (given,) if operation == "identity" else tuple(given)
        offsets = tuple(map(operator.index, found))
    except TypeError:
        offsets = ()
    if not offsets:
        form = "whole numbers, such as [-1, 0, 1]"
        form = form if operation == "identity" else "groups of whole numbers, such as [[-3, -2], [2, 3]]"
        msg = f"context {operation!r} has {given!r} where it takes {form}"
        raise ValueError(msg)
    return offsets


def _place(axis: str | int, ndim: int) -> int:
    """Return the place of an axis among those of boxes, from the end."""
    place = _FROM_END.get(axis, 0) if isinstance(axis, str) else axis - ndim if axis >= 0 else axis
    if not -ndim <= place < 0:
        msg = f"axis {axis!r} is none of a volume with {ndim} axes: give z, y, x or its place"
        raise ValueError(msg)
    return place


def _with(box: Box, axis: int, first: int, stop: int) -> Box:
    """Return a box with another span along an axis."""
    start, end = list(box.start), list(box.stop)
    start[axis], end[axis] = first, stop
    return Box(tuple(start), tuple(end))


def _runs(places: list[int]) -> list[tuple[int, int]]:
    """Return first and stop of runs of numbers that follow one another."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place:
            found[-1] = found[-1][0], place + 1
        else:
            found.append((place, place + 1))
    return found
