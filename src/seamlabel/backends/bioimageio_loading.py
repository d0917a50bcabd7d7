"""Loads the network of a BioImage.IO model, and runs it as its record says, on tiles that agree.

What a record takes of each image by itself (percentiles, mean, deviation) is taken of the whole image
here, once for all tiles. Code that comes with a model runs only if it is trusted.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from bioimageio.core import Sample, Tensor
from bioimageio.core.backends import create_model_adapter
from bioimageio.core.proc_setup import get_requried_measures, setup_pre_and_postprocessing

from seamlabel.backends.normalising import joint_percentiles
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.backends.bioimageio import BioimageioParams
    from seamlabel.backends.bioimageio_record import Record
    from seamlabel.protocols import Image, SegmentContext, Statistics

_FORMATS = {
    "torchscript": "torch",
    "onnx": "onnxruntime",
    "pytorch_state_dict": "torch",
    "keras_v3": "keras",
    "keras_hdf5": "keras",
    "tensorflow_saved_model_bundle": "tensorflow",
}
"""What runs which, in the order in which they are tried."""
_HARMLESS = ("torchscript", "onnx")
"""Formats that bring no Python code."""


class ModelNetwork:
    """A model's network with what its record has done before and after.

    Parameters
    ----------
    record : Record
        What it takes.
    adapter : ModelAdapter
        What runs it.
    post : list of callable
        What is done to its answers.
    stat : dict
        Statistics of the whole image.
    batch : int
        Pieces that it gets at once.
    """

    def __init__(
        self, record: Record, adapter: Any, post: list[Any], stat: dict[Any, Any], batch: int
    ) -> None:
        self.record, self.adapter, self.post, self.stat = record, adapter, post, stat
        self.name, self.batch = f"the model '{record.name}'", 1 if record.single else batch
        self._given, self._answer = record.description.inputs[0].id, record.description.outputs[0].id

    def __call__(self, pieces: NDArray[np.float32]) -> NDArray[Any]:
        """Return (pieces, outputs, *space) of (pieces, channels, *space).

        Raises
        ------
        BackendError
            If the network cannot take them.
        """
        axes = self.record.input_axes
        tensor = _tensor(pieces, axes, self.record.axes)
        try:
            found = self.adapter.forward({self._given: tensor})
        except Exception as error:  # of whatever library runs it
            if "memory" in str(error):
                raise MemoryError(str(error)) from error
            line = next((part for part in reversed(str(error).splitlines()) if part.strip()), "")
            msg = f"{self.name} does not take what its record says: {type(error).__name__}: {line[:300]}"
            raise BackendError(msg, "Check the model: bioimageio test MODEL") from error
        sample = Sample(members={self._answer: found[self._answer]}, stat=dict(self.stat), id=None)
        for step in self.post:
            step(sample)
        answer: NDArray[Any] = _channels_first(sample.members[self._answer], self.record.axes)
        return answer


def load(
    record: Record, params: BioimageioParams, context: SegmentContext
) -> tuple[ModelNetwork, Callable[[Image], NDArray[np.float32]]]:
    """Return a model's network, and what normalises tiles for it.

    Raises
    ------
    BackendError
        If nothing here runs it, it needs code that is not trusted, or its record takes statistics of
        its own answers.
    """
    kind = _format(record, params)
    stat = _statistics(record, context)
    steps = setup_pre_and_postprocessing(record.description, [], fixed_dataset_stats=stat)
    adapter = _adapter(record, kind, params.device)
    network = ModelNetwork(record, adapter, list(steps.post), stat, params.batch_size)
    return network, partial(_normalised, record, list(steps.pre), stat)


def _format(record: Record, params: BioimageioParams) -> str:
    """Return the format of weights that is taken."""
    brought = [kind for kind in _FORMATS if getattr(record.description.weights, kind, None) is not None]
    asked = brought if params.weights == "auto" else [kind for kind in brought if kind == params.weights]
    if not asked:
        msg = (
            f"the model '{record.name}' brings no weights as {params.weights.replace('auto', 'any of these')}"
        )
        raise BackendError(msg, f"It has: {', '.join(brought) or 'none that is known'}")
    here = [kind for kind in asked if find_spec(_FORMATS[kind])]
    if not here:
        needed = sorted({_FORMATS[kind] for kind in asked})
        msg = f"the model '{record.name}' is run by {' or '.join(needed)}, not installed here"
        raise BackendError(msg, f"Install with: pip install {needed[0]}")
    processing = [*record.description.inputs[0].preprocessing, *record.description.outputs[0].postprocessing]
    coded = any(type(step).__name__ == "CustomProcessingDescr" for step in processing)
    safe = [kind for kind in here if kind in _HARMLESS and not coded]
    if not safe and not params.trust:
        msg = f"the model '{record.name}' ({here[0]}) comes with Python code, which would run here"
        raise BackendError(msg, "Look at it, and if you trust it, allow it: trust=true")
    return (safe or here)[0]


def _adapter(record: Record, kind: str, device: str) -> Any:
    devices = None
    if _FORMATS[kind] == "torch":
        from seamlabel.backends.torch_parts import find_device, share_cores

        devices = [str(find_device(device))]
        share_cores()
    try:
        return create_model_adapter(record.description, devices=devices, weight_format_priority_order=[kind])
    except Exception as error:  # noqa: BLE001 - of whatever library runs it
        parts = getattr(error, "exceptions", (error,))
        text = " ".join(str(parts[0]).split())[:300]
        msg = f"the weights of the model '{record.name}' cannot be loaded: {type(parts[0]).__name__}: {text}"
        raise BackendError(msg, "Check that the model is whole: bioimageio test MODEL") from None


def _normalised(record: Record, steps: list[Any], stat: dict[Any, Any], planes: Image) -> NDArray[np.float32]:
    """Return float32 pixels (channels, *space) as the record wants them; what is no number becomes 0."""
    given = record.description.inputs[0].id
    tensor = _tensor(planes[None].astype(np.float32), record.input_axes, record.axes)
    sample = Sample(members={given: tensor}, stat=dict(stat), id=None)
    for step in steps:
        step(sample)
    pixels = _channels_first(sample.members[given], record.axes)[0].astype(np.float32)
    out: NDArray[np.float32] = np.nan_to_num(pixels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return out


def _tensor(pieces: NDArray[Any], axes: Sequence[str], space: str) -> Tensor:
    """Return pieces (pieces, channels, *space) as a tensor with these axes."""
    tensor = Tensor(pieces, dims=("batch", "channel", *space))
    for axis in ("batch", "channel"):
        if axis not in axes:
            tensor = tensor[{axis: 0}]
    return tensor


def _channels_first(tensor: Any, space: str) -> NDArray[Any]:
    found: NDArray[Any] = tensor.transpose(("batch", "channel", *space)).to_numpy()
    return found


def _statistics(record: Record, context: SegmentContext) -> dict[Any, Any]:
    """Return what the record wants to know of the image, by measure, of the whole image.

    Raises
    ------
    BackendError
        If it wants to know something of the answers, which no tile has as a whole.
    """
    wanted = get_requried_measures(record.description)
    given = record.description.inputs[0].id
    measures = wanted.pre | wanted.post
    if any(measure.member_id != given for measure in measures):
        msg = f"the model '{record.name}' takes statistics of its answers, which differ from tile to tile"
        raise BackendError(msg, "Choose a model whose postprocessing does not scale by mean or percentile")
    channels = [context.statistics(i) for i in range(record.channels)] if measures else []
    return {measure: _value(measure, channels, record) for measure in measures}


def _value(measure: Any, channels: Sequence[Statistics], record: Record) -> Any:
    """Return a measure of all channels together, or of each."""
    axes = None if measure.axes is None else {str(axis) for axis in measure.axes}
    if axes is not None and not set(record.axes) <= axes:
        msg = f"the model '{record.name}' is normalised along {', '.join(sorted(axes))} only"
        raise BackendError(msg, "Choose a model that is normalised over whole images")
    if axes is None or "channel" in axes or "channel" not in record.input_axes:
        return _joint(measure, channels)
    return Tensor(np.array([_joint(measure, [one]) for one in channels], np.float32), dims=("channel",))


def _joint(measure: Any, channels: Sequence[Statistics]) -> float:
    if measure.name == "quantile":
        return joint_percentiles(channels, [100 * measure.q])[0]
    mean = float(np.mean([one.mean for one in channels]))
    if measure.name == "mean":
        return mean
    variance = float(np.mean([one.deviation**2 + one.mean**2 for one in channels])) - mean**2
    return max(0.0, variance) if measure.name == "var" else max(0.0, variance) ** 0.5
