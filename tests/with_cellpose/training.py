"""A Cellpose 3 model trained on synthetic cells in a minute or two, and how results are compared."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix

from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing.cells import Tissue

DIAMETER = 30
EPOCHS = 30


def scaled(image):
    low, high = np.percentile(image, [1, 99])
    return (image.astype(np.float32) - low) / (high - low)


def train(folder):
    """Return the path of a model with two input channels, and its training losses."""
    import torch
    from cellpose import models
    from cellpose.train import train_seg

    torch.manual_seed(0)
    cells = [Tissue((224, 224), "dense", diameter=DIAMETER, seed=100 + i) for i in range(8)]
    images = [np.stack([scaled(c.image()), np.zeros(c.shape, np.float32)]) for c in cells]
    labels = [np.unique(c.truth(), return_inverse=True)[1].reshape(c.shape).astype(np.int32) for c in cells]
    net = models.CellposeModel(gpu=False, pretrained_model=False, nchan=2, mkldnn=False).net
    path, losses, _ = train_seg(
        net,
        train_data=images,
        train_labels=labels,
        channel_axis=0,
        normalize=False,
        rescale=False,
        n_epochs=EPOCHS,
        batch_size=4,
        bsize=128,
        learning_rate=0.01,
        min_train_masks=1,
        save_path=folder,
        model_name="cells",
    )
    return str(path), losses


def context(image, axes="yx", scale=(1.0, 1.0), channels=("0",)):
    planes = image if image.ndim > len(axes) else image[None]
    return SegmentContext(axes, image.dtype.name, scale, channels, lambda i: ImageStatistics.of(planes[i]))


def agreeing(expected, found, iou=0.9):
    """Return the share of the expected objects that have their like, of this IoU, among those found."""
    a, b = (np.unique(x, return_inverse=True) for x in (expected, found))
    common = coo_matrix((np.ones(expected.size), (a[1].ravel(), b[1].ravel()))).tocsr()
    size_a, size_b = (np.asarray(common.sum(axis)).ravel() for axis in (1, 0))
    common = common.tocoo()
    share = common.data / (size_a[common.row] + size_b[common.col] - common.data)
    objects = (a[0][common.row] > 0) & (b[0][common.col] > 0)
    return np.unique(common.row[objects & (share >= iou)]).size / np.count_nonzero(a[0])
