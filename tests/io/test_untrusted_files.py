"""Files made to do harm: bombs, pipes and links in place of documents and chunks, and names elsewhere."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import socket
import struct
import sys
import zlib

import numpy as np
import pytest
from hostile import SIDE, Hostile, refuse_both, refused, segment
from numcodecs import LZ4, Blosc, Zstd

from seamlabel.io.sources import image_info

pytestmark = pytest.mark.timeout(60)
posix = pytest.mark.skipif(
    sys.platform == "win32", reason="there are no such files, or no right to make them"
)
BIG = bytes(200 << 20)


def longer(data):
    """Return a frame of zstd that does not say how much it holds: 2,000 blocks of 128 kB."""
    block = ((1 << 17) << 3 | 2).to_bytes(3, "little") + b"\1"
    last = ((1 << 17) << 3 | 3).to_bytes(3, "little") + b"\1"
    return b"\x28\xb5\x2f\xfd\0\x58" + block * 2000 + last


def lying_blosc(data):
    frame = bytearray(Blosc().encode(bytes(SIDE * SIDE)))
    struct.pack_into("<I", frame, 4, 1 << 31)
    return bytes(frame)


BOMBS = {
    "blosc": ("blosc", Blosc().encode),
    "blosc that lies": ("blosc", lying_blosc),
    "zstd": ("zstd", Zstd().encode),
    "zstd of unknown length": ("zstd", longer),
    "gzip": ("gzip", gzip.compress),
    "gzip, many members": ("gzip", lambda data: gzip.compress(data[: 1 << 20]) * 200),
    "zlib": ("zlib", zlib.compress),
    "bz2": ("bz2", bz2.compress),
    "lzma": ("lzma", lambda data: lzma.compress(data, preset=1)),
    "lz4": ("lz4", LZ4().encode),
    "lz4 that lies": ("lz4", lambda _: struct.pack("<I", 0x7FFFFFFF) + b"\0" * 20),
    "plain bytes": (None, lambda _: b"1" * (3 << 20)),
}


@pytest.mark.parametrize("filters", [None, [{"id": "shuffle", "elementsize": 1}]], ids=["plain", "by zarr"])
@pytest.mark.parametrize("case", BOMBS)
def test_chunks_that_unpack_to_more_are_refused_in_bounded_memory(tmp_path, case, filters):
    hostile = Hostile(tmp_path)
    codec, pack = BOMBS[case]
    hostile.array |= {"compressor": codec and {"id": codec}, "filters": filters}
    hostile.chunk = bytes(pack(BIG))
    path = hostile.write()
    assert image_info(path).shape == (SIDE, SIDE)
    with refused(tmp_path, "tile 0|image.zarr"):
        segment(path)


def index(*places):
    return np.array(places, "<u8").tobytes()


SHARDS = {
    "gzip": ("gzip", gzip.compress(BIG), None),
    "zstd": ("zstd", bytes(Zstd().encode(BIG)), None),
    "zstd of unknown length": ("zstd", longer(b""), None),
    "blosc": ("blosc", lying_blosc(b""), None),
    "an index beyond the file": ("zstd", b"", (1 << 60, 1 << 61)),
    "an index that runs over": ("zstd", b"", ((1 << 64) - 2, 1 << 63)),
}


@pytest.mark.parametrize("case", SHARDS)
def test_shards_that_unpack_to_more_are_refused_in_bounded_memory(tmp_path, case):
    codec, data, where = SHARDS[case]
    settings = {"blosc": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0}}
    inner = [{"name": "bytes"}, {"name": codec, "configuration": settings.get(codec, {"level": 1})}]
    if codec == "zstd":
        inner[1]["configuration"]["checksum"] = False
    inside = {"chunk_shape": [SIDE, SIDE], "codecs": inner}
    inside["index_codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    hostile = Hostile(tmp_path, 3)
    hostile.array["codecs"] = [{"name": "sharding_indexed", "configuration": inside}]
    hostile.chunk = data + index(*(where or (0, len(data))))
    path = hostile.write()
    assert image_info(path).shape == (SIDE, SIDE)
    with refused(tmp_path, "tile 0|image.zarr"):
        segment(path)


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def a_device(path):
    path.symlink_to("/dev/zero")


def a_link_to_nothing(path):
    path.symlink_to("nowhere")


def a_link_to_itself(path):
    path.symlink_to(path.name)


def a_folder(path):
    path.mkdir()


STRANGE = [a_pipe, a_socket, a_device, a_link_to_nothing, a_link_to_itself, a_folder]


@posix
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.parametrize("document", ["group_document", "array_document"])
def test_what_is_no_file_in_place_of_metadata_is_refused(tmp_path, make, document, version):
    hostile = Hostile(tmp_path, version)
    path = hostile.write()
    place = getattr(hostile, document)
    place.unlink()
    make(place)
    refuse_both(path, "cannot be (read|opened)|is not a file|not a zarr group")


@posix
@pytest.mark.parametrize("by_zarr", [False, True], ids=["plain", "by zarr"])
@pytest.mark.parametrize("make", STRANGE)
def test_what_is_no_file_in_place_of_a_chunk_is_refused(tmp_path, make, by_zarr):
    hostile = Hostile(tmp_path)
    hostile.array["order"] = "F" if by_zarr else "C"
    path = hostile.write()
    hostile.chunk_file.unlink()
    make(hostile.chunk_file)
    with refused(tmp_path, "is a link|is not a file" if by_zarr else "it is (a|no) "):
        segment(path)


DOCUMENTS = {
    "nested too deeply": ('{"a":' * 100_000, "nested more than 64"),
    "nested deeply": ('{"a":' * 100 + "1" + "}" * 100, "nested more than 64"),
    "lists nested too deeply": ("[" * 100_000, "nested more than 64"),
    "a key twice": ('{"zarr_format": 2, "zarr_format": 3}', "there twice"),
    "no text": (b"\xff\xfe\xfa", "not JSON"),
    "a mark in front": (b"\xef\xbb\xbf{}", "not JSON"),
    "UTF-16": ('{"zarr_format": 2}'.encode("utf-16"), "not JSON"),
    "a number of a million digits": ('{"shape": [' + "9" * 10**6 + "]}", "not JSON"),
    "half": ('{"zarr_format": 2', "not JSON"),
    "nothing": ("", "not JSON"),
    "a list": ("[]", "not a JSON object"),
}


@pytest.mark.parametrize("document", ["group_document", "array_document"])
@pytest.mark.parametrize("case", DOCUMENTS)
def test_documents_that_are_no_plain_json_are_refused(tmp_path, case, document):
    text, message = DOCUMENTS[case]
    hostile = Hostile(tmp_path)
    path = hostile.write()
    getattr(hostile, document).write_bytes(text.encode() if isinstance(text, str) else text)
    refuse_both(path, message)


@pytest.mark.parametrize("document", ["group_document", "array_document"])
def test_documents_of_hundreds_of_megabytes_are_refused_unread(tmp_path, document):
    hostile = Hostile(tmp_path)
    path = hostile.write()
    os.truncate(getattr(hostile, document), 300 << 20)
    refuse_both(path, "314,572,800 bytes")


@posix
def test_a_level_that_is_a_link_out_of_the_image_is_refused(tmp_path):
    hostile = Hostile(tmp_path)
    path = hostile.write()
    shutil.move(hostile.level, tmp_path / "elsewhere")
    hostile.level.symlink_to(tmp_path / "elsewhere")
    refuse_both(path, "leads out of the image")


@posix
def test_images_and_chunks_that_are_links_are_read(tmp_path):
    """As on clusters and in git-annex: the store is a link, or the files of chunks are."""
    hostile = Hostile(tmp_path / "real")
    path = hostile.write()
    shutil.move(hostile.chunk_file, tmp_path / "annexed")
    hostile.chunk_file.symlink_to(tmp_path / "annexed")
    link = tmp_path / "link.zarr"
    link.symlink_to(path)
    assert segment(link).n_objects == 1


@posix
@pytest.mark.parametrize("place", ["labels", "labels/cells"])
@pytest.mark.parametrize("exists", [True, False])
def test_labels_are_not_written_through_links(tmp_path, place, exists):
    path = Hostile(tmp_path).write()
    target = tmp_path / "elsewhere"
    if exists:
        target.mkdir()
    (path / place).parent.mkdir(exist_ok=True)
    if place != "labels":
        (path / "labels" / ".zgroup").write_text('{"zarr_format": 2}')
    (path / place).symlink_to(target)
    with refused(tmp_path, "is a link|cannot be written"):
        segment(path, name="cells")
    with refused(tmp_path, "is a link|cannot be written"):
        segment(np.ones((SIDE, SIDE), np.uint8), output=path, name="cells", axes="yx")
    assert target.exists() == exists
    assert not exists or not list(target.iterdir())
