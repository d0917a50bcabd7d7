"""A tile given to a network piece by piece, each voxel answered by the piece that sees most around it.

Pieces are cropped, never blended: where the network sees no further than `halo`, its answers are those
to the whole. Knows no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class _Part(NamedTuple):
    """A piece along one axis: where it starts, and which voxels are answered by it."""

    start: int
    first: int
    stop: int


class _Axis(NamedTuple):
    """All pieces along one axis, each `side` long."""

    parts: tuple[_Part, ...]
    side: int

    @property
    def length(self) -> int:
        """Voxels that the pieces cover."""
        return self.parts[-1].start + self.side


@dataclass(frozen=True)
class Patches:
    """How a tile is cut for a network.

    Parameters
    ----------
    step : tuple of int
        Per space axis: sides of what the network takes grow by it, and pieces start at multiples.
    least : tuple of int
        Per space axis: the shortest side that it takes.
    size : tuple of int or None
        Sides of the pieces; None: a tile is one piece.
    halo : tuple of int
        Voxels at each inner edge of a piece whose answers are not used.

    Raises
    ------
    ValueError
        If pieces of that size have no middle.
    """

    step: tuple[int, ...]
    least: tuple[int, ...]
    size: tuple[int, ...] | None = None
    halo: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that pieces have a middle."""
        if self.size and any(
            side - 2 * halo < step for side, halo, step in zip(self.size, self.halo, self.step, strict=True)
        ):
            msg = f"pieces of {_text(self.size)} voxels have no middle between edges of {_text(self.halo)}"
            raise ValueError(msg)

    def apply(
        self,
        network: Callable[[NDArray[np.float32]], NDArray[Any]],
        pixels: NDArray[np.float32],
        batch: Callable[[], int],
    ) -> NDArray[Any]:
        """Return what the network says of a tile.

        What is shorter than the network takes, or no multiple, is mirrored beyond its end.

        Parameters
        ----------
        network : callable
            Takes (pieces, channels, *space) and returns (pieces, outputs, *space), or fewer pieces,
            where it found that it cannot take as many.
        pixels : array
            Shape (channels, *space).
        batch : callable
            Returns how many pieces the network is given at once, asked before each time.

        Returns
        -------
        array
            Shape (outputs, *space).
        """
        space = pixels.shape[1:]
        axes = [self._axis(i, n) for i, n in enumerate(space)]
        room = [(0, axis.length - n) for axis, n in zip(axes, space, strict=True)]
        padded = np.pad(pixels, [(0, 0), *room], mode="symmetric") if any(map(any, room)) else pixels
        left = list(product(*(axis.parts for axis in axes)))
        out: NDArray[Any] | None = None
        while left:
            cuts = [
                (slice(None), *(slice(p.start, p.start + a.side) for p, a in zip(parts, axes, strict=True)))
                for parts in left[: batch()]
            ]
            found = network(np.stack([padded[cut] for cut in cuts]))
            if out is None:
                out = np.empty((found.shape[1], *space), found.dtype)
            for parts, answer in zip(left, found, strict=False):
                inner = [slice(p.first - p.start, p.stop - p.start) for p in parts]
                out[(slice(None), *(slice(p.first, p.stop) for p in parts))] = answer[(slice(None), *inner)]
            left = left[len(found) :]
        assert out is not None, "there is at least one piece"
        return out

    def _axis(self, axis: int, n: int) -> _Axis:
        step, least = self.step[axis], self.least[axis]
        if self.size is None or n <= self.size[axis]:
            side = self.size[axis] if self.size else least + step * ceil(max(0, n - least) / step)
            return _Axis((_Part(0, 0, n),), side)
        side, halo = self.size[axis], self.halo[axis]
        starts = list(range(0, n - side, (side - 2 * halo) // step * step))
        starts.append(step * ceil((n - side) / step))
        firsts = [0, *(start + side - halo for start in starts[:-1])]
        return _Axis(tuple(map(_Part, starts, firsts, [*firsts[1:], n])), side)


def _text(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))
