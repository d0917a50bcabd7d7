"""Cellpose on one tile: pixels to flows by the network, flows to labels by Cellpose's dynamics.

Flows are what a map of Cellpose shows; labels can be made of such a map, too.

Called from several threads: networks take turns, labels are made meanwhile. Knows nothing of where
the tile lies.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from cellpose import dynamics

from seamlabel.backends.cellpose_grid import BLOCK, Pieces, Zoom, blocks
from seamlabel.backends.torch_parts import BatchSize
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.backends.cellpose import CellposeParams
    from seamlabel.backends.cellpose_model import Network
    from seamlabel.protocols import Image, Labels, SegmentContext

_STEPS = 200
"""Steps along the flows of objects that have the size the network knows."""
_ORDERS = ((0, 1, 2), (1, 0, 2), (2, 0, 1))
"""Axes of a volume as planes yx of z, zx of y, zy of x: which is looked along, and the two of a plane."""


class CellposeSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x), with a leading channel axis if there are several.

    Parameters
    ----------
    params : CellposeParams
        Parameters.
    network : Network
        What is run.
    limits : sequence of (float, float)
        Values of each channel that become 0 and 1.
    voxels : tuple of int
        Voxels per space axis that are scaled to `BLOCK` pixels of the network.
    """

    def __init__(
        self,
        params: CellposeParams,
        network: Network,
        limits: list[tuple[float, float]],
        voxels: tuple[int, ...],
    ) -> None:
        self.params, self.network, self.limits = params, network, limits
        self.zoom = Zoom(voxels)
        self.pieces = Pieces(network.size, network.step, network.fixed)
        self.niter = params.niter or max(1, round(_STEPS * voxels[-1] / BLOCK))
        self.batch = BatchSize(params.batch_size, network.device)
        self._turn = threading.Lock()

    @classmethod
    def of(cls, params: CellposeParams, network: Network, context: SegmentContext) -> CellposeSegmenter:
        """Return the segmenter of an image.

        Raises
        ------
        BackendError
            If the image has neither two nor three space axes.
        """
        if len(context.axes) not in (2, 3):
            msg = f"Cellpose segments axes y, x or z, y, x, not {', '.join(context.axes)}"
            raise BackendError(msg, "Choose another method")
        zoom = network.mean / (params.diameter or network.usual)
        voxels = [blocks(zoom)] * 2
        if len(context.axes) == 3:
            voxels.insert(0, blocks(zoom * (params.anisotropy or _anisotropy(context.scale))))
        values = [context.statistics(i) for i in range(len(context.channels) or 1)]
        limits = [(value.percentile(params.low), value.percentile(params.high)) for value in values]
        return cls(params, network, limits, tuple(voxels))

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the tile's shape."""
        return self._labels(self.flows(image))

    def flows(self, image: Image) -> NDArray[np.float32]:
        """Return what the network says of a tile, float32 (axes + 1, *space).

        Flows along the axes, in their order, then the logit of the probability that a voxel belongs to
        an object. Flows point towards the middle of the object and have a length of about 5, whatever
        its size: as `CellposeModel.eval` does, they are scaled back to the tile's voxels as an image is,
        and their values stay. Those of a volume are sums over planes along all axes: of two for each
        flow, of three for the logit.
        """
        ndim = len(self.zoom.voxels)
        planes = self._normalised(image if image.ndim > ndim else image[None])
        space = planes.shape[1:]
        pixels = self.zoom.pixels(planes)
        with self._turn:  # the network of the next tile runs while labels are made of this one
            found = self._volume(pixels) if ndim == 3 else self._run(pixels[None])[0]
        return self.zoom.voxel_values(found, space)

    def _normalised(self, image: Image) -> NDArray[np.float32]:
        """Return channels scaled by the whole image's percentiles, filled up to what the network takes."""
        planes = np.zeros((self.network.channels, *image.shape[1:]), np.float32)
        for plane, channel, (low, high) in zip(planes, image, self.limits, strict=False):
            if high > low:
                np.subtract(channel, low, out=plane, casting="unsafe")
                plane /= high - low
                np.nan_to_num(plane, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        return planes

    def _volume(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return flows along z, y and x and the logit, (4, z, y, x): sums over planes of all directions."""
        flows = np.zeros((4, *pixels.shape[1:]), np.float32)
        for order in _ORDERS:
            planes = pixels.transpose(order[0] + 1, 0, order[1] + 1, order[2] + 1)
            found = self._run(planes).transpose(1, 0, 2, 3)  # flows along a plane's axes, and the logit
            for axis, part in zip((order[1], order[2], 3), found, strict=True):
                flows[axis] += part.transpose(np.argsort(order))
        return flows

    def _run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's answers, (planes, 3, y, x), of (planes, channels, y, x)."""
        return self.pieces.apply(
            lambda pieces: self.batch.run(self.network, pieces), planes, lambda: self.batch.size
        )

    def _labels(self, flows: NDArray[np.float32]) -> Labels:
        """Return labels of flows and logit, (axes + 1, *space)."""
        device = self.network.device
        if device.type == "mps" and len(flows) == 4:
            device = torch.device("cpu")  # Cellpose's dynamics have no volumes there
        try:
            return self._follow(flows, device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        return self._follow(flows, torch.device("cpu"))

    def _follow(self, flows: NDArray[np.float32], device: torch.device) -> Labels:
        """Return labels, with what the parameters say of objects."""
        params = self.params
        return labels_of_flows(
            flows,
            cellprob_threshold=params.cellprob_threshold,
            flow_threshold=params.flow_threshold,
            niter=self.niter,
            min_size=params.min_size,
            device=device,
        )


class CellposeMaps:
    """Predicts the flows and the logit of tiles, as `CellposeSegmenter` has them, and names them."""

    def __init__(self, segmenter: CellposeSegmenter) -> None:
        self.segmenter = segmenter
        axes = "zyx"[-len(segmenter.zoom.voxels) :]
        self.outputs = (*(f"flow {axis}" for axis in axes), "cell probability")

    def __call__(self, image: Image, /) -> NDArray[np.float32]:
        """Return float32 (axes + 1, *space)."""
        return self.segmenter.flows(image)


def labels_of_flows(
    flows: NDArray[np.float32],
    *,
    cellprob_threshold: float = 0.0,
    flow_threshold: float = 0.4,
    niter: int = _STEPS,
    min_size: int = 0,
    device: Any = "cpu",
) -> Labels:
    """Return labels of flows by Cellpose's own dynamics, without the network.

    Of a map that `seamlabel.blend` made with Cellpose these are the labels that Cellpose gives: as
    ``--function seamlabel.backends.cellpose_run:labels_of_flows``, with other thresholds in no time.

    Parameters
    ----------
    flows : array, (axes + 1, *space)
        Flows along y, x or z, y, x, and the logit of the cell probability.
    cellprob_threshold, flow_threshold, min_size
        As `seamlabel.backends.cellpose.CellposeParams` has them.
    niter : int
        Steps along the flows: more for objects larger than those that the model was trained on.
    device : str or torch.device
        Where flows are followed.

    Returns
    -------
    array
        int32, of the space shape; no object is removed for its share of the tile.

    Raises
    ------
    BackendError
        If these are not the channels of such a map.
    """
    if flows.ndim not in (3, 4) or len(flows) != flows.ndim:
        msg = f"{flows.shape} are no flows of y, x or z, y, x and a probability"
        raise BackendError(msg, "Choose all channels of a map of Cellpose, in their order: channels 0,1,2")
    found = dynamics.resize_and_compute_masks(
        flows[:-1],
        flows[-1],
        niter=niter,
        cellprob_threshold=cellprob_threshold,
        flow_threshold=flow_threshold,
        do_3D=len(flows) == 4,
        min_size=min_size,
        max_size_fraction=1.0,
        device=torch.device(device),
    )
    labels: Labels = found.astype(np.int32)
    return labels


def _anisotropy(scale: tuple[float, ...]) -> float:
    """Return the extent of a voxel along z over the mean of those along y and x."""
    across = sum(scale[1:3]) / 2 if len(scale) == 3 else 0.0
    return scale[0] / across if across > 0 and scale[0] > 0 else 1.0
