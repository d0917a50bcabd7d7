"""patchly's interface: `GridSampler` cuts patches of an image, `Aggregator` makes a map of predictions.

As its documents of both generations have it (0.0.2 to 0.0.19), over `PatchGrid` and `Blend`.
"""

from seamlabel.compat.patchly.aggregator import Aggregator
from seamlabel.compat.patchly.sampler import GridSampler, SamplingMode

__all__ = ["Aggregator", "GridSampler", "SamplingMode"]
