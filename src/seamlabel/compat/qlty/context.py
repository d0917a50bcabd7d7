"""qlty's `NCZYX25DQuilt`: planes of volumes with their neighbours as channels, over `ContextChannels`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.context import Context, ContextChannels
from seamlabel.blending.tensors import alike, as_numpy, in_use, is_tensor
from seamlabel.compat.qlty.quilts import NCYXQuilt
from seamlabel.compat.qlty.sources import TensorLike3D
from seamlabel.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray


class ZOperation(Enum):
    """What a channel is of the planes around."""

    IDENTITY = 1
    MEAN = 3
    STD = 4
    MAX = 5
    MIN = 6


class Planes:
    """The planes of an `NCZYX25DQuilt`, (N * planes, channels, Y, X): read and made when they are asked for.

    Parameters
    ----------
    quilt : NCZYX25DQuilt
        What they are of.
    """

    def __init__(self, quilt: NCZYX25DQuilt) -> None:
        self._quilt, shape = quilt, quilt.data_source.shape
        count = int(shape[0]) * len(quilt.z_slices)
        self.shape: tuple[int, ...] = (count, len(quilt.get_channel_metadata()), *map(int, shape[3:]))
        self.dtype = quilt.data_source.dtype

    def __len__(self) -> int:
        """Return how many there are."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Return a plane (channels, Y, X) by its number, or ``[number, :, rows, columns]`` of it."""
        number, _, rows, columns = (
            (*key, *[slice(None)] * 3)[:4] if isinstance(key, tuple) else (key, 0, *_ALL)
        )
        image, place = divmod(range(len(self))[number], len(self._quilt.z_slices))
        spans = [cut.indices(n)[:2] for cut, n in zip((rows, columns), self.shape[2:], strict=True)]
        return self._quilt.as_given(self._quilt.plane(image, self._quilt.z_slices[place], spans))


_ALL = (slice(None), slice(None))


