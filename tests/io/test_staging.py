"""Staging: what is written is read back, from many threads, also by others, and stays zarr."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from seamlabel.errors import OutputError
from seamlabel.io import staging
from seamlabel.io.staging import create_staging, open_staging


def tile(number, shape=(6, 7)):
    return np.random.default_rng(number).integers(0, 9, shape).astype(np.int32)


def test_tiles_are_read_back_by_this_store_and_others(tmp_path):
    store = create_staging(tmp_path, 12, (6, 7))
    for number in range(10):
        store.write(number, tile(number))
    other = open_staging(tmp_path)
    for number in range(10):
        assert np.array_equal(store.read(number), tile(number))
        assert np.array_equal(other.read(number), tile(number))
    assert store.read(11) is None


def test_staging_is_a_zarr_array(tmp_path):
    store = create_staging(tmp_path, 3, (6, 7))
    store.write(1, tile(1))
    (folder,) = tmp_path.glob("staging-*.zarr")
    array = zarr.open_array(folder, mode="r")
    assert np.array_equal(array[1], tile(1))
    assert not array[0].any()


def test_tiles_beyond_the_memory_kept_come_from_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "CACHE_BYTES", 200)
    store = create_staging(tmp_path, 50, (20, 20))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: store.write(n, tile(n, (20, 20))), range(50)))
        read = list(pool.map(store.read, range(50)))
    assert all(np.array_equal(labels, tile(n, (20, 20))) for n, labels in enumerate(read))
    assert store._held <= 200 or len(store._recent) == 1


def test_a_late_tile_of_an_older_run_does_not_reach_the_next(tmp_path):
    old = create_staging(tmp_path / "run", 4, (6, 7))
    for part in (tmp_path / "run").iterdir():
        for file in part.iterdir():
            file.unlink()
        part.rmdir()
    new = create_staging(tmp_path / "run", 4, (6, 7))
    new.write(1, tile(1))
    with pytest.raises(OutputError, match="cannot stage tile 1"):
        old.write(1, tile(2))
    assert np.array_equal(open_staging(tmp_path / "run").read(1), tile(1))
