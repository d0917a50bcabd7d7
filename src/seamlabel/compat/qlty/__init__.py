"""qlty's interface: quilts that cut images into patches and stitch predictions together.

As its documents have it (0.1.7 to 1.5.0), over `PatchGrid`, `Blend` and `seamlabel.blending.training`.
"""

from seamlabel.compat.qlty.cleanup import (
    weed_sparse_classification_training_pairs_2D,
    weed_sparse_classification_training_pairs_3D,
)
from seamlabel.compat.qlty.context import NCZYX25DQuilt, ZOperation
from seamlabel.compat.qlty.large import LargeNCYXQuilt, LargeNCZYXQuilt
from seamlabel.compat.qlty.quilts import NCYXQuilt, NCZYXQuilt
from seamlabel.compat.qlty.sources import TensorLike3D, from_hdf5, from_memmap, from_zarr
from seamlabel.compat.qlty.stacks import stack_files_to_zarr

__all__ = [
    "LargeNCYXQuilt",
    "LargeNCZYXQuilt",
    "NCYXQuilt",
    "NCZYX25DQuilt",
    "NCZYXQuilt",
    "TensorLike3D",
    "ZOperation",
    "from_hdf5",
    "from_memmap",
    "from_zarr",
    "stack_files_to_zarr",
    "weed_sparse_classification_training_pairs_2D",
    "weed_sparse_classification_training_pairs_3D",
]
