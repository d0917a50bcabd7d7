"""Images of every kind and 2 to 5 axes through the dock: labels and tiles lie exactly on the image."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from seamlabel.io.ngff.images import write_image
from seamlabel.napari.layers.pictures import OWN

SIZES = {"t": 2, "c": 2, "z": 6, "y": 40, "x": 53}
OBJECTS = (
    {"t": slice(0, 1), "z": slice(1, 4), "y": slice(3, 9), "x": slice(12, 30)},
    {"t": slice(1, 2), "z": slice(0, 6), "y": slice(14, 33), "x": slice(40, 51)},
    {"t": slice(1, 2), "z": slice(3, 5), "y": slice(20, 31), "x": slice(2, 20)},
)
PLACES = {
    "scale": {"scale": (2.0, 0.5, 0.25)},
    "translate": {"scale": (2.0, 0.5, 0.25), "translate": (-7.0, 11.0, 130.0)},
    "units": {"scale": (2.0, 0.5, 0.25), "units": ("micrometer", "micrometer", "micrometer")},
    "rotate": {"rotate": (0.0, 20.0, 30.0), "scale": (2.0, 0.5, 0.25), "translate": (1.0, 2.0, 3.0)},
    "shear": {"shear": (0.1, 0.2, 0.3), "scale": (1.0, 3.0, 2.0)},
    "affine": {
        "affine": [[1, 0.1, 0, 4], [0, 2, 0.5, 5], [0.2, 0.3, 1, -6], [0, 0, 0, 1]],
        "scale": (2.0, 0.5, 0.25),
        "translate": (-7.0, 11.0, 130.0),
    },
}


def bright(axes):
    """Return an image with a few bright boxes, the same in all channels."""
    pixels = np.full([SIZES[a] for a in axes], 100, np.uint16)
    for number, box in enumerate(OBJECTS):
        pixels[tuple(box.get(a, slice(None)) for a in axes)] = 3000 + number
    return pixels


def levels_of(pixels, axes):
    return [pixels, pixels[tuple(slice(None, None, 2 if a in "yx" else 1) for a in axes)]]


def as_dask(pixels):
    return pytest.importorskip("dask.array").from_array(pixels, chunks=16)


def as_zarr(pixels, tmp_path):
    import zarr

    return zarr.array(pixels, chunks=(8,) * pixels.ndim, store=str(tmp_path / "array.zarr"))


def write(path, axes, pixels, **options):
    place = {"t": 1.5, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.5}
    units = {"t": "second", "c": None}
    write_image(
        path,
        pixels.shape,
        pixels.dtype.name,
        lambda box: pixels[box.slices],
        axes=axes,
        scale=[place[a] for a in axes],
        units=[units.get(a, "micrometer") for a in axes],
        levels=2,
        **options,
    )


def open_as(dock, kind, axes, tmp_path):
    """Add a bright image of these axes to the viewer; return the layer."""
    pixels, names = bright(axes), {"axis_labels": tuple(axes)}
    if kind in ("seamlabel", "napari-ome-zarr"):
        pytest.importorskip(kind.replace("-", "_"))
        write(tmp_path / "bright.zarr", axes, pixels)
        layers = dock.viewer.open(tmp_path / "bright.zarr", plugin=kind)
        dock.controller.choose(layers[0])
        return layers[0]
    data = {
        "numpy": lambda: pixels,
        "dask": lambda: as_dask(pixels),
        "zarr": lambda: as_zarr(pixels, tmp_path),
        "levels": lambda: levels_of(pixels, axes),
        "dask levels": lambda: levels_of(as_dask(pixels), axes),
    }
    return dock.viewer.add_image(data[kind](), **names)


def segment(dock, tile=16, overlap=6):
    """Run with real clicks; return what the layer that streamed was like when it came."""
    seen = {}

    def inserted(event):
        if event.value.metadata.get(OWN, {}).get("provisional"):
            seen["matrix"] = event.value._data_to_world.affine_matrix
            seen["stream"] = dock.canvas.stream

    dock.ready()
    dock.form.method.set_values("threshold", {"value": 1000.0, "smoothing": 0.0})
    space = sum(axis.tiled for axis in dock.form.image.picture.info.axes)
    dock.tiles((tile,) * space, (overlap,) * space)
    dock.wait_grid()
    dock.viewer.layers.events.inserted.connect(inserted)
    dock.click(dock.bar.run_button)
    dock.wait_end()
    dock.viewer.layers.events.inserted.disconnect(inserted)
    assert dock.run.progress.result is not None, dock.bar.result.text()
    return seen


def finest(layer):
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def world(layer, voxels):
    """Return where voxels of a layer's finest level lie in the world, sorted, of the last axes."""
    matrix = layer._data_to_world.affine_matrix
    return voxels @ matrix[:-1, :-1].T + matrix[:-1, -1]


def assert_on(labels, image, channel=None):
    """Assert that the labels' objects are the bright boxes of the image, in the world."""
    mask = finest(image) > 1000
    if image.rgb:
        mask = mask[..., 0]
    there, here = world(image, np.argwhere(mask)), world(labels, np.argwhere(finest(labels)))
    if labels.ndim < mask.ndim:  # the labels have no channel axis
        there = np.unique(np.delete(there, channel, axis=1).round(6), axis=0)
    np.testing.assert_allclose(np.unique(here.round(6), axis=0), np.unique(there.round(6), axis=0))
    assert [str(u) for u in labels.units] == [str(u) for u in image.units[image.ndim - labels.ndim :]]


