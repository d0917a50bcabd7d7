"""The network of the installed Cellpose: its weights found and checked, loaded, and called one way.

The only place that knows how Cellpose 3 and 4 differ. Nothing here knows tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from cellpose import models

from seamlabel.backends.torch_parts import find_device, read_weights, share_cores
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seamlabel.backends.cellpose import CellposeParams

_THREE = "cyto3" in models.MODEL_NAMES
"""Cellpose 3; 4 has other models."""
_INSTALLED = "Cellpose 3" if _THREE else "Cellpose 4"
_SIZES = {"sam": (256, 224), "dino": (384, 320), "cp3": (224, 192)}
"""Side of what the networks take, and how far one piece lies from the next (an eighth overlaps)."""
_OWN = {"diam_mean", "diam_labels"}
"""Not in the first models of Cellpose, which have its defaults."""


@dataclass(frozen=True)
class Network:
    """A network that is loaded.

    Parameters
    ----------
    net : torch.nn.Module
        Returns flows along y and x, and the logit of the probability, as the last three channels.
    device : torch.device
        Where it is.
    dtype : torch.dtype
        What it computes with.
    channels : int
        Channels that it takes.
    size, step : int
        Side in pixels of the pieces that it takes, and from one to the next.
    fixed : bool
        Whether it takes no smaller ones.
    mean : float
        Diameter of the objects that it knows, in pixels of the network.
    usual : float
        Diameter of objects in voxels where nobody says.
    """

    net: Any
    device: torch.device
    dtype: torch.dtype
    channels: int
    size: int
    step: int
    fixed: bool
    mean: float
    usual: float

    def __call__(self, pieces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return flows along y and x and the logit, (pieces, 3, y, x), of (pieces, channels, y, x)."""
        with torch.inference_mode():
            found = self.net(torch.from_numpy(pieces).to(self.device, self.dtype))[0]
        answer: NDArray[np.float32] = found[:, -3:].float().cpu().numpy()
        return answer


def load(params: CellposeParams, channels: int) -> Network:
    """Return the network that the parameters name.

    Parameters
    ----------
    params : CellposeParams
        Model, device, and whether to download.
    channels : int
        How many channels the run has.

    Raises
    ------
    BackendError
        If weights or device are missing, or the weights are none of the installed Cellpose.
    """
    device = find_device(params.device)
    path = find_weights(params.model, params.download)
    state = read_weights(path, "Give a model of Cellpose")
    takes = _check(state, path)
    if channels > takes:
        msg = f"the model {path.name} takes {takes} channels, not {channels}"
        raise BackendError(msg, f"Choose {takes} or fewer")
    share_cores()
    return _three(path, state, device, takes) if _THREE else _four(path, state, device)


def find_weights(model: str, download: bool) -> Path:
    """Return the file of a model's weights; nothing is downloaded unless `download` says so.

    Raises
    ------
    BackendError
        If it is not there; the hint says where it was looked for, and how to get it.
    """
    given = Path(model).expanduser()
    if model and given.is_file():
        return given
    if given.name != model and model:
        raise BackendError(f"there is no model {given}", "Give the path of a file of weights")
    name = model or (models.MODEL_NAMES[0])
    place = Path(models.MODEL_DIR) / _file_name(name)
    if place.is_file():
        return place
    if name not in models.MODEL_NAMES:
        known = ", ".join(models.MODEL_NAMES)
        msg = f"{_INSTALLED} has no model '{name}', and there is none in {place.parent}"
        raise BackendError(msg, f"Give the path of a file of weights, or one of {known}")
    if not download:
        url = f"{models._MODEL_URL.rstrip('/')}/{place.name}"
        msg = f"the weights of '{name}' are not here: {place} was looked for"
        fix = f"Set download=true to let Cellpose fetch them, or: curl -L --create-dirs -o '{place}' {url}"
        raise BackendError(msg, fix)
    try:
        return Path(models.cache_model_path(place.name))
    except OSError as error:
        msg = f"the weights of '{name}' could not be downloaded: {error}"
        raise BackendError(msg, f"Put the file at {place}") from error


def _file_name(name: str) -> str:
    """Return the file of a named model; the oldest ones say by what they were trained."""
    return f"{name}torch_0" if _THREE and name in {"cyto", "cyto2", "nuclei"} else name


def _check(state: dict[str, torch.Tensor], path: Path) -> int:
    """Return how many channels the weights take; raise if they are none of the installed Cellpose."""
    three, four = "output.2.weight" in state, "W2" in state
    if not three and not four:
        fix = f"Give one that {_INSTALLED} has, or that you trained with it"
        raise BackendError(f"{path} is no model of Cellpose", fix)
    if three != _THREE:
        made, wanted = ("4", ">=4") if four else ("3", "<4")
        msg = f"{path} is a model for Cellpose {made}, {_INSTALLED} is installed"
        raise BackendError(msg, f'Choose another model, or: pip install "cellpose{wanted}"')
    outputs = state["output.2.weight"].shape[0] if three else state["W2"].shape[1]
    if outputs != 3:
        raise BackendError(f"{path} has {outputs} outputs, not 3", "Give a model that segments")
    first = state.get("downsample.down.res_down_0.conv.conv_0.0.weight")
    return 3 if first is None else int(first.shape[0])


def _three(path: Path, state: dict[str, torch.Tensor], device: torch.device, channels: int) -> Network:
    """Return a network of Cellpose 3; it says by itself which diameters it knows."""
    try:
        model = models.CellposeModel(
            pretrained_model=str(path), device=device, nchan=channels, mkldnn=False, gpu=device.type != "cpu"
        )
    except RuntimeError as error:
        raise _misfit(path) from error
    net = _whole(model.net, state, path)
    size, step = _SIZES["cp3"]
    mean, usual = float(model.diam_mean), float(model.diam_labels)
    return Network(net, device, torch.float32, channels, size, step, False, mean, usual)


def _four(path: Path, state: dict[str, torch.Tensor], device: torch.device) -> Network:
    """Return a network of Cellpose 4; half as many bits on GPUs, as Cellpose has it."""
    dino = "encoder.cls_token" in state
    if dino and not hasattr(models, "CPDINO"):
        msg = f"{path} is a CPDINO model, which needs the package dinov3"
        raise BackendError(msg, "Install it as Cellpose's documentation says, or choose cpsam")
    half = device.type == "cuda"
    try:
        model = models.CellposeModel(
            pretrained_model=str(path), device=device, use_bfloat16=half, gpu=device.type != "cpu"
        )
    except (RuntimeError, ValueError) as error:
        raise _misfit(path) from error
    net = _whole(model.net, state, path)
    size, step = _SIZES["dino" if dino else "sam"]
    dtype = torch.bfloat16 if half else torch.float32
    return Network(net, device, dtype, 3, size, step, True, 30.0, 30.0)


def _whole(net: Any, state: dict[str, torch.Tensor], path: Path) -> Any:
    """Return the network, ready to run; Cellpose leaves at random what a file does not hold."""
    wanted = {name: value.shape for name, value in net.state_dict().items() if name not in _OWN}
    if any(name not in state or state[name].shape != shape for name, shape in wanted.items()):
        raise _misfit(path)
    return net.eval()


def _misfit(path: Path) -> BackendError:
    fix = f"Train it with the network that {_INSTALLED} has by default"
    return BackendError(f"the weights in {path} do not fit the network of {_INSTALLED}", fix)
