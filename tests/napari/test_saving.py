from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels

from seamlabel.errors import OutputError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import label_names, open_image
from seamlabel.kernels.pyramid import sample, sample_index


@pytest.fixture
def painted():
    """Return 512 x 512 labels of int64, as napari makes them."""
    labels = np.zeros((512, 512), np.int64)
    labels[10:20, 30:40] = 5
    labels[300:500, 7:400] = 70_000
    return labels


def add(viewer, labels, **options):
    layer = Labels(labels, **options)
    viewer.add_layer(layer)
    return layer


def test_labels_saved_to_an_image_go_into_it_with_all_its_levels(make_napari_viewer, image_path, painted):
    viewer = make_napari_viewer()
    add(viewer, painted, name="my cells")
    written = viewer.layers.save(image_path, plugin="seamlabel")
    assert [Path(path).name for path in written] == ["my-cells"]
    found, image = open_image(f"{image_path}/labels/my-cells"), open_image(image_path)
    assert image.info.labels == ("my-cells",)
    for array, level in zip(found.arrays, image.info.levels, strict=True):
        index = tuple(map(sample_index, painted.shape, level.shape))
        np.testing.assert_array_equal(array[...], sample(painted, index))
    assert [level.scale for level in found.info.levels] == [level.scale for level in image.info.levels]
    assert found.arrays[0].dtype == np.uint32


def test_a_path_under_the_image_names_the_labels(make_napari_viewer, image_path, painted):
    viewer = make_napari_viewer()
    layer = add(viewer, painted)
    layer.save(f"{image_path}/labels/nuclei", plugin="seamlabel")  # napari appends .zarr
    layer.save(f"{image_path}/spots.zarr", plugin="seamlabel")
    assert label_names(Path(image_path)) == ("nuclei", "spots")


def test_nothing_is_overwritten(make_napari_viewer, image_path, painted):
    viewer = make_napari_viewer()
    layer = add(viewer, painted, name="cells")
    layer.save(image_path, plugin="seamlabel")
    layer.save(image_path, plugin="seamlabel")
    assert label_names(Path(image_path)) == ("cells", "cells-2")
    with pytest.raises(OutputError, match=r"exists\. Give another name"):
        layer.save(f"{image_path}/labels/cells.zarr", plugin="seamlabel")


def test_labels_of_no_image_get_an_ome_zarr_of_their_own(make_napari_viewer, tmp_path):
    labels = np.zeros((3, 40, 1300), np.uint8)
    labels[1, 5:9, 1000:1200] = 3
    viewer = make_napari_viewer()
    place = {"scale": (2, 0.5, 0.5), "translate": (10, 20, 30), "units": ("micrometer",) * 3}
    layer = add(viewer, labels, name="cells", axis_labels="zyx", **place)
    path = layer.save(tmp_path / "mine.zarr", plugin="seamlabel")[0]
    found = open_image(path)
    assert found.info.names == "zyx"
    assert found.info.units == ("micrometer",) * 3
    assert len(found.arrays) == 3  # a viewer shows the coarsest one from afar
    assert found.info.levels[0].scale == (2, 0.5, 0.5)
    np.testing.assert_array_equal(found.arrays[0][...], labels)
    viewer.layers.clear()
    viewer.open(tmp_path / "mine.zarr", plugin="seamlabel")
    again = viewer.layers[0]
    assert isinstance(again, Labels)
    np.testing.assert_array_equal(again.translate, (10, 20, 30))
    assert [str(unit) for unit in again.units] == ["micrometer"] * 3


def test_labels_of_a_coarser_level_fill_all_levels(make_napari_viewer, image_path):
    labels = np.zeros((256, 256), np.uint8)
    labels[4:8, 4:8] = 1
    viewer = make_napari_viewer()
    add(viewer, labels, name="coarse").save(image_path, plugin="seamlabel")
    fine = open_image(f"{image_path}/labels/coarse").arrays[0][...]
    np.testing.assert_array_equal(fine, np.kron(labels, np.ones((2, 2), np.uint8)))


def test_labels_repeated_along_the_channels_are_saved_once(make_dock, tmp_path):
    pixels = np.zeros((2, 3, 64, 64), np.uint16)
    pixels[:, :, 8:20, 8:20] = 3000
    write_image(tmp_path / "t.zarr", pixels.shape, "uint16", lambda box: pixels[box.slices], axes="tcyx")
    dock = make_dock()
    labels = np.repeat((pixels[:, :1] > 0).astype(np.uint8), 3, axis=1)
    layer = add(dock.viewer, labels, name="mine")
    with pytest.raises(OutputError, match="3 channels"):
        layer.save(tmp_path / "t.zarr", plugin="seamlabel")
    layer.metadata = {"seamlabel": {"path": "x"}}  # as those of a run
    layer.save(tmp_path / "t.zarr", plugin="seamlabel")
    assert open_image(tmp_path / "t.zarr" / "labels" / "mine").info.names == "tyx"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.full((512, 512), -3), "below 0"),
        (np.ones((100, 512), np.uint8), "do not belong to an image of 512 x 512"),
    ],
)
def test_what_cannot_be_saved_is_said_and_leaves_nothing(make_napari_viewer, image_path, labels, said):
    viewer = make_napari_viewer()
    with pytest.raises(OutputError, match=said):
        add(viewer, labels).save(image_path, plugin="seamlabel")
    assert label_names(Path(image_path)) == ()
    assert not (Path(image_path) / "labels").exists()


def test_numbers_beyond_32_bits_are_kept(make_napari_viewer, tmp_path):
    labels = np.zeros((20, 20), np.int64)
    labels[3:6, 3:6] = 2**40
    viewer = make_napari_viewer()
    path = add(viewer, labels).save(tmp_path / "big.zarr", plugin="seamlabel")[0]
    np.testing.assert_array_equal(open_image(path).arrays[0][...], labels)


def test_small_labels_that_are_opened_cannot_be_painted_on(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    add(viewer, np.ones((8, 9), np.uint8)).save(tmp_path / "small.zarr", plugin="seamlabel")
    layer = viewer.open(tmp_path / "small.zarr", plugin="seamlabel")[0]
    assert not layer.editable
    assert layer.get_value((4, 4)) in (1, (0, 1))


def test_what_ome_zarr_cannot_say_is_told(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    layer = add(viewer, np.ones((8, 8), np.uint8), rotate=30)
    with pytest.warns(UserWarning, match="Rotation"):
        layer.save(tmp_path / "turned.zarr", plugin="seamlabel")
