"""qlty's interface: quilts that cut images into patches and stitch predictions together.

As its documents have it (0.1.7 to 1.5.0), over `PatchGrid`, `Blend` and `seamlabel.blending.training`.
"""

from seamlabel.compat.qlty.cleanup import (
    weed_sparse_classification_training_pairs_2D,
    weed_sparse_classification_training_pairs_3D,
)
from seamlabel.compat.qlty.large import LargeNCYXQuilt, LargeNCZYXQuilt
from seamlabel.compat.qlty.quilts import NCYXQuilt, NCZYXQuilt

__all__ = [
    "LargeNCYXQuilt",
    "LargeNCZYXQuilt",
    "NCYXQuilt",
    "NCZYXQuilt",
    "weed_sparse_classification_training_pairs_2D",
    "weed_sparse_classification_training_pairs_3D",
]
