"""Boxes put together from decoded chunks: zarr-python's pixels, every chunk decoded once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from math import prod

import dask.array as da
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

from seamlabel.errors import ImageError
from seamlabel.geometry import Box
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader, rectangles
from seamlabel.io.direct import chunk_files

BUDGET = 10**7
CODECS = {
    (3, "zstd"): ZstdCodec(level=1, checksum=True),
    (3, "blosc"): BloscCodec(cname="lz4", shuffle="bitshuffle"),
    (3, "gzip"): GzipCodec(level=1),
    (3, "none"): None,
    (2, "zstd"): numcodecs.Zstd(3),
    (2, "blosc"): numcodecs.Blosc("zstd", 1, 1),
    (2, "gzip"): numcodecs.GZip(1),
    (2, "zlib"): numcodecs.Zlib(1),
    (2, "none"): None,
}
DTYPES = ("bool", "uint8", "int16", "uint16", "uint32", "int64", "float16", "float32", "float64")


def reader_of(array, budget=BUDGET):
    return ChunkReader(array, ChunkCache(budget))


def make(where, shape, chunks, dtype="uint16", version=3, codec="zstd", fill=0, **options):
    """An array whose first half (along its longest axis) was written, the rest has no chunks."""
    options = {"compressors": CODECS[version, codec], "filters": None, **options}
    array = zarr.create_array(
        where, shape=shape, chunks=chunks, dtype=dtype, zarr_format=version, fill_value=fill, **options
    )
    axis = shape.index(max(shape))
    half = tuple(slice(0, -(-n // 2)) if a == axis else slice(None) for a, n in enumerate(shape))
    pixels = np.random.default_rng(1).integers(1, 100, array[half].shape)
    array[half] = pixels.astype(array.dtype) if np.dtype(dtype) != bool else pixels > 50
    return array


def assert_same(reader, array, box=None):
    box = box or Box.whole(array.shape)
    got, expected = reader.read(box), np.asarray(array[box.slices])
    native = expected.dtype.newbyteorder("=")
    assert (got.dtype, got.shape, got.flags.c_contiguous) == (native, expected.shape, True)
    assert got.tobytes() == expected.astype(native).tobytes()


@pytest.mark.parametrize("dtype", [*DTYPES, ">u2", ">i4", ">f8"])
@pytest.mark.parametrize(("version", "codec"), CODECS)
def test_direct_decoding_gives_what_zarr_gives(tmp_path, version, codec, dtype):
    options = {}
    if version == 3 and dtype.startswith(">"):
        dtype, options = dtype[1:], {"serializer": BytesCodec(endian="big")}
        dtype = np.dtype(dtype).name
    fill = True if dtype == "bool" else 7
    for number, separator in enumerate("./"):
        key = {"name": "default" if version == 3 else "v2", "separator": separator}
        array = make(
            tmp_path / str(number),
            (45, 31),
            (16, 10),
            dtype,
            version,
            codec,
            fill,
            chunk_key_encoding=key,
            **options,
        )
        assert chunk_files(array) is not None
        reader = reader_of(zarr.open_array(tmp_path / str(number), mode="r"))
        for box in (None, Box((3, 5), (40, 31)), Box((17, 11), (20, 19)), Box((40, 25), (45, 31))):
            assert_same(reader, array, box)
        assert 0 < reader.decoded == len([f for f in (tmp_path / str(number)).rglob("*") if is_chunk(f)])


def is_chunk(file):
    return file.is_file() and file.name not in ("zarr.json", ".zarray", ".zattrs")


@pytest.mark.parametrize("separator", "./")
def test_zarr_2_names_of_chunks_in_zarr_3_are_read(tmp_path, separator):
    key = {"name": "v2", "separator": separator}
    array = make(tmp_path / "a", (20, 20), (8, 8), chunk_key_encoding=key)
    assert chunk_files(array).exists((0, 1))
    assert_same(reader_of(array), array)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("uint16", 65535),
        ("int16", -3),
        ("float32", np.nan),
        ("float64", -np.inf),
        ("bool", True),
        ("uint8", None),
    ],
)
def test_missing_chunks_are_the_fill_value(tmp_path, version, dtype, fill):
    array = make(tmp_path / "a", (30, 8), (4, 4), dtype, version, fill=fill)
    reader = reader_of(array)
    assert_same(reader, array)
    assert reader.decoded == 4 * 2
    assert reader.missing(Box((16, 0), (30, 8)))
    assert not reader.missing(Box((15, 0), (30, 8)))
    assert np.array_equal(np.asarray(reader.fill, dtype), array[20, 0], equal_nan=dtype.startswith("float"))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_box_of_any_array_is_what_zarr_gives(tmp_path_factory, data):
    ndim = data.draw(st.integers(1, 5))
    sizes = st.lists(st.integers(1, 9), min_size=ndim, max_size=ndim).map(tuple)
    shape, chunks = data.draw(sizes), data.draw(sizes)
    version, codec = data.draw(st.sampled_from(sorted(CODECS)))
    plain = data.draw(st.booleans())
    where = str(tmp_path_factory.mktemp("a") / "a") if plain else MemoryStore()
    array = make(where, shape, chunks, data.draw(st.sampled_from(DTYPES[1:])), version, codec, fill=3)
    assert (chunk_files(array) is not None) == plain
    reader = reader_of(array, data.draw(st.sampled_from([0, 40, 400, BUDGET])))
    for _ in range(4):
        start = [data.draw(st.integers(0, n)) for n in shape]
        stop = [data.draw(st.integers(a, n)) for a, n in zip(start, shape, strict=True)]
        assert_same(reader, array, Box(tuple(start), tuple(stop)))


class Deep(LocalStore):
    """A folder that is not read as one would think."""


@pytest.mark.parametrize(
    "kind",
    ["memory", "zip", "wrapped", "subclass", "sharded", "transpose", "order F", "filter", "lz4", "crc"],
)
def test_what_is_not_plain_is_left_to_zarr(tmp_path, kind):
    stores = {
        "memory": MemoryStore,
        "zip": lambda: ZipStore(tmp_path / "a.zip", mode="w"),
        "wrapped": lambda: WrapperStore(LocalStore(tmp_path / "a")),
        "subclass": lambda: Deep(tmp_path / "a"),
    }
    options = {
        "sharded": {"shards": (32, 32)},
        "transpose": {"filters": TransposeCodec(order=(1, 0))},
        "order F": {"version": 2, "order": "F"},
        "filter": {"version": 2, "filters": numcodecs.Delta("u2")},
        "lz4": {"version": 2, "compressors": numcodecs.LZ4()},
        "crc": {"compressors": (ZstdCodec(), zarr.codecs.Crc32cCodec())},
    }
    where = stores.get(kind, lambda: tmp_path / "a")()
    array = make(where, (45, 31), (16, 16), **options.get(kind, {}))
    assert chunk_files(array) is None
    reader = reader_of(array)
    for box in (Box((0, 0), (17, 17)), Box((3, 5), (40, 31)), None):
        assert_same(reader, array, box)
    assert reader.decoded == 6
    assert not reader.missing(Box((40, 0), (45, 31)))
    assert reader.fill is None


def test_zarr_is_asked_once_for_what_a_box_misses():
    calls = []

    class Counting(WrapperStore):
        async def get(self, key, *args, **kwargs):
            calls.append(key)
            return await super().get(key, *args, **kwargs)

    store = MemoryStore()
    make(store, (64, 64), (8, 8))
    array = zarr.open_array(Counting(store), mode="r")
    reader, cuts = reader_of(array), []

    class Noting:
        store = array.store

        def __getitem__(self, cut):
            cuts.append(cut)
            return array[cut]

    reader.read(Box((0, 0), (20, 20)))
    calls.clear()
    reader.array = Noting()
    assert np.array_equal(reader.read(Box((0, 16), (24, 40))), array[:24, 16:40])
    assert cuts == [(slice(0, 24), slice(24, 40))]
    assert len([key for key in calls if "c/" in key]) == 6 + 9  # what was missing, and all for the comparison


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))))
def test_rectangles_partition_the_indices(indices):
    found = [tuple((a, b, c) for a in x for b in y for c in z) for x, y, z in rectangles(indices)]
    assert sorted(i for part in found for i in part) == sorted(indices)


@pytest.mark.parametrize("codec", ["zstd", "blosc", "gzip", "none"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "longer"])
def test_a_damaged_chunk_is_named(tmp_path, codec, damage):
    array = make(tmp_path / "a", (32, 32), (16, 16), codec=codec)
    file = tmp_path / "a" / "c" / "0" / "1"
    whole = file.read_bytes()
    file.write_bytes(
        {"cut": whole[: len(whole) // 2], "empty": b"", "noise": b"xyz" * 99, "longer": whole + b"more"}[
            damage
        ]
    )
    reader = reader_of(array)
    assert_same(reader, array, Box((0, 0), (16, 16)))
    if damage == "longer" and codec == "blosc":  # its header says where it ends
        assert_same(reader, array)
        return
    for _ in range(2):
        with pytest.raises(ImageError, match="c/0/1 is no chunk") as caught:
            reader.read(Box((0, 0), (32, 32)))
        assert "damaged" in caught.value.hint
    file.write_bytes(whole)
    assert_same(reader, array)


def test_a_blosc_header_is_not_believed(tmp_path):
    array = make(tmp_path / "a", (16, 16), (16, 16), codec="blosc")
    file = tmp_path / "a" / "c" / "0" / "0"
    whole = file.read_bytes()
    for place in (4, 12):  # bytes decoded, bytes encoded
        file.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
        with pytest.raises(ImageError, match="are announced"):
            reader_of(array).read(Box.whole((16, 16)))


def test_metadata_with_more_to_say_are_left_to_zarr(tmp_path):
    array = make(tmp_path / "a", (16, 16), (16, 16))
    document = json.loads((tmp_path / "a" / "zarr.json").read_text())
    document["extra"] = {"must_understand": False}
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(document))
    opened = zarr.open_array(tmp_path / "a", mode="r")
    assert chunk_files(array) is not None
    assert chunk_files(opened) is None
    assert_same(reader_of(opened), array)


@pytest.mark.parametrize("plain", [True, False])
def test_a_box_belongs_to_who_asked_for_it(tmp_path, plain):
    array = make(tmp_path / "a" if plain else MemoryStore(), (32, 32), (16, 16))
    reader = reader_of(array)
    for box in (Box((0, 0), (16, 16)), Box((2, 2), (30, 30))):
        reader.read(box)[:] = 0
        assert_same(reader, array, box)


def test_chunks_that_no_cache_holds_are_read_as_asked_for(tmp_path):
    array = make(tmp_path / "a", (32, 32), (16, 16))
    reader = reader_of(array, 16 * 16 * 2 - 1)
    assert_same(reader, array, Box((3, 3), (20, 20)))
    assert_same(reader, array, Box((3, 3), (20, 20)))
    assert reader.decoded == 8


def test_the_cache_keeps_to_its_budget_and_drops_the_oldest():
    cache = ChunkCache(3000)

    def load(keys):
        return ((key, np.full(125, key)) for key in keys)

    cache.get([1, 2, 3], load)
    cache.get([1], load)
    cache.get([4], load)
    asked = []
    cache.get([1, 2, 3, 4], lambda keys: asked.extend(keys) or load(keys))
    assert asked == [2]
    assert cache.held == 3000


def test_chunks_of_one_value_weigh_little_but_something():
    cache = ChunkCache(10_000)
    cache.get(range(1000), lambda keys: ((key, np.broadcast_to(0, (512, 512))) for key in keys))
    assert 5000 < cache.held <= 10_000


def test_two_threads_that_want_one_chunk_decode_it_once():
    cache, begun, go, loads = ChunkCache(BUDGET), threading.Event(), threading.Event(), []

    def load(keys):
        loads.append(keys)
        begun.set()
        assert go.wait(20)
        return ((key, np.ones(3)) for key in keys)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, ["a"], load)
        assert begun.wait(20)
        second = pool.submit(cache.get, ["a"], load)
        go.set()
        assert first.result(20)["a"] is second.result(20)["a"]
    assert loads == [["a"]]


class Watched(dict):
    """What is being loaded; tells when somebody looks it up."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __getitem__(self, key):
        self.seen.set()
        return super().__getitem__(key)


