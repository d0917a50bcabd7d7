"""A network of PyTorch that a user has trained: TorchScript, or weights and the function that makes it.

Knows what people can set; the network is loaded by `torch_loading`, run by `network_run`. Imports
nothing heavy, so that parameters are listed without torch.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from seamlabel.backends.fields import BatchSize, Device, MinSize, check_device
from seamlabel.backends.maps import Boundary, Channel, Diameter, Level, Objects, Output
from seamlabel.backends.network_run import NetworkSegmenter
from seamlabel.backends.normalising import Scaling
from seamlabel.backends.patches import Patches
from seamlabel.errors import BackendError
from seamlabel.functions import is_target

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from seamlabel.protocols import Image, SegmentContext

_SIDES = re.compile(r"\s*|\d+(\s*[,x]\s*\d+)*")


@dataclass(frozen=True)
class TorchParams:
    """Parameters of the torch backend.

    Parameters
    ----------
    model : str
        File of a network in TorchScript (``torch.jit.trace(…).save``), or of its weights
        (``torch.save(net.state_dict(), …)``, or a checkpoint that holds them).
    network : str
        For weights: ``"file.py:function"`` or ``"module:function"`` that returns the network.
        It takes (batch, channels, [z,] y, x) and returns (batch, outputs, [z,] y, x); of several
        results the first one counts.
    output, channel, boundary, threshold
        What objects are made of; see `seamlabel.backends.maps.Objects`.
    activation : {"none", "sigmoid", "softmax"}
        What makes probabilities of the output.
    normalise : {"percentiles", "mean and deviation", "none"}
        How pixels are scaled, by statistics of each channel of the whole image.
    low, high : float
        Percentiles that become 0 and 1.
    diameter : float
        Typical diameter of an object in voxels of the finest axis.
    align : int
        Product of the network's poolings, in voxels: sides that it gets are multiples, and tiles
        start at multiples, so that it pools the same voxels in all tiles.
    patch : str
        Sides of pieces that a tile is cut into for the network, in voxels: ``"256"`` or
        ``"16,256,256"``; empty: a tile is one piece.
    halo : int
        Voxels at the edges of a piece whose answers are not used: at least what the network sees. A
        quarter of the side along axes where a piece is thinner than four times that; none where it is
        as thin as the pooling.
    batch_size : int
        Pieces that the network gets at once.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    half : bool
        Compute with 16 bits (float16, on CPUs bfloat16): faster on GPUs, a little less exact.
    min_size : int
        Objects of fewer voxels are removed, after tiles are joined.

    Raises
    ------
    ValueError
        If the model, the network, the device or the patch cannot be meant so, or `low` is not below `high`.
    """

    model: Annotated[
        str,
        {
            "path": "file",
            "label": "Model",
            "tooltip": "File of a TorchScript network, or of weights (then name the network, too)",
        },
    ]
    network: Annotated[
        str,
        {
            "label": "Network",
            "tooltip": "For weights: file.py:function or module:function that returns the network",
        },
    ] = ""
    output: Output = "foreground"
    activation: Annotated[
        Literal["none", "sigmoid", "softmax"],
        {
            "label": "Activation",
            "tooltip": "What makes probabilities of the output; none if it has them",
            "when": {"output": ("foreground", "foreground and boundary")},
        },
    ] = "none"
    channel: Channel = 0
    boundary: Boundary = 1
    threshold: Level = 0.5
    normalise: Annotated[
        Literal["percentiles", "mean and deviation", "none"],
        {
            "label": "Normalise",
            "tooltip": "How pixels were scaled in training; here by statistics of the whole image",
        },
    ] = "percentiles"
    low: Annotated[
        float,
        {
            "label": "Dark percentile",
            "tooltip": "Percentile of the whole image that becomes 0 for the network",
            "min": 0.0,
            "max": 100.0,
            "unit": "%",
            "when": {"normalise": ("percentiles",)},
        },
    ] = 1.0
    high: Annotated[
        float,
        {
            "label": "Bright percentile",
            "tooltip": "Percentile of the whole image that becomes 1 for the network",
            "min": 0.0,
            "max": 100.0,
            "unit": "%",
            "when": {"normalise": ("percentiles",)},
        },
    ] = 99.8
    diameter: Diameter = 30.0
    align: Annotated[
        int,
        {
            "label": "Pooling",
            "tooltip": "Product of the network's poolings (16 for a U-Net with 4): sides are multiples of it",
            "min": 1,
            "max": 1024,
            "unit": "voxels",
        },
    ] = 16
    patch: Annotated[
        str,
        {
            "advanced": True,
            "label": "Patch",
            "tooltip": "Sides of the pieces the network gets, in voxels: 256 or 16,256,256; empty: all",
        },
    ] = ""
    halo: Annotated[
        int,
        {
            "advanced": True,
            "label": "Halo",
            "tooltip": "Edge of a patch whose answers are not used: how far the network sees",
            "min": 0,
            "max": 4096,
            "unit": "voxels",
        },
    ] = 32
    batch_size: BatchSize = 4
    device: Device = "auto"
    half: Annotated[
        bool,
        {
            "advanced": True,
            "label": "Half precision",
            "tooltip": "Compute with 16 bits: faster on GPUs, a little less exact",
        },
    ] = False
    min_size: MinSize = 0

    def __post_init__(self) -> None:
        """Check what an annotation cannot say."""
        if not self.model.strip():
            msg = "no model is named: give the file of a network in TorchScript, or of weights"
            raise ValueError(msg)
        if self.network and not is_target(self.network):
            msg = f"network {self.network!r} is neither 'module:function' nor 'file.py:function'"
            raise ValueError(msg)
        check_device(self.device)
        if not self.low < self.high:
            msg = f"the dark percentile {self.low:g} is not below the bright one {self.high:g}"
            raise ValueError(msg)
        if not _SIDES.fullmatch(self.patch):
            msg = f"patch {self.patch!r} is no side in voxels, such as 256, nor several, such as 16,256,256"
            raise ValueError(msg)
        if wrong := [side for side in self.sides if side % self.align or not side]:
            msg = f"a patch of {wrong[0]} voxels is no multiple of the pooling {self.align}"
            raise ValueError(msg)
        if self.sides and max(self.sides) < 4 * self.halo:
            msg = f"a patch of {self.patch} voxels is shorter than four times the halo {self.halo}"
            raise ValueError(msg)

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides of a patch, one for all axes or one each; none for whole tiles."""
        return tuple(int(side) for side in re.findall(r"\d+", self.patch))

    @property
    def files(self) -> tuple[str, ...]:
        """The model, and the file of the network's function: a run does not go on with others."""
        code = self.network.rpartition(":")[0]
        given = [self.model, *([code] if code.endswith(".py") else [])]
        return tuple(os.path.expanduser(path) for path in given)


