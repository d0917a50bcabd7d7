"""What is known of the Cellpose backend where Cellpose is not installed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.auto import auto_overlap
from seamlabel.backends.cellpose_grid import BLOCK, Pieces, Zoom, blocks
from seamlabel.errors import BackendError
from seamlabel.protocols import SegmentContext


def record():
    return seamlabel.backends()["cellpose"]


def test_it_is_listed_with_the_one_command_that_installs_it():
    assert record().install == 'pip install "seamlabel[cellpose]"'
    assert record().shared
    assert record().max_channels == 3


def test_making_it_without_cellpose_says_how_to_install_it():
    if not record().missing:
        pytest.skip("Cellpose is installed here")
    with pytest.raises(BackendError, match="needs cellpose") as caught:
        record().make(record().parse({})[0], SegmentContext("yx", "uint16"))
    assert record().install in caught.value.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"device": "gpu"}, "device 'gpu' is none of"),
        ({"device": "cuda:"}, "is none of"),
        ({"low": 50.0, "high": 50.0}, "not below"),
        ({"batch_size": 0}, "out of range"),
        ({"niter": 0}, "out of range"),
        ({"diameter": -1}, "out of range"),
    ],
)
def test_parameters_that_make_no_sense_are_told(values, said):
    params, problems = record().parse(values)
    assert params is None
    assert said in problems[0].message


def test_auto_overlap_is_that_of_the_diameter_or_of_the_models_own():
    for values, overlap in [({}, 45), ({"diameter": 60}, 90), ({"model": "nuclei"}, 26)]:
        assert auto_overlap(record().parse(values)[0], (), (1000, 1000), []) == (overlap, overlap)


def test_a_model_given_by_its_path_belongs_to_the_method(tmp_path):
    path = str(tmp_path / "mine")
    assert record().parse({"model": path})[0].files == (path,)
    assert record().parse({"model": "cyto3"})[0].files == ()


def test_tiles_start_where_whole_voxels_fall_on_the_networks_pixels():
    for diameter in (None, 30, 17, 45.5, 300, 6):
        align = record().parse({"diameter": diameter})[0].align
        assert align == blocks(30 / (diameter or 30))
        assert align * 30 / (diameter or 30) == pytest.approx(BLOCK, rel=0.1)


PIECES = Pieces(size=64, step=48, fixed=False)


def smooth(pieces):
    """Something that looks 12 pixels far, and sees zeros beyond a piece, as a network does."""
    found = ndimage.uniform_filter(pieces.astype(float), (1, 1, 25, 25), mode="constant")
    return np.repeat(found.astype(np.float32), 3, 1)


@pytest.mark.parametrize("n", [1, 15, 16, 63, 64, 65, 80, 112, 113, 500])
def test_pieces_cover_an_axis_in_order_and_at_multiples_of_what_is_pooled(n):
    axis = PIECES.axis(n)
    assert axis.starts[0] == 0
    assert all(0 < b - a <= 48 for a, b in zip(axis.starts, axis.starts[1:], strict=False))
    assert n <= axis.length < n + 16 or axis.side < 64
    assert not any(start % 16 for start in axis.starts)
    assert Pieces(64, 48, True).axis(n).side == 64


def test_answers_are_blended_to_what_pieces_agree_on():
    planes = np.full((2, 1, 130, 200), 3, np.float32)
    found = PIECES.apply(lambda pieces: pieces, planes, lambda: 5)
    np.testing.assert_allclose(found, planes, rtol=1e-6)


def test_a_network_that_takes_fewer_pieces_than_it_is_given_gets_the_rest_later():
    planes = np.random.default_rng(0).random((3, 1, 90, 200), np.float32)
    all_at_once = PIECES.apply(smooth, planes, lambda: 1000)
    for batch, taken in [(1, 1), (7, 7), (7, 2)]:
        found = PIECES.apply(lambda pieces, k=taken: smooth(pieces[:k]), planes, lambda n=batch: n)
        np.testing.assert_array_equal(found, all_at_once)


def test_tiles_on_the_grid_of_pieces_get_the_answers_of_the_whole_away_from_their_cuts():
    image = np.random.default_rng(0).random((1, 1, 64, 480), np.float32)
    whole = PIECES.apply(smooth, image, lambda: 8)
    for start, stop in [(0, 250), (96, 400), (144, 480)]:
        part = PIECES.apply(smooth, image[..., start:stop], lambda: 8)
        low = 64 if start else 0
        high = stop - start - (80 if stop < 480 else 0)
        np.testing.assert_array_equal(part[..., low:high], whole[..., start + low : start + high])


def test_nothing_is_scaled_where_voxels_are_pixels():
    image = np.random.default_rng(0).random((2, 33, 70), np.float32)
    zoom = Zoom((BLOCK, BLOCK))
    assert zoom.pixels(image) is image
    assert zoom.voxel_values(image, (33, 70)) is image
