from __future__ import annotations

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from napari.settings import get_settings

from seamlabel.engine.saving import save_labels
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.napari.layers.pictures import ome_zarr_path
from seamlabel.napari.reader import get_reader


@pytest.fixture
def with_labels(image_path, tmp_path):
    """Return an OME-Zarr with the labels "a" and "b"."""
    labels = np.zeros((512, 512), np.uint16)
    labels[10:20, 30:40] = 5
    for name in "ab":
        save_labels(labels, open_image(image_path).info, tmp_path / "image.zarr", name)
    return image_path


@pytest.fixture
def preferred():
    """Make ours the reader of .zarr, as the user's choice in napari's dialog does."""
    settings = get_settings().plugins
    settings.extension2reader = {"*.zarr": "seamlabel", "*.zarr/": "seamlabel"}
    yield
    settings.extension2reader = {}


def drop(widget, *paths):
    """Drop paths on a widget as the window system does."""
    from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
    from qtpy.QtGui import QDragEnterEvent, QDropEvent
    from qtpy.QtWidgets import QApplication

    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    place = QPointF(widget.rect().center())
    how = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place.toPoint(), *how)
    QApplication.sendEvent(widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(place, *how))


def test_an_image_is_opened_with_its_labels(make_napari_viewer, with_labels):
    viewer = make_napari_viewer()
    viewer.open(with_labels, plugin="seamlabel")
    assert [type(layer) for layer in viewer.layers] == [Image, Labels, Labels]
    assert [layer.name for layer in viewer.layers] == ["image", "a", "b"]
    image, labels, _ = viewer.layers
    assert ome_zarr_path(image) == with_labels
    assert not labels.editable  # nobody can paint on it
    assert labels.get_value((7.5, 17.5), world=True) in (5, (0, 5))
    np.testing.assert_array_equal(image.extent.world, labels.extent.world)


def test_channels_become_layers_of_their_own(make_napari_viewer, tmp_path):
    pixels = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    write_image(
        tmp_path / "two.zarr",
        pixels.shape,
        "uint8",
        lambda box: pixels[box.slices],
        axes="cyx",
        channels="pq",
    )
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "two.zarr", plugin="seamlabel")
    assert [layer.name for layer in viewer.layers] == ["p", "q"]
    np.testing.assert_array_equal(np.asarray(viewer.layers["q"].data[0]), pixels[1])


@pytest.mark.parametrize("part", ["labels", "labels/a"])
def test_labels_are_opened_alone(make_napari_viewer, with_labels, part):
    viewer = make_napari_viewer()
    viewer.open(f"{with_labels}/{part}", plugin="seamlabel")
    assert {type(layer) for layer in viewer.layers} == {Labels}
    assert len(viewer.layers) == (2 if part == "labels" else 1)


def test_a_zip_of_an_image_is_opened(make_napari_viewer, image_path, tmp_path):
    import shutil

    shutil.make_archive(str(tmp_path / "packed.zarr"), "zip", image_path)
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "packed.zarr.zip", plugin="seamlabel")
    np.testing.assert_array_equal(viewer.layers[0].data[0], open_image(image_path).arrays[0][...])


def test_what_is_no_ome_zarr_is_left_to_other_readers_with_a_word_why(tmp_path):
    zarr.save(str(tmp_path / "plain.zarr"), np.zeros((4, 4)))
    (tmp_path / "folder").mkdir()
    with pytest.warns(UserWarning, match="Seamlabel cannot open it"):
        assert get_reader(str(tmp_path / "plain.zarr")) is None
    with pytest.warns(UserWarning, match="does not exist. Check"):
        assert get_reader([str(tmp_path / "nothing.zarr")]) is None
    assert get_reader(str(tmp_path / "folder")) is None  # without a warning
    assert get_reader([str(tmp_path / "a.zarr"), str(tmp_path / "b.zarr")]) is None


def test_napari_asks_whom_to_read_it_where_others_can(make_napari_viewer, image_path):
    pytest.importorskip("napari_ome_zarr")
    from napari.errors import MultipleReaderError

    viewer = make_napari_viewer()
    with pytest.raises(MultipleReaderError) as error:
        viewer.open(image_path, plugin=None)
    assert {"seamlabel", "napari-ome-zarr"} <= set(error.value.available_plugins)


def test_an_image_dropped_on_the_viewer_is_opened(shown_dock, with_labels, preferred):
    drop(shown_dock.viewer.window._qt_window._qt_viewer, with_labels)
    assert [layer.name for layer in shown_dock.viewer.layers][:1] == ["image"]
    shown_dock.ready()
    assert shown_dock.form.image.picture.path == with_labels


def test_an_image_dropped_on_the_dock_is_opened_and_chosen(shown_dock, image_path):
    shown_dock.add(np.zeros((64, 64)), name="other")
    drop(shown_dock.widget, image_path)
    shown_dock.ready()
    assert shown_dock.form.image.layer().name == "image"
    assert shown_dock.form.image.picture.path == image_path


def test_labels_dropped_on_the_dock_are_shown_once(shown_dock, with_labels):
    for _ in range(2):
        drop(shown_dock.widget, f"{with_labels}/labels")
    assert [layer.name for layer in shown_dock.viewer.layers] == ["a", "b"]
    assert "add an image" in shown_dock.form.image.empty.text.text()