def make(params: TorchParams, context: SegmentContext) -> NetworkSegmenter:
    """Return the segmenter; the network is loaded, and was tried on a little noise.

    Raises
    ------
    BackendError
        If the model is missing or is none, does not take these axes and channels, or answers with
        something else than was said; or there is no such device.
    """
    return _tried(params, context, labels=True)


def make_maps(params: TorchParams, context: SegmentContext) -> Callable[[Image], NDArray[np.float32]]:
    """Return what predicts: the network's answers after the activation, (outputs, *space).

    Raises
    ------
    BackendError
        As `make`, but for what objects need of the answers.
    """
    return _tried(params, context, labels=False).values


def _tried(params: TorchParams, context: SegmentContext, labels: bool) -> NetworkSegmenter:
    from seamlabel.backends.torch_loading import load  # needs torch

    ndim, count = len(context.axes), len(context.channels) or 1
    network = load(params)
    segmenter = NetworkSegmenter(
        network, _scaling(params, context, count), _patches(params, ndim), Objects.of(params, context)
    )
    segmenter.try_out(count, labels)
    return segmenter


def _patches(params: TorchParams, ndim: int) -> Patches:
    """Return how tiles are cut."""
    step, sides = (params.align,) * ndim, params.sides * (ndim if len(params.sides) == 1 else 1)
    if sides and len(sides) != ndim:
        msg = f"patch {params.patch} has {len(sides)} sides, and the tiles have {ndim} axes"
        raise BackendError(msg, "Give one side for all axes, or one for each")
    halos = (min(params.halo, side // 4, (side - params.align) // 2) for side in sides)  # leaves a middle
    return Patches(step, step, sides or None, tuple(halos))


def _scaling(params: TorchParams, context: SegmentContext, count: int) -> Scaling:
    """Return how pixels are normalised."""
    if params.normalise == "none":
        return Scaling((0.0,) * count, (1.0,) * count)
    channels = [context.statistics(i) for i in range(count)]
    if params.normalise == "mean and deviation":
        return Scaling.standard(channels)
    return Scaling.between([(one.percentile(params.low), one.percentile(params.high)) for one in channels])
