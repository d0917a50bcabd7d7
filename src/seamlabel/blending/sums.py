"""What a block of a map has so far: weighted sums over the patches that see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.finishing import FINISHES
from seamlabel.errors import SeamlabelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from seamlabel.blending.blend import Blend
    from seamlabel.blending.windows import PatchWeights
    from seamlabel.patch_grid import PatchGrid

STATS = ("mean", "disagreement", "sigma")
"""What a map can tell of the patches that see a voxel."""
_TOLD = 8


@dataclass
class Prediction:
    """What a model says of the part of a patch that counts.

    Parameters
    ----------
    values : array, (channels, *space)
        Its values.
    weighted : array, (channels, *space)
        These by their weights; the values themselves where each voxel comes from one patch.
    weight : array, space, or None
        The weights.
    variance : array, (channels, *space), or None
        The model's variance of each value.
    """

    values: NDArray[Any]
    weighted: NDArray[Any]
    weight: NDArray[Any] | None
    variance: NDArray[Any] | None


class Sums:
    """Sums of a block.

    Parameters
    ----------
    left : int
        Patches that it waits for.
    shape : tuple of int
        (channels, *block).
    dtype : dtype
        What it sums in.
    stats : tuple of str
        What it is asked for in the end.
    weights : PatchWeights
        Whether each voxel comes from one patch, and weights sum to 1.
    """

    def __init__(
        self,
        left: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        stats: tuple[str, ...],
        weights: PatchWeights,
    ) -> None:
        self.left, self.stats = left, stats
        self.values: NDArray[Any] = np.zeros(shape, dtype)
        several = bool({"disagreement", "sigma"} & set(stats)) and not weights.exclusive
        self.squares = np.zeros(shape, dtype) if several else None
        self.variances = np.zeros(shape, dtype) if "sigma" in stats else None
        self.weights = None if weights.sums_to_one else np.zeros(shape[1:], dtype)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        parts = (self.values, self.squares, self.variances, self.weights)
        return sum(part.nbytes for part in parts if part is not None)

    def add(self, here: tuple[Any, ...], there: tuple[Any, ...], found: Prediction) -> None:
        """Add a part of a prediction, cut by `there`, to the part of the block cut by `here`."""
        self.left -= 1
        if found.weight is None:
            self.values[here] = found.values[there]
            if self.variances is not None and found.variance is not None:
                self.variances[here] = found.variance[there]
            return
        self.values[here] += found.weighted[there]
        if self.squares is not None:
            self.squares[here] += found.weighted[there] * found.values[there]
        if self.variances is not None and found.variance is not None:
            self.variances[here] += found.weight[there] * found.variance[there]
        if self.weights is not None:
            self.weights[here] += found.weight[there]

    def maps(self) -> dict[str, NDArray[Any]]:
        """Return what was asked for, by name, shape (channels, *block)."""
        weights = 1 if self.weights is None else np.where(self.weights > 0, self.weights, 1)
        mean = self.values if self.weights is None else self.values / weights
        found = {"mean": mean}
        apart = None
        if self.squares is not None:
            apart = np.maximum(self.squares / weights - mean**2, 0)
        if "disagreement" in self.stats:
            found["disagreement"] = np.zeros_like(mean) if apart is None else apart
        if "sigma" in self.stats:
            assert self.variances is not None
            own = self.variances / weights
            found["sigma"] = np.sqrt(own if apart is None else own + apart)
        return found


def check_outputs(
    grid: PatchGrid, stats: tuple[str, ...], outs: Mapping[str, Any], finalize: Any, missing: Any
) -> None:
    """Raise ValueError if outputs are not those of the stats, have other shapes, or cannot hold `missing`."""
    if set(stats) - set(STATS) or set(stats) != set(outs):
        msg = f"stats {stats} and outputs {tuple(outs)} must be the same, of {', '.join(STATS)}"
        raise ValueError(msg)
    for name, out in outs.items():
        shape = tuple(out.shape)
        if shape[-grid.ndim :] != grid.shape or len(shape) > grid.ndim + 1:
            msg = f"the output '{name}' has shape {shape}, the grid has {grid.shape}"
            raise ValueError(msg)
        dtype = np.dtype(out.dtype)
        if missing != "error" and dtype.kind in "iu" and not _holds(dtype, missing):
            msg = f"missing={missing} is no value of the output '{name}', which is {dtype}: give one that is"
            raise ValueError(msg)
    if isinstance(finalize, str) and finalize not in FINISHES:
        msg = f"finalize {finalize!r} is none of {', '.join(FINISHES)}, and no function"
        raise ValueError(msg)


def check_missing(blend: Blend, absent: Sequence[int]) -> None:
    """Raise that patches are missing, unless it is said what their voxels get.

    Raises
    ------
    SeamlabelError
        It says which.
    """
    if absent and blend.missing == "error":
        told = ", ".join(map(str, absent[:_TOLD])) + (", …" if len(absent) > _TOLD else "")
        msg = f"{len(absent)} of {len(blend.grid)} patches are missing: {told}"
        raise SeamlabelError(msg, "Predict them, or say what their voxels get: missing=0")


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    limits = np.iinfo(dtype)
    return value == value and limits.min <= value <= limits.max and value == int(value)
