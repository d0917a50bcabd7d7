"""Chunks of zarr 2 that are pictures (JPEG XL, JPEG 2000 and others), decoded by the package imagecodecs.

It is an extra of seamlabel, imported where a store needs it. Knows no stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = frozenset(
    f"imagecodecs_{name}"
    for name in ("avif", "htj2k", "jpeg", "jpeg2k", "jpegls", "jpegxl", "jpegxr", "lerc", "ljpeg", "png")
)
"""Codecs that give pixels of the shape that they are asked for, or nothing."""
INSTALL = 'pip install "seamlabel[codecs]"'


def register(name: str) -> None:
    """Tell numcodecs, which zarr asks, of one of `PICTURES`.

    Raises
    ------
    ImportError
        If imagecodecs is not installed.
    """
    from imagecodecs.numcodecs import register_codecs

    register_codecs([name], verbose=False)


@dataclass(frozen=True)
class Picture:
    """What zarr 2 calls a compressor, given the memory that it may decode a chunk into.

    Parameters
    ----------
    inner : numcodecs codec
        One of `PICTURES`.
    shape : tuple of int
        Of a chunk: a picture of another shape is refused.
    dtype : numpy.dtype
        Of its pixels.
    """

    inner: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def encode(self, data: Any) -> Any:
        """Return the picture of a chunk."""
        return self.inner.encode(data)

    def decode(self, data: Any, out: Any = None) -> NDArray[Any]:
        """Return the pixels of a chunk.

        Raises
        ------
        ValueError
            If the picture is damaged, or of another shape or type.
        """
        made = np.empty(self.shape, self.dtype)
        try:
            self.inner.decode(data, out=made)
        except RuntimeError as error:  # what imagecodecs raises for damaged pictures
            raise ValueError(str(error)) from None
        return made
