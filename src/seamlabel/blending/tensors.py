"""numpy in, numpy out; torch in, torch out. torch is never imported: whoever hands a tensor has done it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_numpy(value: Any) -> Any:
    """Return a tensor's values, shared with it where it can be; anything else as numpy has it.

    Types that numpy lacks, such as bfloat16, become float32.
    """
    if not is_tensor(value):
        return np.asarray(value)
    held = value.detach().cpu()
    return held.float().numpy() if str(held.dtype) == "torch.bfloat16" else held.numpy()


def alike(array: Any, model: Any) -> Any:
    """Return an array of numpy as what `model` is: a tensor on its device, or the array itself."""
    if not is_tensor(model):
        return array
    found = sys.modules["torch"].from_numpy(np.ascontiguousarray(array))
    return found.to(model.device)


def in_use(array: Any) -> Any:
    """Return an array as a tensor where torch is imported, for what is made of no array at all."""
    torch = sys.modules.get("torch")
    return array if torch is None else torch.from_numpy(np.ascontiguousarray(array))
