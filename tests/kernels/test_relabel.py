import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seamlabel.kernels.relabel import ProvisionalIds, ProvisionalUnions


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
    unions, ids = ProvisionalUnions(), ProvisionalIds()
    assert (unions.add(12), unions.add(8)) == (0, 12)
    ids.add(0, 20)
    for one, other in pairs:
        if joined := unions.union(one, other):
            ids.join([joined])
    links = coo_array((np.ones(len(pairs)), np.array(pairs, int).reshape(-1, 2).T), shape=(21, 21))
    count, component = connected_components(links, directed=False)
    assert unions.n_joined == 21 - count
    lowest = [int(np.flatnonzero(component == component[k])[0]) for k in range(1, 21)]
    assert ids.table()[1:21].tolist() == [unions.find(k) for k in range(1, 21)] == lowest
