"""Staging: what is written is read back, from many threads, also by others; damage is noticed."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import Zstd

from seamlabel.errors import OutputError
from seamlabel.io import packing, staging
from seamlabel.io.packing import pack, unpack
from seamlabel.io.staging import create_staging, open_staging
from seamlabel.staged import StagedTile


def labels(number, shape=(6, 7)):
    return np.random.default_rng(number).integers(0, 9, shape).astype(np.int32)


def tile(number, shape=(6, 7)):
    values = labels(number, shape).ravel()
    areas = np.bincount(values, minlength=10)[1:]
    return StagedTile(shape, values, np.ones(values.size, int), 5, areas, np.arange(9, dtype=np.uint8))


def same(staged, number, shape=(6, 7)):
    expected = tile(number, shape)
    return (
        np.array_equal(staged.labels(), labels(number, shape))
        and np.array_equal(staged.areas, expected.areas)
        and np.array_equal(staged.flags, expected.flags)
        and staged.n_core == expected.n_core
    )


def test_tiles_are_read_back_by_this_store_and_others(tmp_path):
    store = create_staging(tmp_path, (6, 7))
    for number in range(10):
        store.write(number, tile(number))
    other = open_staging(tmp_path)
    for number in range(10):
        assert same(store.read(number), number)
        assert same(other.read(number), number)
    assert store.read(11) is None


@given(
    lengths=st.lists(st.sampled_from([1, 2, 255, 256, 70_000]), min_size=1, max_size=5),
    top=st.sampled_from([1, 255, 256, 65_535, 65_536]),
    area=st.sampled_from([1, 2**16, 2**33]),
)
def test_numbers_of_every_size_are_kept(lengths, top, area):
    shape = (1, int(sum(lengths)))
    top = min(top, shape[1])  # a tile has no more labels and pieces than voxels
    values = np.array([top] * len(lengths), np.int64)
    table = np.array([area], np.int64), np.array([3], np.uint8)
    given = StagedTile(shape, values, np.array(lengths, np.int64), 1, *table, top - 1)
    back = unpack(pack(given), shape)
    assert back.values.tolist() == values.tolist()
    assert back.lengths.tolist() == lengths
    assert (back.areas.tolist(), back.flags.tolist(), back.n_core) == ([area], [3], 1)


def test_tiles_beyond_the_memory_kept_come_from_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "CACHE_BYTES", 200)
    store = create_staging(tmp_path, (20, 20))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: store.write(n, tile(n, (20, 20))), range(50)))
        read = list(pool.map(store.read, range(50)))
    assert all(same(staged, n, (20, 20)) for n, staged in enumerate(read))
    assert store._held <= 200 or len(store._recent) == 1


BOMBS = {
    "more runs than voxels": {"n_runs": 1 << 60},
    "more labels than voxels": {"n_all": (1 << 32) - 1},
    "more pieces than voxels": {"n_pieces": (1 << 32) - 1},
    "more labels in the core than labels": {"n_core": 1 << 20},
    "a width that is none": {"value": 0},
    "a bomb behind the header": {"body": bytes(1 << 28)},
    "a run that is too long": {"lengths": np.array([1 << 62, 2, 1 << 62, (1 << 63) + 40], np.uint64)},
    "a label that is not there": {"values": np.array([0, 1, 200, 1], np.uint64)},
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_tile_that_claims_too_much_is_refused_in_bounded_memory(tmp_path, case):
    change = dict(BOMBS[case])
    values = change.pop("values", np.array([0, 1, 0, 1], np.uint64))
    lengths = change.pop("lengths", np.array([10, 10, 10, 12], np.uint64))
    body = b"".join([values.tobytes(), lengths.tobytes(), np.array([22], np.uint64).tobytes(), b"\1"])
    head = {"value": 8, "length": 8, "area": 8, "n_core": 1, "n_all": 1, "n_pieces": 0, "n_runs": 4}
    body = change.pop("body", body)
    packed = packing._HEAD.pack(packing._MAGIC, *(head | change).values()) + bytes(Zstd().encode(body))
    create_staging(tmp_path, (6, 7))
    (folder,) = tmp_path.glob("staging-*")
    (folder / "4.tile").write_bytes(packed)
    tracemalloc.start()
    try:
        with pytest.raises(OutputError, match="tile 4") as caught:
            open_staging(tmp_path).read(4)
        assert caught.value.hint
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-3], lambda b: b[:10], lambda b: b"", lambda b: b"x" + b[1:]]
)
def test_a_damaged_tile_is_named(tmp_path, damage):
    create_staging(tmp_path, (6, 7)).write(4, tile(4))
    (file,) = tmp_path.glob("staging-*/4.tile")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(OutputError, match="tile 4"):
        open_staging(tmp_path).read(4)


def test_a_late_tile_of_an_older_run_does_not_reach_the_next(tmp_path):
    old = create_staging(tmp_path / "run", (6, 7))
    for part in (tmp_path / "run").iterdir():
        for file in part.iterdir():
            file.unlink()
        part.rmdir()
    new = create_staging(tmp_path / "run", (6, 7))
    new.write(1, tile(1))
    with pytest.raises(OutputError, match="cannot stage tile 1"):
        old.write(1, tile(2))
    assert same(open_staging(tmp_path / "run").read(1), 1)