def assert_tiles_on(dock, image):
    """Assert that the tile under every corner voxel of a tile is that tile."""
    grid, where = dock.canvas.states.grid, dock.canvas._placement.insert
    channel = dock.form.image.picture.info.channel_axis
    for number in range(len(grid)):
        core = grid[number].core
        for corner in product(*((a, b - 1) for a, b in zip(core.start, core.stop, strict=True))):
            voxel = list(corner)
            if image.ndim > len(voxel):
                voxel.insert(where[0] if where else channel, 0)
            assert dock.canvas.tile_under(image.data_to_world(voxel)) == number


@pytest.mark.parametrize("axes", ["yx", "zyx", "tyx", "cyx", "tzyx", "czyx", "tcyx", "tczyx"])
def test_labels_lie_on_arrays_of_2_to_5_axes(dock, axes, tmp_path):
    image = open_as(dock, "numpy", axes, tmp_path)
    seen = segment(dock)
    labels = dock.canvas.labels_layer
    assert_on(labels, image, axes.find("c"))
    np.testing.assert_array_equal(seen["matrix"], labels._data_to_world.affine_matrix)
    streamed = np.asarray(seen["stream"].levels[0]) > 0
    np.testing.assert_array_equal(streamed, (bright(axes.replace("c", "")) > 1000))
    assert_tiles_on(dock, image)


@pytest.mark.parametrize("axes", ["zyx", "tczyx"])
@pytest.mark.parametrize("kind", ["dask", "zarr", "levels", "dask levels", "seamlabel", "napari-ome-zarr"])
def test_labels_lie_on_images_of_every_kind(dock, kind, axes, tmp_path):
    image = open_as(dock, kind, axes, tmp_path)
    segment(dock)
    assert_on(dock.canvas.labels_layer, image, axes.find("c"))
    assert_tiles_on(dock, image)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("axes", ["zyx", "cyx"])
def test_labels_lie_on_images_wherever_they_are(dock, axes, place):
    options = dict(PLACES[place])
    if axes == "cyx" and place in ("rotate", "affine", "shear"):  # channels are no place in the world
        options = {
            "rotate": {"rotate": 30, "scale": (1, 0.5, 0.25), "translate": (0, 2, 3)},
            "shear": {"shear": (0, 0, 0.3), "scale": (1, 3, 2)},
            "affine": {"affine": [[1, 0, 0, 0], [0, 0, 1, 5], [0, 0.3, 1, -6], [0, 0, 0, 1]]},
        }[place]
    image = dock.viewer.add_image(bright(axes), axis_labels=tuple(axes), **options)
    seen = segment(dock)
    labels = dock.canvas.labels_layer
    assert_on(labels, image, axes.find("c"))
    np.testing.assert_array_equal(seen["matrix"], labels._data_to_world.affine_matrix)
    assert_tiles_on(dock, image)


def test_labels_of_a_colour_picture_lie_on_it(dock):
    image = dock.viewer.add_image(bright("yxc")[..., [0, 0, 0]].astype(np.uint16), rgb=True, scale=(2, 3))
    segment(dock)
    assert_on(dock.canvas.labels_layer, image)
    assert_tiles_on(dock, image)


@pytest.mark.parametrize("axes", ["zyx", "tcyx"])
def test_labels_of_a_coarser_level_cover_what_its_voxels_cover(dock, axes):
    pixels = bright(axes)
    place = {"scale": (2.0,) * len(axes), "translate": (5.0,) * len(axes)}
    image = dock.viewer.add_image(levels_of(pixels, axes), axis_labels=tuple(axes), **place)
    dock.ready()
    dock.form.image.level.setCurrentIndex(1)
    segment(dock)
    labels = dock.canvas.labels_layer
    for corner in (np.zeros(labels.ndim), np.ones(labels.ndim)):  # where the outermost voxels end
        here = labels.data_to_world(corner * finest(labels).shape - 0.5)
        np.testing.assert_allclose(here, image.data_to_world(corner * pixels.shape - 0.5))
    mask = np.asarray(image.data[1]) > 1000
    np.testing.assert_array_equal(finest(labels) > 0, mask)


def test_every_level_of_labels_in_an_ome_zarr_is_that_of_the_image(dock, tmp_path):
    image = open_as(dock, "seamlabel", "zyx", tmp_path)
    segment(dock)
    labels = dock.canvas.labels_layer
    assert [tuple(s) for s in labels.level_shapes][:2] == [tuple(s) for s in image.level_shapes]
    np.testing.assert_allclose(labels.downsample_factors[:2], image.downsample_factors)


def test_of_an_image_cut_into_layers_by_another_reader_the_layer_says_the_channel(dock, tmp_path):
    pytest.importorskip("napari_ome_zarr")
    pixels = bright("czyx")
    pixels[0] = 7
    write(tmp_path / "two.zarr", "czyx", pixels)
    layers = dock.viewer.open(tmp_path / "two.zarr", plugin="napari-ome-zarr")
    for number, layer in enumerate(layers):
        dock.controller.choose(layer)
        dock.ready()
        assert dock.form.image.values()["channels"] == (number,)
