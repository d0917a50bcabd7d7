"""Cellpose 3.1 and 4, whichever is installed: parameters, and how its parts are put together.

Knows what people can set; the network is loaded by `cellpose_model`, tiles are segmented by
`cellpose_run`. Imports nothing heavy, so that parameters are listed without Cellpose.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from seamlabel.backends.cellpose_grid import BLOCK, blocks
from seamlabel.backends.fields import BatchSize, Device, MinSize, check_device

if TYPE_CHECKING:
    from seamlabel.backends.cellpose_run import CellposeMaps, CellposeSegmenter
    from seamlabel.protocols import SegmentContext

_USUAL = 30.0
"""Diameter, in pixels of the network, of the objects that Cellpose's models are trained on."""
_NUCLEI = 17.0
"""The same for its models of nuclei."""


@dataclass(frozen=True)
class CellposeParams:
    """Parameters of the Cellpose backend (Stringer et al., Nat Methods 18:100, 2021; 22:592, 2025).

    One to three channels of the image are taken, in the order in which the run chooses them.
    Cellpose 3 segments the first one, and takes a second as its nuclei; Cellpose 4 takes up to three
    in any order. Images z, y, x are segmented in 3D from the flows of their planes along all three
    axes; ask the run for `planes` to have planes segmented one by one.

    Parameters
    ----------
    model : str
        Name of a model of Cellpose, or path of a file of weights that you trained; "" is the model
        that the installed version takes by itself: ``cyto3`` or ``cpsam``.
    diameter : float or None
        Typical diameter of an object in voxels along y and x; objects are scaled to the size that
        the model was trained on. None: the diameter that is written in the model.
    flow_threshold : float
        Objects whose flows differ more from the network's are removed; 0 keeps all. Not in 3D.
    cellprob_threshold : float
        Pixels above it belong to objects; less finds more.
    min_size : int
        Objects of fewer voxels are removed, after tiles are joined.
    niter : int or None
        Steps along the flows; None: 200, more for objects larger than those of the model.
    anisotropy : float or None
        Extent of a voxel along z over that along y and x; None: from the image's scale.
    low, high : float
        Percentiles of each channel of the whole image that become 0 and 1.
    batch_size : int
        Pieces of a tile that the network gets at once.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    download : bool
        Whether Cellpose may fetch the weights of a named model that are not here.

    Raises
    ------
    ValueError
        If the device is none of these, or `low` is not below `high`.
    """

    model: Annotated[
        str,
        {
            "path": "file",
            "label": "Model",
            "tooltip": "Name such as cyto3 or cpsam, or path of your own model; empty: Cellpose's default",
        },
    ] = ""
    diameter: Annotated[
        float | None,
        {
            "label": "Diameter",
            "tooltip": "Typical diameter of an object; auto: what the model was trained on",
            "min": 1.0,
            "max": 5000.0,
            "unit": "voxels",
        },
    ] = None
    flow_threshold: Annotated[
        float,
        {
            "label": "Flow threshold",
            "labels": True,
            "tooltip": "Objects with a larger flow error are removed; 0 keeps all. Not used in 3D",
            "min": 0.0,
            "max": 10.0,
            "unit": "",
        },
    ] = 0.4
    cellprob_threshold: Annotated[
        float,
        {
            "label": "Cell probability",
            "labels": True,
            "tooltip": "Threshold of the network's output (a logit): lower finds more and larger objects",
            "min": -20.0,
            "max": 20.0,
            "unit": "",
        },
    ] = 0.0
    min_size: MinSize = 15
    niter: Annotated[
        int | None,
        {
            "advanced": True,
            "label": "Iterations",
            "labels": True,
            "tooltip": "Steps along the flows, more for long objects; auto: from the diameter",
            "min": 1,
            "max": 100_000,
            "unit": "steps",
        },
    ] = None
    anisotropy: Annotated[
        float | None,
        {
            "advanced": True,
            "label": "Anisotropy",
            "tooltip": "In 3D: extent of a voxel along z over that along y and x; auto: the image's scale",
            "min": 0.01,
            "max": 100.0,
            "unit": "",
        },
    ] = None
    low: Annotated[
        float,
        {
            "advanced": True,
            "label": "Dark percentile",
            "tooltip": "Percentile of the whole image that becomes 0 for the network",
            "min": 0.0,
            "max": 100.0,
            "unit": "%",
        },
    ] = 1.0
    high: Annotated[
        float,
        {
            "advanced": True,
            "label": "Bright percentile",
            "tooltip": "Percentile of the whole image that becomes 1 for the network",
            "min": 0.0,
            "max": 100.0,
            "unit": "%",
        },
    ] = 99.0
    batch_size: BatchSize = 8
    device: Device = "auto"
    download: Annotated[
        bool,
        {
            "label": "Download",
            "tooltip": "Let Cellpose fetch weights of a named model that are missing",
        },
    ] = False

    def __post_init__(self) -> None:
        """Check what an annotation cannot say."""
        check_device(self.device)
        if not self.low < self.high:
            msg = f"the dark percentile {self.low:g} is not below the bright one {self.high:g}"
            raise ValueError(msg)

    @property
    def usual_diameter(self) -> float:
        """Diameter of the objects that named models are trained on, in voxels, for "auto"."""
        return _NUCLEI if self.model.startswith("nuclei") else _USUAL

    @property
    def align(self) -> int:
        """Voxels that tiles start at multiples of, so that the network pools the same ones in all tiles.

        Right where `diameter` is given or the model's own is the usual one.
        """
        return blocks(self.usual_diameter / self.diameter) if self.diameter else BLOCK

    @property
    def files(self) -> tuple[str, ...]:
        """The file of a model that was given by its path."""
        path = os.path.expanduser(self.model)
        custom = bool(self.model) and (os.path.dirname(path) != "" or os.path.isfile(path))
        return (path,) if custom else ()


def make(params: CellposeParams, context: SegmentContext) -> CellposeSegmenter:
    """Return the segmenter; the network is loaded.

    Raises
    ------
    BackendError
        If the weights are missing or are no Cellpose model, the model takes fewer channels than were
        chosen, or there is no such device.
    """
    from seamlabel.backends.cellpose_model import load  # needs torch and cellpose
    from seamlabel.backends.cellpose_run import CellposeSegmenter

    return CellposeSegmenter.of(params, load(params, len(context.channels) or 1), context)


def make_maps(params: CellposeParams, context: SegmentContext) -> CellposeMaps:
    """Return what predicts flows along the axes and the logit of the cell probability, (axes + 1, *space).

    Raises
    ------
    BackendError
        As `make`.
    """
    segmenter = make(params, context)
    from seamlabel.backends.cellpose_run import CellposeMaps  # needs torch and cellpose

    return CellposeMaps(segmenter)
