from __future__ import annotations

from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamlabel.events import RunStarted, SeamsMerged, TileDone
from seamlabel.geometry import TileGrid
from seamlabel.io.staging import create_staging
from seamlabel.kernels.pyramid import sample_index
from seamlabel.napari.layers.lazy_labels import LabelStream, lazy, with_axis
from seamlabel.napari.layers.levels import display_levels, display_shapes, ready_levels
from seamlabel.staged import StagedTile


def test_a_lazy_array_reads_only_what_is_left_of_it():
    asked = []

    class Spy:
        shape, dtype, ndim = (40, 64, 64), np.dtype(np.uint16), 3

        def __getitem__(self, key):
            asked.append(key)
            return np.zeros([len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True)])

    plane = lazy(Spy())[:, 8:24, :32][5]
    assert not asked
    assert np.asarray(plane).shape == plane.shape == (16, 32)
    assert asked == [(slice(5, 6, 1), slice(8, 24, 1), slice(0, 32, 1))]


@pytest.mark.parametrize(
    "key",
    [3, (slice(2, 9, 3), 4), (Ellipsis, -1), (slice(None), slice(1, 5), slice(None, None, 2)), ([0, 2], 1)],
)
def test_a_lazy_array_is_indexed_as_numpy_is(key):
    array = np.arange(10 * 8 * 6).reshape(10, 8, 6)
    np.testing.assert_array_equal(np.asarray(lazy(array)[key]), array[key])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_indexing_twice_is_indexing_twice_in_numpy(data):
    array = np.arange(12 * 9).reshape(12, 9)
    part = st.one_of(st.slices(9), st.integers(0, 8))
    first, second = data.draw(st.tuples(st.slices(12), st.slices(9))), data.draw(part)
    expected = array[first]
    if expected.shape[0] <= (second if isinstance(second, int) else -1):
        return
    np.testing.assert_array_equal(np.asarray(lazy(array)[first][second]), expected[second])


def test_an_inserted_axis_repeats_the_labels():
    array = np.arange(24).reshape(2, 3, 4)
    wide = with_axis(lazy(array), 1, 5)
    assert wide.shape == (2, 5, 3, 4)
    np.testing.assert_array_equal(np.asarray(wide[1, 3]), array[1])
    np.testing.assert_array_equal(np.asarray(wide), np.repeat(array[:, None], 5, axis=1))


def test_the_coarsest_shown_level_is_small_and_full_size_comes_first():
    shapes = display_shapes([(30, 20000, 9000)])
    assert shapes[0] == (30, 20000, 9000)
    assert max(shapes[-1]) <= 512
    assert shapes[-1][0] == 30, "a thin axis is not thinned"


def test_levels_made_for_display_are_sampled_from_the_finest():
    labels = np.random.default_rng(1).integers(0, 2**40, (1300, 700))
    levels = display_levels([labels])
    assert [level.dtype for level in levels] == [np.uint32] * len(levels)
    rows, columns = sample_index(1300, levels[1].shape[0]), sample_index(700, levels[1].shape[1])
    expected = labels[np.ix_(rows, columns)].astype(np.uint32)
    np.testing.assert_array_equal(np.asarray(levels[1]), expected)


def test_levels_are_made_ready_without_reading_the_labels_again_and_lie_where_they_lay():
    coarse = np.random.default_rng(1).integers(1, 2**31, (33, 20))
    labels = np.kron(coarse, np.ones((64, 64), np.int64))
    ready, lazily = ready_levels([labels]), display_levels([labels])
    labels[:] = 0
    assert [level.shape for level in ready] == [level.shape for level in lazily]
    for level in ready[1:]:
        np.testing.assert_array_equal(np.unique(np.asarray(level)), np.unique(coarse))
        side = level.shape[0] / 33
        middle = np.ix_(
            ((np.arange(33) + 0.5) * side).astype(int), ((np.arange(20) + 0.5) * side).astype(int)
        )
        np.testing.assert_array_equal(np.asarray(level)[middle], coarse)
    stopped = ready_levels([labels], stop=lambda: True)
    labels[:] = 7
    assert (np.asarray(stopped[-1]) == 7).all(), "the run was cancelled: they are read when they are shown"


GRID = TileGrid((90, 70), (32, 25), (6, 5))
SHAPES = [(180, 140), (90, 70), (45, 35), (23, 18)]


def staged(labels, n):
    flat = labels.ravel()
    table = np.ones(n, np.int64), np.zeros(n, np.uint8)
    return StagedTile(labels.shape, flat, np.ones(flat.size, np.int64), n, *table)


