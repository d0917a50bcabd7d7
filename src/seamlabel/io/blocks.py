"""Blocks of dask arrays, each computed by itself in the thread that asks.

Knows dask's graphs; knows no cache, no boxes and no images. dask is imported only where an array of it
is handed in.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Index = tuple[int, ...]


class DaskBlocks:
    """The blocks of a dask array; safe to use from several threads.

    The graph is flattened once, and of it only what a block needs is handed to dask: cutting a block out
    of the array costs 0.4 s where there are 100,000 of them. What several blocks are made of (of
    `map_overlap`, `rechunk`) is computed for each of them.

    Parameters
    ----------
    array : dask.array.Array
        The array.

    Attributes
    ----------
    sizes : tuple of tuple of int
        Voxels of the blocks along each axis.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self._lock = Lock()
        self.dtype = np.dtype(array.dtype)
        self.sizes: tuple[tuple[int, ...], ...] = tuple(tuple(map(int, axis)) for axis in array.chunks)

    def compute(self, index: Index) -> NDArray[Any]:
        """Return the block at this index, native byte order, maybe memory of dask's own.

        Raises
        ------
        ImageError
            If it has another shape, or values that do not fit the type, than the array says.
        """
        with self._lock:
            graph, dependencies, get = self._graph
        name = (self._array.name, *index)
        needed: dict[Any, Any] = {}
        waiting: list[Any] = [name]
        while waiting:
            key = waiting.pop()
            if key not in needed:
                needed[key] = graph[key]
                waiting.extend(dependencies(graph, key))
        optimized = self._array.__dask_optimize__(needed, [name])
        return self._checked(index, np.asarray(get(optimized, name)))

    @cached_property
    def _graph(self) -> tuple[Mapping[Any, Any], Callable[..., Any], Callable[..., Any]]:
        core, local = import_module("dask.core"), import_module("dask.local")
        return dict(self._array.__dask_graph__()), core.get_dependencies, local.get_sync

    def _checked(self, index: Index, block: NDArray[Any]) -> NDArray[Any]:
        shape = tuple(sizes[i] for i, sizes in zip(index, self.sizes, strict=True))
        if block.shape != shape:
            msg = f"block {index} of the dask array has shape {block.shape}, the array says {shape}"
            raise ImageError(msg, "Let what computes it keep its shape, or tell dask: chunks= of map_blocks")
        native = self.dtype.newbyteorder("=")
        if not np.can_cast(block.dtype, native, "safe"):
            msg = f"block {index} of the dask array is of type {block.dtype}, the array says {self.dtype}"
            raise ImageError(msg, "Tell dask the type: dtype= of map_blocks; or convert it: .astype(…)")
        return block.astype(native, copy=False)


def dask_blocks(array: Any) -> DaskBlocks | None:
    """Return the blocks of a dask array, or of the one within an xarray; None of anything else."""
    if not hasattr(array, "__dask_graph__"):
        return None
    if not hasattr(array, "blocks"):
        array = getattr(array, "data", None)  # of a DataArray
    whole = hasattr(array, "__dask_graph__") and hasattr(array, "blocks")
    return DaskBlocks(array) if whole else None
