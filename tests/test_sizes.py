from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.sizes import parse_size, size_in_voxels


@pytest.mark.parametrize(
    "text", ["50 um2", "50um^2", " 5e1 µm²", "50.0 μm**2", "50 micrometers2", "50 Micron2", "50 micrometre 2"]
)
def test_one_size_has_many_spellings(text):
    assert parse_size(text) == (50, "micrometer", 2)


@pytest.mark.parametrize("text", ["", "50", "um2", "50 um4", "-5 um2", "50 s2", "50 um2 or so", "1/2 um"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r"not a (size|unit)"):
        parse_size(text)


@given(
    voxels=st.integers(1, 10**9),
    scale=st.lists(st.sampled_from([0.1, 0.65, 2.0, 325.0]), min_size=1, max_size=3),
)
def test_whole_voxels_are_whole_whatever_the_scale(voxels, scale):
    """In floats 0.1 * 0.1 * 3 is more than 0.03: a voxel would be lost or won."""
    size = Fraction(voxels)
    for step in scale:
        size *= Fraction(repr(step))
    scaled = size * 10**12
    assert scaled.denominator == 1
    text = f"{scaled}e-12 nm{len(scale)}"
    assert size_in_voxels(text, "zyx"[-len(scale) :], scale, ["nanometer"] * len(scale)) == voxels
