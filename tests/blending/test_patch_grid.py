from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seamlabel.geometry import Box
from seamlabel.patch_grid import PatchGrid

EDGES = ("snap", "even", "shrink", "drop", "pad")


@st.composite
def grids(draw, edges=EDGES, most=4, plain=False):
    ndim = draw(st.integers(1, most))
    sides = {1: 90, 2: 40, 3: 18, 4: 9}[ndim]
    align = 1 if plain else draw(st.sampled_from([1, 1, 2, 4]))
    shape = tuple(draw(st.integers(1, sides)) for _ in range(ndim))
    patch = tuple(align * draw(st.integers(1, max(1, sides // align // 2))) for _ in range(ndim))
    step = tuple(align * draw(st.integers(max(1, p // align // 3), p // align)) for p in patch)
    edge = draw(st.sampled_from(edges))
    margin = tuple(0 if plain else align * draw(st.integers(0, 2)) for _ in range(ndim))
    return PatchGrid(shape, patch, step, edge, margin, (align,) * ndim)


@given(grids())
def test_patches_cover_every_voxel_and_lie_no_further_apart_than_the_step(grid):
    for axis, spans in enumerate(grid.spans):
        n, patch = grid.shape[axis], grid.patch[axis]
        seen = np.zeros(n, bool)
        for span in spans:
            seen[max(0, span.start) : max(0, span.stop)] = True
        assert seen.all() or grid.edge == "drop"
        starts = [span.start for span in spans]
        assert starts == sorted(set(starts))
        assert all(start % grid.align[axis] == 0 for start in starts)
        assert all(b - a <= grid.step[axis] for a, b in pairwise(starts))
        lengths = {span.stop - span.start for span in spans}
        whole = n + 2 * grid.margin[axis] >= patch
        assert grid.edge == "shrink" or not whole or lengths <= {patch}


@given(grids())
def test_a_grid_is_told_and_read_again(grid):
    assert PatchGrid.from_json(grid.to_json()) == grid
    assert [patch.number for patch in grid] == list(range(len(grid)))
    assert all(grid.number(grid.index(number)) == number for number in range(len(grid)))


@given(grids(), st.data())
def test_the_patches_that_touch_a_box_are_found(grid, data):
    assume(len(grid) < 500)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in grid.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True))
    box = Box(start, stop)
    assert list(grid.touching(box)) == [p.number for p in grid if p.box.intersect(box).size]


def test_each_edge_does_what_it_says():
    def starts(edge, n=22, **more):
        return [tuple(span) for span in PatchGrid((n,), (8,), (6,), edge, **more).spans[0]]

    assert starts("snap") == [(0, 8), (6, 14), (12, 20), (14, 22)]
    assert starts("even") == [(0, 8), (4, 12), (9, 17), (14, 22)]
    assert starts("shrink") == [(0, 8), (6, 14), (12, 20), (18, 22)]
    assert starts("drop") == [(0, 8), (6, 14), (12, 20)]
    assert starts("pad") == [(0, 8), (6, 14), (12, 20), (18, 26)]
    assert starts("snap", 5) == starts("shrink", 5) == [(0, 5)]
    assert starts("pad", 5) == [(0, 8)]
    assert starts("drop", 5) == []
    assert starts("snap", 8, margin=(3,)) == [(-3, 5), (3, 11)]
    assert PatchGrid((22,), (8,), (6,), "pad", (2,)).padding == ((2, 2),)


def test_a_grid_that_cannot_be_is_refused():
    for wrong, says in [
        ({"step": (9,)}, "exceeds patch"),
        ({"patch": (0,)}, "positive"),
        ({"edge": "cut"}, "none of snap"),
        ({"step": (3, 3)}, "one entry per axis"),
        ({"align": (3,)}, "multiples of align"),
        ({"align": (2,), "margin": (3,)}, "multiple of align"),
    ]:
        with pytest.raises(ValueError, match=says):
            PatchGrid(**{"shape": (20,), "patch": (8,), **wrong})
    with pytest.raises(IndexError, match="does not exist"):
        PatchGrid((20,), (8,))[3]
    assert PatchGrid.with_overlap((20, 20), (8, 6), 2).step == (6, 4)
