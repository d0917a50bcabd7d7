"""patchly's `Aggregator`: predictions of a sampler's patches become one map, over a `Blend`."""

from __future__ import annotations

import threading
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.blend import Blend
from seamlabel.blending.tensors import alike, as_numpy, is_tensor
from seamlabel.compat.layouts import Laid, arranged, parted, space_last
from seamlabel.compat.patchly.arguments import of_aggregator
from seamlabel.compat.patchly.sampler import GridSampler, SamplingMode
from seamlabel.errors import SeamlabelError
from seamlabel.geometry import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEIGHTS = {"avg": "flat", "gaussian": "gaussian"}
_TOLD = 8


class Aggregator:
    """A map of patches: overlaps are averaged, each patch counts once, none may be missing.

    Arguments are taken by name, or by place as either generation has them.

    Parameters
    ----------
    sampler : GridSampler
        What the patches are of.
    output_size : sequence of int, optional
        Shape of the map, channels and the like included; it is made in memory, of float32. With
        `softmax_dim` the classes are counted, and the map, of int64, lacks their axis.
    output : array, optional
        What is written to instead: numpy, torch, zarr. For integers values are rounded and clipped.
    weights : {"avg", "gaussian"}, callable or array
        How patches count: an array of the patch's shape, or ``weights(patch_size)`` that returns one.
    softmax_dim : int, optional
        Axis of a patch, the batch not counted, along which the class of the largest value is taken.
    has_batch_dim : bool
        Whether patches come several at once, with an axis for them in front.
    spatial_first : bool
        Whether patches and map are (space, rest), not (rest, space).
    chunk_postprocess_func : callable, optional
        Is given each finished chunk, and returns what is written of it.
    device : str
        Where a map of torch patches that is made in memory is returned.
    chunk_size : sequence of int, optional
        Voxels that are finished at once; by default the sampler's.

    Raises
    ------
    TypeError
        If an argument is unknown or given twice.
    ValueError
        If sizes do not fit, weights are unknown, or not one of `output` and `output_size` is given.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        given = of_aggregator(args, options)
        self.sampler: GridSampler = given["sampler"]
        self.grid, self.ndim = self.sampler.grid, self.sampler.grid.ndim
        self.has_batch_dim = bool(given.get("has_batch_dim", False))
        self.spatial_first = bool(given.get("spatial_first", True))
        self.softmax_dim, self.device = given.get("softmax_dim"), given.get("device", "cpu")
        self._after = given.get("chunk_postprocess_func")
        self._finishes = self.softmax_dim is not None or self._after is not None
        size = given.get("output_size")
        self._own = given.get("output") is None
        self.output = given["output"] if not self._own else self._made(size)
        chunks = given.get("chunk_size")
        self._laid = Laid(
            self.output, self.ndim, self.spatial_first, self.sampler.chunk_size if chunks is None else chunks
        )
        self._check(size)
        self._weights = self._weighting(given.get("weights", "avg"))
        self._places = {patch.box: patch.number for patch in self.grid}
        self._blend: Blend | None = None
        self._like: Any = None
        self._added: set[int] = set()
        self._lock = threading.Lock()

    def append(self, patch: Any, patch_bbox: Any) -> None:
        """Add the prediction of a patch, or of a batch of them. One that was added before is left out.

        Parameters
        ----------
        patch : array
            numpy or torch: ([batch,] space, rest) or ([batch,] rest, space).
        patch_bbox : array of int, ([batch,] axes, 2) or ([batch,] axes * 2)
            Where it lies, as the sampler says.

        Raises
        ------
        ValueError
            If there is no such patch, or its shape is another one.
        """
        self._like = patch if self._like is None else self._like
        values, boxes = as_numpy(patch), np.asarray(as_numpy(patch_bbox))
        if not self.has_batch_dim:
            self._append(values, boxes)
            return
        if len(values) != len(boxes):
            msg = f"a batch of {len(values)} patches has {len(boxes)} places"
            raise ValueError(msg)
        for one, bbox in zip(values, boxes, strict=True):
            self._append(one, bbox)

    def get_output(self, inplace: bool = False) -> Any:
        """Return the map: `output`, or what was made; a tensor if patches are.

        Nothing is copied, whether `inplace` or not.

        Raises
        ------
        SeamlabelError
            If patches were not appended.
        """
        absent = [number for number in range(len(self.grid)) if number not in self._added]
        if absent or self._blend is None:
            told = ", ".join(map(str, absent[:_TOLD])) + (", …" if len(absent) > _TOLD else "")
            msg = f"{len(absent)} of {len(self.grid)} patches were not appended: {told}"
            raise SeamlabelError(msg, "Append what a model says of each patch of the sampler")
        self._blend.finish()
        if not self._own or not is_tensor(self._like):
            return self.output
        return alike(self.output, self._like).to(self.device)

    def _append(self, values: NDArray[Any], bbox: NDArray[Any]) -> None:
        box = bbox.reshape(-1, 2)
        found = Box(tuple(int(a) for a in box[:, 0]), tuple(int(b) for b in box[:, 1]))
        number = self._places.get(found)
        if number is None:
            msg = f"the sampler has no patch at {bbox.tolist()}"
            raise ValueError(msg)
        rest, space = parted(values.shape, self.ndim, self.spatial_first)
        if space != found.shape:
            msg = f"the patch at {bbox.tolist()} has shape {values.shape}"
            raise ValueError(
                f"{msg}: with spatial_first={self.spatial_first} its space axes must be {found.shape}"
            )
        with self._lock:
            if self._blend is None:
                self._begin(rest)
        if rest != self._rest:
            msg = f"the patch at {bbox.tolist()} has {rest} beside its space axes, others have {self._rest}"
            raise ValueError(msg)
        flat = space_last(values, self.ndim, self.spatial_first).reshape(-1, *space)
        assert self._blend is not None
        kept = flat.copy()  # may wait for its turn, while the model writes its next answer in the same place
        self._blend.add(number, kept if self._laid.rest or self._finishes else kept[0])
        self._added.add(number)

    def _begin(self, rest: tuple[int, ...]) -> None:
        """Make the blend: by now it is known what patches have beside their space axes."""
        self._rest = rest
        if not self._finishes and rest != self._laid.rest:
            msg = f"patches have {rest} beside their space axes, the map has {self._laid.rest}"
            raise ValueError(msg)
        self._blend = Blend(
            self.grid,
            self._laid,
            self._weights,
            finalize=self._finished if self._finishes else None,
            missing=0 if self.sampler.mode is SamplingMode.SAMPLE_CROP else "error",
            channels=prod(rest),
            raster=True,
        )

    def _finished(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return what is written of a finished chunk, (channels, space)."""
        space = block.shape[1:]
        found = arranged(block.reshape(*self._rest, *space), self.ndim, self.spatial_first)
        if self.softmax_dim is not None:
            found = found.argmax(axis=self.softmax_dim)
        if self._after is not None:
            found = as_numpy(self._after(alike(found, self._like)))
        rest, kept = parted(found.shape, self.ndim, self.spatial_first)
        if kept != space or rest != self._laid.rest:
            msg = f"a finished chunk of {space} became {found.shape}, with spatial_first={self.spatial_first}"
            raise ValueError(f"{msg}; the map has {self._laid.rest} beside its space axes")
        return space_last(found, self.ndim, self.spatial_first).reshape(-1, *space)

    def _made(self, size: Any) -> NDArray[Any]:
        if size is None:
            msg = "the Aggregator needs output_size, or an output to write to"
            raise ValueError(msg)
        shape = [int(n) for n in size]
        if self.softmax_dim is None:
            return np.zeros(shape, np.float32)
        del shape[self.softmax_dim]
        return np.zeros(shape, np.int64)

    def _check(self, size: Any) -> None:
        space = self._laid.shape[-self.ndim :]
        if space != self.grid.shape:
            msg = f"the map is {tuple(self.output.shape)} with spatial_first={self.spatial_first}"
            raise ValueError(f"{msg}: its space axes must be {self.grid.shape}")
        if not self._own and size is not None and tuple(size) != tuple(self.output.shape):
            msg = f"output_size {tuple(size)} is not that of the output, {tuple(self.output.shape)}"
            raise ValueError(msg)

    def _weighting(self, weights: Any) -> Any:
        if isinstance(weights, str):
            if weights not in _WEIGHTS:
                msg = f"weights {weights!r} are none of {', '.join(_WEIGHTS)}, no function and no array"
                raise ValueError(msg)
            return _WEIGHTS[weights]
        return np.asarray(as_numpy(weights(self.grid.patch) if callable(weights) else weights))
