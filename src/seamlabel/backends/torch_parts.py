"""What all networks of torch share: where they run, and weights that are read without running code.

Knows no network.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import torch

from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_NESTED = ("state_dict", "model_state_dict", "model")
"""Where checkpoints of training programs keep the weights, beside optimisers and counters."""


def find_device(name: str) -> torch.device:
    """Return the device of this name; "auto" is a GPU if there is one.

    Raises
    ------
    BackendError
        If there is no such device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (not cuda or (device.index or 0) >= torch.cuda.device_count()):
        found = f"{torch.cuda.device_count()} are here" if cuda else f"torch {torch.__version__} finds none"
        fix = "Choose the device 'auto' or 'cpu', or install the torch that fits your driver"
        raise BackendError(f"there is no GPU '{name}': {found}", fix)
    if device.type == "mps" and not mps:
        raise BackendError("there is no GPU 'mps': only Macs have it", "Choose the device 'auto' or 'cpu'")
    return device


def share_cores() -> None:
    """Have a worker process use one core, since there are as many of them as cores; unless told otherwise."""
    if parent_process() is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def read_weights(path: Path, fix: str) -> dict[str, torch.Tensor]:
    """Return the weights in a file, by name, read so that nothing in it can run.

    Parameters
    ----------
    path : Path
        What ``torch.save`` wrote: the weights, or a checkpoint that has them under ``state_dict``,
        ``model_state_dict`` or ``model``.
    fix : str
        What to give instead, where it holds no weights.

    Raises
    ------
    BackendError
        If it holds anything but weights, or cannot be read.
    """
    zipped = zipfile.is_zipfile(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if zipped:  # whole, but with something else than numbers in it
            msg = f"{path} holds more than weights, and could run code: it is not loaded"
            raise BackendError(msg, "Save the weights alone: torch.save(net.state_dict(), PATH)") from error
        raise BackendError(f"{path} is no file of weights", fix) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise BackendError(f"{path} is no file of weights", fix) from error
    if isinstance(state, dict):
        state = next((state[name] for name in _NESTED if isinstance(state.get(name), dict)), state)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BackendError(f"{path} holds no weights of a network", fix)
    return {name.removeprefix("module."): value for name, value in state.items()}


class BatchSize:
    """How many pieces a network gets at once: fewer from then on where the memory of a GPU runs out.

    Parameters
    ----------
    size : int
        To begin with.
    device : torch.device
        Whose memory it is.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.size, self.device = size, device

    def run(
        self, answer: Callable[[NDArray[np.float32]], NDArray[Any]], pieces: NDArray[np.float32]
    ) -> NDArray[Any]:
        """Return the answers to as many of the pieces, from the first on, as memory holds.

        Raises
        ------
        BackendError
            If it does not hold a single one.
        """
        while True:
            try:
                return answer(pieces[: self.size])
            except torch.OutOfMemoryError as error:
                if self.size == 1:
                    msg = f"the memory of {self.device} does not hold the network and one piece"
                    fix = (
                        "Choose smaller tiles, close other programs that use the GPU, or choose device 'cpu'"
                    )
                    raise BackendError(msg, fix) from error
                self.size = max(1, min(self.size, len(pieces)) // 2)
            torch.cuda.empty_cache()
