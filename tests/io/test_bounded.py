"""What is known to be safe is read as zarr reads it, within bounds."""

from __future__ import annotations

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from seamlabel.geometry import Box
from seamlabel.io.bounded import CODECS, decode_exactly, zstd_size
from seamlabel.io.sources import image_info, open_source

PIXELS = np.random.default_rng(0).integers(0, 900, (70, 90)).astype("uint16")
V2 = {
    "blosc": numcodecs.Blosc(),
    "bz2": numcodecs.BZ2(),
    "gzip": numcodecs.GZip(),
    "lz4": numcodecs.LZ4(),
    "lzma": numcodecs.LZMA(),
    "zlib": numcodecs.Zlib(),
    "zstd": numcodecs.Zstd(),
}
FILTERS = {"plain": None, "delta": [numcodecs.Delta("<u2")], "shuffle": [numcodecs.Shuffle(2)]}
V3 = {
    "none": None,
    "blosc": BloscCodec(),
    "gzip": GzipCodec(),
    "zstd": ZstdCodec(),
    "zstd, checked": [ZstdCodec(), Crc32cCodec()],
    "twice": [GzipCodec(), ZstdCodec()],
}


def as_read(path, zarr_format, **settings):
    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    group.create_array("0", data=PIXELS, chunks=(32, 32), **settings)
    images = [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]
    group.attrs.update({"multiscales": images} if zarr_format == 2 else {"ome": {"multiscales": images}})
    source = open_source(path, image_info(path), 0, ())
    return source.read(Box.whole(PIXELS.shape))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("codec", V2)
def test_codecs_of_zarr_2_are_read(tmp_path, codec, filters, order):
    settings = {"compressors": V2[codec], "filters": FILTERS[filters], "order": order}
    assert np.array_equal(as_read(tmp_path / "a.zarr", 2, **settings), PIXELS)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shards", [None, (64, 64)])
@pytest.mark.parametrize("codec", V3)
def test_codecs_of_zarr_3_are_read(tmp_path, codec, shards, turned):
    filters = [TransposeCodec(order=(1, 0))] if turned else ()
    settings = {"compressors": V3[codec], "shards": shards, "filters": filters}
    assert np.array_equal(as_read(tmp_path / "a.zarr", 3, **settings), PIXELS)


@given(codec=st.sampled_from(sorted(V2)), data=st.binary(min_size=1, max_size=3000))
def test_what_is_packed_comes_out_and_never_more_than_allowed(codec, data):
    packed = bytes(V2[codec].encode(data))
    assert bytes(decode_exactly(codec, packed, len(data))) == data
    assert bytes(CODECS[codec](packed, len(data), len(data) + 5)) == data
    with pytest.raises((ValueError, RuntimeError)):
        CODECS[codec](packed, len(data) - 1, len(data) - 1)
    with pytest.raises((ValueError, RuntimeError)):
        decode_exactly(codec, packed, len(data) - 1)


@pytest.mark.parametrize("size", [1, 255, 256, 65_791, 65_792, 1 << 20])
def test_zstd_says_how_long_it_is(size):
    assert zstd_size(numcodecs.Zstd().encode(bytes(size))) == size


@pytest.mark.parametrize("codec", ["gzip", "zlib", "bz2", "lzma"])
def test_half_a_stream_is_an_error(codec):
    packed = bytes(V2[codec].encode(PIXELS.tobytes()))
    with pytest.raises(EOFError):
        decode_exactly(codec, packed[: len(packed) // 2], PIXELS.nbytes)
