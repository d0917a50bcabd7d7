"""One tile described: numbers, sizes, boxes and flags equal what brute force finds voxel by voxel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seamlabel.kernels.local import View, describe
from seamlabel.staged import BORDER, COMPLETE, INTERIOR, LABEL_BITS, NODE
from seamlabel.testing import same_partition

IMAGES = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=8), elements=st.integers(0, 6)
)


@st.composite
def views(draw, shape):
    def inside(outer):
        parts = []
        for part in outer:
            start = draw(st.integers(part.start, part.stop - 1))
            parts.append(slice(start, draw(st.integers(start + 1, part.stop))))
        return tuple(parts)

    trusted = inside(tuple(slice(0, n) for n in shape))
    core = inside(trusted)
    alone = inside(core)
    cut = tuple((draw(st.booleans()), draw(st.booleans())) for _ in shape)
    border = tuple((not low, not high) for low, high in cut)
    origin = tuple(draw(st.integers(0, 100)) for _ in shape)
    return View(3, origin, core, trusted, alone, cut, border, (4,) * len(shape))


def masked(image, part):
    out = np.zeros_like(image)
    out[part] = image[part]
    return out


@given(image=IMAGES, data=st.data(), stride=st.sampled_from([1, 1000, 2**40]))
def test_core_labels_come_first_in_raster_order(image, data, stride):
    view = data.draw(views(image.shape))
    labels = masked(image, view.trusted) * stride
    local = describe(labels, view)
    staged = local.staged.labels()
    assert same_partition(staged, labels)
    assert np.array_equal(local.rename(labels), staged)
    inside = staged[view.core].ravel()
    seen = list(dict.fromkeys(inside[inside > 0].tolist()))
    assert seen == list(range(1, local.staged.n_core + 1))
    rest = [v for v in dict.fromkeys(staged.ravel().tolist()) if v > local.staged.n_core]
    assert rest == list(range(local.staged.n_core + 1, local.staged.n_all + 1))
    assert local.staged.areas.tolist() == np.bincount(staged.ravel())[1:].tolist()


@given(image=IMAGES, data=st.data())
def test_flags_and_records_are_what_brute_force_finds(image, data):
    view = data.draw(views(image.shape))
    local = describe(masked(image, view.trusted), view)
    staged = local.staged.labels()
    rows = {int(node["key"]) & 0xFFFFFFFF: node for node in local.nodes}
    for label in range(1, local.staged.n_all + 1):
        flags = local.staged.flags[label - 1]
        where = np.argwhere(staged == label)
        low, high = where.min(axis=0), where.max(axis=0) + 1
        ends = [(a == t.start, b == t.stop) for a, b, t in zip(low, high, view.trusted, strict=True)]
        touches = [
            any(e and f for e, f in zip(end, face, strict=True))
            for end, face in zip(ends, view.cut, strict=True)
        ]
        at_border = [
            any(e and f for e, f in zip(end, face, strict=True))
            for end, face in zip(ends, view.border, strict=True)
        ]
        assert bool(flags & COMPLETE) == (not any(touches))
        assert bool(flags & BORDER) == any(at_border)
        alone = all(p.start <= a and b <= p.stop for a, b, p in zip(low, high, view.alone, strict=True))
        assert bool(flags & INTERIOR) == alone
        in_core = int((staged[view.core] == label).sum())
        centre = (low + high - 1) // 2
        centred = all(p.start <= c < p.stop for c, p in zip(centre, view.core, strict=True))
        takes_part = not alone and (in_core > 0 or (bool(flags & COMPLETE) and centred))
        assert bool(flags & NODE) == takes_part == (label in rows)
        if takes_part:
            row = rows[label]
            assert row["key"] >> LABEL_BITS == 3
            assert (row["area"], row["core_area"], row["flags"]) == (len(where), in_core, flags)
            assert row["start"].tolist() == (low + view.origin).tolist()
            assert row["stop"].tolist() == (high + view.origin).tolist()


@given(image=IMAGES, seed=st.integers(0, 100), data=st.data())
def test_a_description_does_not_depend_on_the_numbers_given(image, seed, data):
    view = data.draw(views(image.shape))
    image = masked(image, view.trusted)
    names = np.append(0, np.random.default_rng(seed).permutation(6) + 1)
    one, other = describe(image, view), describe(names[image], view)
    assert np.array_equal(one.staged.labels(), other.staged.labels())
    assert np.array_equal(one.nodes, other.nodes)


def test_unsigned_64_bit_labels_beyond_32_bits_are_numbered():
    image = np.array([[0, 2**63 + 5], [2**63 + 5, 7]], np.uint64)
    whole = (slice(0, 2),) * 2
    no = ((False, False),) * 2
    view = View(0, (0, 0), whole, whole, whole, no, no, (0, 0))
    assert describe(image, view).staged.labels().tolist() == [[0, 1], [1, 2]]
