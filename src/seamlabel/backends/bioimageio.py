"""A model of the BioImage.IO Model Zoo, or of anybody who describes one in that way.

Axes, channels, normalisation and what the network takes at once come from the model's record (Ouyang
et al., BioImage Model Zoo, bioRxiv 2022.06.07.495102). Knows what people can set; the record is read
by `bioimageio_record`, the network loaded by `bioimageio_loading`. Imports nothing heavy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from seamlabel.backends.fields import BatchSize, Device, MinSize, check_device
from seamlabel.backends.maps import Boundary, Channel, Diameter, Level, Objects, Output
from seamlabel.backends.network_run import NetworkSegmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from seamlabel.backends.bioimageio_record import Record
    from seamlabel.protocols import Image, SegmentContext


@dataclass(frozen=True)
class BioimageioParams:
    """Parameters of the bioimageio backend.

    Parameters
    ----------
    model : str
        A model's zip file, its folder or ``bioimageio.yaml``; or, with `download`, the name, DOI or
        address of a published one, such as ``"affable-shark"``.
    output, channel, boundary, threshold
        What objects are made of; see `seamlabel.backends.maps.Objects`. Values are those after the
        record's postprocessing.
    diameter : float
        Typical diameter of an object in voxels of the finest axis.
    batch_size : int
        Pieces that the network gets at once, if it takes pieces of one size only.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    weights : str
        In which of the model's formats its weights are taken; ``"auto"``: the first that can be run
        here, those that bring no code before others.
    trust : bool
        Whether Python code that comes with the model may run.
    download : bool
        Whether a model that is not here may be fetched.
    min_size : int
        Objects of fewer voxels are removed, after tiles are joined.

    Raises
    ------
    ValueError
        If no model is named, or the device cannot be.
    """

    model: Annotated[
        str,
        {
            "path": "file",
            "label": "Model",
            "tooltip": "Zip file or folder of a model; or the name of a published one, with Download",
        },
    ]
    output: Output = "foreground"
    channel: Channel = 0
    boundary: Boundary = 1
    threshold: Level = 0.5
    diameter: Diameter = 30.0
    batch_size: BatchSize = 4
    device: Device = "auto"
    weights: Annotated[
        Literal[
            "auto",
            "torchscript",
            "onnx",
            "pytorch_state_dict",
            "keras_v3",
            "keras_hdf5",
            "tensorflow_saved_model_bundle",
        ],
        {
            "advanced": True,
            "label": "Weights",
            "tooltip": "Format of the weights, where a model brings several",
        },
    ] = "auto"
    trust: Annotated[
        bool,
        {
            "label": "Trust its code",
            "tooltip": "Let Python code that comes with the model run: look at it first",
        },
    ] = False
    download: Annotated[
        bool,
        {"label": "Download", "tooltip": "Let a model that is not on this computer be fetched"},
    ] = False
    min_size: MinSize = 0

    def __post_init__(self) -> None:
        """Check what an annotation cannot say."""
        if not self.model.strip():
            msg = "no model is named: give its zip file or folder, or the name of a published one"
            raise ValueError(msg)
        check_device(self.device)

    @property
    def align(self) -> int | tuple[int, ...]:
        """Voxels that tiles start at multiples of, from the record; 1 where there is none to be read yet."""
        record = self._record
        return record.patches.step if record else 1

    @property
    def n_channels(self) -> int | None:
        """How many channels it takes, from the record; None where there is none to be read yet."""
        record = self._record
        return record.channels if record else None

    @property
    def files(self) -> tuple[str, ...]:
        """The model's files: a run does not go on with others. Published ones never change."""
        from seamlabel.backends.bioimageio_record import files_of

        return tuple(str(path) for path in files_of(os.path.expanduser(self.model)))

    @property
    def _record(self) -> Record | None:
        """The record, if it is here and in order; what is wrong with it is told when it is made."""
        from seamlabel.backends.bioimageio_record import read_record
        from seamlabel.errors import BackendError

        try:
            return read_record(self.model, download=False)
        except (BackendError, ImportError):
            return None


def make(params: BioimageioParams, context: SegmentContext) -> NetworkSegmenter:
    """Return the segmenter; the network is loaded, and was tried on a little noise.

    Raises
    ------
    BackendError
        If the model is missing or is none, needs code that is not trusted, takes other axes or
        channels, or answers with something else than was said; or there is no such device.
    """
    return _tried(params, context, labels=True)


def make_maps(params: BioimageioParams, context: SegmentContext) -> Callable[[Image], NDArray[np.float32]]:
    """Return what predicts: what the model answers by its record, (outputs, *space).

    Raises
    ------
    BackendError
        As `make`, but for what objects need of the answers.
    """
    return _tried(params, context, labels=False).values


def _tried(params: BioimageioParams, context: SegmentContext, labels: bool) -> NetworkSegmenter:
    from seamlabel.backends.bioimageio_loading import load
    from seamlabel.backends.bioimageio_record import read_record

    record = read_record(params.model, download=params.download)
    record.check(context)
    network, normalise = load(record, params, context)
    segmenter = NetworkSegmenter(network, normalise, record.patches, Objects.of(params, context))
    segmenter.try_out(record.channels, labels)
    return segmenter
