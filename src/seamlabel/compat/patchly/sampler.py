"""patchly's `GridSampler`: patches of an image, and where they lie, over a `PatchGrid`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.padding import Padded
from seamlabel.blending.tensors import alike, as_numpy, is_tensor
from seamlabel.compat.layouts import arranged, parted, space_last
from seamlabel.compat.patchly.arguments import of_sampler
from seamlabel.patch_grid import Edge, PatchGrid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.geometry import Box


class SamplingMode(Enum):
    """What happens to patches that would reach past the image."""

    SAMPLE_EDGE = 1
    """The last patch is moved back to end with the image."""
    SAMPLE_ADAPTIVE = 2
    """The last patch is cut off."""
    SAMPLE_CROP = 3
    """The last patch is left out: the map is 0 there."""
    SAMPLE_SQUEEZE = 4
    """All patches are spread evenly, with a little more overlap."""
    PAD_UNKNOWN = 5
    """The image is padded, as `pad_kwargs` say to `numpy.pad`."""


_EDGES: dict[SamplingMode, Edge] = {
    SamplingMode.SAMPLE_EDGE: "snap",
    SamplingMode.SAMPLE_ADAPTIVE: "shrink",
    SamplingMode.SAMPLE_CROP: "drop",
    SamplingMode.SAMPLE_SQUEEZE: "even",
    SamplingMode.PAD_UNKNOWN: "pad",
}


class GridSampler:
    """Patches of an image in a grid, and where each of them lies.

    Both generations of arguments are taken: ``GridSampler(spatial_size, patch_size, patch_offset, image,
    …)`` and ``GridSampler(image, spatial_size, patch_size, step_size, [chunk_size,] …)``, by place or name.

    Parameters
    ----------
    image : array or None
        numpy, torch, zarr, dask, memmap: only patches are read. None: only places are given.
    spatial_size : sequence of int
        Shape of the image in voxels, without channels and the like.
    patch_size : sequence of int
        Shape of a patch, likewise.
    step_size : sequence of int, optional
        Voxels from a patch to the next; the patch's shape by default. `patch_offset` is its older name.
    chunk_size : sequence of int, optional
        Voxels of the map that are finished and written at once.
    spatial_first : bool
        Whether the image is (space, rest), not (rest, space).
    mode : SamplingMode
        What happens at the end of an axis.
    pad_kwargs : dict, optional
        ``mode`` and ``constant_values`` of `numpy.pad`, for ``PAD_UNKNOWN``.

    Raises
    ------
    TypeError
        If arguments are unknown, or given twice.
    ValueError
        If sizes do not fit the image or one another.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        given = of_sampler(args, options)
        self.image, self.spatial_first = given.get("image"), bool(given.get("spatial_first", True))
        self.mode = given.get("mode", SamplingMode.SAMPLE_SQUEEZE)
        step, chunks = given.get("step_size"), given.get("chunk_size")
        size = _sizes(given["spatial_size"])
        self.chunk_size = None if chunks is None else _sizes(chunks)
        patch = _sizes(given["patch_size"])
        self.grid = PatchGrid(size, patch, patch if step is None else _sizes(step), _EDGES[self.mode])
        if not len(self.grid):
            msg = f"patch_size {patch} exceeds spatial_size {size}: {self.mode.name} leaves no patch"
            raise ValueError(msg)
        self._check()
        self._padded = self._padding(given.get("pad_kwargs") or {})

    def __iter__(self) -> Iterator[Any]:
        """Yield the patches in raster order; may be done again, and by several at once."""
        return (self[number] for number in range(len(self)))

    def __len__(self) -> int:
        """Return how many patches there are."""
        return len(self.grid)

    def __getitem__(self, idx: int) -> Any:
        """Return a patch and where it lies; without an image only the latter.

        Returns
        -------
        patch : array
            As the image lies, a tensor where that is one; past its end only in ``PAD_UNKNOWN``.
        bbox : array of int, (axes, 2)
            Start and stop along each axis of the image.
        """
        number = range(len(self))[idx]
        bbox = self.get_bbox(number)
        return bbox if self.image is None else (self._patch(self.grid[number].box), bbox)

    def get_bbox(self, idx: int) -> NDArray[np.int64]:
        """Return where a patch lies: start and stop along each axis."""
        box = self.grid[idx].box
        return np.stack([box.start, box.stop], axis=1).astype(np.int64)

    def _check(self) -> None:
        if self.image is None:
            return
        found = parted(tuple(self.image.shape), self.grid.ndim, self.spatial_first)[1]
        if found != self.grid.shape:
            msg = f"spatial_size {self.grid.shape} is not that of the image, {tuple(self.image.shape)}"
            raise ValueError(f"{msg} with spatial_first={self.spatial_first}")

    def _padding(self, options: dict[str, Any]) -> Padded | None:
        if self.mode is not SamplingMode.PAD_UNKNOWN:
            return None
        unknown = set(options) - {"mode", "constant_values"}
        if unknown:
            msg = f"pad_kwargs {', '.join(sorted(unknown))} are not known: give mode and constant_values"
            raise ValueError(msg)
        mode, value = options.get("mode", "constant"), options.get("constant_values", 0)
        return Padded(self._read, self.grid.shape, mode, self.grid.padding, value)

    def _read(self, box: Box) -> NDArray[Any]:
        return space_last(as_numpy(self._inside(box)), self.grid.ndim, self.spatial_first)

    def _inside(self, box: Box) -> Any:
        cut = box.slices if self.spatial_first else (..., *box.slices)
        assert self.image is not None
        found = self.image[cut]
        return found if is_tensor(found) else np.asarray(found)

    def _patch(self, box: Box) -> Any:
        if self._padded is None:
            return self._inside(box)
        found = arranged(self._padded.read(box), self.grid.ndim, self.spatial_first)
        return alike(found, self.image)


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.atleast_1d(as_numpy(value)))