def _run(folder, stream, seed=0, arrived=None):
    """Feed a stream with random tiles and joins; return full-resolution ids computed by brute force."""
    rng = np.random.default_rng(seed)
    store = create_staging(folder, GRID.read_shape)
    stream.accept(RunStarted(0, len(GRID), str(folder)))
    truth = np.zeros(GRID.shape, np.int64)
    first, parent = 0, {}
    for done, tile in enumerate(rng.permutation(len(GRID))[:arrived].tolist()):
        n = int(rng.integers(0, 6))
        labels = rng.integers(0, n + 1, GRID.read_shape).astype(np.int32)
        place = GRID[tile]
        if n:
            store.write(tile, staged(labels, n))
            core = labels[place.core.relative_to(place.read).slices]
            truth[place.core.slices] = np.where(core > 0, core + first, 0)
        stream.accept(TileDone(done + 1, len(GRID), tile, n, first, 0.1))
        if first and n:
            pair = (first + 1, int(rng.integers(1, first + 1)))
            parent[pair[0]] = pair[1]
            stream.accept(SeamsMerged(done + 1, len(GRID), tile, (pair,)))
        first += n
    for gone in sorted(parent):
        truth[truth == gone] = _root(parent, gone)
    return truth


def _root(parent, label):
    while label in parent:
        label = parent[label]
    return label


@pytest.mark.parametrize("memory", [0, 20_000, 10**9], ids=["nothing kept", "coarse kept", "all kept"])
@pytest.mark.parametrize("arrived", [None, 4], ids=["all tiles", "four tiles"])
def test_streamed_labels_equal_brute_force_on_every_level(tmp_path, memory, arrived):
    stream = LabelStream(GRID, SHAPES, memory_bytes=memory, cache_bytes=4000)
    truth = _run(tmp_path / "run", stream, seed=arrived or 0, arrived=arrived)
    for level, shape in zip(stream.levels, SHAPES, strict=True):
        rows, columns = (sample_index(n, m) for n, m in zip(GRID.shape, shape, strict=True))
        np.testing.assert_array_equal(np.asarray(level), truth[np.ix_(rows, columns)])
        part = (slice(3, shape[0] - 2), slice(5, shape[1], 2))
        np.testing.assert_array_equal(np.asarray(level[part]), truth[np.ix_(rows, columns)][part])


@pytest.mark.parametrize("memory", [0, 10**9], ids=["nothing kept", "all kept"])
def test_other_ids_are_shown_on_every_level_by_one_table(tmp_path, memory):
    stream = LabelStream(GRID, SHAPES, memory_bytes=memory)
    assert stream.source()[0] == ""
    _run(tmp_path / "run", stream)
    before = [np.asarray(level) for level in stream.levels]
    folder, first = stream.source()
    assert folder.startswith(str(tmp_path / "run"))
    assert np.unique(first).size <= len(GRID)
    stream.shown = np.zeros(1000, np.uint32)
    assert not any(np.asarray(level).any() for level in stream.levels)
    stream.shown[first.max() + 1] = 7
    assert set(np.unique(np.asarray(stream.levels[1]))) <= {0, 7}
    stream.shown = None
    for level, ids in zip(stream.levels, before, strict=True):
        np.testing.assert_array_equal(np.asarray(level), ids)


def test_the_span_of_a_tile_is_where_its_core_shows(tmp_path):
    stream = LabelStream(GRID, SHAPES)
    for level, shape in enumerate(SHAPES):
        owner = np.full(shape, -1)
        for tile in GRID:
            box = stream.span(tile.number, level)
            assert (owner[box.slices] == -1).all()
            owner[box.slices] = tile.number
        assert (owner >= 0).all()


def test_reading_while_tiles_come_in_gives_known_ids_only(tmp_path):
    grid = TileGrid((640, 640), (16, 16), (2, 2))
    stream = LabelStream(grid, [grid.shape])
    store = create_staging(tmp_path / "run", grid.read_shape)
    stream.accept(RunStarted(0, len(grid), str(tmp_path / "run")))
    labels = np.arange(1, np.prod(grid.read_shape) + 1, dtype=np.int32).reshape(grid.read_shape)
    for tile in range(len(grid)):
        store.write(tile, staged(labels, labels.size))

    def feed():
        for tile in range(len(grid)):
            stream.accept(TileDone(tile + 1, len(grid), tile, labels.size, tile * labels.size, 0))

    thread = Thread(target=feed)
    thread.start()
    while thread.is_alive():
        assert np.asarray(stream.levels[0]).max() <= len(grid) * labels.size
    thread.join()
    assert np.asarray(stream.levels[0]).all()
