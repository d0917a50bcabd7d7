"""The order of tiles: every one once, and few chunks in use at a time."""

from __future__ import annotations

import tracemalloc
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import islice, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamlabel import RunSpec, resolve
from seamlabel.axes import ImageInfo, LevelInfo, parse_axes
from seamlabel.geometry import TileGrid
from seamlabel.order import chunks_held, slow_axis, tile_order, view_first
from seamlabel.registry import Backend, register


@st.composite
def grids(draw):
    ndim = draw(st.integers(1, 4))
    sizes = st.lists(st.integers(1, 12), min_size=ndim, max_size=ndim).map(tuple)
    shape = tuple(draw(st.lists(st.integers(1, 40), min_size=ndim, max_size=ndim)))
    tile, chunks, overlap = draw(sizes), draw(sizes), tuple(n // 3 for n in draw(sizes))
    looped = draw(st.integers(0, min(2, ndim - 1)))
    tile, overlap = (1,) * looped + tile[looped:], (0,) * looped + overlap[looped:]
    chunks = tuple(1 + n % 3 for n in chunks[:looped]) + chunks[looped:]
    return TileGrid(shape, tile, overlap), chunks, (False,) * looped + (True,) * (ndim - looped)


def decoded(grid, chunks, order, capacity):
    """How often chunks are loaded by a cache that drops the least recently used."""
    held, count = OrderedDict(), 0
    for number in order:
        box = grid[number].read
        spans = zip(box.start, box.stop, chunks, strict=True)
        for index in product(*(range(a // c, -(-b // c)) for a, b, c in spans)):
            count += index not in held
            held[index] = None
            held.move_to_end(index)
            while len(held) > capacity:
                held.popitem(last=False)
    return count


def all_chunks(grid, chunks):
    spans = zip(grid.shape, chunks, strict=True)
    return len(list(product(*(range(-(-n // c)) for n, c in spans))))


@given(grids(), st.integers(0, 60), st.integers(1, 4))
def test_every_tile_comes_once_and_chunks_of_times_one_after_another(case, capacity, ahead):
    grid, chunks, joined = case
    order = list(tile_order(grid, chunks, joined, capacity, ahead))
    assert sorted(order) == list(range(len(grid)))
    loops = range(joined.count(False))
    looped = [tuple(grid.index(number)[axis] // chunks[axis] for axis in loops) for number in order]
    assert looped == sorted(looped)


@given(grids())
@settings(max_examples=200)
def test_a_cache_that_holds_what_is_asked_for_loads_every_chunk_once(case):
    grid, chunks, joined = case
    capacity = chunks_held(grid, chunks, joined)
    order = tile_order(grid, chunks, joined, capacity)
    assert decoded(grid, chunks, order, capacity) == all_chunks(grid, chunks)


def test_bands_load_less_than_rows_where_a_row_does_not_fit():
    grid, chunks = TileGrid((240, 200), (10, 10), (2, 2)), (5, 5)
    row = chunks_held(grid, chunks, (True, True))
    total = all_chunks(grid, chunks)
    counts = []
    for part in (1, 2, 4):
        order = tile_order(grid, chunks, (True, True), row // part)
        counts.append(decoded(grid, chunks, order, row // part))
    assert counts == [total, 1.1 * total, 1.45 * total]
    assert decoded(grid, chunks, range(len(grid)), row // 2) > 1.9 * total


def test_tiny_tiles_go_in_bands_as_wide_as_the_chunks_that_fit():
    grid, chunks = TileGrid((1000, 1000), (10, 10), (1, 1)), (100, 100)
    order = tile_order(grid, chunks, (True, True), 7, ahead=4)
    assert decoded(grid, chunks, order, 7) == 1.5 * all_chunks(grid, chunks)


def test_the_axis_with_most_tiles_is_the_slowest():
    assert slow_axis(TileGrid((5, 90, 20), (1, 1, 1), (0, 0, 0)), (False, True, True)) == 1
    assert slow_axis(TileGrid((90, 90), (1, 1), (0, 0)), (True, True)) == 0
    grid = TileGrid((4, 30), (1, 1), (0, 0))
    columns = [grid.index(number)[1] for number in tile_order(grid, (1, 1), (True, True), 1000)]
    assert columns == sorted(columns)


def test_ten_million_tiles_are_ordered_without_a_list():
    for shape in ((10**7,), (1, 10**7), (10**7, 1), (3163, 3163)):
        grid = TileGrid(shape, (1,) * len(shape), (0,) * len(shape))
        tracemalloc.start()
        order = tile_order(grid, (1,) * len(shape), (True,) * len(shape), 50)
        assert len(set(islice(order, 1000))) == 1000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


def image(shape, chunks, axes):
    level = LevelInfo("0", shape, chunks, (1.0,) * len(shape), (0.0,) * len(shape))
    return ImageInfo(parse_axes(axes), "uint16", (level,), path="i.zarr", writable=True)


@dataclass(frozen=True)
class Nothing:
    """Parameters of a backend that takes any number of channels."""


register(Backend("greedy", "Greedy", f"{__name__}:Nothing", f"{__name__}:Nothing", max_channels=None))


def planned(info, memory_bytes=8 * 10**9, **fields):
    spec = RunSpec(image="i.zarr", backend="greedy", overlap=8, **fields)
    return resolve(spec, info, memory_bytes=memory_bytes, cores=2)


def test_the_plan_keeps_the_chunks_of_a_row_of_tiles():
    plan = planned(image((8192, 8192), (512, 512), "yx"), tile_shape=1024)
    two_rows = 6 * 16
    assert plan.cache_bytes == two_rows * 512 * 512 * 2
    assert plan.peak_bytes > plan.cache_bytes + plan.workers * plan.tile_bytes
    assert sorted(plan.order()) == list(range(64))


def test_chunks_of_all_chosen_channels_are_kept():
    one = planned(image((3, 4096, 4096), (1, 512, 512), "cyx"), tile_shape=1024, channels=(0,))
    two = planned(image((3, 4096, 4096), (1, 512, 512), "cyx"), tile_shape=1024, channels=(0, 2))
    mixed = planned(image((3, 4096, 4096), (3, 512, 512), "cyx"), tile_shape=1024, channels=(0, 2))
    assert two.cache_bytes == 2 * one.cache_bytes
    assert mixed.cache_bytes == 3 * one.cache_bytes


def test_the_cache_never_makes_a_plan_fail():
    info = image((2**17, 2**17), (512, 512), "yx")
    assert planned(info, tile_shape=1024).cache_bytes == 2**29
    last = planned(info, tile_shape=1024)
    for memory in (10**9, 3 * 10**8, 10**8, last.tile_bytes):
        plan = planned(info, memory, tile_shape=1024)
        assert plan.cache_bytes <= memory // 4
        assert plan.cache_bytes < last.cache_bytes
        assert len(set(islice(plan.order(), 1000))) == 1000


def test_an_array_without_chunks_needs_no_cache():
    info = replace(image((8192, 8192), (8192, 8192), "yx"), path=None)
    assert planned(info, tile_shape=1024).cache_bytes == 0


@pytest.mark.parametrize("axes", ["tyx", "tzyx"])
def test_the_plan_orders_times_one_after_another(axes):
    shape = {"t": 3, "z": 40, "y": 500, "x": 400}
    plan = planned(image(tuple(shape[a] for a in axes), (1,) + (32,) * (len(axes) - 1), axes), tile_shape=30)
    times = [plan.grid.index(number)[0] for number in plan.order()]
    assert all(a <= b for a, b in pairwise(times))


@given(
    st.permutations(range(40)),
    st.lists(st.lists(st.integers(0, 39), max_size=12), max_size=60),
    st.booleans(),
)
def test_tiles_in_view_come_first_and_every_tile_comes_once(order, views, as_tuples):
    asked, came = iter(map(tuple, views) if as_tuples else views), []
    view, views_then = (), []

    def first():
        nonlocal view
        view = next(asked, view)
        views_then.append(view)
        return view

    for tile in view_first(order, first):
        wanted = [n for n in views_then[-1] if n not in came]
        assert tile == (wanted[0] if wanted else next(n for n in order if n not in came))
        came.append(tile)
    assert sorted(came) == sorted(order)


def test_a_view_that_changes_counts_from_the_next_tile_on_and_the_order_is_not_looked_at_ahead():
    looked = []
    view = [7]
    tiles = view_first((looked.append(n) or n for n in range(10)), lambda: view)
    assert next(tiles) == 7
    assert looked == [0]
    view[:] = [5, 7, 4]
    assert list(islice(tiles, 3)) == [5, 4, 0]
    assert looked == [0]
    assert list(tiles) == [1, 2, 3, 6, 8, 9]


def test_a_large_view_whose_tiles_are_all_done_is_not_looked_through_at_every_step():
    class Counted(tuple):
        looked = 0

        def __iter__(self):
            for number in tuple.__iter__(self):
                Counted.looked += 1
                yield number

    view = Counted(range(1000))
    assert sorted(view_first(range(3000), lambda: view)) == list(range(3000))
    assert Counted.looked == 1000


def test_remembering_which_tiles_came_takes_a_byte_or_two_for_each():
    tracemalloc.start()
    assert sum(1 for _ in view_first(range(500_000), tuple)) == 500_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000
