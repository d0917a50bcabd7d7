"""Loads networks of PyTorch from files of a user's, and runs them.

Everything that can be wrong with a model is told here, as a `BackendError`, before any tile.
"""

from __future__ import annotations

import os
import re
import zipfile
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seamlabel.backends.torch_parts import BatchSize, find_device, read_weights, share_cores
from seamlabel.errors import BackendError
from seamlabel.functions import load_function

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seamlabel.backends.torch import TorchParams

_SAVE = "Save it as TorchScript: torch.jit.trace(net.eval(), example).save(PATH)"
_TAKES = re.compile(r"to have (\d+) channels, but got (\d+)")


class TorchNetwork:
    """A network on a device.

    Parameters
    ----------
    net : torch.nn.Module
        Takes (pieces, channels, *space), returns (pieces, outputs, *space), or several things of which
        this is the first.
    name : str
        For messages.
    device : torch.device
        Where it is.
    half : bool
        Compute with 16 bits.
    batch : int
        Pieces that it gets at once.
    """

    def __init__(self, net: Any, name: str, device: torch.device, half: bool, batch: int) -> None:
        self.net, self.name, self.device, self.half = net, name, device, half
        self.pieces = BatchSize(batch, device)

    @property
    def batch(self) -> int:
        """Pieces that it gets at once: less where memory did not hold them."""
        return self.pieces.size

    def __call__(self, pieces: NDArray[np.float32]) -> NDArray[Any]:
        """Return (pieces, outputs, *space) of (pieces, channels, *space), or of the first of them.

        Raises
        ------
        BackendError
            If the network cannot take them, or memory does not hold one.
        """
        return self.pieces.run(self._answer, pieces)

    def _answer(self, pieces: NDArray[np.float32]) -> NDArray[Any]:
        kind = torch.bfloat16 if self.device.type == "cpu" else torch.float16
        bits = torch.autocast(self.device.type, kind) if self.half else nullcontext()
        try:
            with torch.inference_mode(), bits:
                found = self.net(torch.from_numpy(pieces).to(self.device))
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise _unfit(self.name, pieces.shape, error) from error
        while isinstance(found, tuple | list | dict) and len(found):
            found = next(iter(found.values())) if isinstance(found, dict) else found[0]
        if not isinstance(found, torch.Tensor):
            msg = f"{self.name} answers with {type(found).__name__}, not with a tensor"
            raise BackendError(msg, "Have it return a tensor (batch, outputs, [z,] y, x), or that one first")
        answer: NDArray[Any] = (found.float() if found.is_floating_point() else found).cpu().numpy()
        return answer


def _unfit(name: str, shape: tuple[int, ...], error: Exception) -> Exception:
    """Return what to raise where a network refuses what it is given."""
    text = str(error)
    if "not enough memory" in text or "allocate memory" in text:
        return MemoryError(f"{name} needs more memory than there is for {shape}")
    if known := _TAKES.search(text):
        msg = f"{name} takes {known[1]} channel(s), {known[2]} are chosen"
        return BackendError(msg, f"Choose {known[1]} of the image's channels, or another model")
    line = next((part for part in reversed(text.splitlines()) if part.strip()), type(error).__name__)
    what = f"(batch, channels, {'z, y, x' if len(shape) == 5 else 'y, x'})"
    msg = f"{name} does not take {what} of shape {shape}: {line.strip()[:300]}"
    fix = "Check axes (plane by plane for 2D networks), channels and pooling against how it was trained"
    return BackendError(msg, fix)


def load(params: TorchParams) -> TorchNetwork:
    """Return the network that the parameters name, on its device; the last two of a process are kept.

    Raises
    ------
    BackendError
        If the file is missing or holds no network, weights do not fit, or there is no such device.
    """
    device, path = find_device(params.device), Path(params.model).expanduser()
    if not path.is_file():
        raise BackendError(
            f"there is no file {path}", "Give the path of a network in TorchScript, or of weights"
        )
    share_cores()
    code = Path(params.network.rpartition(":")[0]).expanduser()
    state = tuple(os.stat(file).st_mtime_ns for file in (path, code) if file.is_file())
    net = _load(path, params.network, device, state)
    return TorchNetwork(net, path.name, device, params.half, params.batch_size)


@lru_cache(maxsize=2)
def _load(path: Path, network: str, device: torch.device, _state: tuple[int, ...]) -> Any:
    """Return a network, loaded again where its files have changed."""
    inside = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if any(name.endswith("/archive_format") for name in inside):
        msg = f"{path} is an archive of torch.export, which can run code as it is loaded"
        raise BackendError(msg, _SAVE)
    if any(name.endswith("/constants.pkl") for name in inside):
        return _script(path, network, device)
    if not network:
        state = read_weights(path, _SAVE)
        msg = f"{path} holds weights of {len(state)} parts, and no network to put them into"
        raise BackendError(msg, "Name the function that makes it: network=file.py:function. Or s" + _SAVE[1:])
    return _filled(path, network).to(device).eval()


def _script(path: Path, network: str, device: torch.device) -> Any:
    if network:
        msg = f"{path} is a whole network in TorchScript, and 'network' names another one"
        raise BackendError(msg, "Leave 'network' empty, or give the file of weights")
    try:
        return torch.jit.load(path, map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        line = str(error).strip().splitlines()[0][:300]
        msg = f"the TorchScript network in {path} cannot be loaded: {line}"
        raise BackendError(
            msg, "Check that the file is whole; save it anew with this version of torch"
        ) from None


def _filled(path: Path, network: str) -> Any:
    """Return a network with the weights of a file."""
    state = read_weights(path, _SAVE)
    net = load_function(network, purpose="returns a network of torch")
    try:
        net = net()
    except Exception as error:  # code of theirs raises what it likes
        msg = f"{network} cannot make the network: {type(error).__name__}: {error}"
        raise BackendError(msg, "It is called without arguments, and returns a torch.nn.Module") from error
    if not isinstance(net, torch.nn.Module):
        msg = f"{network} returns {type(net).__name__}, not a torch.nn.Module"
        raise BackendError(msg, "It is called without arguments, and returns the network")
    names = net.state_dict().keys()
    if names and not names & state.keys():  # as Lightning saves it, the network is a part of something
        state = {name.partition(".")[2]: value for name, value in state.items()}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        parts = "; ".join(line.strip()[:160] for line in str(error).splitlines()[1:4])
        msg = f"the weights in {path} do not fit the network of {network}: {parts}"
        raise BackendError(msg, "Make the network as it was in training") from None
    return net
