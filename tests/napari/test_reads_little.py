"""What napari shows is all that is read, and it gets labels in the form that it shows quickly."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import zarr

from seamlabel.engine.saving import save_labels
from seamlabel.io.guarded import GuardedStore
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.napari.layers.levels import display_levels

SHAPE = (3, 2, 10, 64, 64)


@pytest.fixture
def chunks_read(monkeypatch):
    """Return the keys of chunks that are read from now on."""
    keys, get = [], GuardedStore.get

    async def noting(self, key, *args, **options):
        if "/c/" in key:
            keys.append(key)
        return await get(self, key, *args, **options)

    monkeypatch.setattr(GuardedStore, "get", noting)
    return keys


@pytest.fixture
def stack(tmp_path):
    """Return an OME-Zarr of 3 times, 2 channels and 10 planes with a chunk each, with labels."""
    path = tmp_path / "stack.zarr"
    pixels = np.arange(prod(SHAPE), dtype=np.uint32).reshape(SHAPE)
    write_image(
        path,
        SHAPE,
        "uint32",
        lambda box: pixels[box.slices],
        axes="tczyx",
        chunks=(1, 1, 1, 64, 64),
        levels=1,
    )
    labels = np.ones((3, 10, 64, 64), np.uint8)
    save_labels(labels, open_image(path).info, path, "cells")
    return str(path)


def test_a_step_along_z_reads_the_plane_that_is_shown(make_napari_viewer, stack, chunks_read):
    viewer = make_napari_viewer()
    layers = viewer.open(stack, plugin="seamlabel")
    for layer in layers[1:]:
        layer.visible = False
    viewer.dims.set_point(0, 1)
    viewer.dims.set_point(1, 4)
    chunks_read.clear()
    viewer.dims.set_point(1, 5)
    assert chunks_read
    assert set(chunks_read) == {"0/c/1/0/5/0/0"}


def test_labels_are_read_as_little_as_that(make_napari_viewer, stack, chunks_read):
    viewer = make_napari_viewer()
    image, labels = viewer.open(stack, plugin="seamlabel")[0], viewer.layers["cells"]
    for layer in viewer.layers:
        layer.visible = layer is labels
    viewer.dims.set_point(1, 2)
    chunks_read.clear()
    viewer.dims.set_point(0, 2)
    wanted = labels.data[0].shape[1]
    assert image.data[0].shape[1] == wanted == 10
    assert 0 < len(set(chunks_read)) <= 2  # one plane, in a chunk of its own or of a few planes


def test_grid_and_stream_of_a_big_stack_are_computed_for_the_plane_only(dock, stack):
    dock.viewer.open(stack, plugin="seamlabel")
    dock.ready()
    dock.tiles((10, 16, 16), (2, 4, 4))
    dock.wait_grid()
    seen, level = [], dock.canvas.states.levels[0]
    read = level.read

    def noting(picks):
        seen.append(tuple(map(len, picks)))
        return read(picks)

    object.__setattr__(level, "read", noting)
    np.asarray(level[1, 5])
    assert seen == [(1, 1, 64, 64)]


def test_large_labels_have_levels_down_to_what_3d_can_show(tmp_path):
    big = zarr.create_array(
        store=str(tmp_path / "big"), shape=(600, 20_000, 17_000), dtype="uint64", chunks=(64, 512, 512)
    )
    levels = display_levels([big])
    assert {level.dtype for level in levels} == {np.dtype(np.uint32)}
    assert max(levels[-1].shape) <= 512
    assert prod(levels[-1].shape) <= 512**3
    shapes = np.array([level.shape for level in levels])
    assert (shapes[1:] <= shapes[:-1]).all()
    assert np.asarray(levels[-1][3, :5, :5]).shape == (5, 5)
