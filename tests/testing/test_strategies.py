from __future__ import annotations

import numpy as np
from hypothesis import find, given

from seamlabel.geometry import Box
from seamlabel.testing.strategies import KINDS, boxes, grids, images_and_grids, label_images, shapes


@given(images_and_grids())
def test_images_and_grids_fit_each_other(pair):
    labels, grid = pair
    assert labels.shape == grid.shape
    assert labels.min() >= 0


@given(boxes((4, 5, 6)))
def test_boxes_lie_in_the_array(box):
    assert Box.whole((4, 5, 6)).contains(box)


def test_the_awkward_grids_are_among_those_drawn():
    find(grids(), lambda g: any(t > n for t, n in zip(g.tile_shape, g.shape, strict=True)))
    find(grids(), lambda g: any(h > t for h, t in zip(g.overlap, g.tile_shape, strict=True)))
    find(grids(), lambda g: len(g) > 4 and 0 in g.overlap)
    for ndim in (1, 2, 3):
        find(shapes(), lambda s, ndim=ndim: len(s) == ndim)


def test_every_kind_of_image_has_objects():
    for kind in KINDS:
        labels = find(label_images((20, 20), (kind,)), lambda x: x.max() > 1)
        assert len(np.unique(labels)) > 2
