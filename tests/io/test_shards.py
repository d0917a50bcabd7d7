"""Labels in shards: whatever writes them, in whatever order, every reader finds them."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ngff_zarr
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_stores import Odd
from odd_table import CODECS

import seamlabel
from seamlabel.geometry import TileGrid
from seamlabel.io.ngff import shards as shards_module
from seamlabel.io.ngff.chunkfiles import make_array
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.shards import shard_shapes

HOW = {"params": {"value": 50, "smoothing": 0}, "overlap": 4, "executor": "threads", "progress": False}


def chunks_below(array):
    return [path for path in (array / "c").rglob("*") if path.is_file()]


@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    chunk=st.integers(4, 9),
    counts=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_chunks_put_in_any_order_by_any_thread_are_read_by_zarr_and_by_us(shape, chunk, counts, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2**32, shape, dtype="uint32") * (rng.random(shape) < 0.3)
    chunks = tuple(min(chunk, n) for n in shape)
    with tempfile.TemporaryDirectory() as folder:
        names, shards = tuple("zyx"[-len(shape) :]), tuple(c * counts for c in chunks)
        files = make_array(
            Path(folder) / "a", tuple(shape), "uint32", chunks, zarr_format=3, names=names, shards=shards
        )
        boxes = [tile.core for tile in TileGrid(tuple(shape), chunks, (0,) * len(shape))]
        rng.shuffle(boxes)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda box: files.write(box, labels[box.slices]), boxes))
        assert all(np.array_equal(files.read(box), labels[box.slices]) for box in boxes)
        array = zarr.open_array(f"{folder}/a", mode="r")
        assert np.array_equal(array[...], labels)
        assert array.shards == shards
        assert array.chunks == chunks


@pytest.mark.parametrize("name", ["v3 sharded", "v3 sharded, transposed"])
def test_labels_of_a_sharded_image_are_sharded_and_the_same(tmp_path, name, monkeypatch):
    image, plain = (Odd(**how).write(tmp_path / path) for how, path in ((CODECS[name], "a"), ({}, "b")))
    monkeypatch.setattr("seamlabel.engine.paint.CHUNKS", {2: (8, 8)})
    for path in (image, plain):
        seamlabel.segment(path, "threshold", tile_shape=16, name="cells", **HOW)
    label, other = (open_image(path / "labels" / "cells") for path in (image, plain))
    assert label.arrays[0].shards == (24, 32)
    for ours, theirs in zip(label.arrays, other.arrays, strict=True):
        assert np.array_equal(ours[:], theirs[:])
    first = image / "labels" / "cells" / "1.0"
    assert len(chunks_below(first)) == 1
    seen = ngff_zarr.from_ngff_zarr(str(first.parent)).images  # reads zarr without zarr-python
    assert all(np.array_equal(i.data, a[:]) for i, a in zip(seen, label.arrays, strict=True))


def test_only_very_many_chunks_of_zarr_3_go_into_shards(tmp_path, monkeypatch):
    shapes = ((100_000, 100_000), (50_000, 50_000))
    chunks, blocks = ((512, 512), (512, 512)), ((2048, 2048), (1024, 1024))
    few = ((10_000, 10_000), (5_000, 5_000))
    assert shard_shapes(shapes, chunks, blocks, tmp_path) == [None, None]
    larger = ((150_000, 100_000), shapes[1])
    assert shard_shapes(larger, chunks, blocks, tmp_path) == [(2048, 2048), (1024, 1024)]
    assert (
        shard_shapes(few, chunks, blocks, tmp_path)
        == shard_shapes(larger, chunks, (), tmp_path)
        == [None] * 2
    )
    monkeypatch.setattr(shards_module, "MANY_FILES", 0)
    monkeypatch.setattr("seamlabel.engine.paint.CHUNKS", {2: (8, 8)})
    for version, kept in (("0.4", None), ("0.5", (24, 32))):
        image = Odd(version=version).write(tmp_path / version)
        seamlabel.segment(image, "threshold", tile_shape=16, name="cells", **HOW)
        assert open_image(image / "labels" / "cells").arrays[0].shards == kept
