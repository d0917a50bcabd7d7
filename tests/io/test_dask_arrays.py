"""Dask arrays as images: every block is computed once, in the thread that asks, whatever its shape."""

from __future__ import annotations

import threading
from collections import Counter

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import seamlabel
from seamlabel.errors import ImageError, IncompleteError
from seamlabel.events import TileFailed
from seamlabel.geometry import Box
from seamlabel.io.blocks import dask_blocks
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.sources import image_info
from seamlabel.io.spans import chunks_of, longest, parts
from seamlabel.testing.cells import Tissue
from seamlabel.testing.partition import same_partition

PIXELS = Tissue((300, 280), "dense").image()
REGULAR = ((64,) * 4 + (44,), (64,) * 4 + (24,))
IRREGULAR = ((50, 100, 7, 143), (30, 1, 120, 129))


class Noted:
    """A dask array of `PIXELS` whose computed blocks are noted in a file, as processes could, too."""

    def __init__(self, file, chunks, spoil=lambda location, block: block, pixels=PIXELS):
        self.file = file
        self.file.touch()
        self.threads = set()

        def note(block, block_info=None):
            location = block_info[0]["chunk-location"]
            with self.file.open("a") as lines:
                lines.write(f"{','.join(map(str, location))}\n")
            self.threads.add(threading.get_ident())
            return spoil(location, block)

        whole = da.from_array(pixels, chunks=chunks)
        self.array = whole.map_blocks(note, dtype=pixels.dtype, meta=np.empty((0, 0), pixels.dtype))

    @property
    def times(self):
        """How often each block was computed."""
        return Counter(self.file.read_text().split())

    def each_once(self):
        return len(self.times) == self.array.npartitions and set(self.times.values()) == {1}


def bright(tile):
    return ndimage.label(tile > 3000)[0]


def segment(image, backend=bright, **options):
    options = {"tile_shape": 64, "overlap": 12, "progress": False, **options}
    return seamlabel.segment(image, backend, **options)


@pytest.mark.parametrize("chunks", [REGULAR, IRREGULAR, (-1, -1), (300, 20), (1, 280)])
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_run_computes_every_block_once(tmp_path, chunks, executor):
    noted = Noted(tmp_path / "blocks", chunks)
    result = segment(noted.array, executor=executor, table=True)
    assert noted.each_once()
    assert same_partition(np.asarray(result.labels), bright(PIXELS))


@pytest.mark.parametrize("chunks", [REGULAR, IRREGULAR])
@pytest.mark.parametrize("skip", [None, "otsu"])
def test_statistics_of_the_whole_image_compute_no_block_again(tmp_path, chunks, skip):
    noted = Noted(tmp_path / "blocks", chunks)
    result = segment(noted.array, "threshold", skip_empty=skip)
    assert noted.each_once()
    assert result.n_objects > 10


def test_a_failing_block_fails_its_tiles_with_the_reason_and_no_others(tmp_path):
    def spoil(location, block):
        if tuple(location) == (4, 4):
            raise ValueError("the microscope was off")
        return block

    noted, events = Noted(tmp_path / "blocks", REGULAR, spoil), []
    with pytest.raises(IncompleteError):
        segment(noted.array, retries=0, on_event=events.append)
    failed = [event for event in events if isinstance(event, TileFailed)]
    assert {event.tile for event in failed} == {18, 19, 23, 24}
    assert all("the microscope was off" in event.reason for event in failed)
    others = {name: n for name, n in noted.times.items() if name != "4,4"}
    assert set(others.values()) == {1}


def test_a_block_that_fails_once_is_computed_again_for_the_retry(tmp_path):
    failures = []

    def spoil(location, block):
        if tuple(location) == (2, 2) and not failures:
            failures.append(1)
            raise OSError("the network was down")
        return block

    noted = Noted(tmp_path / "blocks", REGULAR, spoil)
    result = segment(noted.array, executor="serial")
    assert same_partition(np.asarray(result.labels), bright(PIXELS))
    assert noted.times["2,2"] == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda block: block[:-1], "has shape"),
        (lambda block: block[None], "has shape"),
        (lambda block: block * 0.5, "is of type float64, the array says uint16"),
    ],
)
def test_blocks_that_are_not_what_the_array_says_are_refused(spoil, says):
    array = da.from_array(PIXELS, chunks=64).map_blocks(spoil, dtype="uint16", meta=np.empty((0, 0), "u2"))
    with pytest.raises(ImageError, match=says):
        ChunkReader(array, ChunkCache(10**7)).read(Box((0, 0), (10, 10)))


