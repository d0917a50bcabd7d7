"""Parameters that several built-in backends share, with their labels, tooltips, ranges and units."""

from __future__ import annotations

import re
from typing import Annotated, Literal

GLOBAL = ("otsu", "li", "triangle")
"""Methods that find one value for the whole image."""
LOCAL = ("local mean", "local gaussian")
"""Methods that compare a pixel with its surroundings instead of with one value."""

Method = Annotated[
    Literal["otsu", "li", "triangle", "local mean", "local gaussian"],
    {
        "label": "Threshold by",
        "tooltip": "Otsu, Li, triangle: one threshold for the whole image; local: the mean around each pixel",
    },
]
Value = Annotated[
    float | None,
    {
        "label": "Threshold",
        "tooltip": "Foreground lies above; auto: by the method, of the whole image",
        "min": -1e12,
        "max": 1e12,
        "unit": "grey values",
        "when": {"method": GLOBAL},
    },
]
Window = Annotated[
    int,
    {
        "label": "Window",
        "tooltip": "Width of the surroundings of a pixel, for the local methods",
        "min": 3,
        "max": 999,
        "unit": "voxels",
        "when": {"method": LOCAL},
    },
]
Offset = Annotated[
    float,
    {
        "label": "Offset",
        "tooltip": "How much a pixel must differ from its surroundings, for the local methods",
        "min": -1e9,
        "max": 1e9,
        "unit": "grey values",
        "when": {"method": LOCAL},
    },
]
Smoothing = Annotated[
    float,
    {
        "label": "Smoothing",
        "tooltip": "Gaussian blur before the threshold; 0 for none",
        "min": 0.0,
        "max": 100.0,
        "unit": "voxels",
    },
]
Background = Annotated[
    float,
    {
        "label": "Background",
        "tooltip": "Radius of a top-hat that removes what is larger than objects; 0 for none",
        "min": 0.0,
        "max": 1000.0,
        "unit": "voxels",
    },
]
Dark = Annotated[bool, {"label": "Dark objects", "tooltip": "Objects are darker than the background"}]
MinSize = Annotated[
    int,
    {
        "label": "Minimum size",
        "labels": True,
        "tooltip": "Objects of fewer voxels are removed",
        "min": 0,
        "max": 10**9,
        "unit": "voxels",
    },
]
Device = Annotated[
    str,
    {
        "advanced": True,
        "label": "Device",
        "tooltip": "auto (a GPU if there is one), cpu, cuda, cuda:1 or mps",
    },
]
BatchSize = Annotated[
    int,
    {
        "advanced": True,
        "label": "Batch size",
        "tooltip": "Pieces of a tile that the network gets at once; halved where GPU memory runs out",
        "min": 1,
        "max": 4096,
        "unit": "pieces",
    },
]
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_device(device: str) -> None:
    """Raise ValueError for a device that cannot be."""
    if not _DEVICE.fullmatch(device):
        msg = f"device {device!r} is none of auto, cpu, cuda, cuda:1, mps"
        raise ValueError(msg)
