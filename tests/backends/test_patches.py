from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from seamlabel.backends.patches import Patches


def box(pieces, reach):
    """A network that sees `reach` voxels to each side."""
    return np.stack([[ndimage.uniform_filter(c, 2 * reach + 1, mode="constant") for c in p] for p in pieces])


@given(
    st.lists(st.integers(1, 70), min_size=2, max_size=3),
    st.integers(0, 3),
    st.integers(1, 3).map(lambda n: 2**n),
    st.integers(1, 5),
)
def test_pieces_give_what_the_whole_gives(shape, reach, step, batch):
    pixels = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    ndim = len(shape)
    patches = Patches((step,) * ndim, (step,) * ndim, (16,) * ndim, (reach,) * ndim)
    starts = []

    def network(pieces):
        assert pieces.shape[2:] == (16,) * ndim
        starts.append(len(pieces))
        return box(pieces, reach)

    found = patches.apply(network, pixels, lambda: batch)
    inner = (slice(None), *(slice(0, max(0, n - reach)) for n in shape))  # what lies beyond is made up
    assert np.allclose(found[inner], box([pixels], reach)[0][inner], atol=1e-6)
    assert max(starts) <= batch


@given(st.integers(1, 200), st.integers(1, 4).map(lambda n: 2**n), st.integers(1, 40))
def test_a_whole_tile_grows_to_what_the_network_takes(n, step, least):
    seen = []

    def network(pieces):
        seen.append(pieces.shape[2])
        return pieces

    pixels = np.arange(n, dtype=np.float32)[None]
    assert np.array_equal(Patches((step,), (least,)).apply(network, pixels, lambda: 1), pixels)
    assert seen[0] >= max(n, least)
    assert (seen[0] - least) % step == 0
    assert seen[0] - max(n, least) < step


def test_every_piece_starts_where_the_network_pools():
    pixels = np.arange(300, dtype=np.float32)[None]
    firsts = []

    def network(pieces):
        firsts.extend(pieces[:, 0, 0])
        return pieces

    out = Patches((8,), (8,), (64,), (11,)).apply(network, pixels, lambda: 3)
    assert np.array_equal(out, pixels)
    assert all(first % 8 == 0 for first in firsts)


def test_a_network_that_takes_fewer_gets_the_rest_later():
    pixels = np.random.default_rng(1).random((1, 60, 60)).astype(np.float32)
    patches = Patches((4, 4), (4, 4), (16, 16), (2, 2))
    found = patches.apply(lambda pieces: pieces[:2] * 2, pixels, lambda: 7)
    assert np.array_equal(found, pixels * 2)


def test_pieces_without_a_middle_are_refused():
    with pytest.raises(ValueError, match="no middle"):
        Patches((4,), (4,), (16,), (7,))
