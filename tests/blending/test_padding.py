from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.blending.padding import MODES, Padded
from seamlabel.geometry import Box


@given(st.data(), st.sampled_from([mode for mode in MODES if mode != "empty"]), st.integers(0, 1))
def test_patches_are_padded_as_the_whole_array_would_be(data, mode, channels):
    ndim = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 9)) for _ in range(ndim))
    padding = [(data.draw(st.integers(0, 5)), data.draw(st.integers(0, 12))) for _ in range(ndim)]
    array = np.random.default_rng(0).integers(0, 99, (2,) * channels + shape).astype(np.float64)
    more = {"constant_values": 7} if mode == "constant" else {}
    whole = np.pad(array, [(0, 0)] * channels + padding, mode=mode, **more)
    spans = []
    for n, (before, after) in zip(shape, padding, strict=True):
        first = data.draw(st.integers(-before, n + after - 1))
        spans.append((first, data.draw(st.integers(first + 1, n + after))))
    box = Box(tuple(a for a, _ in spans), tuple(b for _, b in spans))
    reader = Padded(lambda b: array[(..., *b.slices)], shape, mode, padding, 7)
    cut = tuple(slice(a + p, b + p) for (a, b), (p, _) in zip(spans, padding, strict=True))
    assert np.allclose(reader.read(box), whole[(..., *cut)])


def test_only_what_a_patch_needs_is_read():
    read = []
    array = np.arange(10_000).reshape(100, 100)
    reader = Padded(lambda box: read.append(box) or array[box.slices], (100, 100), "reflect", [(8, 8)] * 2)
    reader.read(Box((-8, 40), (8, 56)))
    assert read[0].size <= 9 * 16


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="none of constant"):
        Padded(lambda box: None, (9,), "mirror")
