from __future__ import annotations

import json

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


def collection(place):
    """Write a collection (bioformats2raw) of two images."""
    zarr.create_group(str(place), zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for number in range(2):
        write_image(
            place / str(number),
            (32 + number, 32),
            "uint8",
            lambda box: np.ones(box.shape, np.uint8),
            axes="yx",
            version="0.4",
        )
    return place


def answer(qtbot, pick):
    """Answer the next question that is asked: with a choice, or with Cancel if it is None."""
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QInputDialog

    asked = []

    def look():
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QInputDialog):
            QTimer.singleShot(20, look)
            return
        asked.append(dialog.comboBoxItems())
        if pick is None:
            dialog.reject()
        else:
            dialog.setTextValue(pick)
            dialog.accept()

    QTimer.singleShot(0, look)
    return asked


@pytest.mark.parametrize("pick", ["0", "1"])
def test_of_a_collection_the_image_is_opened_that_the_user_picks(make_napari_viewer, qtbot, tmp_path, pick):
    path = collection(tmp_path / "many.zarr")
    viewer = make_napari_viewer()
    asked = answer(qtbot, pick)
    viewer.open(path, plugin="seamlabel")
    assert asked == [["0", "1"]]
    assert [layer.data[0].shape for layer in viewer.layers] == [(32 + int(pick), 32)]
    assert ome_zarr_path(viewer.layers[0]) == f"{path}/{pick}"


def test_nothing_is_opened_where_the_user_picks_none(make_napari_viewer, qtbot, tmp_path):
    viewer = make_napari_viewer()
    answer(qtbot, None)
    viewer.open(collection(tmp_path / "many.zarr"), plugin="seamlabel")
    assert not viewer.layers


def test_a_collection_dropped_on_the_dock_asks_which_image(shown_dock, qtbot, tmp_path):
    path = collection(tmp_path / "many.zarr")
    answer(qtbot, "1")
    drop(shown_dock.widget, path)
    shown_dock.ready()
    assert shown_dock.form.image.picture.path == f"{path}/1"


def test_channels_have_the_colours_that_the_image_tells(make_napari_viewer, tmp_path):
    shape = (3, 8, 8)
    write_image(
        tmp_path / "c.zarr",
        shape,
        "uint8",
        lambda box: np.ones(box.shape, np.uint8),
        axes="cyx",
        channels="pqr",
    )
    file = tmp_path / "c.zarr" / "zarr.json"
    document = json.loads(file.read_text())
    channels = document["attributes"]["ome"]["omero"]["channels"]
    for channel, color in zip(channels, ("FF8000", "nonsense", "0000FF"), strict=True):
        channel["color"] = color
    file.write_text(json.dumps(document))
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "c.zarr", plugin="seamlabel")
    ends = [layer.colormap.colors[-1][:3].round(2).tolist() for layer in viewer.layers]
    assert ends[0] == [1, 0.5, 0]
    assert ends[1] == [1, 0, 1]  # the usual one
    assert ends[2] == [0, 0, 1]


def test_scale_place_and_units_of_image_and_labels_are_shown(make_napari_viewer, tmp_path):
    path = tmp_path / "moved.zarr"
    write_image(
        path,
        (4, 32, 32),
        "uint8",
        lambda box: np.ones(box.shape, np.uint8),
        axes="zyx",
        scale=(2, 0.5, 0.5),
        units=["nanometer"] * 3,
    )
    file = path / "zarr.json"
    document = json.loads(file.read_text())
    moved = {"type": "translation", "translation": [10.0, 20.0, 30.0]}
    document["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][1:] = [moved]
    file.write_text(json.dumps(document))
    save_labels(np.ones((4, 32, 32), np.uint8), open_image(path).info, path, "cells")
    viewer = make_napari_viewer()
    viewer.open(path, plugin="seamlabel")
    for layer in viewer.layers:
        assert layer.scale.tolist() == [2, 0.5, 0.5]
        assert layer.translate.tolist() == [10, 20, 30]
        assert {str(unit) for unit in layer.units} == {"nanometer"}


def test_a_remote_image_is_opened_with_its_labels(make_napari_viewer, with_labels, tmp_path):
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    pytest.importorskip("obstore")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/image.zarr"
        viewer = make_napari_viewer()
        viewer.open(address, plugin="seamlabel")
        assert [layer.name for layer in viewer.layers] == ["image", "a", "b"]
        assert ome_zarr_path(viewer.layers[0]) == address
        np.testing.assert_array_equal(viewer.layers[0].data[0], open_image(with_labels).arrays[0][...])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_dock_is_offered_once_to_who_opens_an_image_without_it(make_napari_viewer, image_path):
    from napari.utils.notifications import notification_manager

    from seamlabel.napari.widget import SeamlabelWidget

    viewer = make_napari_viewer()
    before = len(notification_manager.records)
    for _ in range(2):
        viewer.open(image_path, plugin="seamlabel")
    (offer,) = notification_manager.records[before:]
    ((text, press),) = offer.actions
    assert text == "Open the dock"
    press(None)
    (dock,) = viewer.window._qt_window.findChildren(SeamlabelWidget)
    assert dock.form.image.layer() in viewer.layers


def test_the_dock_is_not_offered_where_it_is_open(shown_dock, image_path):
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)
    shown_dock.viewer.open(image_path, plugin="seamlabel")
    assert not notification_manager.records[before:]
