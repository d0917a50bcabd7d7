"""A network on tiles, whatever library runs it: pixels normalised, answered, made into objects.

Called from several threads: networks take turns, objects are made meanwhile. Knows nothing of where
a tile lies.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from seamlabel.backends.maps import activated
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from seamlabel.backends.maps import Objects
    from seamlabel.backends.patches import Patches
    from seamlabel.protocols import Image, Labels

_PROBE = {1: 256, 2: 64, 3: 32}
"""Side of what a network is tried on."""


class Network(Protocol):
    """A network that is loaded."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def batch(self) -> int:
        """Pieces that it takes at once: fewer from then on where memory does not hold them."""
        ...

    def __call__(self, pieces: NDArray[np.float32]) -> NDArray[Any]:
        """Return (pieces, outputs, *space) of (pieces, channels, *space), or of the first of them."""
        ...


class NetworkSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x), with a leading channel axis if there are several.

    Parameters
    ----------
    network : Network
        What is run.
    normalise : callable
        Makes float32 (channels, *space) of the pixels with a channel axis, the same in all tiles.
    patches : Patches
        How tiles are cut.
    objects : Objects
        What is made of the answers.
    """

    def __init__(
        self,
        network: Network,
        normalise: Callable[[Image], NDArray[np.float32]],
        patches: Patches,
        objects: Objects,
    ) -> None:
        self.network, self.normalise, self.patches, self.objects = network, normalise, patches, objects
        self._turn = threading.Lock()

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the tile's space shape."""
        return self.objects.labels(self.maps(image))

    def maps(self, image: Image) -> NDArray[Any]:
        """Return the network's answers, shape (outputs, *space)."""
        planes = image if image.ndim > len(self.patches.step) else image[None]
        pixels = self.normalise(planes)
        with self._turn:
            return self.patches.apply(self.network, pixels, lambda: self.network.batch)

    def values(self, image: Image) -> NDArray[np.float32]:
        """Return the network's answers after the activation, float32 (outputs, *space)."""
        return activated(self.maps(image), self.objects.activation)

    def try_out(self, channels: int, labels: bool = True) -> None:
        """Run the network on a little noise, so that what does not fit is told before there is work.

        Parameters
        ----------
        channels : int
            How many the image has.
        labels : bool
            Whether objects are to be made of the answers.

        Raises
        ------
        BackendError
            If the network does not take that many channels or axes, or answers in another shape.
        """
        ndim = len(self.patches.step)
        sides = self.patches.size or (_PROBE[ndim],) * ndim
        noise = np.random.default_rng(0).standard_normal((channels, *sides)).astype(np.float32)
        with self._turn:
            maps = self.patches.apply(self._checked, noise, lambda: 1)
        if labels:
            self.objects.check(maps, self.network.name)

    def _checked(self, pieces: NDArray[np.float32]) -> NDArray[Any]:
        found = self.network(pieces)
        if found.ndim != pieces.ndim or found.shape[2:] != pieces.shape[2:]:
            sizes = [" x ".join(map(str, shape[2:])) for shape in (pieces.shape, found.shape)]
            msg = f"{self.network.name} answers to {sizes[0]} voxels with {sizes[1] or 'one number'}"
            raise BackendError(msg, "Use a network that answers for each voxel, with padded convolutions")
        return found
