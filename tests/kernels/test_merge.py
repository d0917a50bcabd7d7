import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.kernels.merge import LABEL_BITS, FinalIds, UnionFind, too_small


@st.composite
def runs(draw):
    n_core = draw(st.lists(st.integers(0, 6), min_size=1, max_size=6))
    keys = [(t << LABEL_BITS) + i for t, n in enumerate(n_core) for i in range(1, n + 1)]
    pairs = draw(st.lists(st.tuples(*[st.sampled_from(keys)] * 2), max_size=12)) if keys else []
    sizes = {key: draw(st.integers(1, 9)) for key in keys}
    return np.array(n_core, np.int64), keys, pairs, sizes


def brute_force(keys, pairs, sizes, least):
    component = {key: {key} for key in keys}
    for a, b in pairs:
        if component[a] is not component[b]:
            union = component[a] | component[b]
            for key in union:
                component[key] = union
    ids, next_id = {}, 1
    for key in keys:
        whole = component[key]
        if sum(sizes[k] for k in whole) < least:
            ids[key] = 0
        elif key == min(whole):
            ids[key] = next_id
            next_id += 1
    return [ids[min(component[key])] for key in keys], next_id - 1


@given(run=runs(), least=st.integers(0, 12), order=st.randoms())
def test_ids_equal_a_brute_force_table(run, least, order):
    n_core, keys, pairs, sizes = run
    expected, count = brute_force(keys, pairs, sizes, least)
    shuffled = list(pairs)
    order.shuffle(shuffled)
    unions = UnionFind()
    for a, b in shuffled:
        unions.union(a, b)
    areas = {
        t: np.array([sizes[(t << LABEL_BITS) + i] for i in range(1, n + 1)], np.int64)
        for t, n in enumerate(n_core)
    }
    removed = too_small(areas, unions.members(), least)
    ids = FinalIds(n_core, unions.members(), removed)
    tables = [ids.table(t, int(n) + 2) for t, n in enumerate(n_core)]
    assert [int(tables[k >> LABEL_BITS][k & 0xFFFFFFFF]) for k in keys] == expected
    assert ids.n_objects == count
    assert all(table[0] == 0 and not table[-2:].any() for table in tables)


@given(run=runs())
def test_without_sequence_objects_still_have_one_id_each(run):
    n_core, keys, pairs, _ = run
    unions = UnionFind()
    for a, b in pairs:
        unions.union(a, b)
    ids = FinalIds(n_core, unions.members(), sequential=False)
    tables = [ids.table(t, int(n)) for t, n in enumerate(n_core)]
    got = [int(tables[k >> LABEL_BITS][k & 0xFFFFFFFF]) for k in keys]
    roots = [unions.find(k) for k in keys]
    assert len(set(zip(got, roots, strict=True))) == len(set(got)) == len(set(roots))


def test_ids_beyond_32_bits_get_64_bit_labels():
    n_core = np.array([2**32 - 2, 2**31], np.int64)
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    ids = FinalIds(n_core, empty)
    assert ids.dtype == "uint64"
    last = np.array([(1 << LABEL_BITS) + 2**31])
    assert ids.ids(last)[0] == 2**32 - 2 + 2**31
    assert FinalIds(np.array([2**32 - 1]), empty).dtype == "uint32"
