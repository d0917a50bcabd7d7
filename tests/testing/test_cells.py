from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from seamlabel.geometry import Box
from seamlabel.testing.cells import Tissue
from seamlabel.testing.strategies import boxes

TISSUES = [
    Tissue((150, 201), diameter=17),
    Tissue((97, 130), diameter=9, seed=2**31 + 5),
    Tissue((150, 140), "sparse", diameter=12),
    Tissue((20, 60, 50), "tissue3d", diameter=12, anisotropy=2.5),
    Tissue((12, 40, 44), "sparse", diameter=8),
]
WHOLE = [(tissue.image(), tissue.truth()) for tissue in TISSUES]


@given(st.data())
def test_a_box_is_that_part_of_the_whole(data):
    number = data.draw(st.integers(0, len(TISSUES) - 1))
    box = data.draw(boxes(TISSUES[number].shape))
    image, truth = WHOLE[number]
    assert np.array_equal(TISSUES[number].image(box), image[box.slices])
    assert np.array_equal(TISSUES[number].truth(box), truth[box.slices])


@pytest.mark.parametrize("tissue", TISSUES, ids=str)
def test_cells_are_whole_bright_and_many(tissue):
    image, truth = WHOLE[TISSUES.index(tissue)]
    assert image.dtype == tissue.dtype == np.uint16
    assert truth.dtype == np.int32
    names = np.unique(truth[truth > 0])
    assert len(names) > 4
    for name in names:
        _, parts = ndimage.label(truth == name, np.ones((3,) * truth.ndim))
        assert parts == 1
    assert image[truth > 0].mean() > 2 * image[truth == 0].mean()


def test_dense_cells_touch_and_have_dark_borders():
    image, truth = WHOLE[0]
    touching = (truth[:, 1:] != truth[:, :-1]) & (truth[:, 1:] > 0) & (truth[:, :-1] > 0)
    assert touching.sum() > 1000
    border = image[:, 1:][touching]
    assert border.mean() < 0.75 * image[truth > 0].mean()


def test_dense_tissue_has_a_background_around_it():
    _, truth = WHOLE[0]
    assert not truth[0, 0]
    assert 0.02 < (truth == 0).mean() < 0.5


def test_sparse_nuclei_do_not_touch():
    _, truth = WHOLE[2]
    grown = ndimage.maximum_filter(truth, 3)
    assert np.array_equal(grown[truth > 0], truth[truth > 0])


def test_eight_thousand_squared_holds_more_than_ten_thousand_touching_cells():
    tissue = Tissue((8192, 8192))
    part = np.unique(tissue.truth(Box((2048, 2048), (4096, 4096))))
    assert 16 * (len(part) - 1) > 20_000


def test_seeds_give_other_images_and_the_same_seed_the_same():
    one, same, other = (Tissue((64, 64), diameter=16, seed=s).image() for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert (one != other).mean() > 0.5


def test_cells_of_anisotropic_tissue_span_fewer_planes():
    truth = Tissue((40, 96, 96), "tissue3d", diameter=24, anisotropy=3).truth()
    extents = [
        [s.stop - s.start for s in found] for found in ndimage.find_objects(truth) if found is not None
    ]
    inner = np.median(extents, axis=0)
    assert inner[0] < 0.6 * inner[1]


def test_a_tissue_can_be_cut_with_slices_as_an_array_can():
    assert np.array_equal(TISSUES[0][3:9, -20:], WHOLE[0][0][3:9, -20:])
    assert np.array_equal(TISSUES[0][5:7], WHOLE[0][0][5:7])


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (5, 5), "kind": "tissue3d"},
        {"shape": (0, 5)},
        {"shape": (5, 5), "kind": "bricks"},
        {"shape": (5, 5), "diameter": 2},
        {"shape": (5, 5, 5), "kind": "tissue3d", "anisotropy": 0.5},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be|none of"):
        Tissue(**wrong)
