"""Resolution levels of labels: which voxel of one level stands for one of another.

Knows shapes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def level_factor(n_src: int, n_dst: int) -> float:
    """Return how many source voxels one target voxel spans along an axis, snapped to a whole ratio.

    Pyramids round odd sizes up or down; a ratio (or its inverse) that could come from rounding a
    whole number is that whole number.
    """
    if n_src >= n_dst:
        whole = max(1, round(n_src / n_dst))
        fits = n_src // whole <= n_dst <= -(-n_src // whole)
        return float(whole) if fits else n_src / n_dst
    return 1 / level_factor(n_dst, n_src)


def sample_index(n_src: int, n_dst: int, start: int = 0, stop: int | None = None) -> NDArray[np.intp]:
    """Return for every target index along an axis the source index at the centre of its block.

    Nearest sampling at the block's centre (source index ``floor((i + 0.5) * factor)``) keeps areas
    true and commutes with relabelling; with a factor below 1 it repeats voxels.

    Parameters
    ----------
    n_src, n_dst : int
        Voxels along the axis at the level read from and at the level made.
    start, stop : int, optional
        Only for target indices in this range.
    """
    wanted = np.arange(start, n_dst if stop is None else stop)
    centre = (wanted + 0.5) * level_factor(n_src, n_dst)
    return np.minimum(centre.astype(np.intp), n_src - 1)


def sample(labels: NDArray[Any], indices: tuple[NDArray[np.intp], ...]) -> NDArray[Any]:
    """Return `labels` at these indices per axis (views where the indices are evenly spaced)."""
    for axis, index in enumerate(indices):
        step = int(index[1] - index[0]) if index.size > 1 else 1
        even = step > 0 and int(index[-1]) == int(index[0]) + step * (index.size - 1)
        if even and (index.size < 3 or bool((np.diff(index) == step).all())):
            cut = [slice(None)] * labels.ndim
            cut[axis] = slice(int(index[0]), int(index[-1]) + 1, step)
            labels = labels[tuple(cut)]
        else:
            labels = np.take(labels, index, axis=axis)
    return labels
