"""The image is never changed: by no segmenter that works in place, by no failure and by no cancel."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

import dask.array as da
import numpy as np
import pytest
import zarr
from scipy import ndimage
from tests.faults.inject import WRITES, armed

import seamlabel
from seamlabel.engine.run import run
from seamlabel.errors import IncompleteError
from seamlabel.events import TileDone
from seamlabel.io.sources import image_info
from seamlabel.testing.cells import Tissue

SHAPE = (96, 96)
PIXELS = Tissue(SHAPE, "dense").image()
FILE_KINDS = ("memory map", "zarr 2", "zarr 3", "sharded", "OME-Zarr 0.4", "OME-Zarr 0.5", "dask of zarr")
KINDS = ("numpy", "read-only numpy", "dask", *FILE_KINDS)


def made(kind, folder):
    """Return an image of this kind; what of it is on disk lies in the folder."""
    folder.mkdir()
    if kind == "memory map":
        np.save(folder / "image.npy", PIXELS)
        return np.load(folder / "image.npy", mmap_mode="r")
    if kind in ("numpy", "read-only numpy", "dask"):
        pixels = PIXELS.copy()
        pixels.setflags(write=kind != "read-only numpy")
        return da.from_array(pixels, chunks=32) if kind == "dask" else pixels
    version = 2 if kind in ("zarr 2", "OME-Zarr 0.4") else 3
    group = zarr.create_group(str(folder / "image.zarr"), zarr_format=version)
    sharded = {"chunks": (16, 16), "shards": (48, 48)} if kind == "sharded" else {"chunks": (32, 32)}
    group.create_array("0", shape=SHAPE, dtype="uint16", **sharded)[...] = PIXELS
    if kind.startswith("OME"):
        scale = [{"type": "scale", "scale": [1.0, 1.0]}]
        axes = [{"name": name, "type": "space"} for name in "yx"]
        entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        old = {"multiscales": [{"version": "0.4", **entry}]}
        group.attrs.update(old if version == 2 else {"ome": {"version": "0.5", "multiscales": [entry]}})
        return folder / "image.zarr"
    array = zarr.open_array(folder / "image.zarr" / "0", mode="r")
    return da.from_zarr(array) if kind == "dask of zarr" else array


def digests(folder):
    """Return a digest of every file of the image, and when it was changed."""
    return {
        str(file): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "labels" not in file.relative_to(folder).parts
    }


def scribbling(tile):
    """Segment, and leave nothing of the tile as it was."""
    labels = ndimage.label(tile > 3000)[0]
    tile[...] = 0
    tile += 7
    return labels


def failing(tile):
    """Scribble into the tile, then fail in one corner of the image."""
    corner = tile[0, 0] == PIXELS[0, 0]
    scribbling(tile)
    if corner:
        raise ValueError("no luck")
    return np.zeros(tile.shape, "int32")


OPTIONS = {"tile_shape": 48, "overlap": 8, "progress": False}


@pytest.mark.parametrize("backend", ["threshold", "watershed", scribbling, failing])
@pytest.mark.parametrize("kind", KINDS)
def test_the_image_is_as_it_was_after_a_run(tmp_path, kind, backend):
    image = made(kind, tmp_path / "input")
    before, options = digests(tmp_path / "input"), dict(OPTIONS)
    if not kind.startswith("OME"):
        options["output"] = tmp_path / "labels.zarr"
    with suppress(IncompleteError):
        seamlabel.segment(image, backend, table=True, retries=0, **options)
    assert digests(tmp_path / "input") == before
    if not isinstance(image, os.PathLike):
        assert np.array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_is_as_it_was_after_a_cancel(tmp_path, kind):
    image = made(kind, tmp_path / "input")
    before = digests(tmp_path / "input")
    path = image if isinstance(image, os.PathLike) else None
    info = image_info(image)
    spec = seamlabel.RunSpec(
        image=path and os.fspath(path),
        backend="function",
        params={"target": "builtins:abs"},
        tile_shape=48,
        overlap=8,
    )
    plan = seamlabel.resolve(spec, info)
    events = run(plan, image=None if path else image, segmenter=scribbling)
    assert any(isinstance(event, TileDone) for event in events)
    events.close()
    assert digests(tmp_path / "input") == before
    if path is None:
        assert np.array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_no_file_of_the_image_is_even_opened_for_writing(tmp_path, kind):
    image = made(kind, tmp_path / "input")
    with armed(tmp_path / "input", 0, "count", ops=WRITES) as seen:
        seamlabel.segment(image, scribbling, output=tmp_path / "labels.zarr", **OPTIONS)
    assert seen.seen == []


def test_the_hook_would_see_it(tmp_path):
    with armed(tmp_path, 0, "count") as seen, (tmp_path / "a").open("w"):
        pass
    assert seen.seen == ["write a"]
