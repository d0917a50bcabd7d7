"""A conversion that was killed goes on with the same command, and ends with the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from seamlabel.errors import ImageError, OutputError
from seamlabel.io.convert import convert, journal, work
from seamlabel.io.ngff import layout
from seamlabel.io.ngff.images import ImageWriter
from seamlabel.io.ngff.model import open_image

KILLED = """
import os, signal, sys
from seamlabel.io.convert import convert, journal
from seamlabel.io.ngff import chunkfiles, layout
from seamlabel.io.ngff.images import ImageWriter

layout.BLOCK_BYTES = layout.MOST_BLOCK_BYTES = 1 << 15
where, at, source, out, options = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], eval(sys.argv[5])
owner, name = {
    "noted": (journal.Journal, "add"),
    "begun": (journal.Journal, "begin"),
    "created": (ImageWriter, "create"),
    "finished": (ImageWriter, "finish"),
    "forgotten": (journal.Journal, "remove"),
    "chunk": (chunkfiles, "_save"),
}[where]
real, left = getattr(owner, name), [at]


def killed(*args, **more):
    left[0] -= 1
    if left[0] < 0:
        if where == "chunk":
            real(args[0], args[1][: len(args[1]) // 2])  # half a chunk
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **more)


setattr(owner, name, killed)
convert(source, out, **options)
"""
OPTIONS = {
    "pattern": "p_z{z}.tif",
    "channels": ["nuclei"],
    "chunks": (4, 32, 32),
    "levels": 4,
    "workers": 2,
}


@pytest.fixture(scope="module")
def planes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planes")
    pixels = np.random.default_rng(0).integers(0, 4000, (12, 90, 100), dtype="uint16")
    pixels[:, :40] = 0  # chunks of zeros get no file
    for z, plane in enumerate(pixels):
        tifffile.imwrite(folder / f"p_z{z}.tif", plane, compression="zlib" if z % 2 else None)
    return folder, pixels


def tree(path):
    """Bytes of every file below a folder."""
    return {
        file.relative_to(path).as_posix(): hashlib.sha1(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


def killed(where, at, source, out, options):
    command = [sys.executable, "-c", KILLED, where, str(at), str(source), str(out), repr(options)]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(layout, "BLOCK_BYTES", 1 << 15)
    monkeypatch.setattr(layout, "MOST_BLOCK_BYTES", 1 << 15)


@pytest.mark.parametrize("more", [{"ngff": "0.5"}, {"ngff": "0.4"}], ids=str)
def test_killed_anywhere_it_goes_on_and_ends_with_the_same_bytes(planes, tmp_path, more):
    folder, pixels = planes
    options = {**OPTIONS, **more}
    convert(folder, tmp_path / "a" / "image.zarr", **options)
    whole = tree(tmp_path / "a" / "image.zarr")
    points = [("begun", 0), ("created", 0), ("noted", 0), ("chunk", 7), ("noted", 5), ("chunk", 40)]
    points += [("finished", 0), ("forgotten", 0)]
    for where, at in points:
        out = tmp_path / where / str(at) / "image.zarr"
        out.parent.mkdir(parents=True)
        assert killed(where, at, folder, out, options)
        if where != "forgotten":
            with pytest.raises(ImageError):
                open_image(out)  # nobody takes it for an image
        convert(folder, out, **options)
        assert tree(out) == whole
        assert os.listdir(out.parent) == ["image.zarr"]
    assert np.array_equal(open_image(out).arrays[0][:], pixels)


def test_killed_again_and_again_it_ends_with_the_same_bytes(planes, tmp_path):
    folder, _ = planes
    options = {**OPTIONS, "shards": (8, 64, 64)}
    convert(folder, tmp_path / "a" / "image.zarr", **options)
    out = tmp_path / "b" / "image.zarr"
    kills = sum(
        1 for _ in itertools.takewhile(bool, (killed("noted", 3, folder, out, options) for _ in range(40)))
    )
    assert kills > 2
    assert tree(out) == tree(tmp_path / "a" / "image.zarr")


def test_what_is_done_is_not_done_again(planes, tmp_path, monkeypatch):
    folder, _ = planes
    assert killed("noted", 6, folder, tmp_path / "a.zarr", OPTIONS)
    written = []
    real = ImageWriter.write
    monkeypatch.setattr(ImageWriter, "write", lambda self, *a: (written.append(a[:2]), real(self, *a))[1])
    convert(folder, tmp_path / "a.zarr", **OPTIONS)
    again = len(written)
    convert(folder, tmp_path / "b.zarr", **OPTIONS)
    assert len(written) - again == again + 6


def test_blocks_whose_files_were_lost_are_written_again(planes, tmp_path):
    folder, _ = planes
    convert(folder, tmp_path / "a" / "image.zarr", **OPTIONS)
    out = tmp_path / "b" / "image.zarr"
    assert killed("finished", 0, folder, out, OPTIONS)
    chunks = sorted(p for p in out.rglob("c/*/*/*") if p.is_file())
    chunks[0].unlink()
    chunks[-1].write_bytes(b"")
    convert(folder, out, **OPTIONS)
    assert tree(out) == tree(tmp_path / "a" / "image.zarr")


def test_another_request_or_another_source_is_refused_with_what_differs(planes, tmp_path):
    folder, pixels = planes
    here = tmp_path / "planes"
    here.mkdir()
    for file in folder.iterdir():
        (here / file.name).write_bytes(file.read_bytes())
    out = tmp_path / "image.zarr"
    assert killed("noted", 2, here, out, OPTIONS)
    with pytest.raises(OutputError, match=r"another request; .*scale: .*NGFF"):
        convert(here, out, **{**OPTIONS, "scale": {"z": 2}, "ngff": "0.4"})
    tifffile.imwrite(here / "p_z3.tif", pixels[4])
    with pytest.raises(OutputError, match=r"files changed: p_z3\.tif") as found:
        convert(here, out, **OPTIONS)
    assert "--overwrite" in found.value.hint
    convert(here, out, **OPTIONS, overwrite=True)
    assert np.array_equal(open_image(out).arrays[0][3], pixels[4])


def test_a_source_that_changes_meanwhile_makes_no_image(planes, tmp_path, monkeypatch):
    folder, pixels = planes
    here = tmp_path / "planes"
    here.mkdir()
    for file in folder.iterdir():
        (here / file.name).write_bytes(file.read_bytes())
    real = work._Run.through

    def meddled(self, *args):
        real(self, *args)
        tifffile.imwrite(here / "p_z0.tif", pixels[1])

    monkeypatch.setattr(work._Run, "through", meddled)
    with pytest.raises(ImageError, match=r"changed while it was read: files changed: p_z0\.tif"):
        convert(here, tmp_path / "image.zarr", **OPTIONS)
    with pytest.raises(ImageError):
        open_image(tmp_path / "image.zarr")


def test_a_torn_record_costs_a_block_and_a_strange_one_is_refused(planes, tmp_path):
    folder, _ = planes
    convert(folder, tmp_path / "a" / "image.zarr", **OPTIONS)
    out = tmp_path / "b" / "image.zarr"
    assert killed("noted", 4, folder, out, OPTIONS)
    record = out / journal.NAME
    record.write_bytes(record.read_bytes()[:-9] + b'\n{"s":9,"b":"x"}\n[]\n{"s":0,"b":10000,"n":1,"w":{}}')
    convert(folder, out, **OPTIONS)
    assert tree(out) == tree(tmp_path / "a" / "image.zarr")
    out = tmp_path / "c" / "image.zarr"
    assert killed("noted", 4, folder, out, OPTIONS)
    (out / journal.NAME).write_text("{}")
    with pytest.raises(ImageError, match="not the record of a conversion"):
        convert(folder, out, **OPTIONS)


def test_one_at_a_time(planes, tmp_path):
    folder, _ = planes

    def second(done, total):
        with pytest.raises(OutputError, match="is in use by process"):
            convert(folder, tmp_path / "image.zarr", **OPTIONS)

    convert(folder, tmp_path / "image.zarr", **OPTIONS, on_progress=second)


def test_another_array_of_the_same_shape_is_another_request(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 4000, (12, 90, 100), dtype="uint16")

    def stopped(self, entry):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.Journal, "add", stopped)
    with pytest.raises(OutputError):
        convert(pixels, tmp_path / "a.zarr")
    monkeypatch.undo()
    with pytest.raises(OutputError, match="another request; pixels"):
        convert(pixels + 1, tmp_path / "a.zarr")
    convert(pixels, tmp_path / "a.zarr")
    assert np.array_equal(open_image(tmp_path / "a.zarr").arrays[0][:], pixels)
