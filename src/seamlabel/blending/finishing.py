"""What is done to a finished block of a map: probabilities, classes, the type it is stored as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FINISHES = ("softmax", "argmax", "sigmoid")
"""Finishes that have a name; "argmax" and "softmax" are over the channels, the first axis."""


def finish(block: NDArray[Any], how: str | Callable[[NDArray[Any]], NDArray[Any]] | None) -> NDArray[Any]:
    """Return a block as it is wanted.

    Parameters
    ----------
    block : array, (channels, *space)
        Blended values.
    how : {"softmax", "argmax", "sigmoid"}, callable or None
        A function is given the block, and returns one with as many or fewer channels.

    Raises
    ------
    ValueError
        If a function changes the space axes.
    """
    if how is None:
        return block
    if how == "argmax":
        classes: NDArray[Any] = np.argmax(block, axis=0)[None]
        return classes
    if how == "softmax":
        scores = np.exp(block - block.max(axis=0, keepdims=True))
        out: NDArray[Any] = scores / scores.sum(axis=0, keepdims=True)
        return out
    if how == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * block)))
    if not callable(how):
        msg = f"finalize {how!r} is none of {', '.join(FINISHES)}, and no function"
        raise ValueError(msg)
    out = np.asarray(how(block))
    out = out[None] if out.ndim == block.ndim - 1 else out
    if out.shape[1:] != block.shape[1:]:
        msg = f"finalize made {out.shape} of {block.shape}: the space axes must stay"
        raise ValueError(msg)
    return out


def cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values of this type: rounded and clipped to its range if these are integers.

    Raises
    ------
    ValueError
        If there are values that are no numbers, for an integer type.
    """
    if dtype.kind not in "iu":
        found: NDArray[Any] = values.astype(dtype, copy=False)
        return found
    if values.dtype.kind in "iub":
        return _clipped(values, dtype)
    if not np.isfinite(values).all():
        msg = f"the map has values that are no numbers, which {dtype} cannot hold: store it as float32"
        raise ValueError(msg)
    return _clipped(np.rint(values.astype(np.float64)), dtype)


def _clipped(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    if values.dtype.kind == "b":
        return values.astype(dtype)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low >= limits.min and high <= limits.max and high < 2**63:
        return values.astype(dtype)
    out = np.clip(values, limits.min, limits.max)
    top = values >= limits.max  # 2**64 - 1 is no float64
    found: NDArray[Any] = np.where(top, 0, out).astype(dtype)
    found[top] = limits.max
    return found
