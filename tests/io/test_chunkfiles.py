"""Chunks written as files are those that zarr-python would write, and both read each other's."""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from seamlabel.geometry import Box
from seamlabel.io.ngff.chunkfiles import ChunkFiles
from seamlabel.io.ngff.store import create_array

LAYOUTS = {
    "1D": ((100,), (32,)),
    "2D": ((45, 61), (16, 16)),
    "3D": ((9, 20, 33), (4, 8, 16)),
    "4D": ((2, 5, 20, 33), (1, 3, 8, 16)),
    "one chunk": ((7, 5), (16, 16)),
    "whole chunks": ((32, 64), (16, 32)),
}


def make(folder, shape, chunks, dtype="uint32", zarr_format=3):
    """Return a new array, for zarr-python and for `ChunkFiles`."""
    names = tuple("tczyx"[-len(shape) :])
    array = create_array(folder, shape, dtype, chunks, zarr_format=zarr_format, names=names)
    return array, ChunkFiles(folder, shape, array.chunks, dtype, zarr_format=zarr_format)


def blobs(shape, dtype="uint32", seed=0):
    """Return labels with runs and holes, some of them beyond 16 bits; about half of it is empty."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 2, [-(-n // 8) for n in shape]) * rng.integers(1, 2**31, 1)
    coarse *= rng.integers(0, 3, coarse.shape)
    for axis in range(len(shape)):
        coarse = coarse.repeat(8, axis)
    return coarse[tuple(map(slice, shape))].astype(dtype)


def boxes(shape, chunks):
    """Yield the boxes of all chunks, cut at the array's end."""
    for start in product(*(range(0, n, c) for n, c in zip(shape, chunks, strict=True))):
        yield Box(start, tuple(min(a + c, n) for a, c, n in zip(start, chunks, shape, strict=True)))


def chunk_files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("zarr.json", ".zarray", ".zattrs")
    }


def test_the_labels_of_these_tests_have_empty_chunks_and_full_ones():
    shape, chunks = LAYOUTS["2D"]
    filled = {bool(blobs(shape)[box.slices].any()) for box in boxes(shape, chunks)}
    assert filled == {True, False}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_file_has_the_bytes_that_zarr_writes(tmp_path, zarr_format, dtype, layout):
    shape, chunks = LAYOUTS[layout]
    labels = blobs(shape, dtype)
    array, _ = make(tmp_path / "theirs", shape, chunks, dtype, zarr_format)
    _, files = make(tmp_path / "ours", shape, chunks, dtype, zarr_format)
    for box in boxes(shape, array.chunks):
        if labels[box.slices].any():
            array[box.slices] = labels[box.slices]
    files.write(Box.whole(shape), labels)
    assert chunk_files(tmp_path / "ours") == chunk_files(tmp_path / "theirs")
    assert np.array_equal(zarr.open_array(str(tmp_path / "ours"), mode="r")[...], labels)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_zarr_wrote_is_read(tmp_path, zarr_format):
    shape, chunks = LAYOUTS["3D"]
    labels = blobs(shape)
    array, files = make(tmp_path, shape, chunks, zarr_format=zarr_format)
    array[...] = labels
    assert np.array_equal(files.read(Box.whole(shape)), labels)


@st.composite
def writes(draw):
    """Return (shape, chunks, blocks, box): blocks of whole chunks and any box to read."""
    ndim = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, 40 if ndim < 3 else 12)) for _ in range(ndim))
    chunks = tuple(draw(st.integers(1, n)) for n in shape)
    blocks = tuple(c * draw(st.integers(1, 3)) for c in chunks)
    ends = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
    return shape, chunks, blocks, Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))


@settings(max_examples=60, deadline=None)
@given(writes(), st.integers(0, 99), st.sampled_from([2, 3]))
def test_any_box_reads_back_what_blocks_of_whole_chunks_wrote(case, seed, zarr_format):
    shape, chunks, blocks, box = case
    labels = blobs(shape, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        array, files = make(Path(folder) / "a", shape, chunks, zarr_format=zarr_format)
        for block in boxes(shape, blocks):
            files.write(block, labels[block.slices])
        assert np.array_equal(files.read(box), labels[box.slices])
        assert np.array_equal(array[...], labels)
        expected = sum(bool(labels[b.slices].any()) for b in boxes(shape, chunks))
        assert len(chunk_files(Path(folder) / "a")) == expected


def test_a_single_labelled_voxel_anywhere_in_a_chunk_is_written(tmp_path):
    _, files = make(tmp_path, (40, 40), (20, 20))
    for place in ((0, 0), (3, 39), (21, 1), (39, 39)):
        labels = np.zeros((40, 40), "uint32")
        labels[place] = 9
        files.write(Box.whole((40, 40)), labels)
        assert files.read(Box(place, tuple(p + 1 for p in place))) == 9
    assert len(chunk_files(tmp_path)) == 4


def test_a_cut_chunk_is_padded_with_zeros_and_not_with_its_neighbour(tmp_path):
    array, files = make(tmp_path, (16, 40), (16, 16))
    files.write(Box.whole((16, 40)), np.full((16, 40), 7, "uint32"))
    array.resize((16, 48))
    assert not array[:, 40:].any()


@pytest.mark.parametrize("dtype", ["int32", "int64", ">u4", "uint8"])
def test_labels_of_any_integer_type_and_layout_are_written(tmp_path, dtype):
    labels = np.asfortranarray(np.arange(200).reshape(10, 20).astype(dtype))
    labels.setflags(write=False)
    array, files = make(tmp_path, (10, 20), (4, 8))
    files.write(Box.whole((10, 20)), labels)
    assert np.array_equal(array[...], labels)
    files.write(Box.whole((10, 20)), labels[::-1, ::-1])
    assert np.array_equal(files.read(Box.whole((10, 20))), labels[::-1, ::-1])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_order_in_zarrs_configuration_changes_nothing(tmp_path, zarr_format):
    labels = np.arange(200, dtype="uint32").reshape(10, 20)
    with zarr.config.set({"array.order": "F"}):
        array, files = make(tmp_path, (10, 20), (4, 8), zarr_format=zarr_format)
        files.write(Box.whole((10, 20)), labels)
        assert np.array_equal(array[...], labels)
    assert np.array_equal(zarr.open_array(str(tmp_path), mode="r")[...], labels)


def test_boxes_that_cut_chunks_and_labels_of_another_shape_are_refused(tmp_path):
    _, files = make(tmp_path, (40, 40), (16, 16))
    for box in (Box((8, 0), (16, 16)), Box((0, 0), (16, 20)), Box((0, 0), (39, 16))):
        with pytest.raises(ValueError, match="whole chunks"):
            files.write(box, np.ones(box.shape, "uint32"))
    with pytest.raises(ValueError, match="do not fill"):
        files.write(Box((0, 0), (16, 16)), np.ones((1, 16), "uint32"))
    assert not chunk_files(tmp_path)


def test_threads_that_all_find_a_folder_missing_write_their_chunks(tmp_path):
    rows, threads = 40, 8
    array, files = make(tmp_path, (rows, threads), (1, 1))
    start = threading.Barrier(threads)

    def column(x):
        for y in range(rows):  # every row is a folder of its own
            start.wait(30)
            files.write(Box((y, x), (y + 1, x + 1)), np.full((1, 1), 1 + x + y))

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(column, x) for x in range(threads)]:
            done.result()
    assert np.array_equal(array[...], 1 + np.add.outer(np.arange(rows), np.arange(threads)))