def test_an_error_reaches_all_who_wait_and_is_not_kept():
    cache, begun, go, waiting = ChunkCache(BUDGET), threading.Event(), threading.Event(), threading.Event()

    def load(keys):
        begun.set()
        assert go.wait(20)
        message = "unreadable"
        raise OSError(message)

    cache._loading = Watched(waiting)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, ["a", "b"], load)
        assert begun.wait(20)
        second = pool.submit(cache.get, ["b"], load)
        assert waiting.wait(20)
        go.set()
        for future in (first, second):
            with pytest.raises(OSError, match="unreadable"):
                future.result(20)
    assert cache.get(["a"], lambda keys: [("a", np.ones(2))])["a"].sum() == 2


def test_who_waits_for_a_chunk_does_not_suffer_from_another_that_was_loaded_with_it():
    cache, begun, waiting = ChunkCache(BUDGET), threading.Event(), threading.Event()

    def load(keys):
        if "bad" in keys:
            begun.set()
            assert waiting.wait(20)
            message = "damaged"
            raise OSError(message)
        return ((key, np.ones(2)) for key in keys)

    cache._loading = Watched(waiting)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, ["good", "bad"], load)
        assert begun.wait(20)
        second = pool.submit(cache.get, ["good"], load)
        assert second.result(20)["good"].sum() == 2
        with pytest.raises(OSError, match="damaged"):
            first.result(20)


