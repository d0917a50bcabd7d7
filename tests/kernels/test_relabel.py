import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seamlabel.kernels.relabel import ProvisionalIds, number_locally
from seamlabel.testing import same_partition

IMAGES = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=8), elements=st.integers(0, 6)
)


@given(image=IMAGES, data=st.data(), stride=st.sampled_from([1, 1000, 2**40]))
def test_core_labels_come_first_in_raster_order(image, data, stride):
    core = tuple(slice(data.draw(st.integers(0, n - 1)), n) for n in image.shape)
    local = number_locally(image * stride, core)
    assert same_partition(local.labels, image)
    inside = local.labels[core].ravel()
    seen = list(dict.fromkeys(inside[inside > 0].tolist()))
    assert seen == list(range(1, local.n_core + 1))
    rest = [v for v in dict.fromkeys(local.labels.ravel().tolist()) if v > local.n_core]
    assert rest == list(range(local.n_core + 1, local.n_all + 1))
    assert local.areas.tolist() == [int((inside == v).sum()) for v in seen]


@given(image=IMAGES, seed=st.integers(0, 100))
def test_numbering_does_not_depend_on_the_numbers_given(image, seed):
    names = np.append(0, np.random.default_rng(seed).permutation(6) + 1)
    core = (slice(None),) * image.ndim
    one, other = number_locally(image, core), number_locally(names[image], core)
    assert np.array_equal(one.labels, other.labels)


def test_unsigned_64_bit_labels_beyond_32_bits_are_numbered():
    image = np.array([[0, 2**63 + 5], [2**63 + 5, 7]], np.uint64)
    assert number_locally(image, (slice(None),) * 2).labels.tolist() == [[0, 1], [1, 2]]


def test_provisional_ids_follow_chains_of_joins():
    ids = ProvisionalIds()
    ids.add(0, 3)
    ids.add(3, 2)
    assert ids.table()[:6].tolist() == [0, 1, 2, 3, 4, 5]
    ids.join([(5, 3), (3, 1)])
    assert ids.table()[:6].tolist() == [0, 1, 2, 1, 4, 1]
    before = ids.table()
    ids.add(5, 100)
    assert ids.table()[:6].tolist() == before[:6].tolist()
    assert ids.table()[105] == 105


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=30),
)
def test_provisional_ids_equal_the_components(pairs):
    from seamlabel.kernels.merge import UnionFind

    unions, ids = UnionFind(), ProvisionalIds()
    ids.add(0, 20)
    for one, other in pairs:
        if joined := unions.union(one, other):
            ids.join([joined])
    assert ids.table()[1:21].tolist() == [unions.find(k) for k in range(1, 21)]
