"""Objects made of a network's answers: of probabilities, classes, boundaries, distances, or labels.

What is done looks at connected parts and their surroundings only, so that objects away from a cut do
not depend on what was cut off. Knows no network and no tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from seamlabel.backends.flood import flood, peaks, window_of
from seamlabel.backends.pixels import connected, cubes, drop_small, spacing_of
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seamlabel.protocols import Labels, SegmentContext

_CUT = ("foreground", "foreground and boundary", "distance")
_ONE = (*_CUT, "labels")
_SLACK = 1e-3
"""By how much a probability may leave 0 to 1 through rounding with few bits."""

Output = Annotated[
    Literal["foreground", "foreground and boundary", "classes", "distance", "labels"],
    {
        "label": "Output",
        "labels": True,
        "tooltip": "What the network says of a voxel: probability of foreground, and of a boundary; one "
        "score per class (0: background); distance to the background, which splits; or its label",
    },
]
Channel = Annotated[
    int,
    {
        "label": "Output channel",
        "labels": True,
        "tooltip": "Which of the network's output channels that is, counted from 0",
        "min": 0,
        "max": 9999,
        "unit": "",
        "when": {"output": _ONE},
    },
]
Boundary = Annotated[
    int,
    {
        "label": "Boundary channel",
        "labels": True,
        "tooltip": "Output channel of the boundary's probability, counted from 0",
        "min": 0,
        "max": 9999,
        "unit": "",
        "when": {"output": ("foreground and boundary",)},
    },
]
Level = Annotated[
    float,
    {
        "label": "Threshold",
        "labels": True,
        "tooltip": "Objects lie above it; in units of the network's output, 0 to 1 for a probability",
        "min": -1e9,
        "max": 1e9,
        "step": 0.05,
        "unit": "",
        "when": {"output": _CUT},
    },
]
Diameter = Annotated[
    float,
    {
        "label": "Diameter",
        "tooltip": "Typical diameter of an object: decides on the overlap, and on what 'distance' splits",
        "min": 2.0,
        "max": 5000.0,
        "unit": "voxels",
    },
]


@dataclass(frozen=True)
class Objects:
    """How objects are made of a network's answers.

    Parameters
    ----------
    output : {"foreground", "foreground and boundary", "classes", "distance", "labels"}
        What the answers mean. ``"foreground"``: connected voxels above the threshold are an object.
        ``"foreground and boundary"``: so are those whose foreground less boundary is above it; they then
        grow over all that is foreground. ``"classes"``: connected voxels of one class are an object,
        that of output channel 0 is background. ``"distance"``: voxels above the threshold are split
        between the maxima. ``"labels"``: the network numbers objects itself.
    activation : {"none", "sigmoid", "softmax"}
        What makes probabilities of the answers; softmax over the output channels.
    channel, boundary : int
        Output channels that are looked at.
    threshold : float
        After the activation.
    diameter : float
        Of a typical object, in voxels of the finest axis; only for ``"distance"``.
    min_size : int
        Objects of fewer voxels are removed.
    spacing : tuple of float
        Extent of a voxel per axis in units of the finest axis; empty for cubes.
    """

    output: str
    activation: str = "none"
    channel: int = 0
    boundary: int = 1
    threshold: float = 0.5
    diameter: float = 30.0
    min_size: int = 0
    spacing: tuple[float, ...] = ()

    @classmethod
    def of(cls, params: Any, context: SegmentContext) -> Objects:
        """Return what the parameters of a network's backend say."""
        return cls(
            output=params.output,
            activation=getattr(params, "activation", "none"),
            channel=params.channel,
            boundary=params.boundary,
            threshold=params.threshold,
            diameter=params.diameter,
            min_size=params.min_size,
            spacing=spacing_of(context),
        )

    def check(self, maps: NDArray[Any], name: str) -> None:
        """Look at answers to any pixels, before there is work.

        Parameters
        ----------
        maps : array
            Shape (outputs, *space), before the activation.
        name : str
            Of the network, for messages.

        Raises
        ------
        BackendError
            If there are too few output channels, or these are no probabilities or labels.
        """
        count = len(maps)
        wanted = {"classes": 1, "foreground and boundary": max(self.channel, self.boundary)}
        last = wanted.get(self.output, self.channel)
        if last >= count:
            msg = f"{name} has {count} output channel(s), and channel {last} is asked for (counted from 0)"
            raise BackendError(msg, "Choose another channel, or another kind of output")
        if self.output == "labels":
            _whole(maps[self.channel], name)
        if self.activation != "none" or not self.output.startswith("foreground"):
            return
        low, high = float(np.nanmin(maps)), float(np.nanmax(maps))
        if low < -_SLACK or high > 1 + _SLACK:
            msg = f"{name} answers with values from {low:.3g} to {high:.3g}, which are no probabilities"
            raise BackendError(msg, "Choose the activation sigmoid (or softmax), or another kind of output")

    def labels(self, maps: NDArray[Any]) -> Labels:
        """Return int32 labels, shape (z, y, x) or (y, x), of answers with a channel axis in front.

        Raises
        ------
        BackendError
            If the network is said to number objects, and there are fractions.
        """
        return drop_small(self._labels(maps), self.min_size)

    def _labels(self, maps: NDArray[Any]) -> Labels:
        if self.output == "labels":
            return _whole(maps[self.channel], "the network")
        if self.output == "classes":
            return _parts(np.argmax(np.nan_to_num(maps, nan=-np.inf), axis=0))
        values = np.nan_to_num(activated(maps, self.activation), nan=-np.inf)
        front = values[self.channel]
        mask = front > self.threshold
        if self.output == "foreground":
            return connected(mask)
        if self.output == "distance":
            window = window_of(self.diameter, cubes(self.spacing, mask.ndim))
            height = np.where(mask, front, np.float32(self.threshold))
            return flood(height, peaks(height, mask, window), mask)
        height = front - values[self.boundary]
        return flood(
            np.where(mask, height, np.float32(-1)), connected(mask & (height > self.threshold)), mask
        )


def activated(maps: NDArray[Any], activation: str) -> NDArray[np.float32]:
    """Return float32 probabilities of answers (outputs, *space)."""
    values = maps.astype(np.float32, copy=False)
    if activation == "none":
        return values
    if activation == "sigmoid":
        half: NDArray[np.float32] = 0.5 * (1 + np.tanh(0.5 * values))
        return half
    scores = np.exp(values - values.max(axis=0))  # no overflow
    out: NDArray[np.float32] = scores / scores.sum(axis=0)
    return out


def _parts(classes: NDArray[np.intp]) -> Labels:
    """Return labels of the connected voxels of each class but 0."""
    labels = np.zeros(classes.shape, np.int32)
    for kind in np.unique(classes[classes > 0]):
        found = connected(classes == kind)
        labels += np.where(found, found + labels.max(), 0).astype(np.int32)
    return labels


def _whole(labels: NDArray[Any], name: str) -> Labels:
    """Return labels as int32; raise if there are fractions or negative ones."""
    found: Labels = labels.astype(np.int32)
    if (found != labels).any() or found.min(initial=0) < 0:
        msg = f"{name} is said to number objects, and its output channel has fractions or negative values"
        raise BackendError(msg, "Choose another kind of output, such as foreground")
    return found