def test_chunks_loaded_ahead_take_only_a_part_of_the_cache():
    cache, loaded = ChunkCache(4000), []

    def load(keys):
        loaded.extend(keys)
        return ((key, np.zeros(50) + key) for key in keys)

    cache.warm(range(10), load, 400)
    assert loaded == [0, 1]
    cache.warm(range(10), load, 400)
    assert loaded == [0, 1]
    assert cache.lacks([1, 2])
    assert not cache.lacks([0, 1])
    cache.get([0], load)
    cache.warm(range(10), load, 400)
    assert loaded == [0, 1, 2]


def test_many_threads_read_the_same_pixels(tmp_path):
    array = make(tmp_path / "a", (64, 64), (8, 8), fill=5)
    reader, whole = reader_of(array, 30 * 128), array[:]
    corners = [(y, x) for y in range(0, 40, 5) for x in range(0, 40, 5)] * 2

    def right(corner):
        y, x = corner
        return np.array_equal(reader.read(Box(corner, (y + 24, x + 24))), whole[y : y + 24, x : x + 24])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, corners))


def test_dask_computes_every_block_once():
    computed = []

    def note(block, block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return block

    pixels = np.arange(40 * 50.0).reshape(40, 50)
    array = da.from_array(pixels, chunks=(16, 16)).map_blocks(note, dtype=float, meta=np.empty((0, 0)))
    reader = reader_of(array)
    for box in (Box((0, 0), (20, 20)), Box((12, 12), (40, 50)), Box((0, 0), (40, 50))):
        assert np.array_equal(reader.read(box), pixels[box.slices])
    assert len(computed) == len(set(computed)) == reader.decoded == 12


def test_dask_blocks_of_any_size_are_read():
    pixels = np.arange(40 * 50).reshape(40, 50)
    for chunks in (((10, 25, 5), (50,)), ((5, 35), (20, 30)), ((40,), (25, 25))):
        reader = reader_of(da.from_array(pixels, chunks=chunks))
        assert np.array_equal(reader.read(Box((7, 3), (38, 44))), pixels[7:38, 3:44])


def test_arrays_without_chunks_are_cut():
    pixels = np.arange(prod((4, 5, 6))).reshape(4, 5, 6)
    reader = reader_of(pixels)
    got = reader.read(Box((0, 1, 2), (4, 5, 6)))
    assert np.array_equal(got, pixels[:, 1:, 2:])
    assert not np.shares_memory(got, pixels)
    assert (reader.decoded, reader.fill, reader.missing(Box.whole((4, 5, 6)))) == (0, None, False)
