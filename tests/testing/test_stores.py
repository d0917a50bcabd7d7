from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seamlabel.geometry import Box
from seamlabel.protocols import LabelStore
from seamlabel.staged import StagedTile
from seamlabel.testing.stores import MemorySink, MemoryStore


def open_sink():
    sink = MemorySink(((10, 12), (5, 6)))
    sink.begin("uint32", ((4, 4), (4, 4)))
    return sink


def ones(box):
    return np.ones(box.shape, np.uint32)


def staged(values, shape=(2, 3), n=1):
    values = np.array(values)
    lengths = np.full(values.size, np.prod(shape) // values.size)
    return StagedTile(shape, values, lengths, n, np.ones(n, np.int64), np.zeros(n, np.uint8))


def test_the_store_gives_back_what_was_written_and_none_for_the_rest():
    store = MemoryStore()
    store.write(3, staged([0, 1]))
    assert np.array_equal(store.read(3).labels(), [[0, 0, 0], [1, 1, 1]])
    assert store.read(0) is None
    assert isinstance(store, LabelStore)


def test_the_store_refuses_what_is_no_tile():
    with pytest.raises(AssertionError, match="do not fill"):
        MemoryStore().write(0, replace(staged([0, 1]), shape=(2, 4)))
    with pytest.raises(AssertionError, match="label 2 of 1"):
        MemoryStore().write(0, staged([0, 2]))


def test_the_sink_holds_what_was_written_until_it_is_committed():
    sink = open_sink()
    box = Box((8, 4), (10, 12))
    sink.write(0, box, ones(box))
    sink.commit()
    assert sink.levels[0].sum() == box.size
    assert np.array_equal(sink.read(0, box), ones(box))
    assert sink.state == "committed"


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Box((0, 0), (3, 4)), "cuts a chunk"),
        (Box((2, 0), (4, 4)), "cuts a chunk"),
        (Box((8, 8), (12, 12)), "outside"),
        (Box((4, 4), (8, 8)), "written before"),
    ],
)
def test_the_sink_refuses_boxes_that_two_writers_could_share(box, reason):
    sink = open_sink()
    first = Box((0, 0), (8, 8))
    sink.write(0, first, ones(first))
    with pytest.raises(AssertionError, match=reason):
        sink.write(0, box, ones(box))


def test_the_sink_refuses_ids_that_do_not_fit_and_wrong_shapes():
    sink, box = open_sink(), Box((0, 0), (4, 4))
    with pytest.raises(AssertionError, match="do not fit"):
        sink.write(0, box, np.full((4, 4), 2**40))
    with pytest.raises(AssertionError, match="shape"):
        sink.write(0, box, np.ones((4, 3), int))


def test_the_sink_insists_on_the_order_of_calls():
    box = Box((0, 0), (4, 4))
    with pytest.raises(AssertionError, match="new"):
        MemorySink(((8, 8),)).write(0, box, ones(box))
    sink = open_sink()
    with pytest.raises(AssertionError, match="begun"):
        sink.begin("uint32", ((4, 4), (4, 4)))
    sink.commit()
    for call in (sink.check, sink.commit, sink.abort, lambda: sink.write(0, box, ones(box))):
        with pytest.raises(AssertionError, match="committed"):
            call()


def test_an_aborted_sink_holds_nothing():
    sink = open_sink()
    sink.abort()
    sink.abort()
    sink.write(0, Box((0, 0), (4, 4)), np.ones((4, 4), int))
    assert sink.levels == []
    with pytest.raises(AssertionError, match="aborted"):
        sink.read(0, Box((0, 0), (1, 1)))
