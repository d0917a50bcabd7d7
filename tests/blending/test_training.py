from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.blending.training import border_mask, training_pairs, without_empty
from seamlabel.patch_grid import PatchGrid


@given(st.data())
def test_a_patch_is_kept_if_and_only_if_a_label_inside_its_border_is_known(data):
    ndim = data.draw(st.integers(1, 3))
    patch = tuple(data.draw(st.integers(3, 6)) for _ in range(ndim))
    missing = data.draw(st.sampled_from([-1.0, 0.0, float("nan")]))
    known = np.random.default_rng(data.draw(st.integers(0, 99))).random((6, *patch)) < 0.05
    labels = np.where(known, 7.0, missing)
    mask = border_mask(patch, 1)
    images = np.arange(6)
    kept, targets, removed = without_empty(images, labels, missing, mask)
    wanted = (known & (mask > 0)).reshape(6, -1).any(axis=1)
    assert np.array_equal(kept, images[wanted])
    assert np.array_equal(removed, ~wanted)
    assert ((targets == 7) == (known & (mask > 0))[wanted]).all()
    assert np.array_equal(without_empty(images, labels, missing)[0], images[known.reshape(6, -1).any(axis=1)])


def test_pairs_lie_over_one_another():
    grid = PatchGrid((20, 17), (8, 8), (5, 5))
    images = np.random.default_rng(0).random((3, 2, 20, 17))
    pieces, targets = training_pairs(images, images[:, 0], grid)
    assert len(pieces) == 3 * len(grid)
    assert np.array_equal(pieces[:, 0], targets)


def test_labels_that_do_not_fit_are_told():
    labels = np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="cannot hold -1"):
        without_empty(labels, labels, -1, border_mask((8, 8), 1))
    with pytest.raises(ValueError, match="the mask has shape"):
        without_empty(labels, labels, 0, border_mask((9, 9), 1))
    with pytest.raises(ValueError, match="4 patches have labels for 3"):
        without_empty(labels, labels[:3], 0)