class NCZYX25DQuilt:
    """Planes of volumes (N, C, Z, Y, X) with what lies around them as channels, for models of images.

    Neighbours are looked up in the whole volume, also for `z_slices`. Channels are in the order of
    `get_channel_metadata`: of the first channel of the volume all, then of the next.

    Parameters
    ----------
    data_source : array, (N, C, Z, Y, X)
        numpy, torch, `from_zarr` and the like.
    channel_spec : dict
        ``{"identity": [-1, 0, 1], "mean": [[-3, -2], [2, 3]], "std": …, "max": …, "min": …}``, by name or
        `ZOperation`.
    boundary_mode : {"clamp", "zero", "reflect", "wrap", "skip"}
        What stands for planes beyond the volume; "skip": no plane may need any.
    accumulation_mode : {"2d", "3d"}
        Whether `convert` gives (N * planes, channels, Y, X) or (N, channels, planes, Y, X).
    z_slices : slice or iterable of int, optional
        The planes that are wanted; all by default.
    group_by_operation : bool
        Channels in the order of operations, then of the volume's channels.

    Raises
    ------
    ValueError
        If these do not fit one another.
    """

    def __init__(
        self,
        data_source: Any,
        channel_spec: Mapping[Any, Any],
        boundary_mode: str = "clamp",
        accumulation_mode: str = "2d",
        z_slices: slice | Iterable[int] | None = None,
        group_by_operation: bool = False,
    ) -> None:
        if len(data_source.shape) != 5:
            msg = f"the data have shape {tuple(data_source.shape)}, not (N, C, Z, Y, X)"
            raise ValueError(msg)
        if accumulation_mode not in ("2d", "3d"):
            msg = f"accumulation_mode {accumulation_mode!r} is neither 2d nor 3d"
            raise ValueError(msg)
        self.data_source, self.accumulation_mode = data_source, accumulation_mode
        length = int(data_source.shape[2])
        wanted = range(length)[z_slices] if isinstance(z_slices, slice) else z_slices
        self.z_slices = tuple(range(length)) if wanted is None else tuple(map(int, wanted))
        boundary = "clamp" if boundary_mode == "skip" else boundary_mode
        spec = {_name(key): value for key, value in channel_spec.items()}
        self._context = Context(spec, boundary=boundary, z_slices=self.z_slices)
        made = self._context.of(int(data_source.shape[1]))
        self._order = list(range(len(made)))
        if group_by_operation:
            self._order.sort(key=lambda number: list(spec).index(made[number].operation))
        self._made = [made[number] for number in self._order]
        self._readers = [self._reader(n) for n in range(int(data_source.shape[0]))]
        if boundary_mode == "skip":
            self._check_inside(length)

    def convert(self) -> Any:
        """Return all planes with their channels, in memory; see `planes` for some of them.

        Returns
        -------
        array, (N * planes, channels, Y, X) or (N, channels, planes, Y, X)
            Of the kind of the data; float32, or float64 where that is needed, unless all channels are planes.
        """
        area = [(0, int(n)) for n in self.data_source.shape[3:]]
        found = np.stack(
            [np.stack([self.plane(n, z, area) for z in self.z_slices]) for n in range(len(self._readers))]
        )
        flat = self.accumulation_mode == "2d"
        return self.as_given(found.reshape(-1, *found.shape[2:]) if flat else found.swapaxes(1, 2))

    @property
    def planes(self) -> Planes:
        """The planes, made when they are asked for; `NCYXQuilt.unstitch` reads patches of them only."""
        return Planes(self)

    def get_channel_metadata(self) -> list[dict[str, Any]]:
        """Return what each channel is: its number, the volume's channel, operation and offsets."""
        return [
            {
                "channel_index": number,
                "input_channel": one.channel,
                "operation": one.operation,
                "operation_type": one.operation.upper(),
                "offsets": one.offsets,
            }
            for number, one in enumerate(self._made)
        ]

    def validate_spec(self) -> tuple[bool, list[str]]:
        """Return that the channels can be made, and which of them reach past the volume from any plane."""
        length = int(self.data_source.shape[2])
        far = sorted({o for one in self._made for o in one.offsets if abs(o) >= length})
        return True, [f"offset {o} lies beyond a volume of {length} planes, from any of them" for o in far]

    def to_ncyx_quilt(self, **quilt_kwargs: Any) -> NCYXQuilt:
        """Return a quilt of images of that size; its arguments are those of `NCYXQuilt`.

        Raises
        ------
        ValueError
            If `accumulation_mode` is "3d".
        """
        if self.accumulation_mode != "2d":
            msg = "a quilt of images needs accumulation_mode='2d'"
            raise ValueError(msg)
        return NCYXQuilt(Y=int(self.data_source.shape[3]), X=int(self.data_source.shape[4]), **quilt_kwargs)

    def plane(self, image: int, z: int, area: list[tuple[int, int]]) -> NDArray[Any]:
        """Return a plane of a volume (channels, y, x) in an area of it, (first, stop) along y and x."""
        box = Box((z, *(a for a, _ in area)), (z + 1, *(b for _, b in area)))
        return self._readers[image].read(box)[self._order, 0]

    def as_given(self, array: NDArray[Any]) -> Any:
        """Return an array of the kind of the data."""
        if isinstance(self.data_source, TensorLike3D):
            return in_use(array)
        return alike(array, self.data_source) if is_tensor(self.data_source) else array

    def _reader(self, image: int) -> ContextChannels:
        source = self.data_source

        def read(box: Box) -> NDArray[Any]:
            found: NDArray[Any] = as_numpy(source[(image, slice(None), *box.slices)])
            return found

        return ContextChannels(read, self._context, shape=tuple(map(int, source.shape[2:])))

    def _check_inside(self, length: int) -> None:
        offsets = [o for one in self._made for o in one.offsets]
        low, high = max(0, -min(offsets)), length - max(0, max(offsets))
        if any(not low <= z < high for z in self.z_slices):
            msg = (
                f"planes before {low} and from {high} on would have fewer channels with boundary_mode='skip'"
            )
            raise ValueError(f"{msg}: leave them out with z_slices=range({low}, {high}), or clamp")


def _name(key: Any) -> str:
    name = key.name.lower() if isinstance(key, Enum) else str(key)
    return "identity" if name == "direct" else name
