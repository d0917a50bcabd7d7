"""Chunks that are damaged, missing, unreadable or vanish: the tiles that need them fail, and no others."""

from __future__ import annotations

import os

import numcodecs
import numpy as np
import pytest
import zarr
from scipy import ndimage
from tests.faults.inject import READS, armed
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

import seamlabel
from seamlabel.errors import ImageError, IncompleteError, TileError
from seamlabel.events import TileFailed
from seamlabel.geometry import Box
from seamlabel.io.sources import image_info, open_source
from seamlabel.testing.cells import Tissue

SHAPE = (96, 96)
PIXELS = Tissue(SHAPE, "dense").image()
LAYOUTS = {
    "v2 blosc": (2, numcodecs.Blosc("zstd", 1), None),
    "v2 zstd": (2, numcodecs.Zstd(1), None),
    "v2 gzip": (2, numcodecs.GZip(1), None),
    "v2 zlib": (2, numcodecs.Zlib(1), None),
    "v2 raw": (2, None, None),
    "v2 lz4": (2, numcodecs.LZ4(), None),
    "v3 blosc": (3, BloscCodec(), None),
    "v3 zstd": (3, ZstdCodec(), None),
    "v3 gzip": (3, GzipCodec(), None),
    "v3 raw": (3, None, None),
    "v3 sharded zstd": (3, ZstdCodec(), (32, 32)),
    "v3 sharded blosc": (3, BloscCodec(), (32, 32)),
    "v3 sharded gzip": (3, GzipCodec(), (32, 32)),
}
DAMAGES = {
    "empty": lambda data: b"",
    "a few bytes": lambda data: data[:5],
    "cut off": lambda data: data[: len(data) // 2],
    "a byte short": lambda data: data[:-1],
    "overwritten": lambda data: bytes(len(data) // 2) + data[len(data) // 2 :],
    "another file": lambda data: b"This is not a chunk. " * 20,
}


def bright(tile):
    return ndimage.label(tile > 3000)[0]


def image_at(path, layout="v3 zstd"):
    """Write an OME-Zarr whose files hold 32 x 32 pixels."""
    version, codec, shards = LAYOUTS[layout]
    group = zarr.create_group(str(path), zarr_format=version)
    chunks = (16, 16) if shards else (32, 32)
    options = {"shards": shards} if shards else {}
    array = group.create_array(
        "0", shape=SHAPE, dtype="uint16", chunks=chunks, compressors=codec, filters=None, **options
    )
    array[...] = PIXELS
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    if version == 2:
        group.attrs["multiscales"] = [{"version": "0.4", **entry}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    return path, path / "0" / array.metadata.encode_chunk_key((1, 2))


def run(image, **options):
    """Segment and return what failed, by tile."""
    options = {"tile_shape": 32, "overlap": 4, "progress": False, **options}
    try:
        seamlabel.segment(image, bright, **options)
    except IncompleteError as error:
        return error.failed
    return {}


def needing(*chunks):
    """Return the tiles of 32 x 32, overlap 4, that read a chunk (row, column) of 32 x 32."""
    near = {(y + dy, x + dx) for y, x in chunks for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    return {y * 3 + x for y, x in near if 0 <= y < 3 and 0 <= x < 3}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiles_that_need_a_damaged_chunk_fail_and_name_its_file(tmp_path, layout, damage):
    image, chunk = image_at(tmp_path / "image.zarr", layout)
    chunk.write_bytes(DAMAGES[damage](chunk.read_bytes()))
    if (layout, damage) in {("v2 raw", "overwritten"), ("v3 raw", "overwritten")}:
        assert run(image) == {}  # bytes without checksum: nobody can tell
        return
    failed = run(image)
    assert set(failed) == needing((1, 2))
    assert all(str(chunk) in reason for reason in failed.values()), failed
    assert image_info(image).labels == ()


@pytest.mark.parametrize("layout", ["v2 blosc", "v3 zstd", "v3 sharded zstd"])
def test_missing_chunks_are_the_fill_value_as_zarr_says(tmp_path, layout):
    image, chunk = image_at(tmp_path / "image.zarr", layout)
    chunk.unlink()
    assert run(image) == {}
    expected = PIXELS.copy()
    expected[32:64, 64:96] = 0
    info = image_info(image)
    assert np.array_equal(open_source(image, info, 0, ()).read(Box.whole(SHAPE)), expected)


@pytest.mark.parametrize("layout", ["v2 blosc", "v3 zstd", "v3 sharded zstd"])
@pytest.mark.parametrize("skip_empty", [None, 3000.0])
def test_an_image_that_vanishes_midway_is_an_error_and_not_background(tmp_path, layout, skip_empty):
    image, _ = image_at(tmp_path / "image.zarr", layout)
    seen = []

    def vanishing(tile):
        if not seen:
            (image / "0").rename(tmp_path / "away")
        seen.append(1)
        return bright(tile)

    options = {"tile_shape": 32, "overlap": 4, "progress": False, "executor": "serial"}
    with pytest.raises(IncompleteError) as caught:
        seamlabel.segment(image, vanishing, skip_empty=skip_empty, **options)
    assert len(caught.value.failed) == 8
    assert all("gone" in reason for reason in caught.value.failed.values())


@pytest.mark.parametrize("layout", ["v2 blosc", "v3 zstd", "v3 sharded zstd"])
@pytest.mark.parametrize("kind", ["EACCES", "EIO"])
def test_a_chunk_that_cannot_be_read_fails_its_tiles(tmp_path, layout, kind):
    image, chunk = image_at(tmp_path / "image.zarr", layout)
    with armed(tmp_path, 1, kind, ops=READS, lasting=True, name=str(chunk)):
        failed = run(image)
    assert set(failed) == needing((1, 2))
    assert all(str(chunk) in reason for reason in failed.values())


@pytest.mark.parametrize("layout", ["v2 gzip", "v3 zstd", "v3 sharded zstd"])
@pytest.mark.parametrize("kind", ["ESTALE", "EIO"])
def test_an_error_of_the_system_that_passes_is_tried_again(tmp_path, layout, kind):
    image, chunk = image_at(tmp_path / "image.zarr", layout)
    with armed(tmp_path, 1, kind, ops=READS, name=str(chunk)) as fault:
        assert run(image, executor="serial") == {}
    assert fault.happened
    assert run(image, executor="serial", name="undisturbed") == {}
    labels = [
        np.asarray(zarr.open_group(image / "labels" / n, mode="r")["1.0"]) for n in ("labels", "undisturbed")
    ]
    assert np.array_equal(*labels)


def test_a_folder_that_may_not_be_looked_into_is_no_empty_one(tmp_path, monkeypatch):
    image, chunk = image_at(tmp_path / "image.zarr")
    real = os.lstat

    def refusing(path, *args, **kwargs):
        if os.fspath(path) == str(chunk):
            raise PermissionError(13, "Permission denied", str(chunk))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "lstat", refusing)
    source = open_source(image, image_info(image), 0, ())
    with pytest.raises(PermissionError):
        source.missing(Box((32, 64), (64, 96)))


def test_an_image_of_damaged_chunks_only_is_given_up_at_once(tmp_path):
    image, _ = image_at(tmp_path / "image.zarr")
    for file in (image / "0" / "c").rglob("*"):
        if file.is_file():
            file.write_bytes(b"x")
    with pytest.raises(TileError, match="is no chunk of this image"):
        run(image)


def test_metadata_that_are_cut_off_are_told_of_before_any_work(tmp_path):
    image, _ = image_at(tmp_path / "image.zarr")
    document = image / "0" / "zarr.json"
    document.write_bytes(document.read_bytes()[:50])
    with pytest.raises(ImageError, match="0"):
        image_info(image)


def test_a_failure_by_a_damaged_chunk_has_a_reason_and_a_traceback(tmp_path):
    image, chunk = image_at(tmp_path / "image.zarr")
    chunk.write_bytes(b"")
    events = []
    with pytest.raises(IncompleteError):
        seamlabel.segment(image, bright, tile_shape=32, overlap=4, progress=False, on_event=events.append)
    failures = [event for event in events if isinstance(event, TileFailed)]
    assert {event.tile for event in failures} == needing((1, 2))
    assert all("Traceback" in event.detail for event in failures)