def test_blocks_of_a_smaller_type_than_the_array_says_are_taken():
    array = da.from_array(PIXELS, chunks=64).map_blocks(
        lambda block: block.astype("uint8"), dtype="uint16", meta=np.empty((0, 0), "u2")
    )
    got = ChunkReader(array, ChunkCache(10**7)).read(Box((0, 0), (10, 10)))
    assert got.dtype == "uint16"


def test_dask_brings_no_threads_of_its_own(tmp_path):
    noted = Noted(tmp_path / "blocks", REGULAR)
    with dask.config.set(scheduler="threads"):
        segment(noted.array, executor="serial")
    assert noted.threads == {threading.get_ident()}


def test_of_a_large_graph_only_what_a_block_needs_is_computed():
    array = (da.ones((4000, 4000), chunks=40, dtype="uint16") + np.uint16(1))[7:-9].rechunk((40, 80))
    blocks = dask_blocks(array)
    assert np.array_equal(blocks.compute((50, 20)), np.full((40, 80), 2))
    graph, _, get = blocks._graph
    sizes = []
    blocks.__dict__["_graph"] = (graph, _, lambda dsk, key: (sizes.append(len(dsk)), get(dsk, key))[1])
    blocks.compute((51, 21))
    assert sizes[0] < 20 < len(graph)


def test_a_cache_without_room_is_told_of():
    array = da.zeros((4096, 400_000), chunks=(4096, 400_000), dtype="uint16")
    spec = seamlabel.RunSpec(image=None, tile_shape=1024, overlap=8)
    info = image_info(array)
    assert any("computed again" in w for w in seamlabel.resolve(spec, info, memory_bytes=10**9).warnings)
    roomy = seamlabel.resolve(spec, info, memory_bytes=10**11)
    assert not any("computed again" in w for w in roomy.warnings)
    assert roomy.cache_bytes >= array.nbytes


def test_the_tile_shape_is_made_of_whole_blocks():
    array = da.zeros((9100, 8100), chunks=((350, *(700,) * 12, 350), 900))
    spec = seamlabel.RunSpec(image=None, overlap=8)
    grid = seamlabel.resolve(spec, image_info(array), memory_bytes=10**10).grid
    assert [t % c for t, c in zip(grid.tile_shape, (700, 900), strict=True)] == [0, 0]


def test_sizes_that_are_not_computed_are_refused():
    array = da.from_array(np.arange(100.0), chunks=10)
    with pytest.raises(ImageError, match="has not been computed"):
        image_info(array[array > 5])


def test_an_xarray_of_dask_is_read_by_its_blocks(tmp_path):
    noted = Noted(tmp_path / "blocks", IRREGULAR)

    class DataArray:
        """What matters of xarray's: a lazy collection without `blocks`, around an array that has them."""

        def __init__(self, data):
            self.data, self.shape, self.dtype, self.chunks = data, data.shape, data.dtype, data.chunks

        def __dask_graph__(self):
            return self.data.__dask_graph__()

        def __getitem__(self, cut):
            return DataArray(self.data[cut])

    result = segment(DataArray(noted.array))
    assert noted.each_once()
    assert same_partition(np.asarray(result.labels), bright(PIXELS))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_parts_of_chunks_of_any_sizes_fill_a_span(data):
    sizes = tuple(data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=8).filter(any)))
    start = data.draw(st.integers(0, sum(sizes)))
    stop = data.draw(st.integers(start, sum(sizes)))
    line = np.arange(sum(sizes))
    starts = np.cumsum((0, *sizes))
    out = np.full(stop - start, -1)
    for index, inside, to in parts(start, stop, chunks_of(sizes)):
        out[to] = line[starts[index] : starts[index + 1]][inside]
    assert np.array_equal(out, line[start:stop])
    assert longest(chunks_of(sizes)) == max(sizes)
